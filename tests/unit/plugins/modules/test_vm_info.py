# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import MACHINE, MACHINE_FULL, UUID, no_right
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

LISTED = f"<item managed='True' name='web'>{MACHINE_FULL}</item><item managed='False' name='legacy'>{MACHINE}</item>"
INFO = "<info state='1' maxMem='131072' memory='65536' nrVirtCpu='2' hypervisor='hyp@example.org/host' autostart='1'/>"
WEB = {
    "name": "web",
    "uuid": UUID,
    "jid": MACHINE,
    "state": "running",
    "memory": 64,
    "max_memory": 128,
    "vcpus": 2,
    "autostart": True,
}


@pytest.fixture
def machines(wire: Wire) -> Wire:
    wire.hypervisor("get", "<archipel action='rostervm'/>", LISTED)
    wire.machine("get", "<archipel action='info'/>", INFO)
    return wire


def test_a_machine_tells_how_it_is_and_nothing_that_nobody_asked_for(machines: Wire) -> None:
    answer = machines.run("vm_info", gather=[])
    assert answer["machines"] == [WEB]
    assert not answer["changed"]
    machines.assert_asked()


@pytest.mark.parametrize("wanted, found", [(["running", "paused"], [WEB]), (["off"], [])])
def test_machines_are_chosen_by_their_states(wanted: list[str], found: list[object], machines: Wire) -> None:
    assert machines.run("vm_info", gather=[], states=wanted)["machines"] == found


@pytest.mark.parametrize("names, found", [(["web"], [WEB]), ([UUID], [WEB]), ([], [])])
def test_machines_are_chosen_by_name_or_uuid(names: list[str], found: list[object], machines: Wire) -> None:
    assert machines.run("vm_info", gather=[], names=names)["machines"] == found


def test_a_roster_is_told_if_it_is_wanted(machines: Wire) -> None:
    machines.entity(MACHINE_FULL, "get", ns.ROSTER, "<archipel action='getroster'/>", "<item jid='bob@example.org' subscription='both'/>")
    (found,) = machines.run("vm_info", check=True, gather=["roster"])["machines"]
    assert found["roster"] == [{"jid": "bob@example.org", "subscription": "both"}]


def test_a_machine_that_may_not_be_seen_is_a_failure_with_the_missing_right(wire: Wire) -> None:
    wire.hypervisor("get", "<archipel action='rostervm'/>", LISTED)
    wire.machine("get", "<archipel action='info'/>", no_right("info"))
    answer = wire.run("vm_info", gather=[])
    assert (answer["failed"], answer["missing_right"], answer["condition"]) == (True, "info", "forbidden")
