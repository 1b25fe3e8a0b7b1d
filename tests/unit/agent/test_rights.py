# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what, by which rule, and who may change that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slixmpp import JID

from archipel.agent.jids import MalformedJid
from archipel.agent.rights import BadExpiry, BadSubject, Decision, MayNotGrant, RightChange, Rights, Rule, UnknownRight
from archipel.agent.store import GrantRecord, Store, StoreError
from archipel.protocol.errors import BadRequest, ErrorCode, PermissionDenied
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token, core_catalogue

VM = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69@lab.example"
HYPERVISOR = "hyp@lab.example"
ADMIN, BOSS = "admin@lab.example", "boss@lab.example"
OWNER, STUDENT, FRIEND, STRANGER = (f"{name}@lab.example" for name in ("owner", "student", "friend", "stranger"))
DEPUTY, ENGINEER, GUEST = (f"{name}@lab.example" for name in ("deputy", "engineer", "guest"))
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "archipel.sqlite3")
    yield opened
    await opened.close()


@pytest.fixture
async def rights(store: Store, clock: Clock) -> Rights:
    """One machine: the owner has all, the student may start it, the friend is in its roster, the deputy may change rights."""
    loaded = await Rights.load(store, core_catalogue(), [ADMIN], clock=clock)
    loaded.attach(VM, EntityKind.VIRTUAL_MACHINE, {FRIEND, STUDENT}.__contains__)
    loaded.attach(HYPERVISOR, EntityKind.HYPERVISOR)
    await loaded.grant(VM, OWNER, "all", granted_by=HYPERVISOR)
    await loaded.grant(VM, STUDENT, "create", granted_by=OWNER)
    await loaded.grant(VM, GUEST, "info", granted_by=OWNER, expires_at=NOON + HOUR)
    await loaded.grant(VM, DEPUTY, "permission_set", "permission_setown", granted_by=OWNER)
    await loaded.grant(VM, ENGINEER, "domain_policy_bypass", "permission_set", granted_by=ADMIN)
    loaded.set_dynamic_admins([BOSS])
    return loaded


