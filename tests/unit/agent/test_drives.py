# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on drives when something goes wrong in the middle: nothing is lost, nobody stays busy, nothing is done twice."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from archipel.agent.drive_replacement import settle_all
from archipel.agent.drive_work import DriveWork, work_on
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.errors import LibvirtTimeout, LibvirtUnavailable
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, LibvirtFailed
from archipel.protocol.presence import Status
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fakes import UUID, FakeDomain, FakeHost, domain_xml, failure, make_settings

CONVERT = "<archipel action='convert' path='data.qcow2' format='raw'/>"


class Domain(FakeDomain):
    """A domain that can be visited as :mod:`archipel.agent.virt.domain` lets it be."""

    async def read(self, _call: str, function: Callable[[Any], object]) -> object:
        return function(self)

    async def change(self, call: str, function: Callable[[Any], object]) -> object:
        self._visit(call)
        return function(self)

    def hasManagedSaveImage(self, _flags: int) -> int:
        return 0

    def XMLDesc(self, _flags: int) -> str:
        return self._visit("xml")

    def isActive(self) -> int:
        return 0


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """A folder on the disk: images below ``/dev`` are refused."""
    return tmp_path


@pytest.fixture
def work(hypervisor: Hypervisor) -> DriveWork:
    return work_on(hypervisor)


@pytest.fixture
async def domain(machine: VirtualMachine, host: FakeHost) -> Domain:
    """The machine's domain, with one drive."""
    machine.folder.mkdir(parents=True)
    drive = machine.folder / "data.qcow2"
    await asyncio.to_thread(subprocess.run, ["qemu-img", "create", "-q", "-f", "qcow2", drive, "1M"], check=True)
    disk = f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{drive}'/><target dev='vda'/></disk>"
    host.known[UUID] = domain = Domain(UUID, domain_xml("web", UUID, disk))
    machine.domain = cast(Any, domain)
    return domain


def files(machine: VirtualMachine) -> list[str]:
    return sorted(path.name for path in machine.folder.iterdir())


def source(domain: Domain) -> str:
    return Path(domain.root.find("devices/disk/source").get("file", "")).name


async def test_a_definition_that_libvirt_refuses_leaves_the_drive_as_it_was(machine: VirtualMachine, domain: Domain) -> None:
    domain.refuse["define"] = failure("no such disk")
    with pytest.raises(LibvirtFailed, match="no such disk"):
        await ask(machine, ns.VM_DISK, CONVERT)
    assert (files(machine), source(domain)) == (["data.qcow2"], "data.qcow2")


@pytest.mark.parametrize("took_effect", [True, False])
@pytest.mark.parametrize("trouble", [LibvirtTimeout("define", 60), LibvirtUnavailable("it broke", in_flight=True)], ids=["late", "lost"])
async def test_a_definition_of_which_nobody_knows_is_settled_when_it_can_be_read(
    machine: VirtualMachine, domain: Domain, work: DriveWork, trouble: Exception, took_effect: bool
) -> None:
    """Until then both files stay."""
    domain.refuse["define"] = trouble
    with pytest.raises(CommandError):
        await ask(machine, ns.VM_DISK, CONVERT)
    assert {"data.qcow2", "data.raw"} < set(files(machine))
    assert work.unsettled.is_set()
    if took_effect:
        domain.stored = (domain.stored or "").replace("qcow2", "raw")
    domain.refuse["read after changes"] = LibvirtTimeout("read", 60)
    assert await settle_all(work, machine.hypervisor) is False
    assert len(files(machine)) == 3
    domain.refuse.clear()
    assert await settle_all(work, machine.hypervisor) is True
    kept = "data.raw" if took_effect else "data.qcow2"
    assert (files(machine), source(domain)) == ([kept], kept)


async def test_a_definition_that_libvirt_was_never_asked_for_leaves_the_drive_as_it_was(machine: VirtualMachine, domain: Domain) -> None:
    domain.refuse["define"] = LibvirtUnavailable("no connection")
    with pytest.raises(CommandError, match="no connection"):
        await ask(machine, ns.VM_DISK, CONVERT)
    assert files(machine) == ["data.qcow2"]


