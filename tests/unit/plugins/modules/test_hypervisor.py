# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import evacuation

from archipel.client import WaitTimedOut
from archipel.protocol import namespaces as ns
from archipel.protocol.events import TAGS_NODE
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, PUBSUB, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

SECOND = "second@example.org/host2"
THIRD = "third@example.org/host3"
LIST = "<archipel action='rostervm'/>"
OTHER = "6f0c0000-0000-4000-8000-000000000002"
WEB = f"<item managed='True' name='web'>{MACHINE_FULL}</item>"
LEGACY = f"<item managed='False' name='legacy'>{OTHER}@example.org</item>"
FROM = f"evacuated-from:{HYPERVISOR}"


def info(state: int = 1, hypervisor: str = HYPERVISOR_FULL) -> str:
    return f"<info state='{state}' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='{hypervisor}' autostart='0'/>"


def tags(**words: str) -> str:
    found = {"machine": MACHINE, "hypervisor": HYPERVISOR}
    items = "".join(
        f"<item id='{found[name]}'><tag xmlns='{ns.TAGS}' jid='{found[name]}' tags='{text}'/></item>" for name, text in words.items()
    )
    return f"<pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'>{items}</items></pubsub>"


def script_tags(wire: Wire, *answers: str) -> None:
    asked = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'/></pubsub></iq>"
    wire.script.append((asked, answers))


def set_tags(jid: str, *words: str) -> str:
    return command("set", jid, ns.TAGS, f"<archipel tags='{';;'.join(words)}' action='settags'/>")


def expect_tags(wire: Wire, jid: str, *words: str) -> str:
    iq = set_tags(jid, *words)
    wire.script.append((iq, (f"<query xmlns='{ns.TAGS}'/>",)))
    return iq


def manage(action: str) -> str:
    jid = f"{OTHER}@example.org" if action == "manage" else MACHINE
    return f"<archipel action='{action}'><item jid='{jid}'/></archipel>"


# -- which domains are managed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [{}, {"machines": ["leg*"]}, {"machine": OTHER}, {"machines": ["*"], "exclude": ["w?b"]}])
def test_domains_are_taken_in(chosen: dict[str, Any], wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB + LEGACY, WEB + LEGACY.replace("False", "True"))
    wire.hypervisor("set", manage("manage"))
    predicted = wire.run("hypervisor", check=True, state="adopted", **chosen)
    wire.assert_asked()
    answer = wire.run("hypervisor", state="adopted", **chosen)
    assert answer["changed"]
    assert predicted["diff"] == answer["diff"]
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, manage("manage")))


@pytest.mark.parametrize("chosen", [{"machine": "web"}, {"exclude": ["legacy"]}, {"machines": ["nothing-*"]}])
def test_what_is_managed_is_left_alone(chosen: dict[str, Any], wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB + LEGACY)
    assert not wire.run("hypervisor", state="adopted", **chosen)["changed"]
    wire.assert_asked()


def test_machines_are_let_go(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB + LEGACY, WEB.replace("True", "False") + LEGACY)
    wire.hypervisor("set", manage("unmanage"))
    answer = wire.run("hypervisor", state="unmanaged", machines=["*"])
    assert (answer["changed"], answer["hypervisor"]["managed"]) == (True, [])
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, manage("unmanage")))


