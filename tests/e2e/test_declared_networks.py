# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks, filters, pools and volumes declared on a real libvirt: what its test driver has not, or only pretends."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
import yaml

from testbed.demo.virtualization import PrivateLibvirt, connect
from tests.integration.collection import test_scenarios
from tests.integration.collection.platform import Platform
from tests.integration.collection.playbook import Ansible, Task, read_tasks
from tests.integration.collection.test_descriptions import KINDS, describe
from tests.plugin_documentation import read_documentation

from ansible_collections.archipel.platform.plugins.module_utils import nwfilter  # isort: skip - importable after test_descriptions

SCENARIOS = Path(test_scenarios.__file__).parent / "scenarios"
LAB: dict[str, Any] = {"name": "lab", "bridge": {"name": "virbr-lab"}}
RANGE = {"start": "10.77.0.100", "end": "10.77.0.199"}
WEB = {"mac": "52:54:00:77:00:0a", "name": "web", "ip": "10.77.0.10"}
GUEST = """<domain type='qemu'><name>plugged</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>
  <devices><interface type='network'><source network='lab'/>{filter}</interface></devices></domain>"""
FILTERED = "<filterref filter='no-mail'/>"


@pytest.fixture
def ansible(platform: Platform, root: Path, tmp_path: Path) -> Iterator[Ansible]:
    yield Ansible(root, tmp_path, platform.environment())
    platform.clear()


@pytest.fixture
def plugged(daemon: PrivateLibvirt) -> Iterator[libvirt.virDomain]:
    """A machine that runs on the network, with a filter on its card."""
    with connect(daemon.uri) as connection:
        domain = connection.createXML(GUEST.format(filter=FILTERED))
        yield domain
        domain.destroy()


def address(**more: Any) -> list[dict[str, Any]]:
    return [{"address": "10.77.0.1", "prefix": 24, **more}]


def task(module: str, **options: Any) -> Task:
    return {"name": module, f"archipel.platform.{module}": options}


def configuration_of(daemon: PrivateLibvirt, name: str) -> str:
    """Return what dnsmasq of the network was told, and the process that was told it."""
    folder = daemon.folder / "var/lib/libvirt/dnsmasq"
    return "".join((folder / f"{name}.{part}").read_text() for part in ("conf", "hostsfile") if (folder / f"{name}.{part}").exists())


def test_filters_are_declared_as_the_examples_say(ansible: Ansible, root: Path) -> None:
    for outcome in ansible.run_thrice(yaml.safe_load(read_documentation(root, "nwfilter").examples)):
        outcome.assert_truthful()


def test_filters_are_declared_as_the_scenario_says(ansible: Ansible) -> None:
    for outcome in ansible.run_thrice(read_tasks(SCENARIOS / "nwfilter.yml")):
        outcome.assert_truthful()


def test_a_network_that_runs_gives_other_addresses_away_at_once(ansible: Ansible, daemon: PrivateLibvirt) -> None:
    made, changed = ansible.run_thrice(
        [
            task("network", **LAB, state="active", ips=address(dhcp_ranges=[RANGE])),
            task("network", **LAB, ips=address(dhcp_ranges=[{**RANGE, "end": "10.77.0.150"}], dhcp_hosts=[WEB])),
        ]
    )
    for outcome in (made, changed):
        outcome.assert_truthful()
        assert outcome.first["changed"]
    assert not changed.first["needs_restart"]
    written = configuration_of(daemon, "lab")
    assert "10.77.0.100,10.77.0.150" in written
    assert "52:54:00:77:00:0a,10.77.0.10,web" in written


def test_what_cannot_change_waits_until_the_network_is_started_anew(ansible: Ansible) -> None:
    network = {**LAB, "ips": address()}
    _made, waiting, restarted = ansible.run_thrice(
        [
            task("network", **network, state="active", forward={"mode": "nat"}),
            task("network", **network, forward={"mode": "route"}),
            task("network", **network, forward={"mode": "route"}, restart=True),
        ]
    )
    for outcome in (waiting, restarted):
        outcome.assert_truthful()
        assert outcome.first["changed"]
    assert waiting.second["network"]["restart_reasons"] == ["forward takes effect at the next start"]
    assert not restarted.first["needs_restart"]


def test_machines_that_run_are_not_cut_off_unasked(ansible: Ansible, request: pytest.FixtureRequest) -> None:
    ansible.run([task("network", **LAB, state="active", ips=address()), task("nwfilter", name="no-mail", rules=[])])
    request.getfixturevalue("plugged")
    gone = task("network", name="lab", state="absent")
    foreseen, refused, filtered = ansible.run([{**gone, "check_mode": True}, gone, task("nwfilter", name="no-mail", state="absent")])
    for answer in (foreseen, refused):
        assert "lab: 1 network card of running machines would be cut off" in answer["msg"]
    assert "no-mail: running machines use the filter" in filtered["msg"]
    assert ansible.run([task("network", name="lab", state="inactive", force=True)])[0]["changed"]