async def test_a_drive_that_changes_while_it_is_copied_stays(machine: VirtualMachine, domain: Domain, work: DriveWork) -> None:
    convert = work.qemu_img.convert

    async def copy(source: Path, *others: Any) -> None:
        await convert(source, *others)
        with source.open("ab") as opened:
            opened.write(bytes(512))

    work.qemu_img.convert = copy
    with pytest.raises(CommandError, match="changed meanwhile") as refused:
        await ask(machine, ns.VM_DISK, CONVERT)
    assert refused.value.condition == Condition.CONFLICT
    assert (files(machine), source(domain)) == (["data.qcow2"], "data.qcow2")


async def test_a_machine_that_is_freed_meanwhile_gets_no_drive(machine: VirtualMachine, domain: Domain, work: DriveWork) -> None:
    create = work.qemu_img.create

    async def free(*arguments: Any, **options: Any) -> None:
        await create(*arguments, **options)
        machine.freeing = True

    work.qemu_img.create = free
    with pytest.raises(CommandError, match="being freed"):
        await ask(machine, ns.VM_DISK, "<archipel action='create' name='b' size='1' unit='M' format='raw'/>")
    assert files(machine) == ["data.qcow2"]


async def test_the_presence_is_busy_as_long_as_any_work_goes_on(machine: VirtualMachine) -> None:
    await go_online(machine)
    async with machine.at_work("first"):
        async with machine.at_work("second"):
            assert machine.status == Status("dnd", "second")
        assert machine.status == Status("dnd", "first")
    assert machine.status == Status("xa", "Off")


async def test_the_presence_is_what_libvirt_says_also_after_a_failure(machine: VirtualMachine) -> None:
    await go_online(machine)
    with pytest.raises(RuntimeError):
        async with machine.at_work("busy"):
            raise RuntimeError
    assert machine.status == Status("xa", "Off")


async def test_a_file_is_worked_on_by_one_at_a_time(work: DriveWork, tmp_path: Path) -> None:
    with work.take(tmp_path / "a", tmp_path / "b"):
        with pytest.raises(CommandError, match="b is being worked on"), work.take(tmp_path / "c", tmp_path / "sub" / ".." / "b"):
            raise AssertionError
        with work.take(tmp_path / "c"):
            pass
    with work.take(tmp_path / "b"):
        pass


async def test_whoever_is_cancelled_keeps_nobody_off(machine: VirtualMachine, domain: Domain, work: DriveWork) -> None:
    begun = asyncio.Event()

    async def wait(*_arguments: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    convert, work.qemu_img.convert = work.qemu_img.convert, wait
    asking = cast(Coroutine[Any, Any, object], ask(machine, ns.VM_DISK, CONVERT))
    task = asyncio.create_task(asking)
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(machine) == ["data.qcow2"]
    work.qemu_img.convert = convert
    await ask(machine, ns.VM_DISK, CONVERT)
    assert (files(machine), source(domain)) == (["data.raw"], "data.raw")


@pytest.mark.parametrize("wanted", [True, False])
async def test_tables_are_made_at_once_where_the_file_lets_them(
    machine: VirtualMachine, domain: Domain, tmp_path: Path, wanted: bool
) -> None:
    machine.services.settings = make_settings(tmp_path, f"[STORAGE]\nuse_metadata_preallocation = {wanted}")
    await ask(machine, ns.VM_DISK, "<archipel action='create' name='b' size='64' unit='M' format='qcow2' preallocation='metadata'/>")
    sizes = {name: (machine.folder / name).stat().st_blocks for name in files(machine)}
    assert (sizes["b.qcow2"] > sizes["data.qcow2"]) is wanted


async def test_pools_lie_where_the_file_says(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, "[STORAGE]\npool_folders = /srv/one, /srv/two\nqemu_img_bin_path = /opt/qemu-img")
    assert settings.capabilities["storage_pools"].folders == (Path("/srv/one"), Path("/srv/two"))
    assert settings.capabilities["storage"].program == Path("/opt/qemu-img")