class TestDecisions:
    @pytest.mark.parametrize(
        "entity,subject,token,allowed,rule",
        [
            (VM, ADMIN, "create", True, Rule.ADMINISTRATOR),
            (VM, ADMIN, "no_such_right", True, Rule.ADMINISTRATOR),
            (VM, ADMIN, "domain_policy_bypass", True, Rule.ADMINISTRATOR),
            (VM, BOSS, "free", True, Rule.ADMINISTRATOR),
            (HYPERVISOR, ADMIN, "alloc", True, Rule.ADMINISTRATOR),
            (VM, OWNER, "create", True, Rule.ALL),
            (VM, OWNER, "presence", True, Rule.ALL),
            (VM, OWNER, "no_such_right", True, Rule.ALL),
            (VM, OWNER, "domain_policy_bypass", False, Rule.NOT_GRANTED),
            (HYPERVISOR, OWNER, "alloc", False, Rule.STRANGER),
            (VM, ENGINEER, "domain_policy_bypass", True, Rule.GRANT),
            (VM, STUDENT, "create", True, Rule.GRANT),
            (VM, STUDENT, "free", False, Rule.NOT_GRANTED),
            (VM, STUDENT, "permission_get", True, Rule.DEFAULT),
            (VM, STUDENT, "no_such_right", False, Rule.NO_SUCH_RIGHT),
            (VM, STUDENT, "alloc", False, Rule.NO_SUCH_RIGHT),
            (VM, FRIEND, "permission_get", True, Rule.DEFAULT),
            (VM, FRIEND, "create", False, Rule.NOT_GRANTED),
            (VM, STRANGER, "permission_get", False, Rule.STRANGER),
            (VM, STRANGER, "create", False, Rule.STRANGER),
            (VM, STRANGER, "no_such_right", False, Rule.STRANGER),
            (VM, "lab.example", "info", False, Rule.STRANGER),
            (VM, GUEST, "info", True, Rule.GRANT),
            (VM, "Student@LAB.example/phone", "create", True, Rule.GRANT),
            (VM, JID("STUDENT@lab.example/phone"), "create", True, Rule.GRANT),
            (f"{VM}/hyp", STUDENT, "create", True, Rule.GRANT),
            (VM.upper(), STUDENT, "create", True, Rule.GRANT),
        ],
    )
    async def test_the_first_rule_that_applies_decides(
        self, rights: Rights, entity: str, subject: str | JID, token: str, allowed: bool, rule: Rule
    ):
        assert rights.check(entity, subject, token) == Decision(allowed, rule)

    async def test_a_grant_ends_and_with_it_the_acquaintance(self, rights: Rights, clock: Clock):
        clock.now += HOUR
        assert rights.check(VM, GUEST, "info") == Decision(False, Rule.STRANGER)
        assert GUEST not in rights.subjects(VM)
        assert rights.tokens_of(VM, GUEST) == ()
        rights.attach(VM, EntityKind.VIRTUAL_MACHINE, lambda bare: bare == GUEST)
        assert rights.check(VM, GUEST, "info") == Decision(False, Rule.EXPIRED)

    async def test_the_known_are_administrators_roster_and_holders(self, rights: Rights):
        known = [who for who in (ADMIN, BOSS, OWNER, STUDENT, FRIEND, GUEST, STRANGER) if rights.is_known(VM, who)]
        assert known == [ADMIN, BOSS, OWNER, STUDENT, FRIEND, GUEST]

    async def test_who_holds_a_grant_may_be_listed(self, rights: Rights):
        assert rights.subjects(VM) == {OWNER, STUDENT, GUEST, DEPUTY, ENGINEER}
        assert rights.subjects(HYPERVISOR) == frozenset()
        assert rights.tokens_of(VM, DEPUTY) == ("permission_set", "permission_setown")

    async def test_all_that_somebody_may_do_is_listed(self, rights: Rights):
        assert rights.effective_tokens(VM, STUDENT) == ("permission_get", "create")
        assert rights.effective_tokens(VM, STRANGER) == ()
        everything = {token.name for token in rights.catalogue.tokens(EntityKind.VIRTUAL_MACHINE)}
        assert set(rights.effective_tokens(VM, ADMIN)) == everything
        assert set(rights.effective_tokens(VM, OWNER)) == everything - {"domain_policy_bypass"}

    async def test_a_new_default_counts_for_the_known_even_if_they_hold_grants(self, rights: Rights):
        rights.catalogue.register(Token("greet", "Say hello", ON_VIRTUAL_MACHINE, default=True))
        assert [rights.check(VM, who, "greet").allowed for who in (STUDENT, FRIEND, GUEST, STRANGER)] == [True, True, True, False]

    @pytest.mark.parametrize("subject", ["a b@lab.example", "@lab.example", "", "x@", "a@b/"])
    async def test_what_is_no_jid_is_an_error(self, rights: Rights, subject: str):
        with pytest.raises(MalformedJid, match="JID"):
            rights.check(VM, subject, "info")

    async def test_a_foreign_entity_is_an_error(self, rights: Rights):
        with pytest.raises(LookupError, match=r"other@lab\.example is not an entity of this agent"):
            rights.check("other@lab.example", ADMIN, "info")
        rights.detach(VM)
        with pytest.raises(LookupError):
            rights.check(VM, OWNER, "info")


class TestAdministrators:
    async def test_what_the_platform_says_adds_to_the_configuration_and_takes_nothing_away(self, rights: Rights):
        assert rights.admins == {ADMIN, BOSS}
        rights.set_dynamic_admins([])
        assert rights.admins == {ADMIN}
        rights.set_dynamic_admins([ADMIN.upper(), "New@lab.example/x"])
        rights.set_dynamic_admins([])
        assert rights.is_admin(JID("Admin@lab.example/home"))
        assert not rights.is_admin("new@lab.example")

    async def test_a_domain_is_no_administrator(self, rights: Rights):
        with pytest.raises(MalformedJid, match="is a server's address"):
            rights.set_dynamic_admins(["lab.example"])
        assert rights.admins == {ADMIN, BOSS}


class TestWhy:
    @pytest.mark.parametrize(
        "subject,token,sentence",
        [
            (ADMIN, "free", f"{ADMIN} may 'free' on {VM}: administrator"),
            (STUDENT, "create", f"{STUDENT} may 'create' on {VM}: granted; given by {OWNER} on 2030-01-01 12:00:00 UTC"),
            (OWNER, "free", f"{OWNER} may 'free' on {VM}: holder of all; given by {HYPERVISOR} on 2030-01-01 12:00:00 UTC"),
            (STUDENT, "free", f"{STUDENT} may not 'free' on {VM}: not granted"),
            (STRANGER, "free", f"{STRANGER} may not 'free' on {VM}: not known to the entity"),
            (
                GUEST,
                "info",
                f"{GUEST} may 'info' on {VM}: granted; given by {OWNER} on 2030-01-01 12:00:00 UTC, until 2030-01-01 13:00:00 UTC",
            ),
        ],
    )
    async def test_a_decision_is_explained(self, rights: Rights, subject: str, token: str, sentence: str):
        assert rights.why(VM, subject, token) == sentence


