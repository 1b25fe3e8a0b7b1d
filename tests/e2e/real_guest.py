# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU guest under emulation that an agent manages: with a screen, a serial port and a guest agent."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from archipel.client import ConnectionSettings, Session, VirtualMachine
from testbed.demo.virtualization import PrivateLibvirt
from testbed.guest import make_guest
from tests.integration.collection.platform import DOMAIN, HYPERVISOR, Platform, password_of

DEFINITION = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>160</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{kernel}</kernel><initrd>{initrd}</initrd>
<cmdline>console=tty0 console=ttyS0 quiet panic=1</cmdline></os><features><acpi/></features>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><serial type='pty'/><console type='pty'/>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' socket='{folder}/vnc.sock'/><video><model type='vga'/></video></devices></domain>"""


@dataclass(frozen=True)
class Place:
    """A platform with a libvirt that runs QEMU, and a folder where QEMU can go."""

    platform: Platform
    folder: Path

    @contextlib.asynccontextmanager
    async def log_in(self, name: str = "admin") -> AsyncIterator[Session]:
        ejabberd = self.platform.ejabberd
        where = {"host": ejabberd.host, "port": ejabberd.port, "ca_file": ejabberd.ca_file}
        async with Session(ConnectionSettings(jid=f"{name}@{DOMAIN}", password=password_of(name), **where)) as session:
            yield session

    async def make_machine(self, session: Session, name: str) -> VirtualMachine:
        """Make a machine, off."""
        definition = DEFINITION.format(name=name, folder=self.folder, kernel=self.folder / "vmlinuz", initrd=self.folder / "initrd.img")
        return await session.hypervisor(HYPERVISOR).alloc(name, domain=ET.fromstring(definition))


@contextlib.contextmanager
def open_libvirt(folder: Path) -> Iterator[PrivateLibvirt]:
    """Start a libvirt in namespaces of its own, and end it; takes root."""
    assert os.geteuid() == 0, "run this as root: libvirt's namespaces take it"
    daemon = PrivateLibvirt(folder / "l")
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextlib.contextmanager
def open_place(root: Path, platform: Platform) -> Iterator[Place]:
    """Put a guest's kernel where QEMU finds it, and remove it."""
    images = Path(tempfile.mkdtemp(prefix="archipel-images-", dir="/tmp"))
    guest = make_guest(root / ".cache" / "guest")
    for path in (guest.kernel, guest.initrd):
        shutil.copy(path, images)
    yield Place(platform, images)
    shutil.rmtree(images)
