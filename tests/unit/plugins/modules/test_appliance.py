# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL
from tests.unit.plugins.modules.test_appliance_feed import ITEM, OFFER, URL, expect, feed, script, sent
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

OTHER = "33333333-3333-4333-8333-333333333333"
HAD = f"<appliance name='web' uuid='{ITEM}' path='/casts/web.xvm2' sha256='ab' description='d'/>"


def test_an_appliance_goes(wire: Wire) -> None:
    script(wire, had=(HAD, ""))
    expect(wire, HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, f"uuid='{ITEM}' action='deleteappliance'")
    assert wire.run("appliance", name="web", state="absent")["changed"]
    assert len(sent(wire)) == 1


@pytest.mark.parametrize("name", ["web", ITEM])
@pytest.mark.parametrize("arguments", [{}, {"machine": "web", "state": "installed"}])
def test_check_mode_tells_what_would_be_downloaded_or_installed(name: str, arguments: dict[str, Any], wire: Wire) -> None:
    script(wire, feeds=(feed(OFFER),))
    wire.hypervisor("get", "<archipel action='rostervm'/>", f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    wire.machine("get", "<archipel action='get'/>", f"<appliance name='web' uuid='{ITEM}' status='none'/>", namespace=ns.VM_VMCASTING)
    answer = wire.run("appliance", check=True, name=name, **arguments)
    assert (answer["changed"], answer["appliance"]["uuid"]) == (True, ITEM)
    assert sent(wire) == []


def test_a_machine_lets_its_appliance_go(wire: Wire) -> None:
    script(wire, had=(HAD,))
    wire.hypervisor("get", "<archipel action='rostervm'/>", f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    states = [f"<appliance name='web' uuid='{ITEM}' status='{status}'/>" for status in ("installed", "none")]
    wire.machine("get", "<archipel action='get'/>", *states, namespace=ns.VM_VMCASTING)
    iq = expect(wire, MACHINE_FULL, ns.VM_VMCASTING, "action='detach'")
    assert wire.run("appliance", name="web", machine="web", state="released")["changed"]
    wire.assert_asked(iq)


@pytest.mark.parametrize(
    "feeds, had, message",
    [
        (feed(problem="problem='it answered 404'"), "", f"web: no feed offers it ({URL}: it answered 404)"),
        (feed(OFFER, OFFER.replace(ITEM, OTHER)), "", f"several are called so: give the UUID of one: {ITEM}, {OTHER}"),
        ("", HAD + HAD.replace(ITEM, OTHER), f"there are 2 appliances of that name: give the UUID of one: {ITEM}, {OTHER}"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_an_appliance_that_is_not_known_or_not_the_only_one_is_told(feeds: str, had: str, message: str, check: bool, wire: Wire) -> None:
    script(wire, feeds=(feeds,), had=(had,))
    assert message in wire.run("appliance", check=check, name="web")["msg"]


def test_a_machine_of_another_appliance_is_left_alone(wire: Wire) -> None:
    script(wire, had=(HAD,))
    wire.hypervisor("get", "<archipel action='rostervm'/>", f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    wire.machine(
        "get", "<archipel action='get'/>", f"<appliance name='mail' uuid='{OTHER}' status='installed'/>", namespace=ns.VM_VMCASTING
    )
    answer = wire.run("appliance", check=True, name="web", machine="web", state="installed")
    assert "the machine was made of the appliance mail: release that first" in answer["msg"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"machine": "web"}, "machine: goes with state: installed or released"),
        ({"state": "installed"}, "state is installed but all of the following are missing: machine"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], message: str, wire: Wire) -> None:
    assert message in wire.run("appliance", name="web", **arguments)["msg"]
    assert wire.streams == []
