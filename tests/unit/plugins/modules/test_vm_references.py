# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that names what is not there is refused before anything changes, in check mode with the words of the real run."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, no_right
from tests.unit.plugins.modules.test_vm import INFO, LIST, OFF, OTHER, RUNNING, STORED, WEB, definition, info
from tests.unit.plugins.modules.test_vm_drives import IMAGE
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

NOT_MADE = " (this is check mode: what an earlier task would make is not there)"
NETWORKS = "<archipel action='get'/>"
POOL = "<pool name='{}' uuid='u' type='dir' active='{}' persistent='1' autostart='1' capacity='1' allocation='1' available='1'/>"
VOLUME = "<volume name='data' path='/srv/lab/data' format='qcow2' capacity='1' allocation='1'/>"
WHOLE = (
    "<domain type='kvm'><memory>65536</memory><devices>"
    "<interface type='network'><source network='lab'/></interface>"
    "<interface type='network'><source network='gone'/></interface></devices></domain>"
)


def network(name: str) -> str:
    return f"<network autostart='1'><name>{name}</name><uuid>u-{name}</uuid></network>"


def script(wire: Wire, listed: str = OTHER) -> None:
    """A hypervisor with the networks lab and (not active) idle, the pools lab and (not active) idle, a volume and a golden image."""
    wire.hypervisor("get", LIST, listed)
    networks = f"<activedNetworks>{network('lab')}</activedNetworks><unactivedNetworks>{network('idle')}</unactivedNetworks>"
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_NETWORK, NETWORKS, networks)
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_STORAGE, "<archipel action='pools'/>", POOL.format("lab", 1) + POOL.format("idle", 0))
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_STORAGE, "<archipel pool='lab' action='volumes'/>", VOLUME)
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_GOLDEN, "<archipel action='get'/>", IMAGE)


MISSING: list[tuple[dict[str, Any], str]] = [
    (
        {"networks": [{"network": "lab"}, {"network": "gone"}]},
        f"networks[1].network: {HYPERVISOR} has no network 'gone'; there are idle, lab",
    ),
    (
        {"networks": [{"network": "idle"}]},
        f"networks[0].network: the network 'idle' of {HYPERVISOR} is not active: start it (archipel.platform.network, state: active)",
    ),
    ({"definition": WHOLE}, f"networks[1].network: {HYPERVISOR} has no network 'gone'; there are idle, lab"),
    (
        {"disks": [{"pool": "gone", "volume": "data"}]},
        f"disks[0].pool: {HYPERVISOR} has no storage pool 'gone'; there are idle, lab",
    ),
    (
        {"disks": [{"pool": "lab", "volume": "gone"}]},
        f"disks[0].volume: pool 'lab' of {HYPERVISOR} has no volume 'gone'; there are data",
    ),
    (
        {"drives": [{"name": "system", "size": "4 MiB", "golden": "gone"}]},
        f"drives[0].golden: {HYPERVISOR} has no golden image 'gone.qcow2'; there are debian.qcow2",
    ),
]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("arguments, words", MISSING)
def test_what_is_not_there_is_named_before_anything_changes(arguments: dict[str, Any], words: str, check: bool, wire: Wire) -> None:
    script(wire)
    own = {"domain_type": "kvm", "memory": 64} if "definition" not in arguments else {}
    answer = wire.run("vm", check=check, name="web", state="running", **own, **arguments)
    assert (answer["failed"], answer["msg"]) == (True, f"web: {words}{NOT_MADE if check else ''}")
    wire.assert_asked()


@pytest.mark.parametrize("check", [True, False])
def test_all_that_is_missing_is_told_at_once(check: bool, wire: Wire) -> None:
    script(wire)
    disks = [{"pool": "gone", "volume": "data"}]
    answer = wire.run("vm", check=check, name="web", state="paused", domain_type="kvm", networks=[{"network": "none"}], disks=disks)
    assert "networks[0].network: " in answer["msg"]
    assert "disks[0].pool: " in answer["msg"]


@pytest.mark.parametrize("check", [True, False])
def test_a_machine_that_is_there_and_off_is_not_started_either(check: bool, wire: Wire) -> None:
    script(wire, WEB)
    wire.machine("get", INFO, info(OFF))
    stored = definition().replace("</domain>", "<devices><interface type='network'><source network='gone'/></interface></devices></domain>")
    wire.machine("get", STORED, stored)
    answer = wire.run("vm", check=check, name="web", state="running", memory=64)
    assert "has no network 'gone'" in answer["msg"]
    wire.assert_asked()


def test_a_machine_that_runs_already_is_not_asked_about(wire: Wire) -> None:
    wire.hypervisor("get", LIST, WEB)
    wire.machine("get", INFO, info(RUNNING))
    assert not wire.run("vm", name="web", state="running")["changed"]
    assert len(wire.asked) == 2


def test_a_definition_that_is_only_stored_may_name_what_comes_later(wire: Wire) -> None:
    wire.hypervisor("get", LIST, OTHER)
    assert wire.run("vm", check=True, name="web", domain_type="kvm", networks=[{"network": "gone"}])["changed"]


def test_what_this_account_may_not_list_is_not_told_as_missing(wire: Wire) -> None:
    wire.hypervisor("get", LIST, OTHER)
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_NETWORK, NETWORKS, no_right("network_get"))
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_STORAGE, "<archipel action='pools'/>", no_right("storage_pools"))
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_GOLDEN, "<archipel action='get'/>", no_right("golden_images"))
    drives = [{"name": "system", "size": "4 MiB", "golden": "gone"}]
    answer = wire.run("vm", check=True, name="web", state="running", domain_type="kvm", networks=[{"network": "gone"}], drives=drives)
    assert answer["changed"]
