# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``archipel-agent-init`` sets up on a host with systemd, libvirt and polkit as Debian has them, and other people's machines on it.

The agent is a service of its own user there, allowed by polkit's rules what it needs, and libvirt gives images to QEMU as it does by
default (``dynamic_ownership``), without being able to note whose they were (``remember_owner = 0``).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from archipel.client import ConnectionSettings, Session, VirtualMachine
from archipel.client.platform import prepare_platform
from archipel.protocol import drives, network, oom, screenshots, snapshots, storage_pools
from archipel.protocol.errors import CommandError
from testbed.ejabberd import Ejabberd
from testbed.gate import open_gate
from testbed.systemd_host import SystemdHost
from tests.e2e.other_host import open_host
from tests.integration.collection.platform import DOMAIN, HYPERVISOR, password_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

PLACE = "/opt/archipel"
CA_FILE = "/etc/ssl/certs/archipel-platform.pem"
ANSWERS = ("--server", DOMAIN, "--jid", HYPERVISOR, "--admin", f"admin@{DOMAIN}", "--ca-file", CA_FILE, "--password-file", "-")
UUID, OTHERS = str(uuid.uuid4()), str(uuid.uuid4())
IMAGE = f"/vm/drives/{UUID}/data.qcow2"
THEIR_IMAGE = "/var/lib/libvirt/images/theirs.qcow2"
POLICY = "/usr/share/polkit-1/actions/org.libvirt.api.policy"
MACHINE = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{image}'/><target dev='vda' bus='virtio'/></disk>
<graphics type='vnc' port='-1'/><video><model type='vga'/></video></devices></domain>"""
# What the agent never asks of libvirt, as its user might.
FORBIDDEN = """
import libvirt
libvirt.registerErrorHandler(lambda _context, _error: None, None)
connection = libvirt.open("qemu:///system")
domain = connection.lookupByUUIDString("{uuid}")
calls = {{
    "memory": lambda: domain.memoryPeek(0, 16, libvirt.VIR_MEMORY_PHYSICAL),
    "dump": lambda: domain.coreDump("/tmp/dump", 0),
    "keys": lambda: domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, 0, [1], 1, 0),
    "graphics": lambda: domain.openGraphicsFD(0, 0),
    "devices": lambda: connection.listAllDevices(0),
    "interfaces": lambda: connection.listAllInterfaces(0),
    "secrets": lambda: connection.listAllSecrets(0),
    "power": lambda: connection.suspendForDuration(libvirt.VIR_NODE_SUSPEND_TARGET_MEM, 60, 0),
}}
for name, call in calls.items():
    try:
        call()
        print(name, "allowed")
    except libvirt.libvirtError as error:
        print(name, "denied" if error.get_error_code() == libvirt.VIR_ERR_ACCESS_DENIED else error)
"""


@pytest.fixture(scope="module")
def host() -> Iterator[SystemdHost]:
    """A host whose administrator has a machine of his own."""
    with open_host() as host:
        host.install_distribution(PLACE)
        host.run("tee", "-a", "/etc/libvirt/qemu.conf", given="remember_owner = 0\n")
        host.run("systemctl", "start", "libvirtd.socket")
        host.run("qemu-img", "create", "-q", "-f", "qcow2", THEIR_IMAGE, "1M")
        host.run("virsh", "define", "/dev/stdin", given=MACHINE.format(name="theirs", uuid=OTHERS, image=THEIR_IMAGE))
        yield host


@pytest.fixture(scope="module")
def service(host: SystemdHost, ejabberd: Ejabberd) -> Iterator[SystemdHost]:
    """The agent, installed with polkit's rules, and started as the program says."""
    host.run("tee", CA_FILE, given=ejabberd.ca_file.read_text())
    host.run("tee", "-a", "/etc/libvirt/libvirtd.conf", given='access_drivers = [ "polkit" ]\n')
    host.run("systemctl", "restart", "libvirtd")
    install(host, "--host", f"{ejabberd.host}:{ejabberd.port}", "--polkit", "--force")
    host.run("systemctl", "enable", "--now", "archipel-oom.socket")
    with open_gate(host.leader or 0, ejabberd.port):
        told = as_agent(host, f"{PLACE}/bin/archipel-agent", "--check")
        assert "everything is usable" in told
        host.run("systemctl", "enable", "--now", "archipel-agent")
        yield host
        host.run("systemctl", "stop", "archipel-agent")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(service: SystemdHost, ejabberd: Ejabberd) -> AsyncIterator[Session]:
    where = {"host": ejabberd.host, "port": ejabberd.port, "ca_file": ejabberd.ca_file}
    async with Session(ConnectionSettings(jid=f"admin@{DOMAIN}", password=password_of("admin"), **where)) as session:
        await prepare_platform(session, [HYPERVISOR])
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(session: Session) -> AsyncIterator[VirtualMachine]:
    """A machine with a drive that the agent made, running."""
    made = await session.hypervisor(HYPERVISOR).alloc("web", uuid=UUID)
    await made.ask(drives.CreateDrive(name="data", size=16, unit="M", format="qcow2"))
    await made.define(ET.fromstring(MACHINE.format(name="web", uuid=UUID, image=IMAGE)))
    await made.start()
    yield made
    await session.hypervisor(HYPERVISOR).free(UUID)


