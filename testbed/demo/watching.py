# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel watch`` in a process of its own, and when each of its lines came."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from testbed.demo.folder import DemoError
from testbed.demo.progress import ENDS_WITH_US

PATIENCE: Final = 30.0  # seconds; what is looked for takes milliseconds


@dataclass(frozen=True)
class Seen:
    """Lines, the last one of which was waited for; ``moment`` is when that came (``time.monotonic``)."""

    lines: tuple[str, ...]
    moment: float


@dataclass(frozen=True)
class Called:
    """A program that has run: when it was called (``time.monotonic``), and for how long."""

    began: float
    seconds: float


class Watch:
    """The command at work; ends with the ``with`` block."""

    def __init__(self, machine: str, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [*ENDS_WITH_US, "archipel", "watch", machine],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, *words: str) -> Seen:
        """Return what came until each of the words stood in a line. Raises DemoError when one does not come in time."""
        lines: list[str] = []
        missing = set(words)
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            try:
                moment, line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            lines.append(line)
            missing = {word for word in missing if word not in line}
            if not missing:
                return Seen(tuple(lines), moment)
        raise DemoError(f"archipel watch did not show {missing} within {PATIENCE:g} s; it showed {lines}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._log.open("w") as log:
            for line in self._process.stdout:
                self._lines.put((time.monotonic(), line.rstrip("\n")))
                log.write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


def run_virsh(command: Sequence[str]) -> Called:
    """Run it to its end. Raises DemoError."""
    began = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DemoError(f"{' '.join(command)} says: {result.stderr.strip()}")
    return Called(began, time.monotonic() - began)
