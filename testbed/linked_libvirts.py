# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with QEMU on one machine, linked by a cable: their guests and their libvirts reach each other. Takes root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from testbed.certificates import Authority
from testbed.demo.folder import CHECKOUT
from testbed.demo.virtualization import NEW_NAMESPACES, START_SECONDS, PrivateLibvirt, answers
from testbed.linked_namespace import BRIDGE, CERTIFICATES, HOSTS

DOMAIN = "hosts.localhost"
NETWORK = "10.98.0.{number}"


class LinkedLibvirt(PrivateLibvirt):
    """One of the hosts, ``number`` its place on the network; ``own`` maps paths to the folders that this host sees there."""

    def __init__(self, folder: Path, name: str, number: int, own: Mapping[Path, Path], authority: Authority) -> None:
        super().__init__(folder)
        self.name = name
        self.host_name = f"{name}.{DOMAIN}"
        self._authority = authority
        self.address = NETWORK.format(number=number)
        self._own = own

    @property
    def peer_uri(self) -> str:
        """Where the other hosts' libvirts find this one."""
        return f"qemu+tcp://{self.address}/system"

    def start(self) -> None:
        """Start it, with an empty world and no cable yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_certificates()
        (self.folder / HOSTS).write_text("127.0.0.1 localhost\n")
        binds = [str(part) for path, own in self._own.items() for part in (own, path)]
        command = [*NEW_NAMESPACES, "--uts", sys.executable, "-B", "-m", "testbed.linked_namespace", str(self.folder), self.name, *binds]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "PYTHONPATH": str(CHECKOUT)}
        self._daemon.start(command, environment, lambda: answers(self.uri), START_SECONDS)

    def _make_certificates(self) -> None:
        """Let QEMU show who it is, as server and as client, and know the other hosts."""
        folder = self.folder / CERTIFICATES
        folder.mkdir()
        bundle = self._authority.issue(DOMAIN, folder)
        shutil.copy(self._authority.certificate, folder / "ca-cert.pem")
        for role in ("server", "client"):
            for part in ("cert", "key"):
                shutil.copy(bundle, folder / f"{role}-{part}.pem")

    def kill_libvirtd(self) -> None:
        """End libvirt's daemon as a crash would; it is started anew, and its guests do not notice."""
        self._kill(lambda words: words[0].endswith("/libvirtd"))

    def kill_guest(self, uuid: str) -> None:
        """End the QEMU of a guest as a crash would, at once."""
        self._kill(lambda words: uuid in words)

    def cut_power(self) -> None:
        """End libvirt's daemon and all guests at once; the daemon is started anew, as by the host's next start."""
        self._kill(lambda words: "libvirtd" in words[0] or "qemu-system" in words[0])

    def _kill(self, is_meant: Callable[[list[str]], bool]) -> None:
        """Kill the processes whose command lines are meant; raises ProcessLookupError if there is none."""
        [first] = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        found = [child for child in Path(f"/proc/{first}/task/{first}/children").read_text().split() if is_meant(_read_words(child))]
        if not found:
            raise ProcessLookupError(f"{self.name} has no such process")
        for child in found:
            os.kill(int(child), signal.SIGKILL)


def _read_words(process: str) -> list[str]:
    """Return the words of a process's command line, and those between commas in them."""
    line = Path(f"/proc/{process}/cmdline").read_text().split("\0")
    return [line[0], *(part for word in line for part in word.split(","))]


def link(first: LinkedLibvirt, second: LinkedLibvirt) -> None:
    """Lay a cable between two hosts, from bridge to bridge."""
    ends = ("name", "eth0", "netns", str(second.pid))
    subprocess.run(["ip", "link", "add", "eth0", "netns", str(first.pid), "type", "veth", "peer", *ends], check=True)
    names = "".join(f"{host.address} {host.host_name} {host.name}\n" for host in (first, second))
    for host in (first, second):
        (host.folder / HOSTS).write_text(f"127.0.0.1 localhost\n{names}")
        host.run("ip", "link", "set", "eth0", "master", BRIDGE, "up")
        host.run("ip", "address", "add", f"{host.address}/24", "dev", BRIDGE)
