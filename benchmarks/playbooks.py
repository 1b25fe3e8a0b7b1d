# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``vm`` over machines that are as declared already: one task with a loop, and the same through one list."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any, Final

from benchmarks.collection import DECLARED, VM, list_of, login
from benchmarks.play import EMPTY, Plays, Task, above, ansible_environment
from benchmarks.world import World

MACHINES: Final = 40


def tasks_to_measure(names: list[str]) -> dict[str, list[Task]]:
    """Return the tasks of each play: none, one machine, all of them by a loop, all of them by a list.

    What one machine takes above an empty play is what every run of the module costs: Ansible's share, Python's start with the
    imports, the login, the questions.
    """
    return {
        EMPTY: [],
        "vm_one_s": [{VM: {**DECLARED, "name": names[0]}}],
        "vm_loop_s": [{VM: {**DECLARED, "name": "{{ item }}"}, "loop": names}],
        "vm_list_s": list_of(names),
    }


async def measure_playbooks(world: World, rounds: int) -> dict[str, Any]:
    """Return the seconds of each play above the empty one: medians of plays that were run in turn."""
    names = world.names[:MACHINES]
    medians = await Plays(world.folder, ansible_environment(login(world))).compare(tasks_to_measure(names), rounds)
    return {"vm_machines": len(names), "empty_play_s": round(medians[EMPTY], 2), **above(medians), "python_start_s": _time_imports()}


def _time_imports() -> float:
    """Return the seconds that Python needs to start and to import what the module needs."""
    program = [sys.executable, "-c", "import ansible.module_utils.basic, archipel.client, archipel.protocol.domain"]
    times = []
    for _ in range(5):
        start = time.monotonic()
        subprocess.run(program, check=True)
        times.append(time.monotonic() - start)
    return round(statistics.median(times), 2)
