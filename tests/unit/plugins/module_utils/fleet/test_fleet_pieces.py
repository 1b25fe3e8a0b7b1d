# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is owned piece by piece: which pieces an entry declares, which it ends itself, and what takes one away."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.fleet import prune
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Key
from ansible_collections.archipel.platform.plugins.module_utils.fleet.kinds import KINDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.ownership import OwnedByAnother, Ownership
from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import GRANTS, JOBS, PEOPLE, WORDS, join, split
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step
from hypothesis import given
from hypothesis import strategies as st

from archipel.client import MachineEntry
from archipel.protocol.rules import Rule

UUID = "6f0c0000-0000-4000-8000-000000000001"
WEB = MachineEntry("web", UUID, f"{UUID}@example.org/hyp", managed=True)
BOB, EVE, ADMIN = "bob@example.org", "eve@example.org", "admin@example.org"
BY_NAME = {kind.name: kind for kind in KINDS}


def make_ground(machine: Any = None) -> Any:
    directory = SimpleNamespace(find=lambda reference: WEB if WEB.answers_to(reference) else None)
    return SimpleNamespace(
        name="hyp",
        session=SimpleNamespace(jid=ADMIN),
        host=SimpleNamespace(directory=directory, new_uuids={"new": UUID}),
        machines={"new": SimpleNamespace(wish=SimpleNamespace(uuid=None))},
        find=directory.find,
        entity_of=lambda item: SimpleNamespace(name="web", entity=machine),
    )


def make_step(kind: str, machine: str | None = "web", **arguments: Any) -> Step:
    options = BY_NAME[kind].options
    given = {name: option.get("default") for name, option in options.items()} | arguments
    return Step(Item(Key(kind, "hyp", "x"), given, Place("x"), machine), BY_NAME[kind])


def own(claims: dict[tuple[str, str], str], machine: Any = None) -> Ownership:
    return Ownership(make_ground(machine), "course", claims)


@given(st.lists(st.text(st.characters(exclude_characters="\x00")), min_size=1))
def test_a_tail_has_the_parts_that_it_was_made_of(parts: list[str]) -> None:
    assert split(join(*parts)) == parts


@pytest.mark.parametrize(
    "arguments, tails",
    [
        ({"subjects": ["Bob@Example.org"], "rights": ["info", "vnc"]}, {f"{BOB}/info", f"{BOB}/vnc"}),
        ({"groups": ["class/b"], "roles": ["student"], "scope": "tag:x"}, {"group:class%2Fb/role:student/tag:x/allow"}),
        ({"subjects": [BOB], "rights": ["info"], "state": "denied"}, {f"{BOB}/info/entity/deny"}),
        ({"subjects": [BOB], "rights": ["info"], "state": "absent"}, set()),
        ({"subjects": ["not an address@"], "rights": ["info"]}, {"not an address@/info"}),
    ],
)
def test_a_grant_falls_into_rights_of_people(arguments: dict[str, Any], tails: set[str]) -> None:
    assert GRANTS.declared(make_step("grant", **arguments).item.arguments) == tails


@pytest.mark.parametrize(
    "arguments, tail, ends",
    [
        ({"subjects": [BOB], "state": "absent"}, f"{BOB}/info", True),
        ({"subjects": [BOB], "state": "absent"}, f"{EVE}/info", False),
        ({"subjects": [BOB], "rights": ["vnc"], "state": "absent"}, f"{BOB}/info", False),
        ({"subjects": [BOB], "roles": ["student"], "state": "absent"}, f"{BOB}/role:student", True),
        ({"subjects": [BOB], "rights": ["info"], "state": "absent"}, f"{BOB}/info/tag:x/allow", False),
        ({"subjects": [BOB], "rights": ["vnc"], "exclusive": True}, f"{BOB}/info", True),
        ({"subjects": [BOB], "rights": ["vnc"], "exclusive": True}, f"{BOB}/role:student", False),
        ({"subjects": [BOB], "rights": ["vnc"]}, f"{BOB}/info", False),
    ],
)
def test_an_entry_ends_what_it_takes_away_itself(arguments: dict[str, Any], tail: str, ends: bool) -> None:
    assert GRANTS.ends(make_step("grant", **arguments).item.arguments, tail) is ends


def test_lists_and_jobs_fall_into_their_words() -> None:
    people = make_step("contact", people=["Bob@example.org", EVE]).item.arguments
    assert PEOPLE.declared(people) == {BOB, EVE}
    assert not PEOPLE.ends(people, EVE)
    assert PEOPLE.ends({**people, "exclusive": True}, "ada@example.org")
    assert PEOPLE.ends({**people, "state": "absent"}, EVE)
    assert WORDS.declared(make_step("tag", tags=[" a/b "]).item.arguments) == {"a%2Fb"}
    job = make_step("job", name=" night ").item.arguments
    assert (JOBS.declared(job), JOBS.ends({**job, "state": "absent"}, "night")) == ({"night"}, True)
    assert not JOBS.ends(job, "night")


def test_pieces_are_claimed_one_by_one_and_those_that_were_there_are_adopted() -> None:
    ownership = own({("grant", f"{UUID}/{BOB}/vnc"): "course"})
    step = make_step("grant", subjects=[BOB], rights=["info", "shutdown", "vnc"])
    step.resource = SimpleNamespace()  # type: ignore[assignment]
    step.before = {BOB: ["shutdown", "vnc"]}
    ownership.claim(step)
    assert ownership.new == {("grant", f"{UUID}/{BOB}/info")}
    assert ownership.adopted == {("grant", f"{UUID}/{BOB}/shutdown")}
    assert step.adopts == "course"
    new = make_step("contact", machine="new", people=[BOB])
    ownership.claim(new)
    assert ("contact", f"{UUID}/{BOB}") in ownership.new
    own_roster = make_step("contact", machine=None, people=[BOB])
    ownership.claim(own_roster)
    assert ("contact", f"hypervisor/{BOB}") in ownership.new