class TestChanges:
    async def test_they_are_in_the_store_when_they_return(self, rights: Rights, store: Store, clock: Clock):
        assert await rights.grant(VM, "New@lab.example/x", "info", "create", granted_by=OWNER) == ("new@lab.example",)
        again = await Rights.load(store, core_catalogue(), [], clock=clock)
        again.attach(VM, EntityKind.VIRTUAL_MACHINE)
        assert again.tokens_of(VM, "new@lab.example") == ("create", "info")
        assert await rights.revoke(VM, "new@lab.example", "info", "free") == ("new@lab.example",)
        assert rights.tokens_of(VM, "new@lab.example") == ("create",)
        assert [grant.token for grant in await store.grants(VM) if grant.subject == "new@lab.example"] == ["create"]

    async def test_what_changes_nothing_concerns_nobody(self, rights: Rights):
        before = rights.why(VM, STUDENT, "create")
        wanted = [RightChange(STUDENT, "create", True), RightChange(STUDENT, "free", False), RightChange(FRIEND, "info", False)]
        assert await rights.change(VM, wanted, caller=OWNER) == ()
        assert rights.why(VM, STUDENT, "create") == before

    async def test_many_people_are_changed_at_once(self, rights: Rights):
        wanted = [
            RightChange(STUDENT, "create", False),
            RightChange(STUDENT, "info", True),
            RightChange(FRIEND, "info", True),
            RightChange(GUEST, "info", True),
        ]
        assert set(await rights.change(VM, wanted, caller=OWNER)) == {STUDENT, FRIEND}
        assert (rights.tokens_of(VM, STUDENT), rights.tokens_of(VM, FRIEND)) == (("info",), ("info",))

    async def test_of_two_changes_of_one_right_the_later_counts(self, rights: Rights):
        await rights.change(VM, [RightChange(FRIEND, "info", True), RightChange(f"{FRIEND}/x", "info", False)], caller=OWNER)
        assert rights.tokens_of(VM, FRIEND) == ()

    @pytest.mark.parametrize(
        "change,error,message",
        [
            (RightChange(FRIEND, "creat", True), UnknownRight, "no such right on a virtualmachine: 'creat'; did you mean create"),
            (RightChange(FRIEND, "alloc", True), UnknownRight, "no such right on a virtualmachine: 'alloc'"),
            (RightChange(FRIEND, "qqqq", False), UnknownRight, "no such right on a virtualmachine: 'qqqq'; the action list tells"),
            (RightChange("a b@lab.example", "info", True), BadSubject, "'a b@lab.example' is not a JID"),
            (RightChange("friend", "info", True), BadSubject, "'friend' is a server's address, not an account's"),
            (RightChange(FRIEND, "info", True, NOON), BadExpiry, "the right 'info' would end at 2030-01-01 12:00:00 UTC, which is over"),
        ],
    )
    async def test_one_wrong_change_refuses_all(
        self, rights: Rights, store: Store, change: RightChange, error: type[BadRequest], message: str
    ):
        before = await store.grants()
        with pytest.raises(error, match=message) as caught:
            await rights.change(VM, [RightChange(STUDENT, "info", True), change], caller=OWNER)
        assert caught.value.code == ErrorCode.SET_RIGHTS
        assert await store.grants() == before
        assert rights.tokens_of(VM, STUDENT) == ("create",)

    async def test_a_right_of_a_capability_that_is_gone_can_be_revoked(self, rights: Rights, store: Store, clock: Clock):
        rights.catalogue.register(Token("fax", "Send a fax", ON_VIRTUAL_MACHINE))
        await rights.grant(VM, STUDENT, "fax", granted_by=OWNER)
        without = await Rights.load(store, core_catalogue(), [], clock=clock)
        without.attach(VM, EntityKind.VIRTUAL_MACHINE)
        assert without.check(VM, STUDENT, "fax") == Decision(False, Rule.NO_SUCH_RIGHT)
        assert await without.change(VM, [RightChange(STUDENT, "fax", False)], caller=OWNER) == (STUDENT,)

    async def test_a_store_that_fails_leaves_memory_as_it_was(self, rights: Rights, store: Store):
        await store.close()
        with pytest.raises(StoreError):
            await rights.grant(VM, FRIEND, "info", granted_by=OWNER)
        assert rights.tokens_of(VM, FRIEND) == ()

    async def test_a_cancelled_change_is_in_memory_as_it_is_in_the_store(self, rights: Rights, store: Store):
        task = asyncio.create_task(rights.grant(VM, FRIEND, "info", granted_by=OWNER))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await rights.grant(VM, FRIEND, "create", granted_by=OWNER)
        assert rights.tokens_of(VM, FRIEND) == ("create", "info")
        assert {grant.token for grant in await store.grants(VM) if grant.subject == FRIEND} == {"create", "info"}

    async def test_changes_made_at_once_are_all_made(self, rights: Rights, store: Store):
        people = [f"p{number}@lab.example" for number in range(50)]
        await asyncio.gather(*(rights.grant(VM, who, "info", granted_by=OWNER) for who in people))
        await asyncio.gather(*(rights.revoke(VM, who, "info") for who in people[:25]), rights.drop_expired())
        assert set(people) & rights.subjects(VM) == set(people[25:])
        assert set(people) & {grant.subject for grant in await store.grants(VM)} == set(people[25:])

    async def test_an_entity_goes_with_its_rights(self, rights: Rights, store: Store):
        await rights.grant(HYPERVISOR, STUDENT, "alloc", granted_by=ADMIN)
        await rights.drop_entity(VM)
        assert rights.subjects(VM) == frozenset()
        assert [grant.entity for grant in await store.grants()] == [HYPERVISOR]


