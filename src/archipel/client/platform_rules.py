# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and roles that count on every hypervisor and machine of the platform: items of the node /archipel/rules."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from archipel.client.addresses import bare_address
from archipel.client.errors import MalformedAddress
from archipel.client.hypervisor import Hypervisor
from archipel.client.platform import CONFIGURATION, prepare_node
from archipel.client.platform_lists import ListMissing, ListUnusable, publish, read_list, retract, wait_until
from archipel.client.session import Session
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest
from archipel.protocol.events import RULES_NODE as NODE
from archipel.protocol.roles import BUILT_IN, ROLE_NAME
from archipel.protocol.rules import (
    ALLOW,
    DENY,
    NEVER,
    PLATFORM,
    NewRule,
    OldRule,
    PlatformRule,
    RoleItem,
    Rule,
    RuleName,
    read_moment,
    write_moment,
)
from archipel.protocol.xml import local_name
from archipel.xmpp.pubsub import Item

log = logging.getLogger(__name__)

DISTRUST: Final = (
    "; its agent believes the rules of the platform only while its option xmpp_trusted_publishers names all who may publish there "
    "(its log names who is not, and what else it left out)"
)
SLIP: Final = "; the rule stands there all the same: if its name is a slip, revoke it"
MOST_ITEMS: Final = int(CONFIGURATION["pubsub#max_items"])  # of more, the server drops the oldest


@dataclass(frozen=True)
class _Listed:
    """An item of the node, and what it says."""

    item: str
    content: PlatformRule | RoleItem

    @property
    def name(self) -> str:
        """What there is one item for, and its id if it was made here."""
        return name_rule(self.content, self.content.effect) if isinstance(self.content, PlatformRule) else f"role {self.content.name}"


def name_rule(rule: RuleName, effect: str) -> str:
    """Return the name of a rule: its effect, whom it is about, and what. Raises :class:`BadRequest`, :class:`MalformedAddress`."""
    (subject, is_group), (right, is_role) = rule.whom, rule.what
    who = f"group {subject.strip()}" if is_group else f"person {bare_address(subject)}"
    return f"{effect} {who} {'role' if is_role else 'right'} {right.strip()}"


