# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as its page has it installed: a service under systemd with all that the unit forbids it, and a real guest."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio
from PIL import Image

from archipel.client import VirtualMachine
from archipel.protocol import drives, health, screenshots, snapshots
from testbed.ejabberd import Ejabberd
from testbed.gate import open_gate
from testbed.guest import make_guest
from testbed.systemd_host import SystemdHost
from tests.e2e.other_host import log_in, open_host, start
from tests.integration.collection.platform import DOMAIN, HYPERVISOR, password_of
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

PLACE = "/opt/archipel"
UUID = str(uuid.uuid4())
FOLDER = f"/vm/drives/{UUID}"
BOOT_SECONDS = 120
CA_FILE = "/etc/ssl/certs/archipel-platform.pem"
ANSWERS = ("--server", DOMAIN, "--jid", HYPERVISOR, "--admin", f"admin@{DOMAIN}", "--ca-file", CA_FILE, "--password-file", "-")
DEFINITION = f"""<domain type='qemu'><name>served</name><uuid>{UUID}</uuid><memory unit='MiB'>160</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>/vm/guest/vmlinuz</kernel><initrd>/vm/guest/initrd.img</initrd>
<cmdline>console=tty0 console=ttyS0 quiet panic=1</cmdline></os><features><acpi/></features><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{FOLDER}/data.qcow2'/><target dev='vda' bus='virtio'/></disk>
<serial type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' port='-1'/><video><model type='vga'/></video></devices></domain>"""


@pytest.fixture(scope="module")
def host() -> Iterator[SystemdHost]:
    """A host with systemd, libvirt and QEMU, and an image that guests boot from."""
    with open_host() as host:
        yield host


@pytest.fixture(scope="module")
def service(host: SystemdHost, ejabberd: Ejabberd, root: Path) -> Iterator[SystemdHost]:
    """The agent, installed there as the page of the installation says, and started."""
    host.install_distribution(PLACE)
    host.run("tee", CA_FILE, given=ejabberd.ca_file.read_text())
    host.run("tee", "-a", "/etc/libvirt/qemu.conf", given="dynamic_ownership = 0\n")
    host.run("systemctl", "start", "libvirtd.socket")
    where = ("--host", f"{ejabberd.host}:{ejabberd.port}")
    host.run(f"{PLACE}/bin/archipel-agent-init", *ANSWERS, *where, given=password_of("hypervisor"))
    image = make_guest(root / ".cache" / "guest")
    for file in (image.kernel, image.initrd):
        subprocess.run(["install", "-D", "-m", "644", file, host.reach(f"/vm/guest/{file.name}")], check=True)
    with open_gate(host.leader or 0, ejabberd.port):
        host.run("runuser", "-u", "archipel", "--", f"{PLACE}/bin/archipel-agent", "--check")
        host.run("systemctl", "enable", "--now", "archipel-agent")
        yield host
        host.run("systemctl", "stop", "archipel-agent")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(service: SystemdHost, ejabberd: Ejabberd) -> AsyncIterator[VirtualMachine]:
    """A machine with a drive that the agent made; it runs, and its guest agent answers."""
    async with log_in(ejabberd) as hypervisor:
        made = await hypervisor.alloc("served", uuid=UUID)
        await made.ask(drives.CreateDrive(name="data", size=16, unit="M", format="qcow2"))
        await made.define(ET.fromstring(DEFINITION))
        await start(made, BOOT_SECONDS)
        yield made
        await hypervisor.free(UUID)
        assert not service.reach(FOLDER).exists()


async def test_the_unit_leaves_the_agent_what_it_says(service: SystemdHost, root: Path) -> None:
    process = service.run("systemctl", "show", "--property=MainPID", "--value", "archipel-agent").strip()
    facts = dict(line.split(":\t", 1) for line in service.run("cat", f"/proc/{process}/status").splitlines() if ":\t" in line)
    assert service.run("id", "-u", "archipel").strip() in facts["Uid"].split()
    assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
    assert {facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    inside = ("nsenter", f"--target={process}", "--mount", "--")
    assert service.run(*inside, "ls", "-A", "/home", "/root", check=False).split() == ["/home:", "/root:"]
    assert "touch" not in service.run(*inside, "sh", "-c", "touch /etc/written || echo refused")
    told = service.run("systemd-analyze", "security", "--no-pager", "archipel-agent").splitlines()[-1]
    stated = re.search(r"exposure of \*\*([0-9.]+)\*\*", (root / "docs" / "security.md").read_text())
    assert stated is not None
    assert f": {stated[1]} OK" in told


async def test_the_service_shows_the_screen_of_a_real_guest(machine: VirtualMachine) -> None:
    shown = await machine.ask(screenshots.GetScreenshot())
    assert shown is not None
    assert Image.open(io.BytesIO(base64.b64decode(shown.data))).size == (shown.width, shown.height)


async def test_the_service_changes_drives_while_the_guest_runs_and_while_it_is_off(machine: VirtualMachine) -> None:
    await machine.ask(drives.ResizeDrive(path="data.qcow2", size=24, unit="M"))
    await machine.destroy()
    await machine.ask(drives.RenameDrive(path="data.qcow2", newname="kept"))
    await machine.ask(drives.ConvertDrive(path="kept.qcow2", format="raw"))
    await machine.ask(drives.ConvertDrive(path="kept.raw", format="qcow2"))
    await machine.ask(drives.RenameDrive(path="kept.qcow2", newname="data"))
    [drive] = await machine.ask(drives.GetDrives())
    assert (drive.name, drive.virtual_size) == ("data", 24 << 20)
    await start(machine, BOOT_SECONDS)


async def test_the_service_takes_snapshots_and_goes_back(machine: VirtualMachine) -> None:
    await machine.ask(snapshots.TakeSnapshot(name="running"))
    await machine.ask(snapshots.RevertToSnapshot(name="running"))
    assert await machine.state() == "running"
    await machine.ask(snapshots.DeleteSnapshot(name="running"))
    await machine.ask(snapshots.TakeSnapshot(name="disks", external=True, memory=False))
    [taken] = await machine.ask(snapshots.GetSnapshots())
    assert (taken.name, taken.external) == ("disks", True)
    await machine.ask(snapshots.DeleteSnapshot(name="disks"))
    assert await machine.ask(snapshots.GetSnapshots()) == ()


async def test_the_service_reads_the_health_of_host_and_guest(machine: VirtualMachine) -> None:
    parts = {type(part) for part in await machine.session.hypervisor(HYPERVISOR).ask(health.GetHealth())}
    assert set(health.Part.__args__) <= parts

    async def measured() -> health.MachineStat | None:
        return await machine.ask(health.GetMachineHealth())

    found = await eventually(measured, "two measurements of the machine", BOOT_SECONDS)
    assert found.memory is not None
    assert found.resident is not None


async def test_the_service_has_nothing_to_complain_of(machine: VirtualMachine, service: SystemdHost) -> None:
    """What the unit forbids wrongly would be told in the journal; it was not restarted either."""
    journal = await asyncio.to_thread(service.run, "journalctl", "--unit=archipel-agent", "--priority=warning", "--output=cat", "--quiet")
    assert journal == ""
    assert service.run("systemctl", "show", "--property=NRestarts,ActiveState", "archipel-agent").split() == [
        "NRestarts=0",
        "ActiveState=active",
    ]
