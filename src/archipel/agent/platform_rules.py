# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules and roles of the whole platform, kept on the node /archipel/rules.

The list that was last read stays in the agent's database: what it denies is denied after a restart, too, before the server could
be asked. While the node is in hands that are not trusted, what it denied stays denied, and what it gave is given no more.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from archipel.agent import following, rule_store
from archipel.agent.jids import MalformedJid, account_jid, bare_jid
from archipel.agent.rights import Rights
from archipel.agent.rule_changes import Concern, RuleChanges
from archipel.agent.rules import BadRule, Reach, RuleRecord, Scope, check_group_name, check_role_name
from archipel.agent.trusted_nodes import Contents
from archipel.protocol import rules as wire
from archipel.protocol.errors import BadRequest
from archipel.protocol.events import RULES_NODE as NODE
from archipel.protocol.roles import BUILT_IN, Role
from archipel.protocol.xml import local_name
from archipel.xmpp.pubsub import Item

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

log = logging.getLogger(__name__)

EVERYWHERE: Final = Scope(Reach.PLATFORM)
SOMEBODY: Final = "an administrator of the platform"
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PlatformRules:
    """What the node holds."""

    rules: tuple[RuleRecord, ...] = ()
    roles: tuple[Role, ...] = ()


# -- reading ------------------------------------------------------------------------------------------------------------


def read_items(items: Iterable[Item]) -> PlatformRules:
    """Return what items say; one that is not as it must be is logged and left out, of two rules of one name the longer counts."""
    found = [entry for item in items if (entry := _read_item(item)) is not None]
    rules = sorted((entry for entry in found if isinstance(entry, RuleRecord)), key=lambda rule: rule.expires_at or _LAST)
    roles = {entry.name: entry for entry in found if isinstance(entry, Role)}
    return PlatformRules(tuple({rule.key: rule for rule in rules}.values()), tuple(roles.values()))


def _read_item(item: Item) -> RuleRecord | Role | None:
    tag = "" if item.payload is None else local_name(item.payload.tag)
    try:
        if item.payload is not None and tag == wire.PlatformRule.tag:
            return _read_rule(wire.PlatformRule.read(item.payload), item.publisher)
        if item.payload is not None and tag == wire.RoleItem.tag:
            return _read_role(wire.RoleItem.read(item.payload))
        log.error("%s: item %r is ignored: <%s/> is neither rule nor role", NODE, item.id, tag)
    except (BadRequest, MalformedJid) as error:
        log.error("%s: item %r is ignored: %s", NODE, item.id, error)
    return None


def _read_rule(rule: wire.PlatformRule, publisher: str | None) -> RuleRecord:
    (subject, is_group), (right, is_role) = rule.whom, rule.what
    return RuleRecord(
        entity=NODE,
        subject=check_group_name(subject) if is_group else account_jid(subject),
        right=check_role_name(right) if is_role else right.strip(),
        is_group=is_group,
        is_role=is_role,
        denies=rule.effect == wire.DENY,
        scope=EVERYWHERE,
        granted_by=bare_jid(publisher) if publisher else rule.given_by or SOMEBODY,
        granted_at=wire.read_time(rule.given_at),
        expires_at=wire.read_moment(rule.expires),
        reason=rule.reason.strip(),
    )


def _read_role(role: wire.RoleItem) -> Role:
    name = check_role_name(role.name)
    if name in BUILT_IN:
        raise BadRule(f"role: {name!r} is built in and stays as it is")
    return Role(name, role.description.strip(), role.tokens)


# -- following ----------------------------------------------------------------------------------------------------------


async def replace_rules(rights: Rights, wanted: PlatformRules) -> tuple[Concern, ...]:
    """Let these be the rules and roles of the platform, on disk when it returns; returns whom that concerns.

    Raises :class:`~archipel.agent.store.StoreError`, and then nothing changed.
    """
    book, concerns = rights.book, list[Concern]()

    async def work() -> None:
        rules = tuple(filter(book.lasts, wanted.rules))
        before: frozenset[RuleRecord | Role] = frozenset((*book.of_platform(), *book.platform_roles.values()))
        after: frozenset[RuleRecord | Role] = frozenset((*rules, *wanted.roles))
        changed = before ^ after
        if not changed:
            return
        await rule_store.write_platform(rights.store, rules, wanted.roles)
        concerns.extend(_concerns(rights, changed))
        book.forget([rule.key for rule in book.of_platform()])
        book.keep(rules)
        book.set_platform_roles(wanted.roles)
        rights.weigh_anew()
        concerns.extend(_concerns(rights, changed))
        _tell(rights, changed & after, changed - after)

    await rights.uninterrupted(work)
    return tuple(dict.fromkeys(concerns))


def _concerns(rights: Rights, changed: Collection[RuleRecord | Role]) -> Iterator[Concern]:
    """Yield whom the rules concern, as they stand now, that are among what changes, or use a role that is."""
    roles = {entry.name for entry in changed if isinstance(entry, Role)}
    for rule in {*rights.book.lasting(), *rights.book.of_platform()}:
        if rule in changed or (rule.is_role and rule.right in roles):
            yield from RuleChanges(rights).concerns(rule)


def _tell(rights: Rights, new: Iterable[RuleRecord | Role], gone: Iterable[RuleRecord | Role]) -> None:
    for words, entries in (("new", new), ("gone", gone)):
        for entry in entries:
            log.info("%s: %s: %s", NODE, words, entry.words if isinstance(entry, RuleRecord) else f"the role {entry.name!r}")
    for rule in rights.book.of_platform():
        if fault := rights.find_fault(rule):
            log.warning("%s: %s: %s", NODE, rule.words, fault)


async def _take(hypervisor: Hypervisor, items: Sequence[Item] | None) -> None:
    rights = hypervisor.services.rights
    wanted = _keep_denials(rights) if items is None else read_items(items)
    await following.follow(hypervisor, await replace_rules(rights, wanted))


def _keep_denials(rights: Rights) -> PlatformRules:
    denials = tuple(rule for rule in rights.book.of_platform() if rule.denies)
    return PlatformRules(denials, tuple(rights.book.platform_roles.values()))


LIST: Final = Contents(NODE, "rules of the platform", _take)
"""What follows from the node's items."""
