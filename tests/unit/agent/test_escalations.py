# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody gets or gives what he does not hold, whichever way he tries, alone or with others."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent.rights import MayNotGrant, RightChange
from archipel.agent.rules import BadRule
from archipel.protocol.errors import CommandError
from archipel.protocol.roles import Role
from tests.unit.agent.rights_house import (
    ADMIN,
    BANNED,
    DEPUTY,
    FRIEND,
    HOSTESS,
    HOUR,
    HYP,
    MEMBER,
    NOON,
    OWNER,
    PEOPLE,
    SEAT,
    STRANGER,
    TEACHER,
    TEMP,
    WEB,
    House,
    build_house,
    wish,
)

Attempt = Callable[[House], Awaitable[object]]


@pytest.fixture
async def house() -> House:
    return await build_house()


def own(house: House, caller: str, token: str, entity: str = WEB) -> Awaitable[object]:
    return house.rights.change_own(entity, [RightChange(caller, token, True)], caller=caller)


async def tag(house: House, machine: str, *tags: str, caller: str) -> None:
    house.rules.check_tags(machine, tags, caller=caller)
    house.rights.note_tags(machine, tags)


def role(*tokens: str, name: str = "crew") -> Role:
    return Role(name, "", frozenset(tokens))


REFUSED: dict[str, Attempt] = {
    "set: to oneself what one lacks": lambda h: h.set(WEB, DEPUTY, "create", caller=DEPUTY),
    "set: all to oneself": lambda h: h.set(WEB, DEPUTY, "all", caller=DEPUTY),
    "set: to others what one lacks": lambda h: h.set(WEB, FRIEND, "create", caller=DEPUTY),
    "set: all to others": lambda h: h.set(WEB, FRIEND, "all", caller=DEPUTY),
    "set: a reserved right": lambda h: h.set(WEB, FRIEND, "domain_policy_bypass", caller=OWNER),
    "set: for longer what others hold and one lacks": lambda h: h.set(WEB, TEMP, "all", caller=DEPUTY, expires_at=None),
    "set: what is denied to oneself": lambda h: h.set(WEB, FRIEND, "destroy", caller=BANNED),
    "set: all, when something of it is denied to oneself": lambda h: h.set(WEB, FRIEND, "all", caller=BANNED),
    "set: all taken from the owner": lambda h: h.set(WEB, OWNER, "all", False, caller=DEPUTY),
    "set: one's own for good, held through a group": lambda h: h.set(WEB, MEMBER, "info", caller=MEMBER),
    "setown: what one lacks": lambda h: own(h, DEPUTY, "create"),
    "setown: all": lambda h: own(h, DEPUTY, "all"),
    "setown: a reserved right": lambda h: own(h, OWNER, "domain_policy_bypass"),
    "setown: what is denied": lambda h: own(h, BANNED, "destroy"),
    "setown: for good, held through a group": lambda h: own(h, MEMBER, "info"),
    "setown: for good, held by a tag": lambda h: own(h, TEACHER, "create", SEAT),
    "grant: what one lacks": lambda h: h.give(WEB, wish(FRIEND, "create"), caller=DEPUTY),
    "grant: a role with more than one has": lambda h: h.give(WEB, wish(FRIEND, "role:student"), caller=DEPUTY),
    "grant: a role that holds all": lambda h: h.give(WEB, wish(FRIEND, "role:host-admin"), caller=DEPUTY),
    "grant: to a group": lambda h: h.give(WEB, wish("crew", "create"), caller=DEPUTY),
    "grant: to one's own group, held through it": lambda h: h.give(WEB, wish("crew", "info"), caller=MEMBER),
    "grant: a reserved right": lambda h: h.give(WEB, wish("crew", "domain_policy_bypass"), caller=OWNER),
    "grant: beyond the machine": lambda h: h.give(WEB, wish(FRIEND, "info", "hypervisor"), caller=OWNER),
    "grant: on machines where one holds nothing": lambda h: h.give(HYP, wish(FRIEND, "create", "hypervisor"), caller=HOSTESS),
    "grant: there, without changing rights there": lambda h: h.give(HYP, wish(FRIEND, "info", "hypervisor"), caller=HOSTESS),
    "grant: on a wider scope than one's own": lambda h: h.give(HYP, wish(FRIEND, "info", "hypervisor"), caller=TEACHER),
    "grant: on another tag": lambda h: h.give(HYP, wish(FRIEND, "info", "tag:prize"), caller=TEACHER),
    "grant: on others' own machines": lambda h: h.give(HYP, wish(FRIEND, "info", "own"), caller=TEACHER),
    "grant: to oneself on many machines": lambda h: h.give(HYP, wish(TEACHER, "info", "tag:lab"), caller=TEACHER),
    "deny: what one lacks": lambda h: h.give(WEB, wish(OWNER, "create", denies=True), caller=DEPUTY),
    "deny: what one has, without all": lambda h: h.give(WEB, wish(OWNER, "info", denies=True), caller=DEPUTY),
    "deny: to an administrator": lambda h: h.give(WEB, wish(ADMIN, "info", denies=True), caller=OWNER),
    "deny: on machines that are not one's own": lambda h: h.give(HYP, wish(OWNER, "info", "hypervisor", denies=True), caller=HOSTESS),
    "deny: by one who is denied something": lambda h: h.give(WEB, wish(OWNER, "info", denies=True), caller=BANNED),
    "withdraw: a denial of one's own": lambda h: h.take(WEB, wish(BANNED, "destroy", denies=True), caller=BANNED),
    "withdraw: a denial that one could not make": lambda h: h.take(WEB, wish(BANNED, "destroy", denies=True), caller=DEPUTY),
    "withdraw: what others hold on many machines": lambda h: h.take(HYP, wish(TEACHER, "role:teacher", "tag:lab"), caller=HOSTESS),
    "withdraw: all from the owner": lambda h: h.take(WEB, wish(OWNER, "all"), caller=DEPUTY),
    "deny: anew, until it is soon over": lambda h: h.give(
        WEB, wish(BANNED, "destroy", denies=True, expires_at=NOON + HOUR / 60), caller=DEPUTY
    ),
    "setrole: more for a role that is in use": lambda h: h.rules.set_role(role("info", "permission_set", "create"), caller=HOSTESS),
    "setrole: all for one's own group": lambda h: h.rules.set_role(role("all"), caller=MEMBER),
    "setrole: for good, by a right that ends": lambda h: h.rules.set_role(
        role("info", "permission_set", "permission_setown", "create"), caller=TEMP
    ),
    "setrole: a built-in one": lambda h: h.rules.set_role(role("all", name="student"), caller=ADMIN),
    "setgroup: oneself into it": lambda h: h.rules.set_group("crew", [MEMBER, OWNER], caller=OWNER),
    "setgroup: others into it, without what it has": lambda h: h.rules.set_group("crew", [MEMBER, FRIEND], caller=HOSTESS),
    "setgroup: others into it, by a right that ends": lambda h: h.rules.set_group("crew", [MEMBER, FRIEND], caller=TEMP),
    "setgroup: oneself out of it": lambda h: h.rules.set_group("crew", [], caller=MEMBER),
    "settags: a tag that carries rights one lacks": lambda h: tag(h, WEB, "prize", caller=DEPUTY),
    "settags: a tag that carries one's own rights": lambda h: tag(h, SEAT, "prize", caller=FRIEND),
    "settags: off, what others hold by it": lambda h: tag(h, SEAT, caller=DEPUTY),
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED)
async def test_an_escalation_is_refused_and_changes_nothing(house: House, attempt: Attempt):
    before = house.everything()
    with pytest.raises((MayNotGrant, BadRule)):
        await attempt(house)
    assert house.everything() == before
    house.clock.now += 2 * HOUR
    after, untouched = house.everything(), await build_house()
    untouched.clock.now += 2 * HOUR
    assert after == untouched.everything()


