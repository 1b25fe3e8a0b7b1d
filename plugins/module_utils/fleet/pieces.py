# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rights, contacts, jobs and tags as they are owned: piece by piece, so that a line that is taken out of an entry is taken back.

The key of a piece begins with the UUID of its machine, or with ``hypervisor``; its tail says what it is, in parts between slashes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ansible_collections.archipel.platform.plugins.module_utils.contacts import CONTACTS, Contacts
from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedEntity, read_accounts
from ansible_collections.archipel.platform.plugins.module_utils.rules import DeclaredRules

try:
    from archipel.protocol.rules import ALLOW, DENY, NEVER
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item
    from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource, Values

Arguments = Mapping[str, Any]
IsGranted = Callable[[str], bool]
HYPERVISOR = "hypervisor"
"""What the keys of a hypervisor's own pieces begin with, where those of machines have a UUID."""
PRESENCE = "presence"
ENTITY, GROUP, ROLE = "entity", "group:", "role:"
_ABSENT, _DENIED = "absent", "denied"


@dataclass(frozen=True)
class Pieces:
    """How a kind of object falls into pieces.

    Args:
        named: the tails of all that an entry names, whatever it says of them.
        there: the tails of what was read.
        ends: whether an entry takes a piece away itself that it does not declare: it says absent, or is exclusive.
        together: what is the same for pieces that are taken away together, as one object of a plan.
        removal: the options that take some away; it may ask whether some grant there, by its tail, is owned by anybody.
        declare: makes the resource that takes them away; that of the kind unless given.
    """

    named: Callable[[Arguments], set[str]]
    there: Callable[[Resource, Values], set[str]]
    ends: Callable[[Arguments, str], bool]
    removal: Callable[[Sequence[str], IsGranted], dict[str, Any]]
    together: Callable[[str], str] = lambda tail: tail
    declare: Callable[[Ground, Item], Resource] | None = None

    def declared(self, arguments: Arguments) -> set[str]:
        """Return the tails of what an entry declares to be there."""
        return set() if arguments["state"] == _ABSENT else self.named(arguments)


def split(tail: str) -> list[str]:
    """Return the parts of a tail."""
    return [unquote(part) for part in tail.split("/")]


def join(*parts: str) -> str:
    """Return the tail of these parts."""
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def _accounts(names: Iterable[str]) -> list[str]:
    try:
        return read_accounts(names, "")
    except ValueError:
        return list(names)  # whoever reads the entry says what is wrong with it


# -- rights -------------------------------------------------------------------------------------------------------------


def _name_grants(arguments: Arguments) -> set[str]:
    who = [*_accounts(arguments["subjects"] or ()), *(GROUP + group.strip() for group in arguments["groups"] or ())]
    what = [*(arguments["rights"] or ()), *(ROLE + role for role in arguments["roles"] or ())]
    beyond = _beyond(arguments["scope"], DENY if arguments["state"] == _DENIED else ALLOW)
    return {join(one, given, *beyond) for one in who for given in what}


def _beyond(scope: str, effect: str) -> list[str]:
    """Return the parts of a right that is more than one granted on the entity itself."""
    return [] if (scope, effect) == (ENTITY, ALLOW) else [scope, effect]


def _find_grants(resource: Resource, values: Values) -> set[str]:
    if not isinstance(resource, DeclaredRules):
        return {join(subject, right) for subject, rights in values.items() for right in rights}
    rules = (resource.named_rules[name] for name in values)
    return {
        join(
            rule.get("subject") or GROUP + rule["group"],
            rule.get("right") or ROLE + rule["role"],
            *_beyond(rule["scope"], rule["effect"]),
        )
        for rule in rules
    }


def _ends_grant(arguments: Arguments, tail: str) -> bool:
    who, what, *beyond = split(tail)
    if who not in {*_accounts(arguments["subjects"] or ()), *(GROUP + group.strip() for group in arguments["groups"] or ())}:
        return False
    if arguments["exclusive"]:
        return not beyond and not what.startswith(ROLE)
    names = {*(arguments["rights"] or ()), *(ROLE + role for role in arguments["roles"] or ())}
    return arguments["state"] == _ABSENT and (not names or what in names) and [arguments["scope"]] == (beyond or [ENTITY])[:1]


def _gather_grants(tail: str) -> str:
    who, _what, *beyond = split(tail)
    return join(who, *beyond)


