# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that holds all of the demo, and who may work in it.

It is ``/var/lib/archipel-demo``: QEMU's user must be able to reach the guests' images, and homes are closed to it; a checkout
can be cleaned or removed while the platform runs; and there is one platform a machine, whichever checkout started it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

DEFAULT: Final = Path("/var/lib/archipel-demo")
VARIABLE: Final = "ARCHIPEL_DEMO_FOLDER"
CHECKOUT: Final = Path(__file__).resolve().parents[2]
# A socket's path has at most 107 bytes (unix(7)), and the longest in here adds 45.
LONGEST: Final = 60


class DemoError(Exception):
    """The demo cannot go on; the message says why, and what to do."""


def as_root(command: Sequence[str]) -> list[str]:
    """Return the command line that runs ``command`` as root."""
    return [*command] if os.geteuid() == 0 else ["sudo", "--", *command]


class DemoFolder:
    """The parts of the folder. ``host`` and ``bytecode`` belong to root, the rest to whoever started the demo."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = path / ".archipel-demo"
        self.complete = path / ".complete"
        self.authority = path / "authority"
        self.ejabberd = path / "ejabberd"
        self.accounts = path / "accounts"
        self.configuration = path / "config"
        self.programs = path / "bin"
        self.inventory = path / "inventory"
        self.logs = path / "logs"
        self.environment = path / "env"
        self.host = path / "host"
        self.bytecode = path / "bytecode"

    @classmethod
    def choose(cls) -> DemoFolder:
        """Return the demo's folder; ``ARCHIPEL_DEMO_FOLDER`` names another than the usual one. Raises DemoError."""
        path = Path(os.environ.get(VARIABLE) or DEFAULT)
        if not path.is_absolute() or len(os.fsencode(path)) > LONGEST or any(character.isspace() for character in str(path)):
            raise DemoError(f"{VARIABLE}: {path} must begin with /, hold no blanks and have at most {LONGEST} bytes")
        return cls(path)

    @property
    def exists(self) -> bool:
        """Whether there is a demo, whole or in part. Raises DemoError for a folder that is something else, or another user's."""
        if not self.path.exists():
            return False
        owner = self.path.stat().st_uid
        if owner != os.geteuid():
            raise DemoError(f"{self.path} belongs to {_name_user(owner)}: work as this user, who started the demo there")
        if not self.mark.exists() and any(self.path.iterdir()):
            raise DemoError(f"{self.path} is not the demo's: move it away, or name another folder in {VARIABLE}")
        return True

    def make(self) -> None:
        """Make the folder, empty, unless it is there. Raises DemoError."""
        if not self.exists:
            owner = ["-o", str(os.geteuid()), "-g", str(os.getegid())]
            subprocess.run(as_root(["install", "-d", "-m", "755", *owner, str(self.path)]), check=True)
        self.mark.touch()

    def clear(self) -> None:
        """Remove everything in the folder."""
        if self.exists:
            parts = [str(part) for part in self.path.iterdir() if part != self.mark]
            subprocess.run(as_root(["rm", "-rf", "--", *parts]), check=True)

    def remove(self) -> None:
        """Remove the folder and everything in it."""
        self.clear()
        subprocess.run(as_root(["rm", "-rf", "--", str(self.path)]), check=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one at work in the folder, which must exist; waits for others."""
        while True:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _lock(descriptor)
                if self.path.exists() and os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    yield
                    return
            finally:
                os.close(descriptor)
            self.make()  # whoever was at work before has removed it


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("demo: waiting for another `make demo` or `make demo-stop` to end", file=sys.stderr)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _name_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
