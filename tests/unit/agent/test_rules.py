# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules: what they reach, which of them decides, that nothing acknowledged is lost."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.decision import Decision, Rule
from archipel.agent.rights import Rights, UnknownRight
from archipel.agent.rule_changes import RuleChanges
from archipel.agent.rules import BadRule, Scope, check_group_name, check_role_name
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, Store, StoreError
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.rights import EntityKind, core_catalogue
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
    SEAT,
    STRANGER,
    TEACHER,
    WEB,
    Clock,
    House,
    build_house,
    wish,
)


@pytest.fixture
async def house() -> House:
    """A house that keeps nothing."""
    return await build_house()


@pytest.fixture
async def store(empty_database: Path, agent_folder: Path) -> AsyncIterator[Store]:
    shutil.copy(empty_database, agent_folder / "archipel.sqlite3")
    opened = await Store.open(agent_folder / "archipel.sqlite3")
    yield opened
    await opened.close()


@pytest.fixture
async def kept(store: Store) -> House:
    """A house with a database."""
    return await build_house(store)


async def load_anew(store: Store) -> Rights:
    """The rights as another life of the agent finds them."""
    rights = await Rights.load(store, core_catalogue(), [ADMIN], clock=Clock())
    rights.attach(HYP, EntityKind.HYPERVISOR)
    for machine in (WEB, SEAT):
        rights.attach(machine, EntityKind.VIRTUAL_MACHINE)
    rights.note_tags(SEAT, ["lab"])
    return rights