def test_a_piece_of_another_declaration_is_refused_and_nothing_of_the_entry_is_claimed() -> None:
    ownership = own({("grant", f"{UUID}/{BOB}/vnc"): "other"})
    with pytest.raises(OwnedByAnother, match=f"{BOB} vnc belongs to the declaration 'other'"):
        ownership.claim(make_step("grant", subjects=[BOB], rights=["info", "vnc"]))
    with pytest.raises(ValueError, match="too long"):
        ownership.claim(make_step("job", name="x" * 500))
    assert (ownership.new, ownership.declared) == (set(), set())


def removals(ownership: Ownership, *declared: Step) -> list[Step]:
    return prune.removals(ownership, declared, BY_NAME)


CLAIMS = {
    ("grant", f"{UUID}/{BOB}/info"): "course",
    ("grant", f"{UUID}/{BOB}/role:student"): "course",
    ("grant", f"{UUID}/{EVE}/info"): "course",
    ("grant", f"hypervisor/{EVE}/info/tag:x/deny"): "course",
    ("contact", f"{UUID}/{EVE}"): "other",
}


def test_what_somebody_may_do_somewhere_goes_as_one() -> None:
    steps = removals(own(CLAIMS), make_step("grant", subjects=[EVE], rights=["info", "vnc"]))
    assert [(step.key.name, len(step.claims), step.item.machine) for step in steps] == [
        (f"web: {BOB}: role student, info", 2, UUID),
        (f"hyp: {EVE}: info, scope tag:x (denied)", 1, None),
    ]
    assert prune.count_owned([own(CLAIMS)], (), BY_NAME, adopted=False) == 3


def test_what_is_on_a_machine_goes_with_it() -> None:
    machine = {("machine", UUID): "course"}
    assert [step.key.kind for step in removals(own(CLAIMS | machine))] == ["grant", "machine"]
    [_others, going] = removals(own(CLAIMS | machine))
    assert (going.key.kind, going.carries) == ("machine", 2)
    assert [prune.exceeds([going], text, 4) for text in ("1", "0", "75%", "50%", None)] == [False, True, False, True, False]
    absent = make_step("machine", None, name="web", state="absent")
    absent.item = Item(Key("machine", "hyp", "web"), absent.item.arguments, Place("x"))
    assert [step.item.machine for step in removals(own(CLAIMS), absent)] == [None]


class FakeMachine:
    """Has rules."""

    bare = f"{UUID}@example.org"

    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    async def rules(self) -> tuple[Rule, ...]:
        return self._rules


def rule(subject: str, right: str, effect: str = "allow") -> Rule:
    return Rule(entity=FakeMachine.bare, subject=subject, right=right, effect=effect, scope="entity", expires="never")


def plan(machine: FakeMachine, *claims: str) -> list[Step]:
    steps = removals(own({("grant", f"{UUID}/{claim}"): "course" for claim in claims}, machine))

    async def read() -> None:
        await prune.read_removals(steps)
        await prune.keep_last_rights(steps)

    asyncio.run(read())
    return steps


def test_only_the_rule_of_the_same_effect_goes_and_what_is_gone_is_let_go_of() -> None:
    machine = FakeMachine(rule(BOB, "info"), rule(BOB, "info", "deny"), rule(BOB, "vnc"))
    there, gone = plan(machine, f"{BOB}/info", f"{EVE}/info")
    assert [name.partition(" ")[0] for name in there.before] == ["allow"]
    assert (there.action, there.after, prune.will_go(there)) == ("remove", {}, True)
    assert (gone.action, gone.releases, gone.reason, prune.will_go(gone)) == ("forget", "course", prune.IS_GONE, False)
    assert gone.row() | {"keys": ["owner"], "before": {"owner": "course"}, "after": {"owner": None}} == gone.row()


def test_the_last_one_with_all_rights_keeps_them_and_so_does_who_asks() -> None:
    both = FakeMachine(rule(BOB, "all"), rule(EVE, "all"), rule(ADMIN, "info"))
    [one] = plan(both, f"{BOB}/all")
    assert not one.stopped
    assert {step.because for step in plan(both, f"{BOB}/all", f"{EVE}/all")} == {"nobody else would have all rights there"}
    [own_right] = plan(both, f"{ADMIN}/info")
    assert own_right.because == "they are rights of the account that prunes"


def test_whose_right_stays_with_who_asks_is_no_reason_for_others_to_keep_theirs() -> None:
    steps = plan(FakeMachine(rule(BOB, "all"), rule(ADMIN, "all")), f"{BOB}/all", f"{ADMIN}/all")
    assert {step.key.name: step.because for step in steps} == {
        f"web: {BOB}: all": None,
        f"web: {ADMIN}: all": "they are rights of the account that prunes",
    }


def test_rights_of_who_asks_stay_however_somebody_spelt_the_account() -> None:
    [own_right] = plan(FakeMachine(rule(ADMIN, "all"), rule(EVE, "all")), "Admin@Example.ORG/all")
    assert own_right.because == "they are rights of the account that prunes"
