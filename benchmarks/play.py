# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's programs as a person runs them, with a clock; series of plays that are run in turn."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

CHECKOUT: Final = Path(__file__).resolve().parent.parent
EMPTY: Final = "empty"
Task = dict[str, Any]


@dataclass(frozen=True)
class Ended:
    """What a program said, how long it took, and the most memory (MB) that one of its processes used."""

    output: str
    seconds: float
    megabytes: float


def ansible_environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which Ansible finds the collection and says nothing that nobody asked for.

    What is imported is compiled once, as it is where it was installed.
    """
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv" / "collections"),
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "LC_ALL": "C.UTF-8",
        **more,
    }


def run_program(program: str, *arguments: str, environment: Mapping[str, str]) -> Ended:
    """Run one of Ansible's programs; raises :class:`RuntimeError` with what it said if it fails."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    start = time.monotonic()
    with subprocess.Popen(
        command, env=dict(environment), cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        output = running.stdout.read()
        _pid, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise RuntimeError(f"{command} did not go well:\n{output}")
    return Ended(output, time.monotonic() - start, usage.ru_maxrss * 1024 / 1e6)


@dataclass(frozen=True)
class Plays:
    """Plays on localhost by their names, in files of a folder; the one called ``empty`` is what the others are compared with."""

    folder: Path
    environment: Mapping[str, str]

    async def run(self, name: str, tasks: list[Task], changed: int = 0) -> Ended:
        """Run a play in which so many tasks find something to change."""
        file = self.folder / f"{name}.yml"
        file.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        ended = await asyncio.to_thread(run_program, "ansible-playbook", str(file), environment=self.environment)
        if tasks and f"changed={changed} " not in ended.output:
            raise RuntimeError(f"the play {name} did not go well:\n{ended.output}")
        return ended

    async def compare(self, plays: Mapping[str, list[Task]], rounds: int) -> dict[str, float]:
        """Return the seconds of each play, none of which changes anything: medians of plays that were run in turn."""
        for name, tasks in plays.items():  # the first run of a program finds nothing in the system's memory
            await self.run(name, tasks)
        series: dict[str, list[float]] = {name: [] for name in plays}
        for _ in range(rounds):
            for name, tasks in plays.items():
                series[name].append((await self.run(name, tasks)).seconds)
        return {name: statistics.median(times) for name, times in series.items()}


def above(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return what each play takes above the empty one."""
    return {name: round(value - seconds[EMPTY], 2) for name, value in seconds.items() if name != EMPTY}
