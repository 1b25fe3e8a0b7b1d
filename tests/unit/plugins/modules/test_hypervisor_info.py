# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, UUID
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

MACHINES = f"<item managed='True' name='web'>{MACHINE_FULL}</item><item managed='False' name='legacy'>{MACHINE}</item>"
WEB = {"name": "web", "uuid": UUID, "jid": MACHINE, "managed": True}
LEGACY = {"name": "legacy", "uuid": UUID, "jid": MACHINE, "managed": False}


@pytest.mark.parametrize("managed, listed", [(None, [LEGACY, WEB]), (True, [WEB]), (False, [LEGACY])])
def test_machines_are_listed_by_name_and_kind(managed: bool | None, listed: list[object], wire: Wire) -> None:
    wire.hypervisor("get", "<archipel action='rostervm'/>", MACHINES)
    answer = wire.run("hypervisor_info", gather=["machines"], managed=managed)
    assert answer["hypervisor"] == {"jid": HYPERVISOR, "full_jid": HYPERVISOR_FULL, "machines": listed}
    assert not answer["changed"]


def test_only_what_is_wanted_is_asked_and_each_part_once(wire: Wire) -> None:
    wire.hypervisor("get", "<archipel action='ip'/>", "<ip>192.0.2.1</ip>")
    answer = wire.run("hypervisor_info", gather=["address", "address"])
    assert answer["hypervisor"]["address"] == "192.0.2.1"
    assert len(wire.asked) == 1


def test_capabilities_are_told_in_short_and_whole(wire: Wire) -> None:
    capabilities = (
        "<capabilities><host><cpu><arch>x86_64</arch></cpu></host>"
        "<guest><os_type>hvm</os_type><arch name='x86_64'><domain type='kvm'/></arch></guest></capabilities>"
    )
    wire.hypervisor("get", "<archipel action='capabilities'/>", capabilities)
    found = wire.run("hypervisor_info", gather=["capabilities"])["hypervisor"]["capabilities"]
    assert (found["architecture"], found["domain_types"]) == ("x86_64", ["kvm"])
    assert "<arch>x86_64</arch>" in found["xml"]


def test_nothing_wanted_is_nothing_asked_and_check_mode_asks_the_same(wire: Wire) -> None:
    assert wire.run("hypervisor_info", check=True, gather=[])["hypervisor"] == {"jid": HYPERVISOR, "full_jid": HYPERVISOR_FULL}
    assert wire.asked == []
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_CONTROL, "<archipel action='ip'/>", "<ip>192.0.2.1</ip>")
    assert wire.run("hypervisor_info", check=True, gather=["address"])["hypervisor"]["address"] == "192.0.2.1"
