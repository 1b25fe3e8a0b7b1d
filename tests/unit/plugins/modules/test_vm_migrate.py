# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from archipel.client import migration
from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, OWN, PUBSUB, error
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

SECOND = "second@example.org"
SECOND_FULL = f"{SECOND}/host2"
THERE = f"{MACHINE}/second"
LIST = "<archipel action='rostervm'/>"
MIGRATE = f"<archipel hypervisorjid='{SECOND_FULL}' action='migrate'/>"
CANCEL = "<archipel action='cancel'/>"
AWAY = error("service-unavailable")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "LOOK_AGAIN", 0.001)


def info(state: int = 5, hypervisor: str = HYPERVISOR_FULL) -> str:
    return f"<info state='{state}' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='{hypervisor}' autostart='0'/>"


def script_events(wire: Wire, entity: str) -> None:
    node = f"/archipel/{entity}/events"
    owner = f"<x xmlns='{ns.DATA_FORMS}'><field var='pubsub#owner'><value>{entity}</value></field></x>"
    subscriptions = f"<pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{node}'/></pubsub>"
    subscribe = f"<pubsub xmlns='{ns.PUBSUB}'><subscribe node='{node}' jid='{OWN}'/></pubsub>"
    asked = f"<query xmlns='{ns.DISCO_INFO}' node='{node}'/>"
    wire.script += [
        (f"<iq type='get' to='{PUBSUB}'>{asked}</iq>", (f"<query xmlns='{ns.DISCO_INFO}'>{owner}</query>",)),
        (f"<iq type='get' to='{PUBSUB}'>{subscriptions}</iq>", (subscriptions,)),
        (f"<iq type='set' to='{PUBSUB}'>{subscribe}</iq>", ("",)),
    ]


def script(wire: Wire, *, here: str = "", there: str = "", state: int = 5, arrives: bool = True) -> None:
    wire.hypervisor("get", LIST, here)
    wire.entity(SECOND_FULL, "get", ns.HYPERVISOR_CONTROL, LIST, there)
    wire.machine("get", "<archipel action='info'/>", info(state))
    for entity in (MACHINE, HYPERVISOR):
        script_events(wire, entity)
    wire.machine("set", MIGRATE)
    wire.machine("set", CANCEL, namespace=ns.VM_MIGRATION)
    wire.entity(THERE, "get", ns.VM_CONTROL, "<archipel action='info'/>", AWAY, info(state, SECOND_FULL) if arrives else AWAY)


def listed(address: str, managed: bool = True) -> str:
    return f"<item managed='{managed}' name='web'>{address}</item>"


def migrate(wire: Wire, *, check: bool = False, **more: Any) -> dict[str, Any]:
    return wire.run("vm_migrate", check=check, machine="web", destination=SECOND_FULL, **more)


def sent(wire: Wire) -> list[str]:
    return [action for text in wire.asked for action in ("migrate", "cancel") if f'action="{action}"' in text]


def test_a_machine_moves_to_the_other_hypervisor(wire: Wire) -> None:
    script(wire, here=listed(MACHINE_FULL))
    predicted = migrate(wire, check=True)
    assert sent(wire) == []
    answer = migrate(wire)
    assert sent(wire) == ["migrate"]
    assert predicted["diff"] == answer["diff"]
    assert (answer["changed"], answer["machines"][0]["hypervisor"], answer["machines"][0]["state"]) == (True, SECOND, "off")


def test_a_machine_that_is_there_stays(wire: Wire) -> None:
    script(wire, there=listed(THERE))
    wire.script = [(iq, answers) for iq, answers in wire.script if THERE not in iq]
    wire.entity(THERE, "get", ns.VM_CONTROL, "<archipel action='info'/>", info(1, SECOND_FULL))
    answer = migrate(wire)
    assert (answer["changed"], answer["machines"][0]["moved"], answer["machines"][0]["state"]) == (False, False, "running")
    assert sent(wire) == []


@pytest.mark.parametrize("cancel", [True, False])
def test_a_machine_that_takes_too_long_is_called_off_if_that_is_said(cancel: bool, wire: Wire) -> None:
    script(wire, here=listed(MACHINE_FULL), arrives=False)
    answer = migrate(wire, migration_timeout=0.05, cancel_on_timeout=cancel)
    assert ("it was called off" if cancel else "it goes on") in answer["msg"]
    assert sent(wire) == (["migrate", "cancel"] if cancel else ["migrate"])


@pytest.mark.parametrize("here", ["", listed(MACHINE, managed=False)])
def test_a_machine_that_nobody_manages_is_told_with_both_hypervisors(here: str, wire: Wire) -> None:
    script(wire, here=here)
    answer = migrate(wire)
    assert answer["msg"] == f"neither {HYPERVISOR} nor {SECOND} manages a machine 'web'"


@pytest.mark.parametrize(
    "more, message",
    [
        ({"at_once": 0}, "at_once: must be 1 or more"),
        ({"migration_timeout": 0}, "migration_timeout: must be more than 0"),
        ({"destination": HYPERVISOR_FULL}, "name another hypervisor"),
    ],
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], message: str, wire: Wire) -> None:
    answer = wire.run("vm_migrate", **{"machine": "web", "destination": SECOND_FULL, **more})
    assert message in answer["msg"]


def test_a_running_machine_is_started_where_it_was_if_it_cannot_move_offline(wire: Wire) -> None:
    script(wire, here=listed(MACHINE_FULL))
    wire.script = [(iq, answers) for iq, answers in wire.script if "action='info'" not in iq and "migrate" not in iq]
    # looked at by the module, by the move, before and after the shutdown, and when it is started again
    wire.machine("get", "<archipel action='info'/>", *[info(1)] * 3, *[info(5)] * 4, info(1))
    wire.machine("set", "<archipel action='shutdown'/>")
    wire.machine("set", "<archipel action='create'/>", "<domain id='1'/>")
    wire.machine("set", MIGRATE, error("not-acceptable", f"<text xmlns='{ns.STANZAS}'>no room</text>"))
    answer = migrate(wire, offline=True)
    assert "no room" in answer["msg"]
    asked = [text for text in wire.asked if "shutdown" in text or "create" in text]
    assert ["shutdown" in text for text in asked] == [True, False]