ALLOWED: dict[str, tuple[Attempt, tuple[str, str, str, bool]]] = {
    "what one holds": (lambda h: h.set(WEB, FRIEND, "info", caller=DEPUTY), (FRIEND, "info", WEB, True)),
    "what one holds by a group": (lambda h: h.set(WEB, FRIEND, "info", caller=MEMBER), (FRIEND, "info", WEB, True)),
    "revoking what one lacks": (lambda h: h.set(WEB, DEPUTY, "settags", False, caller=MEMBER), (DEPUTY, "settags", WEB, False)),
    "everything, by an owner": (lambda h: h.give(WEB, wish(FRIEND, "role:teacher"), caller=OWNER), (FRIEND, "define", WEB, True)),
    "denial, by an owner": (lambda h: h.give(WEB, wish(DEPUTY, "info", denies=True), caller=OWNER), (DEPUTY, "info", WEB, False)),
    "lifting it, by an owner": (
        lambda h: h.take(WEB, wish(BANNED, "destroy", denies=True), caller=OWNER),
        (BANNED, "destroy", WEB, True),
    ),
    "the same scope": (lambda h: h.give(HYP, wish(FRIEND, "role:student", "tag:lab"), caller=TEACHER), (FRIEND, "create", SEAT, True)),
    "a tag, by who has all": (lambda h: tag(h, WEB, "prize", caller=OWNER), (FRIEND, "create", WEB, True)),
    "the right to see the presence, for who may take people in": (
        lambda h: h.rights.change(WEB, [RightChange(FRIEND, "presence", True)], caller=DEPUTY, by="subscription_add"),
        (FRIEND, "presence", WEB, True),
    ),
}


