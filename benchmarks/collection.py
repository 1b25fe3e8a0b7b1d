# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection beside its peer, in one run: the same libvirt, the same domains; all above an empty play or inventory."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import libvirt
import yaml

from benchmarks import peer
from benchmarks.answers import wait_for_all
from benchmarks.campus import open_campus, populate
from benchmarks.play import CHECKOUT, EMPTY, Plays, Task, above, ansible_environment, run_program
from benchmarks.world import ADMIN, DOMAIN, World, open_world, start_agent

VM: Final = "archipel.platform.vm"
FLEET: Final = "archipel.platform.fleet"
HAS_FLEET: Final = (CHECKOUT / "plugins" / "modules" / "fleet.py").exists()
DECLARED: Final = {"state": "running", "memory": 64, "vcpus": 1}
HYPERVISORS: Final = 5
Figures = dict[str, Any]


async def measure_collection(*, quick: bool) -> Figures:
    """Return seconds above empty plays, and how many times as long the peer takes."""
    machines, thousand, rounds = (10, 40, 1) if quick else (40, 1000, 5)
    with tempfile.TemporaryDirectory(prefix="archipel-collection-") as folder, open_world(Path(folder)) as world:
        needed = await asyncio.to_thread(peer.install_requirements, Path(folder) / "peer")
        plays = Plays(Path(folder), ansible_environment({**login(world), **needed}))
        await _run_agent(world, machines)
        figures = await _measure_unchanged(world, plays, rounds)
        figures |= await _measure_making(world, plays, machines, max(1, rounds // 2))
        if HAS_FLEET:
            figures |= await _measure_thousand(world, plays, thousand)
    return figures


def login(world: World) -> dict[str, str]:
    """Return the variables that log the administrator in."""
    return {
        "ARCHIPEL_JID": f"{ADMIN}@{DOMAIN}",
        "ARCHIPEL_PASSWORD": world.password,
        "ARCHIPEL_HOST": world.ejabberd.host,
        "ARCHIPEL_PORT": str(world.ejabberd.port),
        "ARCHIPEL_CA_FILE": str(world.ejabberd.ca_file),
        "ARCHIPEL_HYPERVISOR": world.bare_hypervisor,
    }


async def _run_agent(world: World, machines: int) -> None:
    """Let the agent run with so many machines, all of which answer."""
    await asyncio.to_thread(world.agent.stop)
    await world.add_machines(machines - len(world.machines))
    admin = await world.log_in()
    await start_agent(world)
    await wait_for_all(admin, world, time.monotonic())
    await admin.logout()


# -- plays --------------------------------------------------------------------------------------------------------------


def list_of(names: list[str]) -> list[Task]:
    """Return the task that declares machines by a list."""
    return [{VM: {**DECLARED, "machines": [{"name": name} for name in names]}}]


def fleet_of(count: int, prefix: str) -> list[Task]:
    """Return the task that declares so many new machines."""
    return [{FLEET: {"document": {"vms": [{**DECLARED, "name": prefix + "-{n:03}", "count": count}]}}}]


async def _measure_unchanged(world: World, plays: Plays, rounds: int) -> Figures:
    """Measure what finds everything as declared."""
    names = world.names
    tasks = {
        EMPTY: [],
        "collection_vm_one_s": [{VM: {**DECLARED, "name": names[0]}}],
        "collection_vm_loop_s": [{VM: {**DECLARED, "name": "{{ item }}"}, "loop": names}],
        "collection_vm_list_s": list_of(names),
        "collection_peer_loop_s": peer.keep_running(world.libvirtd.uri, names),
    }
    if HAS_FLEET:
        tasks["collection_fleet_s"] = fleet_of_these(names)
    medians = await plays.compare(tasks, rounds)
    figures: Figures = above(medians)
    return {"collection_machines": len(names), "collection_empty_play_s": round(medians[EMPTY], 2), **figures, **_times_faster(figures)}


def fleet_of_these(names: list[str]) -> list[Task]:
    """Return the declaration of machines that are there: the world counts them from zero."""
    return [{FLEET: {"document": {"vms": [{**DECLARED, "name": "{item}", "foreach": names}]}}}]


def _times_faster(figures: Figures) -> Figures:
    """Return how many times as long the peer's loop takes, for each of ours."""
    peers = figures["collection_peer_loop_s"]
    ours = {name: figures[name] for name in ("collection_vm_loop_s", "collection_vm_list_s", "collection_fleet_s") if name in figures}
    return {name.removesuffix("_s") + "_times_faster": round(peers / max(seconds, 0.01), 1) for name, seconds in ours.items()}


async def _measure_making(world: World, plays: Plays, machines: int, rounds: int) -> Figures:
    """Measure what makes and starts machines that are not there yet; they are removed each time."""
    series: dict[str, list[float]] = {}
    empty = (await plays.run(EMPTY, [])).seconds
    for _ in range(rounds):
        names = [f"made-{number:03}" for number in range(1, machines + 1)]
        ways: dict[str, tuple[list[Task], int]] = {"collection_vm_list_made_s": (list_of(names), 1)}
        if HAS_FLEET:
            ways["collection_fleet_made_s"] = (fleet_of(machines, "made"), 1)
        for way, (tasks, changed) in ways.items():
            series.setdefault(way, []).append((await plays.run("make", tasks, changed)).seconds - empty)
            await plays.run("remove", [{VM: {"state": "absent", "machines": [{"name": name} for name in names]}}], 1)
        tasks = peer.make_and_start(world.libvirtd.uri, names)
        series.setdefault("collection_peer_made_s", []).append((await plays.run("peer_make", tasks, 2)).seconds - empty)
        await asyncio.to_thread(_remove_domains, world, names)
    return {name: round(statistics.median(times), 2) for name, times in series.items()}


def _remove_domains(world: World, names: list[str]) -> None:
    connection: Any = libvirt.open(world.libvirtd.uri)
    for name in names:
        domain = connection.lookupByName(name)
        domain.destroy()
        domain.undefine()
    connection.close()


async def _measure_thousand(world: World, plays: Plays, machines: int) -> Figures:
    """Measure a declaration of very many machines that are as declared."""
    await _run_agent(world, machines)
    tasks = fleet_of_these(world.names)
    empty = await plays.run(EMPTY, [])
    await plays.run("thousand", tasks)
    ended = await plays.run("thousand", tasks)
    return {
        "collection_thousand_machines": machines,
        "collection_fleet_thousand_s": round(ended.seconds - empty.seconds, 2),
        "collection_fleet_thousand_mb": round(ended.megabytes),
        "collection_empty_play_mb": round(empty.megabytes),
    }


# -- inventories --------------------------------------------------------------------------------------------------------


async def measure_inventories(*, quick: bool) -> Figures:
    """Measure inventories of several hypervisors: ours cold and cached, and the peer's, which has no cache."""
    machines, rounds = (8, 1) if quick else (40, 5)
    with tempfile.TemporaryDirectory(prefix="archipel-campus-") as name, open_campus(Path(name), HYPERVISORS) as campus:
        folder = Path(name)
        await populate(campus, machines)
        sources = _write_sources(folder, campus)
        environment = ansible_environment(
            {**login(campus[0]), "ANSIBLE_INVENTORY_ENABLED": "archipel.platform.xmpp,community.libvirt.libvirt,yaml"}
        )
        series: dict[str, list[float]] = {way: [] for way in sources}
        for _ in range(rounds + 1):  # the first round fills the cache
            for way, files in sources.items():
                series[way].append(await asyncio.to_thread(_read_inventory, way, files, environment, HYPERVISORS * machines))
    medians = {way: statistics.median(times[1:]) for way, times in series.items()}
    figures = {f"collection_inventory_{way}_s": value for way, value in above(medians).items()}
    peers, cold = figures["collection_inventory_peer_s"], figures["collection_inventory_cold_s"]
    return {
        "collection_inventory_machines": HYPERVISORS * machines,
        "collection_inventory_empty_s": round(medians[EMPTY], 2),
        **figures,
        "collection_inventory_times_faster": round(peers / max(cold, 0.01), 1),
        "collection_inventory_cached_times_faster": round(peers / max(figures["collection_inventory_cached_s"], 0.01), 1),
    }


def _write_sources(folder: Path, campus: list[World]) -> Mapping[str, list[Path]]:
    ours = {"plugin": "archipel.platform.xmpp", "hypervisors": [world.bare_hypervisor for world in campus]}
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(folder / "cache"), "cache_timeout": 86400}
    contents: dict[str, dict[str, Any]] = {
        "empty.yml": {"all": {"hosts": {}}},
        "cold.xmpp.yml": ours,
        "cached.xmpp.yml": {**ours, **cache},
        **{f"peer{number}.libvirt.yml": peer.inventory(world.libvirtd.uri) for number, world in enumerate(campus)},
    }
    for name, content in contents.items():
        (folder / name).write_text(yaml.safe_dump(content))
    return {
        EMPTY: [folder / "empty.yml"],
        "cold": [folder / "cold.xmpp.yml"],
        "cached": [folder / "cached.xmpp.yml"],
        "peer": sorted(folder.glob("peer*.libvirt.yml")),
    }


def _read_inventory(way: str, files: list[Path], environment: Mapping[str, str], machines: int) -> float:
    """Return the seconds until all hosts are known; raises :class:`RuntimeError` if some are not."""
    sources = [word for file in files for word in ("--inventory", str(file))]
    ended = run_program("ansible-inventory", *sources, "--list", environment=environment)
    found = json.loads(ended.output[ended.output.index("{") :])["_meta"]["hostvars"]
    if way != EMPTY and len(found) < machines:
        raise RuntimeError(f"the inventory {way} has {len(found)} of {machines} machines:\n{ended.output[:2000]}")
    return ended.seconds
