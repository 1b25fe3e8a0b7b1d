# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of the founding platform is whole, each row of it is shown by a test, and the pages made of it are up to date."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archipel.agent.chat import Phrase
from archipel.agent.config import parse_settings
from archipel.agent.founding_options import WITHOUT_EFFECT
from archipel.agent.plugins import declared_settings
from archipel.protocol.rights import EntityKind
from tests.conformance.agent import Agent, words_of
from tests.conformance.evidence import Evidence, shows
from tests.conformance.inventory import ROWS
from tests.conformance.page import count, render_page
from tests.conformance.protocol_page import EVENT_PARTS, PARTS, fill_in
from tests.conformance.row import CENTRAL, HYPERVISOR, MACHINE, Kind, Row, action, option, presence, pushes, tokens, tool
from tests.conformance.verdict import State, Verdict, actions_without_row, is_marked_new, judge, judge_all
from tests.wire.action import Action

COMMAND = "run: python -m tests.conformance"
AGENT = Agent()
ALWAYS = {"DEFAULT": {"xmpp_server": "lab.example"}, "HYPERVISOR": {"hypervisor_xmpp_password": "hunter2"}}
EVERYBODY_HAS = {"permission_get"}


def rows_there(kind: Kind) -> list[object]:
    """The rows of a kind that are there today, by their ids."""
    found = [row for row in ROWS if row.kind is kind and not row.dropped and AGENT.has(row)]
    return [pytest.param(row, id=row.id) for row in found if kind is not Kind.PHRASE or any(row.asks)]


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return Evidence(AGENT)


@pytest.fixture(scope="module")
def verdicts(evidence: Evidence) -> tuple[Verdict, ...]:
    return judge_all(AGENT, evidence)


# -- the pages ----------------------------------------------------------------------------------------------------------


def test_the_page_of_conformance_is_up_to_date(root: Path, verdicts: tuple[Verdict, ...]) -> None:
    assert (root / "docs" / "conformance.md").read_text() == render_page(AGENT, verdicts), COMMAND


def test_the_page_of_the_protocol_is_up_to_date(root: Path) -> None:
    text = (root / "docs" / "protocol.md").read_text()
    assert text == fill_in(text, AGENT), COMMAND
    assert {name: text.count(f"<!-- generated: {name} -->") for name in PARTS} == dict.fromkeys(PARTS, 1)


def test_the_page_of_events_is_up_to_date(root: Path) -> None:
    text = (root / "docs" / "events.md").read_text()
    assert text == fill_in(text, AGENT), COMMAND
    assert {name: text.count(f"<!-- generated: {name} -->") for name in EVENT_PARTS} == dict.fromkeys(EVENT_PARTS, 1)


# -- the rows -----------------------------------------------------------------------------------------------------------


def test_every_row_is_shown_by_a_test_that_exists(verdicts: tuple[Verdict, ...], evidence: Evidence) -> None:
    assert [found.row.id for found in verdicts if found.settled and not found.tests] == []
    assert [(found.row.id, test) for found in verdicts for test in found.tests if not evidence.exists(test)] == []


def test_a_row_says_one_thing_and_is_there_once() -> None:
    assert [name for name, times in Counter(row.id for row in ROWS).items() if times > 1] == []
    assert [row.id for row in ROWS if sum(map(bool, (row.better, row.different, row.dropped))) > 1] == []


def test_every_action_is_a_founding_one_or_marked_as_new() -> None:
    """What is new has a namespace of its own, or its request's docstring says: New here."""
    assert [key for key in actions_without_row(AGENT) if not is_marked_new(AGENT, key)] == []


def test_nothing_that_was_dropped_is_there() -> None:
    assert [
        row.id for row in ROWS if row.dropped and row.kind in {Kind.ACTION, Kind.PUSH, Kind.TOKEN, Kind.OPTION} and AGENT.has(row)
    ] == []