class TestDecisions:
    @pytest.mark.parametrize(
        "entity,subject,token,allowed,rule",
        [
            (WEB, MEMBER, "info", True, Rule.GRANT),
            (WEB, MEMBER, "create", False, Rule.NOT_GRANTED),
            (SEAT, MEMBER, "info", False, Rule.STRANGER),
            (SEAT, TEACHER, "create", True, Rule.GRANT),
            (WEB, TEACHER, "create", False, Rule.STRANGER),
            (HYP, TEACHER, "alloc", False, Rule.NOT_GRANTED),
            (WEB, HOSTESS, "info", True, Rule.GRANT),
            (SEAT, HOSTESS, "info", True, Rule.GRANT),
            (HYP, HOSTESS, "ip", True, Rule.GRANT),
            (WEB, BANNED, "create", True, Rule.ALL),
            (WEB, BANNED, "destroy", False, Rule.DENIED),
            (WEB, BANNED, "all", False, Rule.DENIED),
            (WEB, BANNED, "domain_policy_bypass", False, Rule.NOT_GRANTED),
            (WEB, ADMIN, "destroy", True, Rule.ADMINISTRATOR),
        ],
    )
    async def test_the_first_rule_that_applies_decides(
        self, house: House, entity: str, subject: str, token: str, allowed: bool, rule: Rule
    ):
        assert house.rights.check(entity, subject, token) == Decision(allowed, rule)

    @pytest.mark.parametrize(
        "wishes,allowed",
        [
            ([wish(FRIEND, "create")], True),
            ([wish(FRIEND, "create"), wish(FRIEND, "create", denies=True)], False),
            ([wish(FRIEND, "create"), wish("friends", "create", denies=True)], False),
            ([wish(FRIEND, "role:student"), wish(FRIEND, "role:student", denies=True)], False),
            ([wish(FRIEND, "all"), wish(FRIEND, "all", denies=True)], False),
            ([wish(FRIEND, "all"), wish(FRIEND, "info", denies=True)], True),
            ([wish("friends", "create")], True),
            ([wish("friends", "role:student")], True),
            ([wish("others", "role:student")], False),
        ],
    )
    async def test_denial_comes_before_every_grant(self, house: House, wishes: list, allowed: bool):
        await house.rules.set_group("friends", [FRIEND], caller=ADMIN)
        await house.give(WEB, *wishes)
        assert house.may(FRIEND, "create") is allowed

    async def test_a_denial_on_all_machines_comes_before_a_grant_on_one(self, house: House):
        await house.give(WEB, wish(FRIEND, "create"))
        await house.give(HYP, wish(FRIEND, "create", "hypervisor", denies=True))
        assert not house.may(FRIEND, "create")

    async def test_who_is_denied_all_is_a_stranger_even_if_the_roster_has_him(self, house: House):
        house.rights.attach(WEB, EntityKind.VIRTUAL_MACHINE, lambda bare: bare == FRIEND)
        assert house.rights.is_known(WEB, FRIEND)
        await house.give(WEB, wish(FRIEND, "info"), wish(FRIEND, "all", denies=True))
        assert not house.rights.is_known(WEB, FRIEND)
        assert FRIEND not in house.rights.subjects(WEB)
        assert house.rights.check(WEB, FRIEND, "permission_get") == Decision(False, Rule.DENIED)

    async def test_a_default_can_be_denied(self, house: House):
        await house.give(WEB, wish(FRIEND, "info"), wish(FRIEND, "permission_get", denies=True))
        assert not house.may(FRIEND, "permission_get")
        assert house.may(FRIEND, "info")

    async def test_own_machines_are_those_that_one_made_or_has_all_on(self, house: House):
        await house.give(HYP, wish("everybody", "migrate", "own", denies=True))
        await house.rules.set_group("everybody", [OWNER, DEPUTY, HOSTESS], caller=ADMIN)
        assert not house.may(OWNER, "migrate")
        await house.rights.revoke(WEB, OWNER, "all")
        await house.give(HYP, wish(OWNER, "create", "own"), wish(DEPUTY, "create", "own"))
        assert house.may(OWNER, "create")
        assert not house.may(DEPUTY, "create")

    async def test_a_rule_follows_the_tags(self, house: House):
        assert house.may(TEACHER, "create", SEAT)
        house.rights.note_tags(SEAT, ["other"])
        house.rights.note_tags(WEB, ["lab"])
        assert not house.may(TEACHER, "create", SEAT)
        assert house.may(TEACHER, "create", WEB)

    async def test_rules_of_the_hypervisor_for_machines_do_not_reach_itself(self, house: House):
        await house.give(HYP, wish(FRIEND, "all", "hypervisor"))
        assert [house.may(FRIEND, "free", entity) for entity in (HYP, WEB, SEAT)] == [False, True, True]

    async def test_a_rule_ends(self, house: House):
        await house.give(HYP, wish(FRIEND, "role:student", "hypervisor", expires_at=NOON + HOUR))
        await house.give(WEB, wish(DEPUTY, "info", denies=True, expires_at=NOON + HOUR))
        assert (house.may(FRIEND, "info"), house.may(DEPUTY, "info")) == (True, False)
        house.clock.now += HOUR
        assert (house.may(FRIEND, "info"), house.may(DEPUTY, "info")) == (False, True)
        assert not house.rights.is_known(WEB, FRIEND)

    async def test_the_student_s_role_is_enough_for_his_seat_and_for_no_other(self, house: House):
        await house.give(SEAT, wish(FRIEND, "role:student"))
        assert all(
            house.may(FRIEND, token, SEAT) for token in ("create", "shutdown", "destroy", "reboot", "info", "vnc_display", "presence")
        )
        assert not any(house.may(FRIEND, token, SEAT) for token in ("define", "free", "xmldesc", "permission_set", "settags", "all"))
        assert house.rights.effective_tokens(WEB, FRIEND) == house.rights.effective_tokens(HYP, FRIEND) == ()

    async def test_clients_are_told_what_one_holds_whatever_gave_it(self, house: House):
        assert house.rights.held_tokens(WEB, MEMBER) == ("info", "permission_set", "permission_setown")
        assert house.rights.tokens_of(WEB, MEMBER) == ()
        assert house.rights.held_tokens(WEB, OWNER) == ("all",)
        told = house.rights.held_tokens(WEB, BANNED)
        assert "create" in told
        assert not {"all", "destroy"} & set(told)

    async def test_everybody_whom_a_rule_reaches_is_a_subject(self, house: House):
        assert house.rights.subjects(SEAT) == {TEACHER, HOSTESS}
        assert house.rights.subjects(WEB) >= {OWNER, DEPUTY, MEMBER, BANNED, HOSTESS}
        assert STRANGER not in house.rights.subjects(WEB)

    async def test_a_decision_asks_no_store_and_weighs_once(self, kept: House, store: Store, monkeypatch: pytest.MonkeyPatch):
        kept.may(MEMBER, "info")

        def fail(*_anything: object) -> None:
            raise AssertionError("weighed again")

        monkeypatch.setattr(store, "run", fail)
        monkeypatch.setattr(kept.rights, "reaching", fail)
        assert kept.may(MEMBER, "info")


class TestWhy:
    @pytest.mark.parametrize(
        "entity,subject,token,reason",
        [
            (
                WEB,
                MEMBER,
                "info",
                f"granted: the role 'crew' granted to the group 'crew' on this entity; given by {ADMIN} on 2030-01-01 12:00:00 UTC",
            ),
            (
                SEAT,
                TEACHER,
                "create",
                f"granted: the role 'teacher' granted to {TEACHER} on machines with the tag 'lab'; "
                f"given by {ADMIN} on 2030-01-01 12:00:00 UTC",
            ),
            (WEB, BANNED, "destroy", f"denied: 'destroy' denied to {BANNED} on this entity; given by {ADMIN} on 2030-01-01 12:00:00 UTC"),
            (WEB, MEMBER, "create", "not granted"),
        ],
    )
    async def test_the_rule_that_decided_is_named(self, house: House, entity: str, subject: str, token: str, reason: str):
        assert house.rights.check(entity, subject, token).words == reason

    async def test_end_and_reason_are_told(self, house: House):
        await house.give(WEB, wish(FRIEND, "create", reason="helps out", expires_at=NOON + HOUR))
        assert house.rights.why(WEB, FRIEND, "create").endswith("until 2030-01-01 13:00:00 UTC: helps out")


