# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several machines are described by their hypervisor; where it does not, each is asked itself, and the result is the same."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, UUID, error, no_right
from tests.unit.plugins.modules.test_vm import INFO, LIST, OFF, RUNNING, STORED, WEB, definition, info
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

SECOND = "6f0c0000-0000-4000-8000-000000000002"
SECOND_FULL = f"{SECOND}@example.org/hyp"
BOTH = f"{WEB}<item managed='True' name='db'>{SECOND_FULL}</item>"
NAMED = f"<machine uuid='{UUID}'/><machine uuid='{SECOND}'/>"
NOT_KNOWN = error("feature-not-implemented", f"<archipel-error-generic xmlns='{ns.ERROR_GENERIC}'/>", code=501)
HIDDEN = error("forbidden", f"<archipel-error-permission xmlns='{ns.ERROR_PERMISSION}'/>", code=-1)
ROSTER = "<archipel action='getroster'/>"
ORGANISATION = "<organisation orgname='Lab'/>"


def expect_describe(wire: Wire, parts: str, answer: str, named: str = NAMED) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.DECLARATION, f"<archipel parts='{parts}' action='describe'>{named}</archipel>", answer)


def page(*machines: str) -> str:
    return f"<machines>{''.join(machines)}</machines>"


def described(uuid: str, name: str, online: int = 1, **parts: str) -> str:
    """A machine; a part that begins with a word is how it is not given."""
    told = "".join(
        f"<part name='{part}'>{inner}</part>" if inner.startswith("<") or not inner else f"<part name='{part}' {inner}/>"
        for part, inner in parts.items()
    )
    return f"<machine uuid='{uuid}' name='{name}' jid='{uuid}@example.org/hyp' online='{online}'>{told}</machine>"


def stored(name: str, uuid: str) -> str:
    return f"<stored>{definition().replace('web', name).replace(UUID, uuid)}</stored>"


def ask_machines(wire: Wire, *, both: bool = True) -> None:
    """What single questions are answered: the same as the description says."""
    for jid, uuid, name in ((MACHINE_FULL, UUID, "web"), (SECOND_FULL, SECOND, "db"))[: 2 if both else 1]:
        wire.entity(jid, "get", ns.VM_CONTROL, INFO, info(OFF))
        wire.entity(jid, "get", ns.VM_CONTROL, STORED, definition().replace("web", name).replace(UUID, uuid))


WANTED: dict[str, Any] = {"memory": 64, "machines": [{"name": "web"}, {"name": "db"}]}
WHOLE = page(
    described(UUID, "web", info=info(OFF), definition=stored("web", UUID)),
    described(SECOND, "db", info=info(OFF), definition=stored("db", SECOND)),
)


def test_many_machines_as_declared_are_one_question(wire: Wire) -> None:
    wire.hypervisor("get", LIST, BOTH)
    expect_describe(wire, "definition info", WHOLE)
    answer = wire.run("vm", **WANTED)
    assert (answer["changed"], [machine["name"] for machine in answer["machines"]]) == (False, ["web", "db"])
    assert [machine["state"] for machine in answer["machines"]] == ["off", "off"]
    assert len(wire.asked) == 2


@pytest.mark.parametrize("refusal", [NOT_KNOWN, HIDDEN], ids=["older agent", "older agent, no right to all"])
def test_an_older_agent_leads_to_the_same_result(wire: Wire, refusal: str) -> None:
    wire.hypervisor("get", LIST, BOTH)
    expect_describe(wire, "definition info", refusal)
    ask_machines(wire)
    slow = wire.run("vm", **WANTED)
    wire.script.clear()
    wire.hypervisor("get", LIST, BOTH)
    expect_describe(wire, "definition info", WHOLE)
    fast = wire.run("vm", **WANTED)
    assert slow == fast


@pytest.mark.parametrize(
    "web",
    [
        described(UUID, "web", info=info(OFF), definition="denied='xmldesc'"),
        described(UUID, "web", info="failed='disk on fire' code='38'", definition="failed='disk on fire' code='38'"),
        described(UUID, "web", online=0, info=info(OFF), definition=stored("web", UUID)),
        "",
    ],
    ids=["denied", "failed", "not online", "not known"],
)
def test_what_is_not_described_is_asked_of_the_machine(wire: Wire, web: str) -> None:
    wire.hypervisor("get", LIST, BOTH)
    expect_describe(wire, "definition info", page(web, described(SECOND, "db", info=info(OFF), definition=stored("db", SECOND))))
    ask_machines(wire, both=False)
    answer = wire.run("vm", **WANTED)
    assert (answer["changed"], [machine["state"] for machine in answer["machines"]]) == (False, ["off", "off"])
    assert len(wire.asked) == 4


