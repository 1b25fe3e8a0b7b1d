# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal of its own for one command line: what a person sees there, and what he types."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

SECONDS = 60  # for one command to say something, or to end
INTERRUPT, END = "\x03", "\x04"


class Terminal:
    """Runs a command line of a shell; ``screen`` is all that it wrote, and all that was typed where it is echoed."""

    def __init__(self, line: str, environment: Mapping[str, str], folder: Path) -> None:
        self.screen = ""
        self._line = line
        self._seen = 0
        self._own, side = pty.openpty()
        command = ["setsid", "--ctty", "bash", "-c", line]
        self._process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=dict(environment), cwd=folder)
        os.close(side)

    def wait_for(self, text: str) -> None:
        """Wait until ``text`` comes after what was waited for before."""
        deadline = time.monotonic() + SECONDS
        while (place := self.screen.find(text, self._seen)) < 0:
            assert self._read(deadline - time.monotonic()), f"$ {self._line}\n{self.screen}\n-- and not: {text}"
        self._seen = place + len(text)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._own, text.encode())

    def wait_end(self) -> int:
        """Wait until the command ended; return its exit code."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline - time.monotonic()):
            pass
        return self._process.wait(max(1, deadline - time.monotonic()))

    def _read(self, seconds: float) -> bool:
        """Take in what comes next; whether anything came."""
        ready, _, _ = select.select([self._own], [], [], max(0, seconds))
        try:
            piece = os.read(self._own, 65536) if ready else b""
        except OSError:  # EIO: nobody has the other side open any more
            piece = b""
        self.screen += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._own)