def test_a_name_that_is_none_is_told(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    assert wire.run("hypervisor", state="adopted", machine="lgeacy")["msg"] == f"machines: {HYPERVISOR} has no machine or domain 'lgeacy'"


def test_the_tags_are_those_that_are_declared_and_what_maintenance_says(wire: Wire) -> None:
    script_tags(wire, tags(hypervisor="old;;maintenance"), tags(hypervisor="new;;maintenance"))
    iq = expect_tags(wire, HYPERVISOR_FULL, "new", "maintenance")
    answer = wire.run("hypervisor", tags=["new"])
    assert answer["hypervisor"]["tags"] == ["new"]
    wire.assert_asked(iq)


# -- maintenance --------------------------------------------------------------------------------------------------------


class Moves:
    """Stands in for the moves: where machines were sent, and what hinders them."""

    def __init__(self) -> None:
        self.to: list[str] = []
        self.error: Exception | None = None

    async def move(self, machine: Any, to: Any, _way: object) -> Any:
        self.to.append(to.bare)
        if self.error is not None:
            raise self.error
        return machine


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Moves:
    moves = Moves()
    monkeypatch.setattr(evacuation, "move", moves.move)
    return moves


def script_host(wire: Wire, state: int = 1) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.entity(SECOND, "get", ns.HYPERVISOR_CONTROL, LIST, WEB + LEGACY)
    wire.entity(THIRD, "get", ns.HYPERVISOR_CONTROL, LIST, LEGACY)
    wire.machine("get", "<archipel action='info'/>", info(state))


def test_machines_leave_for_the_hypervisor_with_the_fewest_and_it_is_remembered(wire: Wire, moves: Moves) -> None:
    script_host(wire)
    script_tags(wire, tags(machine="own"), tags(machine=f"own;;{FROM}", hypervisor="maintenance"))
    iqs = [expect_tags(wire, HYPERVISOR_FULL, "maintenance"), expect_tags(wire, MACHINE_FULL, "own", FROM)]
    declared = {"state": "maintenance", "destinations": [SECOND, THIRD]}
    predicted = wire.run("hypervisor", check=True, **declared)
    assert moves.to == []
    answer = wire.run("hypervisor", **declared)
    assert moves.to == ["third@example.org"]
    assert predicted["diff"] == answer["diff"]
    assert answer["hypervisor"]["machines"] == {"web": "third@example.org"}
    wire.assert_asked(*iqs)


def test_machines_that_are_off_stay(wire: Wire, moves: Moves) -> None:
    script_host(wire, state=5)
    script_tags(wire, tags(hypervisor="maintenance"))
    answer = wire.run("hypervisor", state="maintenance", destinations=[SECOND])
    assert (answer["changed"], answer["hypervisor"]["machines"], moves.to) == (False, {}, [])


def test_a_machine_that_cannot_move_is_named_and_not_remembered(wire: Wire, moves: Moves) -> None:
    script_host(wire)
    script_tags(wire, tags(machine="own"))
    moves.error = WaitTimedOut("it took too long")
    iqs = [
        expect_tags(wire, HYPERVISOR_FULL, "maintenance"),
        expect_tags(wire, MACHINE_FULL, "own", FROM),
        expect_tags(wire, MACHINE_FULL, "own"),
    ]
    answer = wire.run("hypervisor", state="maintenance", destinations=[SECOND])
    assert answer["msg"] == "1 of 1 machines are not where they shall be: web: it took too long"
    wire.assert_asked(*iqs)


@pytest.mark.parametrize("check", [False, True])
def test_machines_with_nowhere_to_go_are_told(check: bool, wire: Wire, moves: Moves) -> None:
    script_host(wire)
    script_tags(wire, tags())
    answer = wire.run("hypervisor", check=check, state="maintenance")
    assert "destinations: name hypervisors that take the machines" in answer["msg"]
    wire.assert_asked()


def test_machines_come_back_from_where_they_say_they_are(wire: Wire, moves: Moves) -> None:
    wire.hypervisor("get", LIST, "")
    script_tags(wire, tags(machine=f"own;;{FROM}", hypervisor="maintenance"), tags(machine="own"))
    wire.script.append(
        (f"<iq type='get' to='{MACHINE}'><vCard xmlns='{ns.VCARD}'/></iq>", (f"<vCard xmlns='{ns.VCARD}'><FN>web</FN></vCard>",))
    )
    wire.entity(MACHINE_FULL, "get", ns.VM_CONTROL, "<archipel action='info'/>", info(1, SECOND))
    iqs = [expect_tags(wire, MACHINE_FULL, "own"), expect_tags(wire, HYPERVISOR_FULL)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evacuation.VirtualMachine, "full_jid", at_home)
        answer = wire.run("hypervisor", state="active")
    assert moves.to == [HYPERVISOR]
    assert answer["hypervisor"] == {
        "jid": HYPERVISOR,
        "managed": None,
        "state": "active",
        "machines": {"web": HYPERVISOR},
        "tags": None,
    }
    wire.assert_asked(*iqs)


async def at_home(_machine: object) -> str:
    """Where a machine that only its account is known of is found: by presences, of which this wire has none."""
    return MACHINE_FULL


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "one of the following is required: state, tags"),
        ({"tags": [], "machines": ["a"]}, "machines: goes with state: adopted or unmanaged"),
        ({"state": "active", "exclude": ["a"]}, "exclude: goes with state: adopted or unmanaged"),
        ({"state": "active", "destinations": [SECOND]}, "destinations: goes with state: maintenance"),
        ({"state": "unmanaged"}, "machines: say which machines"),
        ({"state": "active", "at_once": 0}, "at_once: must be 1 or more"),
    ],
)
def test_what_contradicts_itself_is_refused(arguments: dict[str, Any], message: str, wire: Wire) -> None:
    assert message in wire.run("hypervisor", **arguments)["msg"]
    assert wire.streams == []
