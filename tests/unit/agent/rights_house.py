# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor with two machines and people of every standing, whose rights tests change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from archipel.agent.rights import RightChange, Rights
from archipel.agent.rule_changes import RuleChanges, RuleWish
from archipel.agent.rules import Scope
from archipel.agent.store import Store
from archipel.protocol.rights import EntityKind, core_catalogue
from archipel.protocol.roles import Role

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HYP = "hyp@lab.example"
WEB, SEAT = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69@lab.example", "7a1d3b4f-2c8e-4d66-8b1f-4e3c2d5a6b70@lab.example"
ADMIN, OWNER, DEPUTY, MEMBER, TEMP, TEACHER, HOSTESS, BANNED, FRIEND, STRANGER = (
    f"{name}@lab.example" for name in ("admin", "owner", "deputy", "member", "temp", "teacher", "hostess", "banned", "friend", "stranger")
)
PEOPLE = (OWNER, DEPUTY, MEMBER, TEMP, TEACHER, HOSTESS, BANNED, FRIEND, STRANGER)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class MemoryStore:
    """Takes every change and keeps nothing."""

    async def change_grants(self, add: object, remove: object) -> None:
        """Accept."""

    async def run(self, work: Callable[..., object]) -> None:
        """Accept."""


def wish(who: str, what: str, scope: str = "entity", **more: Any) -> RuleWish:
    """A rule as it is spoken: a group has no @ in it, ``role:student`` is a role."""
    is_role = what.startswith("role:")
    right = what.removeprefix("role:")
    return RuleWish(subject=who, is_group="@" not in who, right=right, is_role=is_role, scope=Scope.parse(scope), **more)


@dataclass
class House:
    """The rights, the clock they go by, and how they are changed."""

    rights: Rights
    clock: Clock
    rules: RuleChanges = field(init=False)

    def __post_init__(self) -> None:
        self.rules = RuleChanges(self.rights)

    async def give(self, entity: str, *wishes: RuleWish, caller: str = ADMIN) -> None:
        await self.rules.set(entity, wishes, caller=caller)

    async def take(self, entity: str, *wishes: RuleWish, caller: str = ADMIN) -> None:
        await self.rules.withdraw(entity, wishes, caller=caller)

    async def set(self, entity: str, subject: str, token: str, granted: bool = True, *, caller: str, **more: Any) -> None:
        await self.rights.change(entity, [RightChange(subject, token, granted, **more)], caller=caller)

    def may(self, who: str, token: str, entity: str = WEB) -> bool:
        return self.rights.check(entity, who, token).allowed

    def held(self, tokens: Iterable[str]) -> dict[str, frozenset[str]]:
        """Which of the rights the people have on each entity, all of them together."""
        return {
            entity: frozenset(token for token in tokens if any(self.may(person, token, entity) for person in PEOPLE))
            for entity in (HYP, WEB, SEAT)
        }

    def everything(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """What each of them may do on each entity."""
        return {
            (entity, person): self.rights.effective_tokens(entity, person) for entity in (HYP, WEB, SEAT) for person in (*PEOPLE, ADMIN)
        }


async def build_house(store: Store | MemoryStore | None = None) -> House:
    """Two machines: the owner's, and a seat with the tag lab.

    The deputy changes rights of the owner's machine and sees it; the member does so through a group; for an hour, so does who
    has all until then. The teacher has her role on what has the tag lab, the hostess sees all machines and changes rights of the
    hypervisor. Who is banned from switching the machine off has all else there. The friend gets something on what has the tag prize.
    """
    clock = Clock()
    rights = Rights(cast(Store, store or MemoryStore()), core_catalogue(), [ADMIN], clock=clock)
    rights.attach(HYP, EntityKind.HYPERVISOR)
    for machine in (WEB, SEAT):
        rights.attach(machine, EntityKind.VIRTUAL_MACHINE)
    rights.note_tags(SEAT, ["lab"])
    house = House(rights, clock)
    await rights.make_owner(WEB, OWNER)
    await rights.grant(WEB, DEPUTY, "permission_set", "permission_setown", "info", "settags", granted_by=OWNER)
    await house.rules.set_group("crew", [MEMBER], caller=ADMIN)
    await house.rules.set_role(Role("crew", "", frozenset({"permission_set", "permission_setown", "info"})), caller=ADMIN)
    await house.give(WEB, wish("crew", "role:crew"))
    await rights.grant(WEB, TEMP, "all", granted_by=OWNER, expires_at=NOON + HOUR)
    await rights.grant(HYP, TEMP, "permission_set", granted_by=ADMIN, expires_at=NOON + HOUR)
    await house.give(
        HYP, wish(TEACHER, "role:teacher", "tag:lab"), wish(HOSTESS, "info", "hypervisor"), wish(FRIEND, "create", "tag:prize")
    )
    await rights.grant(HYP, TEACHER, "permission_set", granted_by=ADMIN)
    await rights.grant(HYP, HOSTESS, "permission_set", "ip", granted_by=ADMIN)
    await rights.grant(WEB, BANNED, "all", granted_by=OWNER)
    await house.give(WEB, wish(BANNED, "destroy", denies=True))
    return house