@pytest.mark.parametrize("attempt,effect", ALLOWED.values(), ids=ALLOWED)
async def test_what_one_holds_one_can_give(house: House, attempt: Attempt, effect: tuple[str, str, str, bool]):
    who, token, entity, allowed = effect
    assert house.may(who, token, entity) is not allowed
    await attempt(house)
    assert house.may(who, token, entity) is allowed


async def test_nothing_outlasts_the_right_by_which_it_was_given(house: House):
    await house.give(WEB, wish(FRIEND, "role:student"), wish("guests", "create"), caller=TEMP)
    await house.give(WEB, wish(DEPUTY, "info", denies=True), caller=TEMP)
    assert house.may(FRIEND, "create")
    assert not house.may(DEPUTY, "info")
    house.clock.now += HOUR
    assert not house.may(FRIEND, "create")
    assert house.may(DEPUTY, "info")


# -- whatever they try, together ----------------------------------------------------------------------------------------

CALLERS = st.sampled_from(PEOPLE)
ENTITIES = st.sampled_from([HYP, WEB, SEAT])
TOKENS = st.sampled_from(
    ["all", "info", "create", "destroy", "permission_set", "permission_setown", "permission_get", "domain_policy_bypass"]
)
WISHES = st.builds(
    wish,
    st.sampled_from([*PEOPLE, "crew", "guests"]),
    st.one_of(TOKENS, st.sampled_from(["role:crew", "role:student", "role:teacher", "role:host-admin"])),
    st.sampled_from(["entity", "own", "tag:lab", "tag:prize", "hypervisor"]),
    denies=st.booleans(),
    expires_at=st.sampled_from([None, NOON + HOUR / 2, NOON + 3 * HOUR]),
)
STEPS = st.one_of(
    st.tuples(st.just("set"), ENTITIES, CALLERS, CALLERS, TOKENS, st.booleans()),
    st.tuples(st.just("own"), ENTITIES, CALLERS, TOKENS),
    st.tuples(st.just("give"), ENTITIES, CALLERS, WISHES),
    st.tuples(st.just("take"), ENTITIES, CALLERS, WISHES),
    st.tuples(st.just("role"), st.just(HYP), CALLERS, st.frozensets(TOKENS, min_size=1)),
    st.tuples(st.just("group"), st.just(HYP), CALLERS, st.sampled_from(["crew", "guests"]), st.frozensets(CALLERS)),
    st.tuples(st.just("tags"), st.sampled_from([WEB, SEAT]), CALLERS, st.frozensets(st.sampled_from(["lab", "prize"]))),
)
NEEDED = {"own": "permission_setown", "tags": "settags"}


async def take_step(house: House, what: str, entity: str, caller: str, rest: tuple[object, ...]) -> None:
    """Do what a request would do whose caller has the right that it needs."""
    if not house.may(caller, NEEDED.get(what, "permission_set"), entity):
        return
    acts: dict[str, Callable[..., Awaitable[object]]] = {
        "set": lambda subject, token, granted: house.set(entity, subject, token, granted, caller=caller),
        "own": lambda token: own(house, caller, token, entity),
        "give": lambda wanted: house.give(entity, wanted, caller=caller),
        "take": lambda wanted: house.take(entity, wanted, caller=caller),
        "role": lambda tokens: house.rules.set_role(role(*tokens), caller=caller),
        "group": lambda name, members: house.rules.set_group(name, members, caller=caller),
        "tags": lambda tags: tag(house, entity, *tags, caller=caller),
    }
    with contextlib.suppress(CommandError):
        await acts[what](*rest)


WATCHED = frozenset(
    [
        "all",
        "info",
        "create",
        "destroy",
        "shutdown",
        "define",
        "permission_set",
        "permission_setown",
        "permission_get",
        "presence",
        "domain_policy_bypass",
        "alloc",
    ]
)
MOMENTS = (NOON, NOON + 2 * HOUR, NOON + 4 * HOUR)


@functools.cache
def held_untouched(moment: datetime) -> dict[str, frozenset[str]]:
    """What they all have if nobody does anything."""
    untouched = asyncio.run(build_house())
    untouched.clock.now = moment
    return untouched.held(WATCHED)


@given(steps=st.lists(STEPS, max_size=10))
@settings(deadline=None, max_examples=100)
def test_all_of_them_together_never_get_more_than_they_had(steps: list[tuple[Any, ...]]):
    async def play() -> House:
        house = await build_house()
        for what, entity, caller, *rest in steps:
            await take_step(house, what, entity, caller, tuple(rest))
        return house

    house = asyncio.run(play())
    for moment in MOMENTS:
        house.clock.now = moment
        had, have = held_untouched(moment), house.held(WATCHED)
        assert {entity: have[entity] - had[entity] for entity in have if have[entity] - had[entity]} == {}


async def test_a_stranger_changes_nothing(house: House):
    with pytest.raises(MayNotGrant):
        await house.set(WEB, STRANGER, "info", caller=STRANGER)
