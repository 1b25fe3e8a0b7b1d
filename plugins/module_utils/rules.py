# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules about rights on an entity (roles, groups, scopes, ends, denial), as module ``permission`` declares them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import read_accounts
from ansible_collections.archipel.platform.plugins.module_utils.execution import NOT_MADE
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client.platform_rules import PlatformRules
    from archipel.protocol.roles import BUILT_IN
    from archipel.protocol.rules import ALLOW, DENY, NEVER, PLATFORM, NewRule, OldRule, read_moment, write_moment
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedEntity

    from archipel.client import Session

FIELDS = ("subject", "group", "right", "role", "scope")


def needs_rules(arguments: Mapping[str, Any]) -> bool:
    """Whether what is declared is more than rights that people are granted on an entity itself."""
    words = ("groups", "roles", "expires", "reason")
    return any(arguments[word] for word in words) or arguments["scope"] != "entity" or arguments["state"] == "denied"


@dataclass(frozen=True)
class WholePlatform:
    """What is declared on, in place of an entity, if it counts everywhere; named as entities are."""

    name: str
    entity: PlatformRules


def find_platform(session: Session) -> WholePlatform:
    """Return the list of the platform's rules."""
    return WholePlatform(PlatformRules.bare, PlatformRules(session))


def is_of_platform(arguments: Mapping[str, Any]) -> bool:
    """Whether rules of the whole platform are declared."""
    return bool(arguments["scope"] == PLATFORM)


def read_expiry(text: str) -> str:
    """Return a moment as agents write it; without a zone it is the controller's. Raises :class:`ValueError`."""
    if text.strip() == NEVER:
        return NEVER
    try:
        return write_moment(datetime.fromisoformat(text.strip()).astimezone())
    except ValueError:
        raise ValueError(f"expires: {text!r} is no time such as 2027-07-01 or 2027-07-01T12:00:00+02:00, nor {NEVER}") from None


class DeclaredRules(Resource):
    """Some rules of one entity, or of the platform; values are their ends, by effect and what names them."""

    def __init__(self, named: NamedEntity | WholePlatform, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.title = named.name
        self.entity = named.entity
        self.state = arguments["state"]
        self.reason = arguments["reason"] or ""
        self.expires = None if arguments["expires"] is None else read_expiry(arguments["expires"])
        self.rights = list(dict.fromkeys(arguments["rights"] or ()))
        self.roles = list(dict.fromkeys(arguments["roles"] or ()))
        self.named_rules = self._name_rules(arguments)
        self._check_names = check_mode

    def _name_rules(self, arguments: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        who = [{"subject": subject} for subject in read_accounts(arguments["subjects"] or (), "subject")]
        who += [{"group": group.strip()} for group in arguments["groups"] or ()]
        what = [{"right": right} for right in self.rights] + [{"role": role} for role in self.roles]
        effects = {"present": [ALLOW], "denied": [DENY], "absent": [ALLOW, DENY]}[self.state]
        rules = [{"effect": effect, **about, **given, "scope": arguments["scope"]} for effect in effects for about in who for given in what]
        return {_spell(rule): rule for rule in rules}

    async def read(self) -> Values:
        """Return when those of the declared rules end that are there; in check mode, refuse names that the agent would refuse."""
        if self._check_names and self.state != "absent":
            await self._refuse_unknown_names()
        standing = [rule for rule in await self.entity.rules() if rule.entity == self.entity.bare and not _is_over(rule.expires)]
        there = {_spell(vars(rule)): rule.expires for rule in standing}
        return {name: there[name] for name in self.named_rules if name in there}

    def desired(self, current: Values) -> Values:
        """Return when they shall end."""
        if self.state == "absent":
            return {}
        return {name: self.expires or current.get(name, NEVER) for name in self.named_rules}

    async def apply(self, current: Values, desired: Values) -> None:
        """Make or take away what differs in one request: all of it, or nothing."""
        wanted = [self._describe(name) for name in desired if current.get(name) != desired[name]]
        gone = [OldRule(**self._describe(name), effect=self.named_rules[name]["effect"]) for name in current if name not in desired]
        if gone:
            await self.entity.withdraw_rules(*gone)
        if wanted:
            change = self.entity.deny_rules if self.state == "denied" else self.entity.grant_rules
            await change(*(NewRule(**rule, expires=self.expires, reason=self.reason) for rule in wanted))

    def _describe(self, name: str) -> dict[str, str]:
        return {field: self.named_rules[name][field] for field in FIELDS if field in self.named_rules[name]}

    def report(self, change: Change) -> dict[str, Any]:
        """Return name, account and rules."""
        rules = [{**self.named_rules[name], "expires": expires} for name, expires in sorted(change.after.items())]
        return {"name": self.title, "jid": self.entity.bare, "rules": rules}

    async def _refuse_unknown_names(self) -> None:
        if self.roles:
            known = {*BUILT_IN, *(role.name for role in await self.entity.roles())}
            _refuse_unknown("role", self.roles, sorted(known), self.title)
        if isinstance(self.entity, PlatformRules):
            return  # a right that some agents do not know gives nothing there, and is no error
        if self.rights and self.named_rules and next(iter(self.named_rules.values()))["scope"] == "entity":
            _refuse_unknown("right", self.rights, [right.name for right in await self.entity.list_rights()], self.title)


def _is_over(expires: str) -> bool:
    """Whether a rule means nothing any more, as the platform's list keeps them."""
    try:
        end = read_moment(expires)
    except ValueError:
        return False
    return end is not None and end <= datetime.now(UTC)


def _spell(rule: Mapping[str, Any]) -> str:
    """Return what names a rule, on one line; a difference shows its end behind it."""
    who, what = (" ".join(f"{field} {rule[field]}" for field in fields if rule.get(field)) for fields in (FIELDS[:2], FIELDS[2:4]))
    return f"{rule['effect']} {what} to {who}, scope {rule['scope']}, until"


def _refuse_unknown(kind: str, named: Iterable[str], known: list[str], title: str) -> None:
    for name in sorted(set(named) - set(known)):
        near = difflib.get_close_matches(name, known, 3)
        advice = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{name!r} is no {kind} on {title}{advice}{NOT_MADE if kind == 'role' else ''}")