def install(host: SystemdHost, *options: str) -> list[str]:
    return host.run(f"{PLACE}/bin/archipel-agent-init", *ANSWERS, *options, given=password_of("hypervisor")).splitlines()


def as_agent(host: SystemdHost, *command: str, given: str = "") -> str:
    return host.run("runuser", "-u", "archipel", "--", *command, given=given)


def owner_of(host: SystemdHost, path: str) -> str:
    return host.run("stat", "--format=%U:%G", path).strip()


# -- before the agent runs ----------------------------------------------------------------------------------------------


async def test_what_others_have_on_the_host_is_as_it_was(host: SystemdHost) -> None:
    """Neither libvirt's files nor other people's machines and images change, whatever is set up beside them."""
    files = ("/etc/libvirt/qemu.conf", "/etc/libvirt/libvirtd.conf", "/etc/libvirt/qemu/theirs.xml", THEIR_IMAGE)
    before = host.run("sha256sum", *files), owner_of(host, THEIR_IMAGE)
    host.run("touch", CA_FILE)
    assert any(line.startswith("would make") for line in install(host, "--polkit", "--check"))
    assert host.run("id", "archipel", check=False) == ""
    told = install(host)
    assert "made     folder /vm: archipel:libvirt-qemu, mode 2770" in told
    assert (host.run("sha256sum", *files), owner_of(host, THEIR_IMAGE)) == before
    host.run("virsh", "start", "theirs")
    host.run("virsh", "destroy", "theirs")
    assert owner_of(host, THEIR_IMAGE) == "root:root"


async def test_who_was_in_libvirts_group_leaves_it_when_that_is_asked_for(host: SystemdHost) -> None:
    groups = host.run("id", "--name", "--groups", "archipel").split()
    assert {"libvirt", "libvirt-qemu"} <= set(groups)
    assert "SupplementaryGroups=libvirt\n" in host.run("cat", "/etc/systemd/system/archipel-agent.service")
    told = install(host, "--polkit", "--force")
    assert [line for line in told if line.startswith("note: libvirt asks polkit about connections only")]
    assert "libvirt" not in host.run("id", "--name", "--groups", "archipel").split()
    assert "SupplementaryGroups=\n" in host.run("cat", "/etc/systemd/system/archipel-agent.service")
    assert "nothing to do" in install(host), "the rules that are there are kept up"


# -- what polkit allows -------------------------------------------------------------------------------------------------


async def test_polkit_allows_what_the_rules_name_to_the_agent_and_nothing_else(service: SystemdHost, root: Path) -> None:
    """Asked of polkit itself, which reads the rules as the program that they are."""
    rules = (root / "src/archipel/agent/polkit/50-archipel.rules").read_text()
    known = {action.get("id", "") for action in ET.parse(POLICY).iter("action")} | {"org.libvirt.unix.manage", "org.libvirt.unix.monitor"}
    script = "for action in {}; do pkcheck --action-id $action --process $$ >/dev/null 2>&1 && echo $action; done; true"
    told = as_agent(service, "sh", "-c", script.format(" ".join(sorted(known))))
    assert set(told.split()) == set(re.findall(r'"(org\.libvirt\.[a-z.-]+)": true', rules))
    others = service.run("runuser", "-u", "nobody", "--", "sh", "-c", script.format("org.libvirt.unix.manage org.libvirt.api.domain.start"))
    assert others == ""


async def test_the_agents_user_cannot_do_what_the_agent_never_does(service: SystemdHost, machine: VirtualMachine) -> None:
    told = as_agent(service, f"{PLACE}/bin/python", "-c", FORBIDDEN.format(uuid=UUID)).splitlines()
    assert len(told) == 8
    assert [line for line in told if not line.endswith(" denied")] == []


async def test_the_agent_does_its_work_under_the_rules(session: Session, machine: VirtualMachine) -> None:
    assert (await machine.ask(screenshots.GetScreenshot())).data
    await machine.suspend()
    await machine.resume()
    await machine.ask(drives.ResizeDrive(path="data.qcow2", size=24, unit="M"))
    await machine.ask(snapshots.TakeSnapshot(name="running"))
    await machine.ask(snapshots.RevertToSnapshot(name="running"))
    await machine.ask(snapshots.DeleteSnapshot(name="running"))
    hypervisor = session.hypervisor(HYPERVISOR)
    net = "<network><name>rules</name><bridge name='virbr77'/></network>"  # a host in namespaces cannot start it
    await hypervisor.ask(network.DefineNetwork(network=ET.fromstring(net)))
    await hypervisor.ask(network.UndefineNetwork(uuid="rules"))
    pool = "<pool type='dir'><name>rules</name><target><path>/vm/pool</path></target></pool>"
    await hypervisor.ask(storage_pools.DefinePool(pool=ET.fromstring(pool)))
    await hypervisor.ask(storage_pools.CreatePool(name="rules", build=True))
    await hypervisor.ask(storage_pools.CreateVolume(pool="rules", name="data.img", size=1, unit="M"))
    await hypervisor.ask(storage_pools.ResizeVolume(pool="rules", name="data.img", size=2, unit="M"))
    await hypervisor.ask(storage_pools.DeleteVolume(pool="rules", name="data.img"))
    await hypervisor.ask(storage_pools.DestroyPool(name="rules"))
    await hypervisor.ask(storage_pools.UndefinePool(name="rules"))