class TestChanges:
    async def test_what_is_acknowledged_is_there_in_the_next_life(self, kept: House, store: Store):
        await kept.give(WEB, wish(FRIEND, "create", reason="helps out"), wish("guests", "role:student", expires_at=NOON + HOUR))
        await kept.rules.set_group("guests", [STRANGER], caller=ADMIN)
        again = await load_anew(store)
        everything = [
            (entity, who) for entity in (HYP, WEB, SEAT) for who in (OWNER, DEPUTY, MEMBER, TEACHER, HOSTESS, BANNED, FRIEND, STRANGER)
        ]
        assert [again.effective_tokens(*one) for one in everything] == [kept.rights.effective_tokens(*one) for one in everything]
        assert again.owns(WEB, OWNER)
        await kept.take(WEB, wish(FRIEND, "create"), wish("guests", "role:student"))
        await kept.rules.set_group("guests", [], caller=ADMIN)
        again = await load_anew(store)
        assert (again.tokens_of(WEB, FRIEND), again.check(WEB, STRANGER, "create").allowed) == ((), False)
        assert "guests" not in again.book.kept_groups

    async def test_a_plain_grant_is_the_founding_protocol_s(self, house: House):
        await house.give(WEB, wish(FRIEND, "create", expires_at=NOON + HOUR))
        assert house.rights.tokens_of(WEB, FRIEND) == ("create",)
        await house.set(WEB, FRIEND, "create", False, caller=ADMIN)
        assert not house.may(FRIEND, "create")

    async def test_all_or_none(self, kept: House, store: Store):
        before = kept.everything()
        with pytest.raises(UnknownRight):
            await kept.give(WEB, wish(FRIEND, "create"), wish("guests", "creat"))
        await store.close()
        with pytest.raises(StoreError):
            await kept.give(WEB, wish(FRIEND, "create"), wish(FRIEND, "role:student"))
        assert kept.everything() == before

    async def test_saying_it_again_changes_nothing_and_keeps_the_end(self, house: House):
        assert await house.rules.set(WEB, [wish(FRIEND, "role:student", expires_at=NOON + HOUR)], caller=ADMIN)
        assert await house.rules.set(WEB, [wish(FRIEND, "role:student")], caller=ADMIN) == ()
        house.clock.now += HOUR
        assert not house.may(FRIEND, "info")

    async def test_an_end_is_moved_and_lifted(self, house: House):
        for end in (NOON + HOUR, NOON + 2 * HOUR, None):
            await house.give(WEB, wish(FRIEND, "role:student", expires_at=end))
        house.clock.now += 9 * HOUR
        assert house.may(FRIEND, "info")

    async def test_what_is_over_is_removed_and_told_of(self, kept: House, store: Store):
        await kept.give(HYP, wish("guests", "role:student", "tag:lab", expires_at=NOON + HOUR))
        await kept.rules.set_group("guests", [FRIEND], caller=ADMIN)
        kept.clock.now += HOUR
        [concern] = await kept.rules.drop_expired()
        assert (concern.entity, concern.label, concern.people) == (SEAT, "guests", {FRIEND})
        assert await kept.rules.drop_expired() == ()
        assert [rule for rule in (await load_anew(store)).book.over() if rule.subject == "guests"] == []

    async def test_a_machine_goes_with_its_rules(self, kept: House, store: Store):
        uuid = WEB.partition("@")[0]
        await store.add_machine(MachineRecord(uuid=uuid, name="web", password=Secret("x"), phase=Phase.ACTIVE))
        await store.remove_machine(uuid, WEB)
        again = await load_anew(store)
        assert (again.subjects(WEB), again.owns(WEB, OWNER)) == ({HOSTESS}, False)
        assert not again.check(WEB, MEMBER, "info").allowed

    @pytest.mark.parametrize(
        "entity,wrong,message",
        [
            (WEB, wish(FRIEND, "creat"), "no such right on a virtualmachine: 'creat'; did you mean create"),
            (HYP, wish(FRIEND, "alloc", "hypervisor"), "no such right on a virtualmachine: 'alloc'"),
            (WEB, wish(FRIEND, "role:studnet"), "role: there is no role 'studnet'"),
            (WEB, wish(FRIEND, "info", "tag:lab"), "scope: tag:lab reaches beyond this machine: ask its hypervisor"),
            (WEB, wish("@lab.example", "info"), "subject: "),
            (WEB, wish("x" * 101, "info"), "group: a name has 1 to 100 printable characters"),
            (WEB, wish(FRIEND, "info", expires_at=NOON), "is over"),
            (WEB, wish("guests", "info", expires_at=NOON), "expires: 2030-01-01 12:00:00 UTC is over"),
            (WEB, wish(ADMIN, "info", denies=True), "is an administrator, to whom nothing can be denied"),
        ],
    )
    async def test_what_is_wrong_is_named(self, house: House, entity: str, wrong, message: str):
        before = house.everything()
        with pytest.raises(CommandError, match=message):
            await house.give(entity, wish(FRIEND, "message"), wrong)
        assert house.everything() == before