class TestExpiry:
    async def test_a_client_that_knows_no_expiry_keeps_it(self, rights: Rights, clock: Clock):
        assert await rights.change(VM, [RightChange(GUEST, "info", True)], caller=OWNER) == ()
        clock.now += HOUR
        assert not rights.check(VM, GUEST, "info").allowed

    async def test_an_end_can_be_set_moved_and_lifted(self, rights: Rights, clock: Clock):
        await rights.change(VM, [RightChange(GUEST, "info", True, NOON + 3 * HOUR)], caller=OWNER)
        clock.now += 2 * HOUR
        assert rights.check(VM, GUEST, "info").allowed
        await rights.change(VM, [RightChange(GUEST, "info", True, None)], caller=OWNER)
        clock.now += 100 * HOUR
        assert rights.check(VM, GUEST, "info").allowed

    async def test_a_right_may_be_granted_anew_when_it_is_over(self, rights: Rights, clock: Clock):
        clock.now += 2 * HOUR
        assert await rights.change(VM, [RightChange(GUEST, "info", True)], caller=OWNER) == (GUEST,)
        assert rights.check(VM, GUEST, "info").allowed

    async def test_what_is_over_is_removed_and_told(self, rights: Rights, store: Store, clock: Clock):
        assert await rights.drop_expired() == ()
        clock.now += HOUR
        assert await rights.drop_expired() == ((VM, GUEST),)
        assert GUEST not in {grant.subject for grant in await store.grants()}
        assert await rights.drop_expired() == ()

    async def test_a_grant_does_not_outlast_the_right_by_which_it_was_given(self, rights: Rights, clock: Clock):
        await rights.grant(VM, GUEST, "all", granted_by=OWNER, expires_at=NOON + HOUR)
        await rights.change(VM, [RightChange(FRIEND, "info", True), RightChange(GUEST, "free", True, None)], caller=GUEST)
        await rights.change_own(VM, [RightChange(GUEST, "create", True)], caller=GUEST)
        assert rights.check(VM, FRIEND, "info").allowed
        clock.now += HOUR
        assert not any(rights.check(VM, who, token).allowed for who in (FRIEND, GUEST) for token in ("info", "free", "create"))

    async def test_own_rights_do_not_outlast_the_right_to_change_them(self, rights: Rights, clock: Clock):
        """By a default right without end, somebody would stay known."""
        await rights.grant(VM, STRANGER, "permission_setown", granted_by=OWNER, expires_at=NOON + HOUR)
        await rights.change_own(VM, [RightChange(STRANGER, "permission_get", True)], caller=STRANGER)
        assert rights.tokens_of(VM, STRANGER) == ("permission_get", "permission_setown")
        clock.now += HOUR
        assert not rights.is_known(VM, STRANGER)

    async def test_what_is_given_by_another_right_ends_with_that(self, rights: Rights, clock: Clock):
        await rights.grant(VM, STRANGER, "subscription_add", granted_by=OWNER, expires_at=NOON + HOUR)
        await rights.change(VM, [RightChange(STRANGER, "presence", True)], caller=STRANGER, by="subscription_add")
        clock.now += HOUR
        assert not rights.is_known(VM, STRANGER)

    def test_an_end_needs_a_time_zone(self):
        with pytest.raises(ValueError, match="time zone"):
            RightChange(GUEST, "info", True, datetime(2031, 1, 1))


