# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import MACHINE_FULL, error, no_right
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

ASK = "<archipel action='info'/>"
SYSTEM = "<guest hostname='web' os='debian'><interface name='lo' mac=''><address address='127.0.0.1' prefix='8'/></interface></guest>"


@pytest.fixture
def web(wire: Wire) -> Wire:
    """A script in which the hypervisor has one machine."""
    wire.hypervisor("get", "<archipel action='rostervm'/>", f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    return wire


def test_what_a_guest_says_is_told_in_the_modules_words(web: Wire) -> None:
    web.machine("get", ASK, SYSTEM, namespace=ns.VM_GUEST)
    answer = web.run("vm_guest_info", machine="web")
    [guest] = answer["guests"]
    assert (guest["name"], guest["system"]["hostname"], guest["system"]["kernel"]) == ("web", "web", None)
    assert guest["interfaces"] == [{"name": "lo", "mac": "", "addresses": [{"address": "127.0.0.1", "prefix": 8}]}]
    assert not answer["changed"]
    web.assert_asked()


def test_only_what_is_wanted_is_asked_for(web: Wire) -> None:
    web.machine("get", "<archipel action='clock'/>", "<time seconds='100' offset='-9.5'/>", namespace=ns.VM_GUEST)
    answer = web.run("vm_guest_info", check=True, machine="web", gather=["clock"])
    assert answer["guests"] == [{"name": "web", "jid": MACHINE_FULL.partition("/")[0], "clock_offset": -9.5}]


def test_who_may_not_look_inside_is_told_the_missing_right(web: Wire) -> None:
    web.machine("get", ASK, no_right("guest_info"), namespace=ns.VM_GUEST)
    answer = web.run("vm_guest_info", machine="web")
    assert (answer["failed"], answer["missing_right"]) == (True, "guest_info")


def test_a_guest_without_an_agent_is_a_failure_with_its_reason(web: Wire) -> None:
    reason = f"<text xmlns='{ns.STANZAS}'>the guest agent does not answer</text>"
    web.machine("get", ASK, error("service-unavailable", reason), namespace=ns.VM_GUEST)
    answer = web.run("vm_guest_info", machine="web")
    assert answer["failed"]
    assert "the guest agent does not answer" in answer["msg"]
