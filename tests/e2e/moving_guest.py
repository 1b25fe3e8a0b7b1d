# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest that writes all the time and answers, and two hosts between which it moves."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import uuid as uuids
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt
import libvirt_qemu

from testbed.certificates import Authority
from testbed.guest import make_guest
from testbed.linked_libvirts import LinkedLibvirt, link
from tests.wire.matching import show
from tests.wire.platform import CONTROL, HOST, Machine
from tests.wire.two_hypervisors import House, Pair, open_pair
from tests.wire.waiting import eventually

SECTOR, DISK = 512, 32 << 20
GUEST_ADDRESS = "10.98.0.50"
DOWNTIME_LIMIT = 5000  # milliseconds; nobody waits for the processors of a busy machine
DEADLINE = 180  # seconds; under emulation, on a machine that is busy
DEFINITION = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>160</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{images}/vmlinuz</kernel><initrd>{images}/initrd.img</initrd>
<cmdline>console=ttyS0 quiet panic=1</cmdline></os><features><acpi/></features><cpu mode='custom'><model>qemu64</model></cpu>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><serial type='pty'/><console type='pty'/>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{folder}/data.qcow2'/><target dev='vda' bus='virtio'/></disk>
<interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>"""
# Each record has a sector of its own, which begins with its number; /www is what the guest's web server shows.
WRITER = f"""ip link set eth0 up; ip address add {GUEST_ADDRESS}/24 dev eth0; rm -f /stop
(n=0; while [ ! -e /stop ]; do printf '%-511s\\n' "record $n" || break; n=$((n+1)); echo $n >/www/count; usleep 10000; done >/dev/vda) \
</dev/null >/dev/null 2>&1 &"""

LOOK = "until read n </www/count; do :; done"  # a moment ago it may have been empty
READ = f"{LOOK}; echo $n"
FLUSH = "dd if=/dev/null of=/dev/vda conv=notrunc,fsync 2>/dev/null"  # sync(2) alone does not ask the disk to keep what it has


@dataclass(frozen=True)
class Scene:
    """Two hosts with QEMU, and the images that guests boot from; ``base`` has the folders of machines, each host its own."""

    pair: Pair
    hosts: tuple[LinkedLibvirt, LinkedLibvirt]
    images: Path
    base: Path

    def host_of(self, house: House) -> LinkedLibvirt:
        return self.hosts[self.pair.both.index(house)]

    async def make_machine(self, name: str, *, shared: bool) -> Machine:
        """Make a machine at the first host, off, whose folder both see or each for itself."""
        machine = Machine(str(uuids.uuid4()), name, self.pair.first.domain)
        folder = self.base / "drives" / machine.uuid
        if shared:
            common = self.images / machine.uuid
            common.mkdir()
            for host in self.hosts:
                host.run("mkdir", "-p", str(folder))
                host.run("mount", "--bind", str(common), str(folder))
        first = self.hosts[0]
        first.run("mkdir", "-p", str(folder))
        first.run("qemu-img", "create", "-q", "-f", "qcow2", f"{folder}/data.qcow2", str(DISK))
        definition = DEFINITION.format(name=name, uuid=machine.uuid, images=self.images, folder=folder)
        request = f"<archipel action='alloc' name='{name}' uuid='{machine.uuid}'>{definition}</archipel>"
        answer = await self.pair.admin.command(self.pair.first.host, HOST, request)
        assert answer.get("type") == "result", show(answer)
        return machine

    async def control(self, house: House, machine: Machine, request: str, namespace: str = CONTROL) -> None:
        answer = await self.pair.admin.command(house.address_of(machine), namespace, f"<archipel {request}/>")
        assert answer.get("type") == "result", show(answer)

    async def begin(self, machine: Machine, source: House, target: House) -> None:
        await self.control(source, machine, f"action='migrate' hypervisorjid='{target.host}'")

    async def arrived(self, machine: Machine, source: House, target: House) -> None:
        """Wait until the machine is at the target and nowhere else, its account online there."""
        try:
            await eventually(lambda: (source.phase(machine.uuid), target.phase(machine.uuid)) == (None, "active"), "the move", DEADLINE)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{source.agent.read_log(30)}\n{target.agent.read_log(30)}") from None
        await eventually(lambda: self.pair.sessions(machine) == [target.name], "its account", DEADLINE)
        assert machine.uuid not in source.domains
        assert machine.uuid in target.domains

    async def stays(self, machine: Machine, house: House, other: House) -> None:
        """Wait until all is as if nothing had been begun."""
        await eventually(lambda: (house.phase(machine.uuid), other.phase(machine.uuid)) == ("active", None), "that it stays", DEADLINE)
        await eventually(lambda: self.pair.sessions(machine) == [house.name], "its account", DEADLINE)
        await eventually(lambda: house.rows("SELECT * FROM migrations_out") == [], "that all is forgotten", DEADLINE)
        assert machine.uuid in house.domains
        assert machine.uuid not in other.domains

    async def told(self, house: House, machine: Machine) -> str:
        """Wait until the hypervisor tells why the machine stays, and return that."""
        admin, begin = self.pair.admin, f"The machine {machine.name} that {self.pair.admin.bare} wanted on"
        told = lambda: [text for news in admin.heard(house.hypervisor, kind="headline") if begin in (text := show(news))]  # noqa: E731 - a question for until, one line long
        [*_, last] = await admin.until(told, "why it stays", DEADLINE)
        return last.partition(" stays: ")[2].partition("<")[0]

    @contextlib.contextmanager
    def domain(self, house: House, machine: Machine) -> Iterator[Any]:
        with house.libvirt() as connection:
            yield connection.lookupByUUIDString(machine.uuid)

    async def slow_down(self, house: House, machine: Machine, mebibytes: int = 1) -> None:
        """Let the machine travel with so many MiB a second."""

        def slow() -> None:
            with self.domain(house, machine) as domain:
                domain.migrateSetMaxSpeed(mebibytes)

        await asyncio.to_thread(slow)

    async def downtime(self, house: House, machine: Machine) -> int:
        """How long the guest stood still when it came here, in milliseconds, as libvirt tells."""

        def read() -> int:
            with self.domain(house, machine) as domain:
                flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
                return int(domain.jobStats(flags).get("downtime", 0))

        return await asyncio.to_thread(read)

    async def arrival(self, house: House, machine: Machine) -> dict[str, str]:
        """What the hypervisor pushes of the machine's arrival, to who is subscribed to its events."""
        admin, name = self.pair.admin, "{archipel:push:hypervisor}journey"
        told = lambda: [found.attrib for news in admin.received for found in news.iter(name) if found.get("machine") == machine.bare]  # noqa: E731 - a question for until, one line long
        return (await admin.until(told, "the push of its arrival", DEADLINE))[-1]

    async def under_way(self, house: House, machine: Machine) -> None:
        """Wait until guest memory crosses the network."""

        def busy() -> bool:
            with self.domain(house, machine) as domain:
                return bool(domain.jobStats().get("memory_processed", 0) > 1 << 20)

        await eventually(lambda: asyncio.to_thread(busy), "a migration under way", DEADLINE)

    # -- the guest ------------------------------------------------------------------------------------------------------

    async def start_writing(self, house: House, machine: Machine) -> None:
        """Start the machine, and let its guest write and answer."""
        await self.control(house, machine, "action='create'")

        async def answers() -> bool:
            try:
                await self.execute(house, machine, "true")
            except libvirt.libvirtError:
                return False
            return True

        await eventually(answers, "the guest", DEADLINE)
        await self.execute(house, machine, WRITER)
        assert await self.count(house, machine) > 0

    async def count(self, house: House, machine: Machine) -> int:
        """How many records the guest has written; read when there are more than at first."""
        return int(await self.execute(house, machine, f"sleep 1; {READ}"))

    async def stop_writing(self, house: House, machine: Machine) -> int:
        return int(await self.execute(house, machine, f"touch /stop; sleep 2; sync; {READ}"))

    async def keep_written(self, house: House, machine: Machine) -> int:
        """How many records are on the disk for certain, whatever happens to the guest."""
        return int(await self.execute(house, machine, f"{LOOK}; {FLUSH}; echo $n"))

    async def execute(self, house: House, machine: Machine, script: str) -> str:
        """Run a script in the guest and return what it prints."""

        def ask(command: str, **arguments: object) -> Any:
            with self.domain(house, machine) as domain:
                text = json.dumps({"execute": command, "arguments": arguments})
                return json.loads(libvirt_qemu.qemuAgentCommand(domain, text, 30, 0))["return"]

        path = {"path": "/bin/sh", "arg": ["-c", script], "capture-output": True}
        started = await asyncio.to_thread(ask, "guest-exec", **path)

        async def ended() -> Any:
            found = await asyncio.to_thread(ask, "guest-exec-status", pid=started["pid"])
            return found if found["exited"] else None

        done = await eventually(ended, script, DEADLINE)
        return base64.b64decode(done.get("out-data", "")).decode()

    def records(self, house: House, machine: Machine) -> list[str]:
        """What stands in the sectors of the machine's disk, in order, as far as something does; the machine is off."""
        source = self.base / "drives" / machine.uuid / "data.qcow2"
        self.host_of(house).run("qemu-img", "check", "-q", "-f", "qcow2", str(source))
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            self.host_of(house).run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(source), str(raw))
            data = raw.read_bytes()
        sectors = [data[place : place + SECTOR] for place in range(0, len(data), SECTOR)]
        return [sector.decode().strip() for sector in sectors if sector.strip(b"\0")]


