# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a machine that runs under QEMU, and how the kernel's out-of-memory killer sees it (proc(5))."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

PID_FOLDER: Final = Path("/run/libvirt/qemu")  # of libvirt's system driver: NAME.pid
PROC: Final = Path("/proc")
_LONGEST: Final = 1 << 20  # bytes that are read of anything


class ProcessNotFound(Exception):
    """libvirt's note of the process is missing or out of date; the text says how."""


class QemuProcess:
    """One process, held by its folder in /proc: should it end, another one that gets its number is not meant."""

    def __init__(self, folder: int, pid: int) -> None:
        self._folder = folder
        self.pid = pid

    @classmethod
    @contextlib.contextmanager
    def open(cls, uuid: str, name: str) -> Iterator[Self]:
        """Give the process of the machine: the one that libvirt wrote down, if it is QEMU with this UUID.

        Raises :class:`ProcessNotFound`, or :class:`OSError` for what may not be read.
        """
        path = PID_FOLDER / f"{name}.pid"
        try:
            pid = int(path.read_text())
            folder = os.open(PROC / str(pid), os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise ProcessNotFound(f"there is no process as {path} tells it") from error
        except ValueError as error:
            raise ProcessNotFound(f"{path} holds no process number") from error
        try:
            process = cls(folder, pid)
            process._check(uuid)
            yield process
        finally:
            os.close(folder)

    def _check(self, uuid: str) -> None:
        arguments = self._read("cmdline").split("\0")
        if uuid.lower() not in [value.lower() for option, value in itertools.pairwise(arguments) if option == "-uuid"]:
            raise ProcessNotFound(f"process {self.pid} is not the one of {uuid}")

    @property
    def oom_score_adj(self) -> int:
        """What adjusts the kernel's choice, -1000 (never) to 1000."""
        return int(self._read("oom_score_adj"))

    @oom_score_adj.setter
    def oom_score_adj(self, value: int) -> None:
        with os.fdopen(os.open("oom_score_adj", os.O_WRONLY, dir_fd=self._folder), "w") as file:
            file.write(str(value))

    @property
    def oom_score(self) -> int:
        """How likely the kernel ends it, as it reckons now."""
        return int(self._read("oom_score"))

    def _read(self, name: str) -> str:
        with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=self._folder), "rb") as file:
            return file.read(_LONGEST).decode(errors="replace")