class PlatformRules:
    """The platform's rules, read and changed as those of an entity are; each rule is changed by itself.

    What changes them raises :class:`~archipel.client.platform_lists.ListUnusable` if this account may not.
    """

    bare = NODE

    def __init__(self, session: Session) -> None:
        self._session = session

    async def rules(self) -> tuple[Rule, ...]:
        """Return all rules, also those whose time is over."""
        return tuple(Rule(**{**vars(found), "entity": NODE}) for _name, found in sorted((await self._rules()).items()))

    async def roles(self) -> tuple[RoleItem, ...]:
        """Return the roles of the platform."""
        roles = [found.content for found in await self._read() if isinstance(found.content, RoleItem)]
        return tuple(dataclasses.replace(role, platform=True) for role in roles)

    async def grant_rules(self, *wanted: NewRule) -> None:
        """Give rights or roles everywhere; makes the node if there is none."""
        await self._set(wanted, ALLOW)

    async def deny_rules(self, *wanted: NewRule) -> None:
        """Deny rights or roles everywhere, whatever else gives them; makes the node if there is none."""
        await self._set(wanted, DENY)

    async def withdraw_rules(self, *gone: OldRule) -> None:
        """Take rules back, however often they stand there; one that is not there is no error."""
        names = {name_rule(rule, rule.effect) for rule in gone}
        await retract(self._session, NODE, [found.item for found in await self._read() if found.name in names])

    async def set_role(self, name: str, rights: Iterable[str], *, description: str = "") -> None:
        """Make a role that rules of the platform and of all hypervisors can use, or change it; makes the node if there is none."""
        if name in BUILT_IN or not ROLE_NAME.fullmatch(name):
            raise BadRequest(f"role: {name!r} is built in, or no name: lower-case letters, digits and hyphens, 40 at most")
        role = RoleItem(name=name, description=description, rights=" ".join(sorted(set(rights))))
        await self._publish([role], await self._read(make=True))

    async def remove_role(self, name: str) -> None:
        """Remove a role that no rule of the platform uses; one that is not there is no error."""
        listed = await self._read()
        users = [found.name for found in listed if isinstance(found.content, PlatformRule) and found.content.role == name]
        if users:
            raise ListUnusable(f"role: withdraw first what uses it: {'; '.join(users[:5])}")
        await retract(
            self._session, NODE, [found.item for found in listed if isinstance(found.content, RoleItem) and found.content.name == name]
        )

    async def differences(self, hypervisor: Hypervisor) -> tuple[str, ...]:
        """Return what a hypervisor does otherwise than these rules say, in words, as soon as that is nothing, or long enough.

        It takes the right ``permission_get`` there.
        """
        wanted = {name: _until(rule) for name, rule in (await self._rules()).items() if _lasts(rule)}
        shown: dict[str, Rule] = {}

        async def is_followed() -> bool:
            shown.clear()
            shown.update({name_rule(rule, rule.effect): rule for rule in await hypervisor.rules() if rule.scope == PLATFORM})
            return {name: _until(rule) for name, rule in shown.items()} == wanted

        await wait_until(is_followed)
        missing = [f"{name}: does not count there{DISTRUST}" for name in wanted if name not in shown or _until(shown[name]) != wanted[name]]
        left = [f"{name}: still counts there{DISTRUST}" for name in shown if name not in wanted]
        return (*missing, *left, *(f"{name}: {rule.note}{SLIP}" for name, rule in shown.items() if rule.note))

    # -- inside ---------------------------------------------------------------------------------------------------------

    async def _rules(self) -> dict[str, PlatformRule]:
        """Return the rules by name; of two of one name, the longer."""
        return _sort(await self._read())

    async def _read(self, *, make: bool = False) -> list[_Listed]:
        """Return what stands on the node; one that is missing holds nothing, and is made if told."""
        try:
            items = await read_list(self._session, NODE, "list of rules")
        except ListMissing:
            items = []
            if make:
                await prepare_node(self._session, NODE)
        return [found for item in items if (found := _read_item(item))]

    async def _set(self, wanted: Iterable[NewRule], effect: str) -> None:
        listed = await self._read(make=True)
        there = {name: rule for name, rule in _sort(listed).items() if _lasts(rule)}
        roles = {*BUILT_IN, *(found.content.name for found in listed if isinstance(found.content, RoleItem))}
        made = [self._make(wish, effect, there.get(name_rule(wish, effect))) for wish in wanted]
        unknown = [rule.role for rule in made if rule.role is not None and rule.role not in roles]
        if unknown:
            raise BadRequest(f"role: the platform has no role {unknown[0]!r}: archipel rights set-role --scope platform makes it")
        await self._publish([rule for rule in made if rule not in there.values()], listed)

    def _make(self, wish: NewRule, effect: str, there: PlatformRule | None) -> PlatformRule:
        """Return the rule that is wished for: the one that is there, if it is as wished."""
        expires = wish.expires or (there.expires if there else NEVER)
        if there is not None and expires == there.expires and wish.reason in {"", there.reason}:
            return there
        (subject, is_group), (right, is_role) = wish.whom, wish.what
        rule = PlatformRule(
            **{"group" if is_group else "subject": subject if is_group else bare_address(subject), "role" if is_role else "right": right},
            effect=effect,
            given_by=self._session.jid,
            given_at=write_moment(datetime.now(UTC)),
            expires=expires,
            reason=wish.reason or (there.reason if there else ""),
        )
        if not _lasts(rule):
            raise BadRequest(f"expires: {expires} is over")
        return PlatformRule.read(rule.write())  # which checks it

    async def _publish(self, wanted: Iterable[PlatformRule | RoleItem], listed: Iterable[_Listed]) -> None:
        """Put items on the node, and take those away that have the same name and another id."""
        ids = {found.item for found in listed}
        new = {entry.name: entry.content for content in wanted if (entry := _Listed("", content))}
        if len(ids | set(new)) > MOST_ITEMS:
            raise ListUnusable(f"{NODE}: holds {MOST_ITEMS} rules and roles at most: withdraw some, or give rights to groups")
        for name, content in new.items():
            payload = content.write()
            payload.tag = f"{{{ns.RIGHTS}}}{payload.tag}"
            await publish(self._session, NODE, payload, name)
            await retract(self._session, NODE, [found.item for found in listed if found.name == name and found.item != name])


def _sort(listed: Iterable[_Listed]) -> dict[str, PlatformRule]:
    rules = [(found.name, found.content) for found in listed if isinstance(found.content, PlatformRule)]
    return dict(sorted(rules, key=lambda named: (_until(named[1]) == NEVER, _until(named[1]))))


def _read_item(item: Item) -> _Listed | None:
    kinds: Mapping[str, type[PlatformRule | RoleItem]] = {kind.tag: kind for kind in (PlatformRule, RoleItem)}
    try:
        kind = kinds.get("" if item.payload is None else local_name(item.payload.tag))
        found = _Listed(item.id, kind.read(item.payload)) if kind is not None and item.payload is not None else None
        return found if found is not None and found.name else None
    except (BadRequest, MalformedAddress) as error:
        log.warning("%s: item %r is left out: %s", NODE, item.id, error)
        return None


def _until(rule: PlatformRule | Rule) -> str:
    """Return when a rule ends, as it is always written."""
    return write_moment(read_moment(rule.expires))


def _lasts(rule: PlatformRule) -> bool:
    end = read_moment(rule.expires)
    return end is None or end > datetime.now(UTC)
