# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see: steps with the time passed, and what other programs print under them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from testbed.demo.folder import DemoError

INDENT = " " * 11
# The kernel ends the program when the demo itself is killed (setpriv(1)): nothing goes on unseen.
ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


class Progress:
    """The output of one run."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time since the run began."""
        return time.monotonic() - self._begin

    def step(self, text: str) -> None:
        """Say what is done now, or what came of it."""
        print(f"[{self.seconds:6.1f} s] {text}", flush=True)

    def detail(self, lines: str | Iterable[str]) -> None:
        """Show lines that belong to the step before."""
        for line in lines.splitlines() if isinstance(lines, str) else lines:
            print(f"{INDENT}{line}".rstrip(), flush=True)

    def run(self, command: Sequence[str], environment: Mapping[str, str], log: Path, *, show: bool = True) -> tuple[int, str]:
        """Run a program, show its output line by line, keep it in ``log``; returns its exit status and output."""
        process = subprocess.Popen(
            [*ENDS_WITH_US, *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        lines: list[str] = []
        with log.open("w") as file:
            for line in process.stdout:
                lines.append(line)
                file.write(line)
                if show:
                    self.detail([line.rstrip("\n")])
        return process.wait(), "".join(lines)

    def run_or_fail(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> str:
        """Run a program quietly and return its output. Raises DemoError with it when the program fails."""
        status, output = self.run(command, environment, log, show=False)
        if status:
            raise DemoError(f"{' '.join(command)} ended with {status}:\n{output.strip()}")
        return output