def test_volumes_grow_in_place_and_shrink_only_when_told(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pool") / "lab"
    pool = task("storage_pool", name="lab", type="dir", path=str(folder), state="active", build=True)
    volume = {"pool": "lab", "name": "data.raw"}
    outcomes = ansible.run_thrice(
        [
            pool,
            task("storage_volume", **volume, size="4 MiB", allocation="1 MiB"),
            task("storage_volume", **volume, size="8 MiB"),
            task("storage_volume", **volume, size="2 MiB", shrink=True),
        ]
    )
    for outcome in outcomes:
        outcome.assert_truthful()
        assert outcome.first["changed"]
    assert (folder / "data.raw").stat().st_size == 2 * 2**20
    refused = ansible.run([task("storage_volume", **volume, size="1 MiB"), task("storage_volume", **volume, format="qcow2")])
    assert "lab/data.raw: size: it has 2097152 bytes; shrink: true" in refused[0]["msg"]
    assert "lab/data.raw: format: it is raw, which cannot change" in refused[1]["msg"]


def test_a_volume_holds_what_differs_from_the_one_below(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pool") / "lab"
    base, over, top = (folder / f"{name}.qcow2" for name in ("base", "over", "top"))
    format_ = {"format": "qcow2"}
    volumes = [
        {"name": top.name, "backing": {"path": str(over), **format_}, "size": "16 MiB"},
        {"name": over.name, "backing": {"volume": base.name, **format_}},
        {"name": base.name, "size": "8 MiB", **format_},
    ]
    pool = task("storage_pool", name="lab", type="dir", path=str(folder), state="active", build=True)
    for outcome in ansible.run_thrice([pool, *(task("storage_volume", pool="lab", storage_volumes=volumes[-n:]) for n in (2, 3))]):
        outcome.assert_truthful()
        assert outcome.first["changed"]
    told = json.loads(subprocess.run(["qemu-img", "info", "--output=json", str(over)], capture_output=True, check=True).stdout)
    assert (told["backing-filename"], told["backing-filename-format"], told["virtual-size"]) == (str(base), "qcow2", 8 * 2**20)
    foreign = {"name": "foreign.qcow2", "backing": {"path": "/etc/hostname", "format": "raw"}}
    kept, refused = ansible.run(
        [task("storage_volume", pool="lab", name=base.name, state="absent"), task("storage_volume", pool="lab", **foreign)]
    )
    assert "in use: over.qcow2" in kept["msg"]
    assert "backing: '/etc/hostname' leads out of the folders" in refused["msg"]
    assert ansible.run([task("storage_volume", pool="lab", state="absent", storage_volumes=volumes[1:])])[0].get("failed"), "top is there"
    gone = task("storage_volume", pool="lab", state="absent", storage_volumes=[{"name": one["name"]} for one in volumes])
    ansible.run([task("storage_volume", pool="lab", name=top.name, state="absent"), gone, gone])
    assert not any(file.exists() for file in (base, over, top))


def test_a_folder_that_moves_is_taken_at_the_pools_next_start(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pool")
    for name in ("old", "new"):
        (folder / name).mkdir()
    pool = {"name": "moving", "type": "dir", "state": "active"}
    _made, waiting, restarted = ansible.run_thrice(
        [
            task("storage_pool", **pool, path=str(folder / "old")),
            task("storage_pool", **pool, path=str(folder / "new")),
            task("storage_pool", **pool, path=str(folder / "new"), restart=True),
        ]
    )
    for outcome in (waiting, restarted):
        outcome.assert_truthful()
        assert outcome.first["changed"]
    assert waiting.second["storage_pool"]["restart_reasons"] == ["path takes effect at the next start"]
    assert not restarted.first["needs_restart"]


async def _describe_all(platform: Platform) -> dict[str, list[Any]]:
    async with platform.hypervisor() as hypervisor:
        kinds = {**KINDS, nwfilter: "DeclaredFilter"}
        return {kind.__name__.rpartition(".")[2]: list(await describe(hypervisor, kind, name)) for kind, name in kinds.items()}


def test_what_is_there_is_described_so_that_declaring_it_changes_nothing(
    ansible: Ansible, platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pool")
    records = {"txt": [{"name": "course", "value": "autumn"}], "hosts": [{"ip": "10.77.0.2", "hostnames": ["files"]}]}
    lab = {**LAB, "state": "active", "autostart": True, "forward": {"mode": "nat"}, "dns": records}
    made = [
        task("network", **lab, ips=address(dhcp_ranges=[RANGE], dhcp_hosts=[WEB]), portgroups=[{"name": "class"}], mtu=1400),
        task("storage_pool", name="lab", type="dir", path=str(folder), state="active"),
        task("storage_volume", pool="lab", name="data", size="4 MiB", format="qcow2"),
        read_tasks(SCENARIOS / "nwfilter.yml")[0],
    ]
    for answer in ansible.run(made):
        assert not answer.get("failed"), answer.get("msg")
    told = asyncio.run(_describe_all(platform))
    [network] = told["network"]
    assert network["bridge"] == {"name": "virbr-lab"}
    assert network["ips"] == address(dhcp_ranges=[RANGE], dhcp_hosts=[WEB])
    assert told["storage_volume"] == [{"pool": "lab", "name": "data", "size": "4", "format": "qcow2"}]
    assert "guard" in {entry["name"] for entry in told["nwfilter"]}
