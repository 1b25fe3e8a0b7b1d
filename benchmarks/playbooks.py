# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``vm`` over machines that are as declared already: one task with a loop, and the same through one list."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.world import ADMIN, DOMAIN, HYPERVISOR, World

CHECKOUT: Final = Path(__file__).resolve().parent.parent
MACHINES: Final = 40
DECLARED: Final = {"state": "running", "memory": 64, "vcpus": 1}
Task = dict[str, Any]


def tasks_to_measure(names: list[str]) -> dict[str, list[Task]]:
    """Return the tasks of each play: none, one machine, all of them by a loop, all of them by a list.

    What one machine takes above an empty play is what every run of the module costs: Ansible's share, Python's start with the
    imports, the login, the questions.
    """
    module = "archipel.platform.vm"
    return {
        "empty": [],
        "vm_one": [{module: {**DECLARED, "name": names[0]}}],
        "vm_loop": [{module: {**DECLARED, "name": "{{ item }}"}, "loop": names}],
        "vm_list": [{module: {**DECLARED, "machines": [{"name": name} for name in names]}}],
    }


async def measure_playbooks(world: World, rounds: int) -> dict[str, Any]:
    """Return the seconds of each play above the empty one: medians of plays that were run in turn."""
    names = [f"bench-{number:03}" for number in range(min(MACHINES, len(world.machines)))]
    plays = tasks_to_measure(names)
    for name, tasks in plays.items():
        (world.folder / f"{name}.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    series: dict[str, list[float]] = {name: [] for name in plays}
    for _ in range(rounds):
        for name in plays:
            series[name].append(await asyncio.to_thread(_run_play, world, name))
    medians = {name: statistics.median(times) for name, times in series.items()}
    above = {f"{name}_s": round(medians[name] - medians["empty"], 2) for name in plays if name != "empty"}
    return {"vm_machines": len(names), "empty_play_s": round(medians["empty"], 2), **above, "python_start_s": _time_imports()}


def _run_play(world: World, name: str) -> float:
    """Run a play, which must find everything as declared; return its seconds."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(world.folder / f"{name}.yml")]
    start = time.monotonic()
    ended = subprocess.run(command, env=_environment(world), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if ended.returncode or (name != "empty" and "changed=0" not in ended.stdout):
        raise RuntimeError(f"the play {name} did not go well:\n{ended.stdout}{ended.stderr}")
    return seconds


def _time_imports() -> float:
    """Return the seconds that Python needs to start and to import what the module needs."""
    program = [sys.executable, "-c", "import ansible.module_utils.basic, archipel.client, archipel.protocol.domain"]
    times = []
    for _ in range(5):
        start = time.monotonic()
        subprocess.run(program, check=True)
        times.append(time.monotonic() - start)
    return round(statistics.median(times), 2)


def _environment(world: World) -> dict[str, str]:
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv" / "collections"),
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "LC_ALL": "C.UTF-8",
        "ARCHIPEL_JID": f"{ADMIN}@{DOMAIN}",
        "ARCHIPEL_PASSWORD": world.password,
        "ARCHIPEL_HOST": world.ejabberd.host,
        "ARCHIPEL_PORT": str(world.ejabberd.port),
        "ARCHIPEL_CA_FILE": str(world.ejabberd.ca_file),
        "ARCHIPEL_HYPERVISOR": f"{HYPERVISOR}@{DOMAIN}",
    }