@pytest.mark.parametrize(
    "kind, served, number",
    [
        (Kind.ACTION, ("archipel:permissions", "archipel:subscription", "archipel:tags", "archipel:avatar", "archipel:roster"), 11),
        (Kind.ACTION, ("archipel:hypervisor:control",), 12),
        (Kind.ACTION, ("archipel:vm:control", "archipel:vm:definition"), 18),
        (Kind.ACTION, ("archipel:entity:scheduler", "archipel:hypervisor:geolocalization", "archipel:hypervisor:health"), 8),
        (Kind.ACTION, ("archipel:hypervisor:network", "archipel:hypervisor:nuage:network"), 14),
        (Kind.ACTION, ("archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"), 12),
        (Kind.ACTION, ("archipel:hypervisor:vmparking", "archipel:vm:vmparking"), 8),  # and what clients call one of them
        (Kind.ACTION, ("archipel:vm:oom", "archipel:vm:disk", "archipel:virtualmachine:snapshoting", "archipel:virtualmachine:vnc"), 16),
        (Kind.ACTION, ("archipel:xmppserver:users", "archipel:xmppserver:groups"), 11),
        (Kind.ACTION, ("archipel:centralagent", "archipel:centralagent:platform"), 11),
        (Kind.PUSH, ("hypervisor", "permissions", "subscription", "virtualmachine:control", "virtualmachine:definition"), 21),
    ],
)
def test_all_that_the_founders_had_is_there(kind: Kind, served: tuple[str, ...], number: int) -> None:
    assert len([row for row in ROWS if row.kind is kind and row.place in served]) == number


def test_all_rights_of_the_founders_are_there() -> None:
    """Those of every entity, of hypervisors and machines, as they were made; five were only asked for, two were dead."""
    names = {kind: {row.name for row in ROWS if row.kind is Kind.TOKEN and kind in row.on} for kind in (HYPERVISOR, MACHINE, CENTRAL)}
    assert len(names[HYPERVISOR]) == 63 + len({"vmparking_updatexml", "sendfiles"})
    assert len(names[MACHINE]) == 63 + len(
        {"roster", "sendfiles", "drives_getgolden", "drives_setgolden", "network_getnics", "network_getnwfilters"}
    )
    assert len(names[CENTRAL]) == 11 - len({"xmppserver_users_list", "xmppserver_users_filter", "xmppserver_users_number"})


# -- what is tried for all rows of a kind ---------------------------------------------------------------------------------


@pytest.mark.parametrize("row", rows_there(Kind.PHRASE))
def test_a_founding_phrase_asks_for_its_action(row: Row) -> None:
    """Of all phrases that fit what the founders' people said, the longest is one for the action that they meant."""
    [kind] = row.on
    words = row.says.split()
    fitting = [
        (len(words_of(said.template)), said.command)
        for said in AGENT.phrases
        if said.kind == kind and (Phrase.parse(said.template).match(words) is not None)
    ]
    longest = max(size for size, _command in fitting)
    assert {(found.request.namespace, found.request.action) for size, found in fitting if size == longest} == {row.asks}


@pytest.mark.parametrize("row", rows_there(Kind.TOKEN))
def test_a_founding_right_guards_its_action(row: Row) -> None:
    """It can be granted, means something, is nobody's without a grant, and guards the action that it is named for."""
    for kind in row.on:
        token = AGENT.rights.find(EntityKind(kind), row.name)
        assert token is not None
        assert token.description
        assert token.default == (row.name in EVERYBODY_HAS)
        guarded = [name for _kind, _namespace, name in AGENT.guarded(kind, row.name)]
        assert not guarded or any(name in row.name or row.name in name for name in guarded), guarded


@pytest.mark.parametrize("row", rows_there(Kind.OPTION))
def test_a_founding_option_is_read(row: Row) -> None:
    """A file that says what the founders' file said is taken without a remark."""
    assert warnings_of(row) == []


WITHOUT = [row for row in ROWS if (row.place, row.name) in WITHOUT_EFFECT and not AGENT.has(row)]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in WITHOUT])
def test_a_founding_option_without_effect_is_accepted_and_told(row: Row) -> None:
    [warning] = warnings_of(row)
    assert WITHOUT_EFFECT[row.place, row.name] in warning