class TestReservedRights:
    """What ``all`` does not cover cannot be given by holders of ``all`` either, to whomever."""

    @pytest.mark.parametrize("caller,subject", [(OWNER, OWNER), (OWNER, FRIEND), (DEPUTY, DEPUTY), (DEPUTY, FRIEND)])
    async def test_who_lacks_one_cannot_give_it(self, rights: Rights, caller: str, subject: str):
        with pytest.raises(MayNotGrant, match="'domain_policy_bypass' is given only by those who have it themselves") as caught:
            await rights.change(VM, [RightChange(subject, "domain_policy_bypass", True)], caller=caller)
        assert isinstance(caught.value, PermissionDenied)
        assert caught.value.right == "domain_policy_bypass"
        assert not rights.check(VM, subject, "domain_policy_bypass").allowed

    @pytest.mark.parametrize("caller", [ADMIN, BOSS, ENGINEER])
    async def test_who_has_one_can_give_it(self, rights: Rights, caller: str):
        await rights.change(VM, [RightChange(FRIEND, "domain_policy_bypass", True)], caller=caller)
        assert rights.check(VM, FRIEND, "domain_policy_bypass").allowed

    async def test_naming_one_that_is_held_already_is_no_gift(self, rights: Rights):
        assert await rights.change(VM, [RightChange(ENGINEER, "domain_policy_bypass", True)], caller=OWNER) == ()

    @pytest.mark.parametrize("caller", [OWNER, DEPUTY])
    async def test_who_lacks_one_cannot_take_it_away(self, rights: Rights, caller: str):
        with pytest.raises(MayNotGrant, match="'domain_policy_bypass' is taken from others only by those who have it") as caught:
            await rights.change(VM, [RightChange(ENGINEER, "domain_policy_bypass", False)], caller=caller)
        assert caught.value.right == "domain_policy_bypass"
        assert rights.check(VM, ENGINEER, "domain_policy_bypass").allowed

    @pytest.mark.parametrize("caller", [ADMIN, BOSS, ENGINEER])
    async def test_who_has_one_can_take_it_away(self, rights: Rights, caller: str):
        await rights.grant(VM, FRIEND, "domain_policy_bypass", granted_by=ADMIN)
        await rights.change(VM, [RightChange(FRIEND, "domain_policy_bypass", False)], caller=caller)
        assert not rights.check(VM, FRIEND, "domain_policy_bypass").allowed

    @pytest.mark.parametrize("change", [RightChange(OWNER, "all", False), RightChange(OWNER, "all", True, NOON + HOUR)])
    async def test_who_changes_rights_cannot_dispossess_the_owner(self, rights: Rights, change: RightChange):
        with pytest.raises(MayNotGrant, match=r"'all' is (given|taken from others) only by those who have it themselves"):
            await rights.change(VM, [RightChange(STUDENT, "create", False), change], caller=DEPUTY)
        assert rights.tokens_of(VM, STUDENT) == ("create",)
        assert rights.why(VM, OWNER, "free").endswith("12:00:00 UTC")

    async def test_owners_change_each_other_s_rights_and_everybody_his_own(self, rights: Rights):
        await rights.grant(VM, FRIEND, "all", granted_by=OWNER)
        await rights.change(VM, [RightChange(FRIEND, "all", False)], caller=OWNER)
        await rights.change(VM, [RightChange(OWNER, "all", False)], caller=OWNER)
        await rights.change(VM, [RightChange(ENGINEER, "domain_policy_bypass", False)], caller=ENGINEER)
        assert [rights.tokens_of(VM, who) for who in (FRIEND, OWNER, ENGINEER)] == [(), (), ("permission_set",)]

    async def test_what_is_over_already_anybody_may_remove(self, rights: Rights, clock: Clock):
        await rights.grant(VM, FRIEND, "all", granted_by=OWNER, expires_at=NOON + HOUR)
        clock.now += HOUR
        assert await rights.change(VM, [RightChange(FRIEND, "all", False)], caller=DEPUTY) == (FRIEND,)

    async def test_all_on_the_hypervisor_does_not_cover_it_either(self, rights: Rights):
        await rights.grant(HYPERVISOR, STUDENT, "all", granted_by=ADMIN)
        assert not rights.check(HYPERVISOR, STUDENT, "domain_policy_bypass").allowed


