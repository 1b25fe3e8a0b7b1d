# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new volume may stand on: nothing outside of golden folders and pools, down to the last image; nothing that a machine writes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import cast

import pytest

from archipel.agent.dispatch import Caller
from archipel.agent.drive_work import work_on
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.settings import Settings
from archipel.agent.virt.storage_pools import Backing, PoolVolume, StoragePools
from archipel.agent.volume_backing import open_backing
from archipel.protocol.errors import BadRequest, CommandError, PermissionDenied
from archipel.protocol.storage_pools import CreateVolume, Pool, Volume
from tests.unit.agent.fakes import ADMIN, HYP, STUDENT, UUID, FakeHost, make_settings

MIB = 2**20


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """On a disk: images in /dev are not followed."""
    return tmp_path


@pytest.fixture
def agent_settings(agent_folder: Path) -> Settings:
    return make_settings(agent_folder, "[POLICY]\nallowed_pools = open\n")


class FolderPools:
    """Pools of folders: every file in one is a volume, but for those ``unseen``."""

    def __init__(self, root: Path) -> None:
        self.unseen: set[str] = set()
        self.folders = {name: root / name for name in ("open", "closed")}
        for folder in self.folders.values():
            folder.mkdir()

    async def list(self) -> tuple[Pool, ...]:
        figures = {"capacity": 9, "allocation": 0, "available": 9}
        common = {"uuid": "u", "type": "dir", "active": True, "persistent": True, "autostart": False}
        return tuple(Pool(name=name, path=str(folder), **common, **figures) for name, folder in self.folders.items())

    async def volume(self, pool: str, name: str) -> Volume:
        return Volume(name=name, path=str(self.folders[pool] / name), format="qcow2", capacity=MIB, allocation=0)

    async def find_volume(self, path: str) -> PoolVolume | None:
        parent, _slash, name = path.rpartition("/")  # libvirt compares texts
        for pool, folder in self.folders.items():
            if parent == str(folder) and name not in self.unseen:
                return PoolVolume(pool, await self.volume(pool, name))
        return None


@pytest.fixture
def pools(tmp_path: Path) -> FolderPools:
    return FolderPools(tmp_path)


def make_image(path: Path, backing: Path | None = None, backing_format: str = "qcow2") -> Path:
    below = () if backing is None else ("-b", str(backing), "-F", backing_format)
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *below, str(path), *(() if backing else ("1M",))], check=True)
    return path


def make_image_on_anything(path: Path, backing: Path, backing_format: str) -> None:
    """What a guest may write into its disk: the header names a file that nobody looks at."""
    command = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", str(backing), "-F", backing_format, str(path), "1M"]
    subprocess.run(command, check=True)


async def choose(hypervisor: Hypervisor, pools: FolderPools, caller: Caller = STUDENT, **said: str) -> Backing | None:
    request = CreateVolume(pool="open", name="new", unit="M", **{"backing_format": "qcow2", **said})
    async with open_backing(hypervisor, request, caller, cast(StoragePools, pools)) as backing:
        return backing


async def test_a_volume_stands_on_one_of_a_pool_that_is_for_everybody(hypervisor: Hypervisor, pools: FolderPools) -> None:
    base = make_image(pools.folders["open"] / "base.qcow2")
    for said in (base.name, str(base)):
        assert await choose(hypervisor, pools, backing=said) == Backing(base, "qcow2", MIB)


async def test_a_volume_stands_on_a_golden_drive_and_what_that_stands_on(hypervisor: Hypervisor, pools: FolderPools) -> None:
    [goldens] = hypervisor.services.settings.machines.golden_folders
    golden = make_image(goldens / "class.qcow2", make_image(goldens / "debian.qcow2"))
    assert await choose(hypervisor, pools, backing=str(golden)) == Backing(golden, "qcow2", MIB)


@pytest.mark.parametrize("by_path", [True, False])
async def test_other_pools_are_for_those_with_the_host(hypervisor: Hypervisor, pools: FolderPools, by_path: bool) -> None:
    base = make_image(pools.folders["closed"] / "base.qcow2")
    said = {"backing": str(base)} if by_path else {"backing": base.name, "backing_pool": "closed"}
    with pytest.raises(PermissionDenied, match="allowed_pools"):
        await choose(hypervisor, pools, **said)
    await hypervisor.services.rights.grant(HYP, ADMIN.bare, "all", granted_by=HYP)
    assert (await choose(hypervisor, pools, ADMIN, **said)) == Backing(base, "qcow2", MIB)


