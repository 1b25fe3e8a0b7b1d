# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hypervisors and virtual machines have in common, seen from outside: rights, contacts, tags, vCard, chat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from archipel.client.addresses import bare_address, parse_address
from archipel.client.schedule import Schedule
from archipel.protocol import every_entity, rules
from archipel.protocol.every_entity import Contact, Grant, Permission
from archipel.protocol.payload import Request
from archipel.protocol.rules import Decision, NewRule, OldRule, RoleItem, Rule
from archipel.protocol.vcard import VCard

if TYPE_CHECKING:
    from archipel.client.inbox import Reply
    from archipel.client.session import Session

AnswerT = TypeVar("AnswerT")


class Entity:
    """An account of the platform that takes commands; ``jid`` may be bare or full, see :meth:`full_jid`.

    Every method that asks raises a :class:`~archipel.protocol.errors.CommandError` when the entity refuses or fails
    (:class:`~archipel.protocol.errors.PermissionDenied` names the missing right), a
    :class:`~archipel.xmpp.errors.WireError` when the connection does, :class:`~archipel.client.errors.NotOnline` when
    nobody answers at its address, :class:`~archipel.client.errors.MalformedAnswer` when the answer makes no sense.
    """

    def __init__(self, session: Session, jid: str) -> None:
        self.session = session
        self.jid = parse_address(jid)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.jid}>"

    @property
    def bare(self) -> str:
        """The account, without resource: what rights, tags and events nodes go by."""
        return str(self.jid.bare)

    @property
    def schedule(self) -> Schedule:
        """What it does later, or again and again."""
        return Schedule(self)

    async def full_jid(self) -> str:
        """Return the address that takes commands; looked for if only the account is known (:meth:`Session.locate`)."""
        return str(self.jid) if self.jid.resource else await self.session.locate(self.bare)

    async def ask(self, request: Request[AnswerT], timeout: float | None = None) -> AnswerT:
        """Send any command, also one of a capability that this library has no method for."""
        return await self.session.ask(await self.full_jid(), request, timeout)

    async def list_rights(self) -> tuple[Permission, ...]:
        """Return which rights exist here, with descriptions and defaults (right ``permission_list``)."""
        return await self.ask(every_entity.ListRights())

    async def rights_of(self, jid: str) -> frozenset[str]:
        """Return which rights somebody was explicitly granted here (right ``permission_get``); for oneself without a right."""
        own = bare_address(jid) == self.session.jid
        request = every_entity.GetOwnRights if own else every_entity.GetRights
        return frozenset(right.name for right in await self.ask(request(permission_target=bare_address(jid))))

    async def grant(self, jid: str, *rights: str) -> None:
        """Give somebody rights here; all or none (right ``permission_set``)."""
        await self.change_rights((jid, right, True) for right in rights)

    async def revoke(self, jid: str, *rights: str) -> None:
        """Take rights from somebody; all or none (right ``permission_set``)."""
        await self.change_rights((jid, right, False) for right in rights)

    async def change_rights(self, changes: Iterable[tuple[str, str, bool]]) -> None:
        """Apply ``(jid, right, granted)`` in one command, all or none; no change sends nothing."""
        grants = tuple(Grant(target=bare_address(jid), name=right, value=str(int(granted))) for jid, right, granted in changes)
        if grants:
            await self.ask(every_entity.SetRights(grants=grants))

    async def why(self, right: str, jid: str | None = None) -> Decision:
        """Return whether somebody, or the caller, has a right here, and why; of others with the right ``permission_get``."""
        return await self.ask(rules.Why(right=right, subject=None if jid is None else bare_address(jid)))

    async def rules(self) -> tuple[Rule, ...]:
        """Return all grants and rules that count here (right ``permission_get``)."""
        return await self.ask(rules.ListRules())

    async def grant_rules(self, *wanted: NewRule) -> None:
        """Give rights or roles to people or groups, here or, from a hypervisor, on machines of a scope; all or none."""
        await self.ask(rules.GrantRules(rules=wanted))

    async def deny_rules(self, *wanted: NewRule) -> None:
        """Deny rights or roles, whatever else gives them; all or none (``all`` is needed)."""
        await self.ask(rules.DenyRules(rules=wanted))

    async def withdraw_rules(self, *gone: OldRule) -> None:
        """Take grants, roles and denials back; all or none. One that is not there is no error."""
        await self.ask(rules.WithdrawRules(rules=gone))

    async def roles(self) -> tuple[RoleItem, ...]:
        """Return all roles with their rights (right ``permission_list``)."""
        return await self.ask(rules.ListRoles())

    async def add_subscription(self, jid: str) -> None:
        """Take somebody into the entity's roster, with the right to see its presence (right ``subscription_add``)."""
        await self.ask(every_entity.AddSubscription(jid=bare_address(jid)))

    async def remove_subscription(self, jid: str) -> None:
        """Remove somebody from the entity's roster (right ``subscription_remove``)."""
        await self.ask(every_entity.RemoveSubscription(jid=bare_address(jid)))

    async def roster(self) -> tuple[Contact, ...]:
        """Return who is in the entity's roster (right ``getroster``)."""
        return await self.ask(every_entity.GetRoster())

    async def tags(self) -> tuple[str, ...]:
        """Return the entity's tags, as the platform's tags node has them; see :meth:`Session.tags` for all at once."""
        return (await self.session.tags()).get(self.bare, ())

    async def set_tags(self, tags: Iterable[str]) -> None:
        """Replace the entity's tags (right ``settags``)."""
        await self.ask(every_entity.SetTags.of(tuple(tags)))

    async def vcard(self) -> VCard:
        """Return the entity's vCard: name, role, organisation fields."""
        return await self.session.vcard(self.bare)

    async def chat(self, text: str, timeout: float | None = None) -> Reply:
        """Say something and return what the entity replies (right ``message``, and that of the phrase).

        That it did not work is no exception here: :attr:`~archipel.client.inbox.Reply.error` says so.
        """
        return await self.session.chat(await self.full_jid(), text, timeout)