@dataclass
class Pings:
    """The answers of a guest; ``longest`` is the longest time without one, in seconds."""

    moments: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        return max(later - earlier for earlier, later in zip(self.moments, self.moments[1:], strict=False))


@contextlib.asynccontextmanager
async def pinging(host: LinkedLibvirt) -> AsyncIterator[Pings]:
    """Ask the guest all the time, from one host's network."""
    pings = Pings()
    process = await asyncio.create_subprocess_exec(
        *host.enter("net"), sys.executable, str(Path(__file__).with_name("pinger.py")), GUEST_ADDRESS, stdout=subprocess.PIPE
    )
    try:
        yield pings
    finally:
        process.terminate()
        told, _ = await process.communicate()
        pings.moments = [float(line) for line in told.split()]


@contextlib.asynccontextmanager
async def open_scene(root: Path, authority: Authority, folder: Path, *, downtime: int = DOWNTIME_LIMIT) -> AsyncIterator[Scene]:
    """Start two hosts and all that belongs to them; takes root. A guest may stand still for ``downtime`` milliseconds."""
    place = Path(tempfile.mkdtemp(prefix="archipel-pair-", dir="/tmp"))
    images, base = place / "images", place / "vm"
    guest = make_guest(root / ".cache" / "guest")
    for path in (images, base, place / "one", place / "two"):
        path.mkdir()
    for file in (guest.kernel, guest.initrd):
        shutil.copy(file, images)
    hosts = tuple(
        LinkedLibvirt(place / f"l{name}", name, number, {base: place / name}, authority) for number, name in enumerate(("one", "two"), 1)
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, place)
        for host in hosts:
            host.start()
            stack.callback(host.stop)
        link(*hosts)
        options = {
            ("DEFAULT", "archipel_folder_data"): str(base),
            ("MIGRATION", "migration_trusts_sharing"): "True",
            ("MIGRATION", "migration_downtime"): str(downtime),
        }
        own = [{("GLOBAL", "migration_uri"): host.peer_uri, ("MIGRATION", "migration_address"): host.host_name} for host in hosts]
        prefixes = [host.enter("mount") for host in hosts]
        opened = open_pair(
            folder, authority, "pair.localhost", hosts, options=options, each=(own[0], own[1]), prefixes=(prefixes[0], prefixes[1])
        )
        pair = await stack.enter_async_context(opened)
        yield Scene(pair, (hosts[0], hosts[1]), images, base)
