# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage pools of each type on a host whose kernel has volume groups, file systems and NFS; a real guest has a disk in each."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from archipel.client import Hypervisor
from archipel.protocol import storage_pools
from archipel.protocol.errors import CommandError, Condition
from testbed.agent import make_agent
from testbed.ejabberd import Ejabberd
from testbed.guest import GuestImage, make_guest
from testbed.kernel_host import GATEWAY, KernelHost
from tests.e2e.other_host import log_in
from tests.integration.collection.platform import password_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1800)]

PATIENCE = 900  # seconds; the host is emulated, and its guest by the host once more
UUID = str(uuid.uuid4())
MIB = 1 << 20
# The server's side of NFS stands in the same host. A short grace: nobody was there before who could reclaim anything.
PREPARE = """set -e
mkdir -p /srv/export /proc/fs/nfsd
for name in group export disk; do truncate -s 256M /srv/$name.img; losetup --find --show /srv/$name.img; done
mkfs.ext4 -q /dev/loop1
mkfs.ext4 -q /dev/loop2
mount /dev/loop1 /srv/export
mount -t nfsd nfsd /proc/fs/nfsd
echo '/srv/export 127.0.0.1(rw,no_root_squash,no_subtree_check,fsid=0)' >/etc/exports
exportfs -ra
rpc.mountd --no-nfs-version 3 --no-udp
rpc.nfsd --no-nfs-version 3 --grace-time 5 --lease-time 5 2
"""
POOLS = {
    "logical": "<source><device path='/dev/loop0'/><name>archipel-e2e</name></source><target><path>/dev/archipel-e2e</path></target>",
    "netfs": "<source><host name='127.0.0.1'/><dir path='/'/><format type='nfs'/></source><target><path>/srv/pools/netfs</path></target>",
    "fs": "<source><device path='/dev/loop2'/><format type='ext4'/></source><target><path>/srv/pools/fs</path></target>",
}
VOLUMES = {"logical": ("data", "raw"), "netfs": ("data.qcow2", "qcow2"), "fs": ("data.raw", "raw")}
DISKS = """
<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/mapper/archipel--e2e-data'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/pools/netfs/data.qcow2'/><target dev='vdb' bus='virtio'/></disk>
<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='fs' volume='data.raw'/><target dev='vdc' bus='virtio'/></disk>"""
DEFINITION = """<domain type='qemu'><name>stored</name><uuid>{uuid}</uuid><memory unit='MiB'>160</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{guest.kernel}</kernel><initrd>{guest.initrd}</initrd>
<cmdline>console=ttyS0 quiet panic=1</cmdline></os><features><acpi/></features>
<devices>{disks}<serial type='pty'/></devices></domain>"""


@pytest.fixture(scope="module")
def image(root: Path) -> GuestImage:
    return make_guest(root / ".cache" / "guest")


@pytest.fixture(scope="module")
def host(ejabberd: Ejabberd, image: GuestImage) -> Iterator[KernelHost]:
    """The host, with an agent, three empty disks and an NFS server."""
    folder = Path(tempfile.mkdtemp(prefix="archipel-kernel-", dir="/tmp"))
    where = {("GLOBAL", "xmpp_hosts"): f"{GATEWAY}:{ejabberd.port}"}
    agent = make_agent(folder / "agent", ejabberd, "qemu:///system", password_of("hypervisor"), options=where)
    host = KernelHost(folder / "host")
    try:
        host.start()
        host.run("sh", "-c", PREPARE)
        host.spawn(agent.command(), "/srv/agent.log")
        yield host
        print(host.run("cat", "/srv/agent.log"))
    finally:
        host.stop()
        shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hypervisor(host: KernelHost, ejabberd: Ejabberd) -> AsyncIterator[Hypervisor]:
    """The hypervisor, asked by its administrator."""
    async with log_in(ejabberd, PATIENCE) as hypervisor:
        yield hypervisor


async def sizes(hypervisor: Hypervisor, pool: str) -> dict[str, int]:
    return {volume.name: volume.capacity for volume in await hypervisor.ask(storage_pools.GetVolumes(pool=pool))}


@pytest.mark.parametrize("kind", POOLS)
async def test_a_pool_is_defined_built_and_started(hypervisor: Hypervisor, kind: str) -> None:
    definition = ET.fromstring(f"<pool type='{kind}'><name>{kind}</name>{POOLS[kind]}</pool>")
    await hypervisor.ask(storage_pools.DefinePool(pool=definition))
    await hypervisor.ask(storage_pools.CreatePool(name=kind, build=True))
    [pool] = [one for one in await hypervisor.ask(storage_pools.GetPools()) if one.name == kind]
    assert (pool.type, pool.active, pool.persistent) == (kind, True, True)
    assert 100 * MIB < pool.available <= pool.capacity <= 256 * MIB