class TestOwnRights:
    @pytest.mark.parametrize("token", ["all", "create", "permission_list", "domain_policy_bypass"])
    async def test_nobody_gives_himself_what_he_lacks(self, rights: Rights, token: str):
        with pytest.raises(MayNotGrant, match=f"lacks the right '{token}' and cannot give it to himself"):
            await rights.change_own(VM, [RightChange(DEPUTY, "permission_set", False), RightChange(DEPUTY, token, True)], caller=DEPUTY)
        assert rights.tokens_of(VM, DEPUTY) == ("permission_set", "permission_setown")

    async def test_everybody_gives_up_what_he_likes(self, rights: Rights):
        wanted = [RightChange(f"{DEPUTY}/x", "permission_set", False), RightChange(DEPUTY, "permission_setown", True)]
        assert await rights.change_own(VM, wanted, caller=f"{DEPUTY}/x") == (DEPUTY,)
        assert rights.tokens_of(VM, DEPUTY) == ("permission_setown",)

    async def test_what_one_has_anyway_may_be_made_explicit(self, rights: Rights):
        await rights.change_own(VM, [RightChange(STUDENT, "permission_get", True)], caller=STUDENT)
        await rights.change_own(VM, [RightChange(OWNER, "create", True)], caller=OWNER)
        await rights.change_own(VM, [RightChange(ADMIN, "domain_policy_bypass", True)], caller=ADMIN)
        assert rights.tokens_of(VM, STUDENT) == ("create", "permission_get")
        assert rights.tokens_of(VM, OWNER) == ("all", "create")

    async def test_the_rights_of_others_are_not_one_s_own(self, rights: Rights):
        with pytest.raises(BadSubject, match="not your own"):
            await rights.change_own(VM, [RightChange(STUDENT, "create", False)], caller=OWNER)

    async def test_an_end_cannot_be_moved_away(self, rights: Rights, clock: Clock):
        for end in (None, NOON + 9 * HOUR):
            await rights.change_own(VM, [RightChange(GUEST, "info", True, end)], caller=GUEST)
        clock.now += HOUR
        assert not rights.check(VM, GUEST, "info").allowed


TOKENS = st.sampled_from(["all", "create", "info", "permission_get", "permission_setown", "domain_policy_bypass"])
CHANGES = st.lists(st.builds(RightChange, st.just(DEPUTY), TOKENS, st.booleans()), max_size=6)


@given(held=st.sets(TOKENS), rounds=st.lists(CHANGES, max_size=4))
@settings(deadline=None)
def test_changes_of_own_rights_never_add_up_to_more(held: set[str], rounds: list[list[RightChange]]):
    async def play() -> None:
        rights = Rights(MemoryStore(), core_catalogue(), [], clock=lambda: NOON)
        rights.attach(VM, EntityKind.VIRTUAL_MACHINE, lambda _bare: True)
        await rights.grant(VM, DEPUTY, *held, granted_by=OWNER)
        before = set(rights.effective_tokens(VM, DEPUTY))
        for changes in rounds:
            try:
                await rights.change_own(VM, changes, caller=DEPUTY)
            except MayNotGrant:
                continue
            after = set(rights.effective_tokens(VM, DEPUTY))
            assert after <= before
            before = after

    asyncio.run(play())


class MemoryStore:
    """Takes every change and keeps nothing."""

    async def change_grants(self, add: list[GrantRecord], remove: list[Any]) -> None:
        """Accept."""


async def test_a_decision_asks_no_store(rights: Rights, store: Store, monkeypatch: pytest.MonkeyPatch):
    def fail(_work: Callable[..., object]) -> None:
        raise AssertionError("a decision went to the database")

    monkeypatch.setattr(store, "run", fail)
    assert rights.check(VM, STUDENT, "create").allowed
    assert rights.subjects(VM)
