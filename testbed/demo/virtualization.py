# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt to work with: the one that runs on this host, the one that systemd can start, or else a private one.

All of this runs as root.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import libvirt

from testbed.daemon import Daemon, DaemonError
from testbed.demo.folder import CHECKOUT, DemoError

SYSTEM: Final = "qemu:///system"
SYSTEMD: Final = Path("/run/systemd/system")  # exists exactly where systemd is the first process (sd_booted(3))
# Debian 12 and 13 have the one daemon with all drivers; the socket starts it.
SOCKET: Final = "libvirtd.socket"
SERVICE: Final = "libvirtd.service"
NEW_NAMESPACES: Final = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
START_SECONDS: Final = 30


@dataclass(frozen=True)
class Virtualization:
    """The libvirt that was chosen; ``started``: systemd was asked to start it for the demo."""

    uri: str
    private: bool = False
    started: bool = False


class PrivateLibvirt:
    """libvirt in namespaces of its own, where no systemd could run one; everything of it ends with its first process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "run/libvirt/libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        self._daemon = Daemon("libvirt", folder)

    @property
    def pid(self) -> int | None:
        """The process that holds the namespaces, None when there are none."""
        return self._daemon.pid

    def start(self) -> None:
        """Start it, with an empty world. Raises DemoError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*NEW_NAMESPACES, sys.executable, "-B", "-m", "testbed.demo.namespace", str(self.folder)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "PYTHONPATH": str(CHECKOUT)}
        try:
            self._daemon.start(command, environment, lambda: answers(self.uri), START_SECONDS)
        except DaemonError as error:
            raise DemoError(f"no libvirt runs here, and a private one cannot be started: {error}") from error

    def stop(self) -> None:
        """End it with all that runs in it, and remove its folder."""
        if self.pid is not None:
            # The first process in the namespace: its end is reported when everything else there is gone.
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), signal.SIGKILL)
        self._daemon.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def enter(self, *kinds: str) -> list[str]:
        """Return the words before a command that make it run in namespaces (mount, net, pid) of this libvirt."""
        files = {"mount": "mnt", "pid": "pid_for_children"}
        return ["nsenter", *(f"--{kind}=/proc/{self.pid}/ns/{files.get(kind, kind)}" for kind in kinds), "--"]

    def run(self, *command: str) -> str:
        """Run a command in the namespaces, and return what it prints; what it leaves behind ends with this libvirt."""
        done = subprocess.run([*self.enter("mount", "net", "pid"), *command], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


def choose(folder: Path) -> Virtualization:
    """Return a libvirt that can run guests. ``folder`` is for a private one. Raises DemoError."""
    if answers(SYSTEM):
        return Virtualization(SYSTEM)
    if SYSTEMD.exists() and not _systemctl("start", SOCKET) and answers(SYSTEM):
        return Virtualization(SYSTEM, started=True)
    private = PrivateLibvirt(folder)
    private.stop()
    private.start()
    return Virtualization(private.uri, private=True)


def answers(uri: str) -> bool:
    """Whether libvirt is there and its QEMU driver works."""
    try:
        with connect(uri) as connection:
            connection.getDomainCapabilities(virttype="qemu")
    except libvirt.libvirtError:
        return False
    return True


@contextlib.contextmanager
def connect(uri: str) -> Iterator[Any]:
    """Open a connection. Raises libvirtError."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)  # it would print each error as well
    connection = libvirt.open(uri)
    try:
        yield connection
    finally:
        connection.close()


def remember(choice: Virtualization, file: Path) -> None:
    """Write the choice down for other processes."""
    file.write_text(json.dumps(asdict(choice)))


def recall(file: Path) -> Virtualization | None:
    """Return the choice that was written down, if there is one; another version of the demo may have written it."""
    try:
        stored = json.loads(file.read_text())
        return Virtualization(**{known.name: stored[known.name] for known in fields(Virtualization) if known.name in stored})
    except (FileNotFoundError, ValueError, TypeError):
        return None


def stop_service(choice: Virtualization) -> None:
    """Stop what was started for the demo, unless somebody's machine uses it meanwhile."""
    if not choice.started:
        return
    with contextlib.suppress(libvirt.libvirtError), connect(choice.uri) as connection:
        if connection.numOfDomains():
            return
    _systemctl("stop", SOCKET, SERVICE)


def _systemctl(*arguments: str) -> int:
    return subprocess.run(["systemctl", *arguments], capture_output=True, check=False).returncode
