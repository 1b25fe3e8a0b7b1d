# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with systemd to install services on: this host's programs, booted once more in namespaces (systemd-nspawn). Takes root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from testbed.daemon import Daemon
from testbed.demo.folder import CHECKOUT
from testbed.demo.virtualization import NEW_NAMESPACES
from testbed.systemd_namespace import CHECKOUT_INSIDE

BOOT_SECONDS: Final = 90
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KINDS: Final = ("mount", "uts", "ipc", "pid", "net", "cgroup")

# The one tree of control groups need not be mounted on this host; empty groups stay in it until somebody removes them.
_REMOVE_GROUPS: Final = """mount -t cgroup2 cgroup2 /mnt
for _ in $(seq 100); do find "/mnt/$0" -depth -type d -exec rmdir {} + && exit; sleep 0.1; done 2>/dev/null; exit 1"""
_IN_CGROUPS: Final = ("unshare", "--mount", "--propagation=private", "sh", "-c", _REMOVE_GROUPS)


class SystemdHost:
    """The host; what it wrote is gone when it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._name = f"archipel-{os.getpid()}"
        self._daemon = Daemon("systemd", folder)

    @property
    def leader(self) -> int | None:
        """The process, as this host counts, that is the first one there; None before there is one."""
        process = self._daemon.pid
        for _ in range(2):  # unshare's only child is systemd-nspawn, whose only child is systemd
            children = _children_of(process) if process else []
            process = children[0] if len(children) == 1 else None
        return process

    def start(self) -> None:
        """Boot it, and wait until its services may be started. Raises DaemonError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*NEW_NAMESPACES, sys.executable, "-B", "-m", "testbed.systemd_namespace", str(self.folder), self._name]
        environment = {"PATH": PATH, "HOME": str(self.folder), "PYTHONPATH": str(CHECKOUT)}
        self._daemon.start(command, environment, self._is_up, BOOT_SECONDS)

    def stop(self) -> None:
        """End it with all that runs there."""
        for process in _children_of(self._daemon.pid) if self._daemon.pid else ():
            os.kill(process, signal.SIGKILL)
        self._daemon.kill()
        subprocess.run([*_IN_CGROUPS, self._name], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str, given: str = "", check: bool = True) -> str:
        """Run a command there and return what it prints. Raises AssertionError, with all that was said, when it fails."""
        enter = [
            "nsenter",
            f"--target={self.leader}",
            *(f"--{kind}" for kind in _KINDS),
            "env",
            "-i",
            "--chdir=/",
            f"PATH={PATH}",
            "LC_ALL=C.UTF-8",
        ]
        done = subprocess.run([*enter, *command], input=given, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def reach(self, path: str) -> Path:
        """Return where this host sees a path of the other's."""
        return Path(f"/proc/{self.leader}/root{path}")

    def install_distribution(self, place: str) -> None:
        """Install this checkout's distribution there as its page says, with the requirements of the checkout's own environment."""
        self.run("python3", "-m", "venv", "--system-site-packages", place)
        [libraries] = (CHECKOUT / ".venv" / "lib").glob("python3*/site-packages")
        requirements = f"{CHECKOUT_INSIDE}/{libraries.relative_to(CHECKOUT)}\n"
        self.run("tee", f"{place}/lib/{libraries.parent.name}/site-packages/requirements.pth", given=requirements)
        offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
        self.run(f"{place}/bin/python", "-m", "pip", "install", "--quiet", *offline, "--ignore-installed", CHECKOUT_INSIDE)

    def _is_up(self) -> bool:
        return self.leader is not None and self.run("systemctl", "is-system-running", check=False).strip() in {"running", "degraded"}


def _children_of(process: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []
