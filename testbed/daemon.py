# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server process with a folder: started by one process, perhaps stopped by another, never confused with a stranger."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.02
STOP_SECONDS = 15


class DaemonError(Exception):
    """A server did not start; the message holds the end of its log."""


class Daemon:
    """One server process. Its identity is kept in ``folder/NAME.pid``, its output in ``folder/NAME.log``."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._identity_file = folder / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, or None when the server does not run.

        The file also holds the boot and the moment of birth (``/proc/PID/stat``, field 22): a process id is used again.
        """
        if self._child and self._child.poll() is not None:
            self._child = None  # reaped: no zombie that looks alive
        try:
            pid, born = self._identity_file.read_text().split()
        except FileNotFoundError:
            return None
        return int(pid) if _read_birth(int(pid)) == born else None

    def start(self, command: Sequence[str], environment: Mapping[str, str], is_ready: Callable[[], bool], timeout: float = 30) -> None:
        """Start ``command`` in a session of its own and wait until ``is_ready`` says so.

        Raises DaemonError, and leaves nothing running, when the process ends before or ``timeout`` seconds have passed.
        """
        if self.pid is not None:
            raise DaemonError(f"{self.name} runs already (process {self.pid})")
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                command,
                cwd=self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._identity_file.write_text(f"{self._child.pid} {_read_birth(self._child.pid)}")
        self._wait_until_ready(is_ready, timeout)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """End it with SIGTERM, after ``timeout`` seconds with SIGKILL. Nothing happens when it does not run."""
        self._send(signal.SIGTERM)
        if not self._wait_until_gone(timeout):
            self.kill()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL) and wait until it is gone."""
        self._send(signal.SIGKILL)
        self._wait_until_gone(STOP_SECONDS)

    def read_log(self, lines: int = 20) -> str:
        """Return the last lines of what the process printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _wait_until_ready(self, is_ready: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not is_ready():
            if self.pid is None:
                raise DaemonError(f"{self.name} ended at its start:\n{self.read_log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise DaemonError(f"{self.name} was not ready after {timeout:g} s:\n{self.read_log()}")
            time.sleep(POLL_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def _wait_until_gone(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.pid is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        self._identity_file.unlink(missing_ok=True)
        return True


def _read_birth(pid: int) -> str | None:
    """Which boot it was and when the process was started, in clock ticks; None without it, or when only its entry waits for the parent."""
    process = Path(f"/proc/{pid}")
    try:
        stat = (process / "stat").read_text()
        threads = len(list((process / "task").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command's name in brackets, which may hold spaces and brackets itself.
    fields = stat.rpartition(")")[2].split()
    # The first thread of a dying process may be a zombie while others still hold its files and locks.
    if fields[0] in "ZX" and threads == 1:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{fields[19]}"