def test_the_machine_itself_tells_which_right_is_missing(wire: Wire) -> None:
    wire.hypervisor("get", LIST, BOTH)
    denied = described(UUID, "web", info="denied='info'", definition="denied='xmldesc'")
    expect_describe(wire, "definition info", page(denied, described(SECOND, "db", info=info(OFF), definition=stored("db", SECOND))))
    wire.machine("get", INFO, no_right("info"))
    wire.machine("get", STORED, no_right("xmldesc"))
    answer = wire.run("vm", **WANTED)
    assert answer["failed"]
    assert "You lack the right info" in answer["msg"]
    assert [machine["name"] for machine in answer["machines"]] == ["db"]


def test_after_a_change_the_machine_is_read_anew(wire: Wire) -> None:
    """A description is of the past as soon as something was done."""
    wire.hypervisor("get", LIST, BOTH)
    expect_describe(wire, "info", page(described(UUID, "web", info=info(OFF)), described(SECOND, "db", info=info(RUNNING))))
    wire.machine("set", "<archipel action='create'/>", "<domain id='1'/>")
    wire.machine("get", INFO, info(RUNNING))
    answer = wire.run("vm", state="running", machines=[{"name": "web"}, {"name": "db"}])
    assert (answer["changed"], [machine["state"] for machine in answer["machines"]]) == (True, ["running", "running"])


def test_machines_that_go_or_come_are_not_described(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    answer = wire.run("vm", state="absent", machines=[{"name": "db"}, {"name": "other"}])
    assert (answer["changed"], len(wire.asked)) == (False, 1)


# -- vm_info ------------------------------------------------------------------------------------------------------------


def test_all_that_is_gathered_comes_in_one_answer(wire: Wire) -> None:
    wire.hypervisor("get", LIST, BOTH)
    contact = "<item jid='ada@example.org' subscription='both'/>"
    machines = (
        described(UUID, "web", info=info(OFF), definition=stored("web", UUID), roster=contact, organisation=ORGANISATION),
        described(SECOND, "db", info="", definition="", roster="", organisation=ORGANISATION),
    )
    expect_describe(wire, "info definition roster organisation", page(*machines))
    answer = wire.run("vm_info", gather=["definition", "roster", "organisation"])
    db, web = answer["machines"]
    assert (db["state"], db["definition"], db["roster"], db["organisation"]["orgname"]) == ("not defined", None, [], "Lab")
    assert (web["state"], web["roster"]) == ("off", [{"jid": "ada@example.org", "subscription": "both"}])
    assert "<name>web</name>" in web["definition"]
    assert len(wire.asked) == 2


def test_of_machines_in_another_state_no_more_is_asked(wire: Wire) -> None:
    wire.hypervisor("get", LIST, BOTH)
    expect_describe(wire, "info", page(described(UUID, "web", info=info(OFF)), described(SECOND, "db", info=info(RUNNING))))
    wire.machine("get", ROSTER, "", namespace=ns.ROSTER)
    answer = wire.run("vm_info", gather=["roster"], states=["off"])
    assert [(machine["name"], machine["roster"]) for machine in answer["machines"]] == [("web", [])]
    assert len(wire.asked) == 3


def test_of_many_machines_in_a_state_the_rest_is_one_question_again(wire: Wire) -> None:
    wire.hypervisor("get", LIST, BOTH)
    expect_describe(wire, "info", page(described(UUID, "web", info=info(OFF)), described(SECOND, "db", info=info(OFF))))
    expect_describe(wire, "roster", page(described(UUID, "web", roster=""), described(SECOND, "db", roster="")))
    answer = wire.run("vm_info", gather=["roster"], states=["off"])
    assert [machine["roster"] for machine in answer["machines"]] == [[], []]
    assert len(wire.asked) == 3


def test_a_part_that_is_denied_is_asked_of_the_machine_which_says_so(wire: Wire) -> None:
    wire.hypervisor("get", LIST, BOTH)
    machines = (described(UUID, "web", info=info(OFF), roster="denied='getroster'"), described(SECOND, "db", info="", roster=""))
    expect_describe(wire, "info roster", page(*machines))
    wire.machine("get", ROSTER, no_right("getroster"), namespace=ns.ROSTER)
    answer = wire.run("vm_info", gather=["roster"])
    assert answer["missing_right"] == "getroster"
