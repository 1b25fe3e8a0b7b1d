# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what on an entity (namespace ``archipel:permissions``)."""

from __future__ import annotations

from archipel.agent.dispatch import EVERY_KIND, Caller, command
from archipel.agent.entity import Entity
from archipel.agent.jids import MalformedJid, account_jid
from archipel.agent.rights import RightChange
from archipel.protocol import every_entity as wire
from archipel.protocol.errors import BadRequest, CommandError, Condition, ErrorCode
from archipel.protocol.events import Topic
from archipel.protocol.rights import Token

PRESENCE = "presence"
PERSON = "user"  # the only type of target that the founders' agent knew


@command(wire.ListRights, on=EVERY_KIND, right="permission_list", failure=ErrorCode.LIST_RIGHTS)
async def list_rights(entity: Entity, _request: wire.ListRights, _caller: Caller) -> tuple[wire.Permission, ...]:
    """Which rights exist here."""
    tokens = entity.services.rights.catalogue.tokens(entity.kind)
    return tuple(wire.Permission(name=token.name, description=_describe(entity, token), default=token.default) for token in tokens)


def _describe(entity: Entity, token: Token) -> str:
    waits = entity.services.rights.catalogue.waits(entity.kind, token.name)
    return f"{token.description} (nothing on this agent asks for it yet)" if waits else token.description


@command(wire.GetRights, on=EVERY_KIND, right="permission_get", failure=ErrorCode.GET_RIGHTS)
async def get_rights(entity: Entity, request: wire.GetRights, _caller: Caller) -> tuple[wire.Permission, ...]:
    """Which rights somebody was granted here."""
    if request.permission_type != PERSON:
        return ()
    return _granted(entity, read_account("permission_target", request.permission_target))


@command(wire.GetOwnRights, on=EVERY_KIND, right=None, failure=ErrorCode.GET_RIGHTS)
async def get_own_rights(entity: Entity, request: wire.GetOwnRights, caller: Caller) -> tuple[wire.Permission, ...]:
    """Which rights you hold here, by whatever was granted to you or your groups: by these, clients show what you may do."""
    if read_account("permission_target", request.permission_target) != caller.bare:
        raise CommandError(f"permission_target: must be your own JID, {caller.bare}", condition=Condition.NOT_ALLOWED)
    return tuple(wire.Permission(name=name) for name in entity.services.rights.held_tokens(entity.bare, caller.bare))


@command(wire.SetRights, on=EVERY_KIND, right="permission_set", failure=ErrorCode.SET_RIGHTS)
async def set_rights(entity: Entity, request: wire.SetRights, caller: Caller) -> None:
    """Grant and revoke rights."""
    await _change(entity, request.grants, caller)


@command(wire.SetOwnRights, on=EVERY_KIND, right="permission_setown", failure=ErrorCode.SET_RIGHTS)
async def set_own_rights(entity: Entity, request: wire.SetOwnRights, caller: Caller) -> None:
    """Change your own rights."""
    strangers = {grant.target for grant in request.grants if read_account("permission_target", grant.target) != caller.bare}
    if strangers:
        raise CommandError(f"permission_target: must be your own JID, {caller.bare}", condition=Condition.NOT_ALLOWED)
    await _change(entity, request.grants, caller, own=True)


def _granted(entity: Entity, subject: str) -> tuple[wire.Permission, ...]:
    return tuple(wire.Permission(name=name) for name in entity.services.rights.tokens_of(entity.bare, subject))


async def _change(entity: Entity, grants: tuple[wire.Grant, ...], caller: Caller, *, own: bool = False) -> None:
    """Apply all changes or none, then tell each person concerned, and let presence and roster follow his rights."""
    rights = entity.services.rights
    changes = [_read_change(grant) for grant in grants]
    concerned = await (rights.change_own if own else rights.change)(entity.bare, changes, caller=caller.bare)
    await entity.refresh_readers()
    for subject in concerned:
        entity.push(Topic.PERMISSIONS, subject)
        if any(change.subject == subject and change.token == PRESENCE for change in changes):
            allowed = entity.decide(subject, PRESENCE).allowed
            (entity.contacts.approve if allowed else entity.contacts.refuse)(subject)
        await entity.dismiss(subject)


def _read_change(grant: wire.Grant) -> RightChange:
    if grant.type != PERSON:
        raise BadRequest(f"permission_type: must be {PERSON!r}, not {grant.type!r}", ErrorCode.SET_RIGHTS)
    return RightChange(read_account("permission_target", grant.target), grant.name, grant.granted)


def read_account(field: str, jid: str) -> str:
    """Return the bare JID of an account that a request names, or raise what is wrong with it."""
    try:
        return account_jid(jid)
    except MalformedJid as error:
        raise BadRequest(f"{field}: {error}") from error