async def test_the_kernel_has_mounted_what_the_pools_are(hypervisor: Hypervisor, host: KernelHost) -> None:
    mounted = [line.split()[:3] for line in (await asyncio.to_thread(host.run, "cat", "/proc/mounts")).splitlines()]
    assert ["127.0.0.1:/", "/srv/pools/netfs", "nfs4"] in mounted
    assert ["/dev/loop2", "/srv/pools/fs", "ext4"] in mounted
    assert "archipel-e2e" in await asyncio.to_thread(host.run, "vgs", "--noheadings", "--options", "vg_name")


@pytest.mark.parametrize("kind", POOLS)
async def test_a_volume_is_made(hypervisor: Hypervisor, kind: str) -> None:
    name, image_format = VOLUMES[kind]
    await hypervisor.ask(storage_pools.CreateVolume(pool=kind, name=name, size=16, unit="M", format=image_format))
    [volume] = [one for one in await hypervisor.ask(storage_pools.GetVolumes(pool=kind)) if one.name == name]
    assert (volume.format, volume.capacity) == (image_format, 16 * MIB)


async def test_a_volume_group_has_raw_volumes_only(hypervisor: Hypervisor) -> None:
    with pytest.raises(CommandError, match="format: volumes of the group logical are raw"):
        await hypervisor.ask(storage_pools.CreateVolume(pool="logical", name="other", size=16, unit="M", format="qcow2"))
    assert await sizes(hypervisor, "logical") == {"data": 16 * MIB}


@pytest.mark.parametrize("kind", ["netfs", "fs"])
async def test_a_volume_grows_and_shrinks_only_if_that_is_said(hypervisor: Hypervisor, kind: str) -> None:
    name, _format = VOLUMES[kind]
    await hypervisor.ask(storage_pools.ResizeVolume(pool=kind, name=name, size=32, unit="M"))
    assert (await sizes(hypervisor, kind))[name] == 32 * MIB
    with pytest.raises(CommandError, match="shrink"):
        await hypervisor.ask(storage_pools.ResizeVolume(pool=kind, name=name, size=8, unit="M"))
    assert (await sizes(hypervisor, kind))[name] == 32 * MIB


async def test_a_volume_of_a_group_grows_by_lvm_only(hypervisor: Hypervisor, host: KernelHost) -> None:
    """libvirt cannot do it; what LVM did is seen after a look."""
    with pytest.raises(CommandError, match="does not support changing of volume capacity"):
        await hypervisor.ask(storage_pools.ResizeVolume(pool="logical", name="data", size=32, unit="M"))
    await asyncio.to_thread(host.run, "lvextend", "--size", "32M", "archipel-e2e/data")
    await hypervisor.ask(storage_pools.RefreshPool(name="logical"))
    assert await sizes(hypervisor, "logical") == {"data": 32 * MIB}


async def test_a_guest_has_a_disk_in_each_and_keeps_it(hypervisor: Hypervisor, host: KernelHost, image: GuestImage) -> None:
    """The volume of the group is its disk by another name than libvirt tells. It runs; twice emulated, nobody waits until it is up."""
    definition = ET.fromstring(DEFINITION.format(uuid=UUID, guest=image, disks=DISKS))
    machine = await hypervisor.alloc("stored", uuid=UUID, domain=definition)
    await machine.start()
    await keeps_its_volumes(hypervisor, host)
    await machine.destroy()
    await hypervisor.free(UUID)


async def keeps_its_volumes(hypervisor: Hypervisor, host: KernelHost) -> None:
    """The guest that runs has all three, and nobody takes them away from it."""
    for target in ("vda", "vdb", "vdc"):
        told = await asyncio.to_thread(host.run, "virsh", "--connect", "qemu:///system", "domblkinfo", "stored", target)
        assert told.split()[:2] == ["Capacity:", str(32 * MIB)]
    for kind, (name, _format) in VOLUMES.items():
        for refused in (storage_pools.DeleteVolume(pool=kind, name=name), storage_pools.DestroyPool(name=kind)):
            with pytest.raises(CommandError, match="stored") as caught:
                await hypervisor.ask(refused)
            assert caught.value.condition == Condition.CONFLICT


@pytest.mark.parametrize("kind", POOLS)
async def test_a_pool_goes_and_what_it_was_made_of_stays(hypervisor: Hypervisor, host: KernelHost, kind: str) -> None:
    name, _format = VOLUMES[kind]
    await hypervisor.ask(storage_pools.DeleteVolume(pool=kind, name=name))
    assert name not in await sizes(hypervisor, kind)
    await hypervisor.ask(storage_pools.DestroyPool(name=kind))
    await hypervisor.ask(storage_pools.UndefinePool(name=kind))
    assert kind not in {pool.name for pool in await hypervisor.ask(storage_pools.GetPools())}
    assert f"/srv/pools/{kind}" not in await asyncio.to_thread(host.run, "cat", "/proc/mounts")
    assert "archipel-e2e" in await asyncio.to_thread(host.run, "vgs", "--noheadings", "--options", "vg_name")