@pytest.mark.parametrize("way", ["inner/base.qcow2", "./inner/base.qcow2", "inner/../inner/base.qcow2", "new.qcow2"])
async def test_in_a_pools_folder_only_its_volumes_count_however_a_path_is_spelt(
    hypervisor: Hypervisor, pools: FolderPools, way: str
) -> None:
    pools.folders["closed"] = pools.folders["open"] / "inner"
    make_image(pools.folders["closed"] / "base.qcow2")
    make_image(pools.folders["open"] / "new.qcow2")
    pools.unseen.add("new.qcow2")
    with pytest.raises((PermissionDenied, BadRequest), match=r"backing: "):
        await choose(hypervisor, pools, backing=f"{pools.folders['open']}/{way}")


@pytest.mark.parametrize("place", ["/etc/hostname", "closed", "kernel"])
async def test_a_chain_that_leads_elsewhere_is_refused_at_every_depth(
    hypervisor: Hypervisor, pools: FolderPools, tmp_path: Path, place: str
) -> None:
    elsewhere = {"closed": make_image(pools.folders["closed"] / "secret.qcow2"), "kernel": Path("/proc/self/environ")}
    folder, foreign = pools.folders["open"], elsewhere.get(place, Path(place))
    raw = "qcow2" if place == "closed" else "raw"
    lower = folder / "lower.qcow2"
    make_image_on_anything(lower, foreign, raw)
    for base in (lower, make_image(folder / "upper.qcow2", lower)):
        with pytest.raises(BadRequest, match=r"backing: .*has a backing file that leads (out of the folders|through files of the kernel)"):
            await choose(hypervisor, pools, backing=base.name)
    link = folder / "link.qcow2"
    link.symlink_to(foreign)
    with pytest.raises(BadRequest, match=r"backing: .*leads (out of the folders|through files of the kernel)"):
        await choose(hypervisor, pools, backing=link.name, backing_format="raw")


@pytest.mark.parametrize("path", ["/etc/hostname", "/proc/self/environ", "/dev/null", "//etc/hostname", "/none", "/a/../../etc/hostname"])
async def test_a_path_elsewhere_is_refused_even_to_those_with_the_host(hypervisor: Hypervisor, pools: FolderPools, path: str) -> None:
    await hypervisor.services.rights.grant(HYP, ADMIN.bare, "all", granted_by=HYP)
    with pytest.raises(BadRequest, match="backing: "):
        await choose(hypervisor, pools, ADMIN, backing=path, backing_format="raw")


@pytest.mark.parametrize("more, refused", [("", True), ("<readonly/>", False)])
async def test_nothing_stands_on_what_a_machine_writes(
    hypervisor: Hypervisor, pools: FolderPools, host: FakeHost, more: str, refused: bool
) -> None:
    base = make_image(pools.folders["open"] / "base.qcow2")
    disk = f"<disk type='volume' device='disk'><source pool='open' volume='{base.name}'/><target dev='vda'/>{more}</disk>"
    host.add(UUID, "web", devices=disk)
    for said in (base.name, str(base)):
        if refused:
            with pytest.raises(CommandError, match=r"backing: base\.qcow2 is a disk of web"):
                await choose(hypervisor, pools, backing=said)
        else:
            assert await choose(hypervisor, pools, backing=said) is not None


async def test_nobody_changes_it_meanwhile(hypervisor: Hypervisor, pools: FolderPools) -> None:
    base = make_image(pools.folders["open"] / "base.qcow2")
    request = CreateVolume(pool="open", name="new", unit="M", backing=base.name, backing_format="qcow2")
    async with open_backing(hypervisor, request, STUDENT, cast(StoragePools, pools)):
        assert await choose(hypervisor, pools, backing=base.name) is not None, "forty at once"
        with pytest.raises(CommandError, match="is being worked on"), work_on(hypervisor).take(base):
            raise AssertionError("somebody took it")
    with work_on(hypervisor).take(base):
        pass