def _take_back(tails: Sequence[str], _is_granted: IsGranted) -> dict[str, Any]:
    (who, *_others), *_more = parts = [split(tail) for tail in tails]
    what = sorted(part[1] for part in parts)
    scope, effect = parts[0][2:] or [ENTITY, ALLOW]
    named: dict[str, Any] = {"groups": [who.removeprefix(GROUP)]} if who.startswith(GROUP) else {"subjects": [who]}
    rights, roles = ([word for word in what if word.startswith(ROLE) == is_role] for is_role in (False, True))
    named |= {"rights": rights or None, "roles": [role.removeprefix(ROLE) for role in roles] or None}
    return {**named, "scope": scope, "state": _ABSENT, "effect": effect}


class WithdrawnRules(DeclaredRules):
    """Rules of a declaration's own that go: those of the same words and another effect are somebody else's."""

    def _name_rules(self, arguments: Arguments) -> dict[str, dict[str, str]]:
        return {name: rule for name, rule in super()._name_rules(arguments).items() if rule["effect"] == arguments["effect"]}

    async def subjects_of(self, right: str) -> set[str]:
        """Return who is granted a right there by name, for good."""
        rules = [rule for rule in await self.entity.rules() if rule.entity == self.entity.bare]
        same = [rule for rule in rules if (rule.effect, rule.right, rule.scope, rule.expires) == (ALLOW, right, ENTITY, NEVER)]
        return {rule.subject for rule in same if rule.subject}


def _withdraw(ground: Ground, item: Item) -> Resource:
    return WithdrawnRules(ground.entity_of(item), item.arguments, check_mode=False)


GRANTS = Pieces(_name_grants, _find_grants, _ends_grant, _take_back, _gather_grants, _withdraw)


# -- what lists hold, and what has a name -------------------------------------------------------------------------------


class WithdrawnContacts(Contacts):
    """People of a declaration's own who go; their agent takes the right to see presence from them, which some keep as a grant."""

    def __init__(self, named: NamedEntity, arguments: Arguments) -> None:
        super().__init__(named, arguments)
        self.keep_presence = bool(arguments["keep_presence"])

    async def apply(self, current: Values, desired: Values) -> None:
        """Take people out, after their grants that go; what they are granted still stays."""
        people = sorted({*current[CONTACTS]} - {*desired[CONTACTS]}) if self.keep_presence else []
        rights = await asyncio.gather(*(self.entity.rights_of(person) for person in people))
        await super().apply(current, desired)
        await self.entity.change_rights((person, PRESENCE, True) for person, had in zip(people, rights, strict=True) if PRESENCE in had)


def _take_out(tails: Sequence[str], is_granted: IsGranted) -> dict[str, Any]:
    people = [split(tail)[0] for tail in tails]
    return {"people": people, "state": _ABSENT, "keep_presence": any(is_granted(join(person, PRESENCE)) for person in people)}


def _withdraw_contacts(ground: Ground, item: Item) -> Resource:
    return WithdrawnContacts(ground.entity_of(item), item.arguments)


def _take_off(tails: Sequence[str], _is_granted: IsGranted) -> dict[str, Any]:
    return {"tags": [split(tail)[0] for tail in tails], "state": _ABSENT}


def _listed(option: str, value: str, read: Callable[[Iterable[str]], Iterable[str]]) -> Pieces:
    """Return the pieces of a kind whose option and value are lists."""

    def name(arguments: Arguments) -> set[str]:
        return {join(word) for word in read(arguments[option])}

    def find(_resource: Resource, values: Values) -> set[str]:
        return {join(word) for word in values[value]}

    def ends(arguments: Arguments, tail: str) -> bool:
        return bool(arguments["exclusive"]) or (arguments["state"] == _ABSENT and tail in name(arguments))

    return Pieces(name, find, ends, _take_off)


def _strip(words: Iterable[str]) -> Iterator[str]:
    return (word.strip() for word in words)


def _all_together(_tail: str) -> str:
    return ""


PEOPLE = replace(_listed("people", CONTACTS, _accounts), removal=_take_out, declare=_withdraw_contacts)
# All tags of something are written at once: two who take one off each would put the other's back.
WORDS = replace(_listed("tags", "tags", _strip), together=_all_together)


def _name_job(arguments: Arguments) -> set[str]:
    return {join(str(arguments["name"]).strip())}


JOBS = Pieces(
    named=_name_job,
    there=lambda resource, values: {join(getattr(resource, "name", ""))} if values["jobs"] else set(),
    ends=lambda arguments, tail: arguments["state"] == _ABSENT and tail in _name_job(arguments),
    removal=lambda tails, _is_granted: {"name": split(tails[0])[0], "state": _ABSENT},
)