# -- who owns images ----------------------------------------------------------------------------------------------------


async def test_a_machine_starts_again_although_libvirt_gave_its_image_to_root(service: SystemdHost, machine: VirtualMachine) -> None:
    assert owner_of(service, IMAGE) == "libvirt-qemu:libvirt-qemu"
    await machine.destroy()
    assert owner_of(service, IMAGE) == "root:root"
    await machine.ask(drives.ResizeDrive(path="data.qcow2", size=32, unit="M"))
    await machine.ask(drives.RenameDrive(path="data.qcow2", newname="kept"))
    await machine.ask(drives.ConvertDrive(path="kept.qcow2", format="raw"))
    await machine.ask(drives.ConvertDrive(path="kept.raw", format="qcow2"))
    await machine.ask(drives.RenameDrive(path="kept.qcow2", newname="data"))
    await machine.start()
    await machine.ask(snapshots.TakeSnapshot(name="disks", external=True, memory=False))
    await machine.destroy()
    await machine.start()
    await machine.ask(snapshots.DeleteSnapshot(name="disks"))
    [drive] = await machine.ask(drives.GetDrives())
    assert drive.virtual_size == 32 << 20


async def test_an_image_that_the_agent_cannot_reach_is_named_beforehand(service: SystemdHost) -> None:
    service.run("install", "-D", "--mode=600", "/dev/null", "/vm/drives/elsewhere/moved.qcow2")
    told = service.run("runuser", "-u", "archipel", "--", f"{PLACE}/bin/archipel-agent", "--check", check=False)
    assert "FAIL  images: 1 images cannot be read and written, such as /vm/drives/elsewhere/moved.qcow2" in told
    service.run("rm", "-r", "/vm/drives/elsewhere")


# -- memory runs out ----------------------------------------------------------------------------------------------------


async def test_the_service_adjusts_a_process_that_it_does_not_even_see(service: SystemdHost, machine: VirtualMachine) -> None:
    process = service.run("cat", "/run/libvirt/qemu/web.pid").strip()
    agent = service.run("systemctl", "show", "--property=MainPID", "--value", "archipel-agent").strip()
    assert "No such file" in service.run(
        "nsenter", f"--target={agent}", "--mount", "--setuid=65534", "--setgid=65534", "sh", "-c", f"ls /proc/{process} 2>&1; true"
    )
    await machine.ask(oom.SetAdjust(kernel=300))
    assert service.run("cat", f"/proc/{process}/oom_score_adj").strip() == "300"
    found = await machine.ask(oom.GetAdjust())
    assert (found.kernel, found.score > 0) == (300, True)


async def test_nobody_else_may_ask_for_it(service: SystemdHost, machine: VirtualMachine) -> None:
    ask = "import socket; socket.socket(socket.AF_UNIX).connect('/run/archipel-oom.sock')"
    assert "PermissionError" in service.run("runuser", "-u", "nobody", "--", "sh", "-c", f'python3 -c "{ask}" 2>&1; true')


async def test_no_machine_gets_less_than_the_administrator_says(service: SystemdHost, machine: VirtualMachine) -> None:
    folder = "/etc/systemd/system/archipel-oom@.service.d"
    service.run("mkdir", folder)
    service.run("tee", f"{folder}/least.conf", given=f"[Service]\nExecStart=\nExecStart={PLACE}/bin/archipel-oom --least=200\n")
    service.run("systemctl", "daemon-reload")
    with pytest.raises(CommandError, match=r"kept for the next start of web, and not in force: .*no machine less than 200"):
        await machine.ask(oom.SetAdjust(kernel=100))
    assert (await machine.ask(oom.GetAdjust())).kernel == 300


async def test_without_the_socket_the_value_is_kept_and_that_is_said(service: SystemdHost, machine: VirtualMachine) -> None:
    service.run("systemctl", "stop", "archipel-oom.socket")
    with pytest.raises(CommandError, match=r"not in force: .*needs archipel-oom\.socket"):
        await machine.ask(oom.SetAdjust(kernel=400))
    service.run("systemctl", "start", "archipel-oom.socket")
    await machine.destroy()
    await machine.start()
    process = service.run("cat", "/run/libvirt/qemu/web.pid").strip()
    service.run("sh", "-c", f"for _ in $(seq 100); do grep -qx 400 /proc/{process}/oom_score_adj && exit; sleep 0.1; done; exit 1")


async def test_libvirt_denied_the_agent_nothing(service: SystemdHost, machine: VirtualMachine) -> None:
    journal = service.run("journalctl", "--unit=archipel-agent", "--output=cat", "--quiet")
    assert "denied" not in journal