def warnings_of(row: Row) -> list[str]:
    """What is said of an option with the value that it had with the founders."""
    sections = {name: dict(options) for name, options in ALWAYS.items()}
    sections.setdefault(row.place, {})[row.name] = row.says.replace("%(archipel_general_uuid)s", "5a5d23ef-0b0e-4a3c-8b5a-04a0c9b7c2f1")
    text = "".join(f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in found.items()) for name, found in sections.items())
    found = parse_settings(text, hostname="host1", capabilities=declared_settings())
    return [str(warning) for warning in found.warnings if row.name in str(warning)]


# -- the state of a row is told by what is there --------------------------------------------------------------------------

NOWHERE = "archipel:no:such:thing"


@pytest.mark.parametrize(
    "row, state",
    [
        (action("archipel:vm:control", "info", (MACHINE,), ""), State.WORKS),
        (action("archipel:vm:control", "info", (MACHINE,), "", better="more"), State.BETTER),
        (action("archipel:vm:control", "info", (MACHINE,), "", different="other"), State.DIFFERENT),
        (action("archipel:vm:control", "info", (HYPERVISOR, MACHINE), ""), State.NOT_YET),
        (action(NOWHERE, "info", (MACHINE,), "", better="more"), State.NOT_YET),
        (action(NOWHERE, "info", (MACHINE,), "", central=True), State.CENTRAL),
        (action(NOWHERE, "info", (MACHINE,), "", dropped="never"), State.DIFFERENT),
        (pushes("virtualmachine:control", "created")[0], State.WORKS),
        (pushes("virtualmachine:control", "nothing of the kind")[0], State.NOT_YET),
        (pushes("nothing:of:the:kind", "created")[0], State.NOT_YET),
        (tokens((MACHINE,), "info")[0], State.WORKS),
        (tokens((HYPERVISOR,), "info")[0], State.NOT_YET),
        (tokens((CENTRAL,), "info", central=True)[0], State.CENTRAL),
        (option("GLOBAL", "libvirt_uri", ""), State.WORKS),
        (option("LOGGING", "logging_max_bytes", ""), State.DIFFERENT),
        (option("NO SUCH SECTION", "libvirt_uri", ""), State.NOT_YET),
        (presence(MACHINE, "Running", ""), State.WORKS),
        (presence(MACHINE, "Nobody shows this", ""), State.NOT_YET),
        (tool("", "", "", needs="archipel platform init"), State.WORKS),
        (tool("", "", "", needs="archipel platform demolish"), State.NOT_YET),
        (tool("", "", "", needs="archipel ls --demolish"), State.NOT_YET),
        (tool("", "", "", needs="archipel-agent"), State.WORKS),
        (tool("", "", "", needs="roles/nowhere"), State.NOT_YET),
    ],
)
def test_the_state_of_a_row_is_told_by_what_is_there(evidence: Evidence, row: Row, state: State) -> None:
    assert judge(AGENT, evidence, row).state is state


@pytest.mark.parametrize(
    "more, shown",
    [
        ({"answer": "<domain id='*'/>"}, True),
        ({"answer": "", "effect": bool}, True),
        ({"answer": ""}, False),
        ({"answer": None}, False),
        ({"answer": "<domain/>", "refusal": (-1, "conflict")}, False),
        ({"answer": "<domain/>", "unsupported": True}, False),
    ],
)
def test_an_action_is_shown_by_what_it_answers_or_does(more: dict[str, Any], shown: bool) -> None:
    assert shows(Action(MACHINE, NOWHERE, "info", "info", -1, **more)) is shown


def test_a_test_that_was_renamed_does_not_exist(evidence: Evidence) -> None:
    here = "tests/unit/test_conformance.py"
    assert evidence.exists(f"{here}::test_a_test_that_was_renamed_does_not_exist")
    assert not evidence.exists(f"{here}::test_of_another_name")
    assert not evidence.exists("tests/unit/test_documentation.py::test_every_exit_code_is_explained[x]")


def test_nothing_of_the_founders_is_missing(verdicts: tuple[Verdict, ...]) -> None:
    assert count(verdicts, State.NOT_YET) == 0