class TestRoles:
    async def test_a_role_of_one_s_own_is_made_changed_and_removed(self, kept: House, store: Store):
        await kept.rules.set_role(Role("operator", "", frozenset({"create"})), caller=HOSTESS)
        await kept.give(WEB, wish(FRIEND, "role:operator"))
        await kept.rules.set_role(Role("operator", "", frozenset({"create", "shutdown"})), caller=ADMIN)
        assert kept.may(FRIEND, "shutdown")
        with pytest.raises(
            CommandError, match=f"withdraw first what uses it: the role 'operator' granted to {FRIEND} on this entity"
        ) as refused:
            await kept.rules.remove_role("operator")
        assert refused.value.condition == Condition.CONFLICT
        await kept.take(WEB, wish(FRIEND, "role:operator"))
        await kept.rules.remove_role("operator")
        assert "operator" not in (await load_anew(store)).book.roles

    @pytest.mark.parametrize("name", ["student", "host-admin"])
    async def test_a_built_in_role_stays(self, house: House, name: str):
        with pytest.raises(BadRule, match="built in"):
            await house.rules.remove_role(name)

    @pytest.mark.parametrize("tokens", [frozenset(), frozenset({"fly"})])
    async def test_a_role_is_made_of_rights_that_exist(self, house: House, tokens: frozenset[str]):
        with pytest.raises(BadRule, match="rights: "):
            await house.rules.set_role(Role("pilot", "", tokens), caller=ADMIN)


class TestGroups:
    async def test_rules_of_a_machine_that_is_not_there_are_in_nobody_s_way(self, kept: House, store: Store):
        """At start, those of a machine that is half removed are still kept."""
        again = await Rights.load(store, core_catalogue(), [ADMIN], clock=Clock())
        again.attach(HYP, EntityKind.HYPERVISOR)
        await RuleChanges(again).set_group("crew", [FRIEND], caller=ADMIN)
        await RuleChanges(again).set_role(Role("crew", "", frozenset({"info"})), caller=ADMIN)
        assert again.book.members("crew") == {FRIEND}

    async def test_the_server_s_groups_count_and_hide_those_of_the_same_name(self, house: House):
        await house.give(WEB, wish("tp1", "role:student"))
        [concern] = house.rules.take_roster_groups({"tp1": frozenset({FRIEND}), "tp2": frozenset({STRANGER})})
        assert (concern.entity, concern.people) == (WEB, {FRIEND})
        assert house.may(FRIEND, "create")
        with pytest.raises(BadRule, match="'tp1' is a group of the server's shared roster"):
            await house.rules.set_group("tp1", [STRANGER], caller=ADMIN)
        house.rules.take_roster_groups({"crew": frozenset({STRANGER})})
        assert not house.may(FRIEND, "create")
        assert (house.may(MEMBER, "info"), house.may(STRANGER, "info")) == (False, True)
        house.rules.take_roster_groups({})
        assert (house.may(MEMBER, "info"), house.may(STRANGER, "info")) == (True, False)

    async def test_what_did_not_change_concerns_nobody(self, house: House):
        groups = {"tp1": frozenset({FRIEND})}
        await house.give(WEB, wish("tp1", "role:student"))
        assert house.rules.take_roster_groups(groups)
        assert house.rules.take_roster_groups(dict(groups)) == ()


class TestWords:
    @pytest.mark.parametrize("text", ["entity", "own", "hypervisor", "platform", "tag:a b", "golden:debian-13.qcow2", "tag:a:b"])
    def test_a_scope_is_written_as_it_is_read(self, text: str):
        assert str(Scope.parse(f" {text} ")) == text

    @pytest.mark.parametrize("text", ["", "platform:x", "tag", "tag:", "tag: ", "own:x", "entity:", "Tag:x", f"tag:{'x' * 256}"])
    def test_what_is_no_scope_is_refused(self, text: str):
        with pytest.raises(BadRule, match="scope: "):
            Scope.parse(text)

    @given(st.text(max_size=300))
    def test_hostile_words_are_read_or_refused(self, text: str):
        for read in (Scope.parse, check_group_name, check_role_name):
            try:
                found = str(read(text))
            except BadRule:
                continue
            assert str(read(found)) == found
