# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: what libvirt has, what a failure leaves, what is removed (what libvirt is asked for: test_snapshot_plan.py)."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest

from archipel.agent import snapshots
from archipel.agent.snapshot_files import _remove, make_files, remove_empty
from archipel.agent.virt import binding
from archipel.agent.virt import snapshots as virt
from archipel.agent.virt.errors import LibvirtTimeout
from archipel.agent.virt.host import LibvirtVersion
from archipel.agent.virt.lifecycle import DomainEvent, DomainState, LifecycleEvent, SuspendedDetail
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol import presence
from archipel.protocol.errors import CommandError
from archipel.protocol.presence import Status
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import UUID, VM, FakeDomain, FakeHost, domain_xml, failure


def disk(target: str = "vda", image_format: str = "qcow2", source: str = "file='/d/a'", kind: str = "file", more: str = "") -> str:
    return f"<disk type='{kind}'><driver type='{image_format}'/><source {source}/><target dev='{target}'/>{more}</disk>"


def stored(name: str, parent: str | None = None, **more: Any) -> virt.StoredSnapshot:
    facts = {"description": "", "state": "shutoff", "created": 0, "memory": False, "files": (), "definitions": ()}
    return virt.StoredSnapshot(name=name, parent=parent, **{**facts, **more})


# -- what libvirt has ---------------------------------------------------------------------------------------------------


def test_what_stands_on_a_snapshot_is_found() -> None:
    tree = [stored("a"), stored("b", "a"), stored("c", "b"), stored("d", "a"), stored("e")]
    assert [snapshot.name for snapshot in virt.descendants("b", tree)] == ["c"]
    assert [snapshot.name for snapshot in virt.descendants("a", tree)] == ["b", "c", "d"]


def test_an_external_snapshot_is_known_by_its_files() -> None:
    read = virt.parse_snapshot(
        "<domainsnapshot><name>a</name><state>running</state><creationTime>7</creationTime><memory snapshot='external' file='/v/m'/>"
        "<disks><disk name='vda' snapshot='external' type='file'><source file='/v/o'/></disk><disk name='vdb' snapshot='no'/></disks>"
        f"{domain_xml(devices=disk())}<inactiveDomain type='test'/></domainsnapshot>",
        "a",
    )
    assert (read.files, read.external, read.memory, read.current, read.created) == (("/v/m", "/v/o"), True, True, True, 7)
    assert [found.tag for found in read.definitions] == ["domain", "domain"]


def test_many_definitions_are_cut_down_to_what_fits_in_an_answer() -> None:
    large = ET.fromstring(domain_xml(more=f"<title>{'x' * 2000}</title>"))
    many = [stored(str(number), definitions=(large,), description="why") for number in range(snapshots.MOST_SNAPSHOTS)]
    told = snapshots.describe(many)
    assert sum(len(ET.tostring(snapshot.write())) for snapshot in told) < snapshots.MOST_BYTES
    assert {snapshot.description for snapshot in told} == {"why"}
    assert {tuple(part.tag for part in snapshot.domain) for snapshot in told if snapshot.domain is not None} == {("name", "uuid")}
    (one,) = snapshots.describe(many[:1])
    assert one.domain is not None
    assert one.domain.find("title") is not None


def test_long_descriptions_are_told_by_their_beginnings_where_all_would_not_fit() -> None:
    many = [stored(str(number), description="\u20ac" * 2000) for number in range(snapshots.MOST_SNAPSHOTS)]
    told = snapshots.describe(many)
    assert sum(len(ET.tostring(snapshot.write(), "utf-8")) for snapshot in told) < snapshots.MOST_BYTES
    assert {snapshot.description[: snapshots.SHORT_DESCRIPTION] for snapshot in told} == {"\u20ac" * snapshots.SHORT_DESCRIPTION}


def test_what_fits_in_no_answer_is_an_error() -> None:
    """Somebody took them with virsh."""
    with pytest.raises(CommandError, match="5000 snapshots fit in no answer"):
        snapshots.describe([stored(str(number)) for number in range(5000)])


# -- a machine ----------------------------------------------------------------------------------------------------------


class Failure(libvirt.libvirtError):
    """libvirt's error, made here."""

    def __init__(self, code: int) -> None:
        Exception.__init__(self, "failed")
        self.err = (code, 0, "failed", 2, "", "", "", 0, 0)


@dataclass
class FakeSnapshot:
    """A snapshot of a fake domain."""

    home: FakeVir
    name: str
    more: str = ""

    def getName(self) -> str:
        return self.name

    def getXMLDesc(self, _flags: int) -> str:
        return f"<domainsnapshot><name>{self.name}</name><state>shutoff</state>{self.more}{self.home.domain.stored}</domainsnapshot>"

    def delete(self, flags: int) -> int:
        self.home.deleted.append((self.name, flags))
        self.home.snapshots.remove(self)
        return 0


@dataclass
class FakeVir:
    """What the functions that run in libvirt's threads see of a domain."""

    domain: FakeDomain
    snapshots: list[FakeSnapshot] = field(default_factory=list)
    deleted: list[tuple[str, int]] = field(default_factory=list)
    reverted: list[str] = field(default_factory=list)
    fails: bool = False
    refuse: Exception | None = None

    async def visit(self, _call: str, function: Callable[[Any], Any], _within: float | None = None) -> Any:
        if self.refuse is not None and self.snapshots == [] and function.__name__ == "<lambda>":
            raise self.refuse
        try:
            return function(self)
        except Failure as error:
            raise binding.describe(error) from None

    def snapshotCreateXML(self, xml: str, _flags: int) -> None:
        self.snapshots.append(FakeSnapshot(self, ET.fromstring(xml).findtext("name") or ""))
        if self.fails:
            raise Failure(libvirt.VIR_ERR_OPERATION_FAILED)

    def listAllSnapshots(self, _flags: int) -> list[FakeSnapshot]:
        return list(self.snapshots)

    def snapshotLookupByName(self, name: str) -> FakeSnapshot:
        return next(snapshot for snapshot in self.snapshots if snapshot.name == name)

    def snapshotCurrent(self) -> FakeSnapshot:
        if not self.snapshots:
            raise Failure(binding.NO_SNAPSHOT)
        return self.snapshots[-1]

    def revertToSnapshot(self, snapshot: FakeSnapshot, _flags: int) -> None:
        self.reverted.append(snapshot.name)


@pytest.fixture
def vir(machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> FakeVir:
    domain = host.domain(UUID)
    domain.stored = domain_xml(devices=disk())
    vir = FakeVir(domain)
    monkeypatch.setattr(domain, "read", vir.visit, raising=False)
    monkeypatch.setattr(domain, "change", vir.visit, raising=False)
    return vir


def have_version(host: FakeHost, monkeypatch: pytest.MonkeyPatch, *version: int) -> None:
    async def read() -> LibvirtVersion:
        return LibvirtVersion(*version)

    monkeypatch.setattr(host, "libvirt_version", read, raising=False)


async def order(machine: VirtualMachine, action: str, more: str = "") -> ET.Element:
    return await ask(machine, ns.VM_SNAPSHOTS, f"<archipel action='{action}' {more}/>")


EXTERNAL = "<disks><disk name='vda' snapshot='external'><source file='/v/o'/></disk></disks>"


async def test_a_snapshot_that_fails_is_removed_again(machine: VirtualMachine, vir: FakeVir, xmpp: FakeXmpp) -> None:
    await go_online(machine)
    vir.fails = True
    with pytest.raises(CommandError, match="failed"):
        await order(machine, "take", "name='one'")
    assert (vir.snapshots, vir.deleted) == ([], [("one", 0)])
    assert (machine.status, xmpp.pushes(VM)) == (presence.OFF, [])


async def test_of_an_external_one_that_fails_only_the_record_is_removed(machine: VirtualMachine, vir: FakeVir, tmp_path: Path) -> None:
    """Its data is not there, and the disks' must not be touched."""
    vir.fails = True
    settings = machine.services.settings
    machine.services.settings = dataclasses.replace(settings, machines=dataclasses.replace(settings.machines, base_path=tmp_path))
    machine.folder.mkdir(parents=True)
    vir.domain.stored = domain_xml(devices=disk(image_format="raw", source=f"file='{machine.folder}/disk'"))
    with pytest.raises(CommandError, match="failed"):
        await order(machine, "take", "name='one' external='1'")
    assert vir.deleted == [("one", libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)]


async def test_what_became_of_a_snapshot_that_takes_too_long_is_not_known(machine: VirtualMachine, vir: FakeVir) -> None:
    vir.refuse = LibvirtTimeout("snapshot", 1800)
    with pytest.raises(CommandError, match="it may still take effect"):
        await order(machine, "take", "name='one'")
    assert vir.deleted == []


async def test_while_a_machine_is_at_work_that_is_what_it_shows(machine: VirtualMachine, vir: FakeVir) -> None:
    await go_online(machine)
    async with machine.at_work("Busy..."):
        vir.domain.state_now = DomainState.PAUSED
        machine.take_event(DomainEvent(UUID, "web", LifecycleEvent.SUSPENDED, SuspendedDetail.PAUSED))
        await finish_work(machine)
        await machine.refresh()
        assert machine.status == await machine.current_status() == Status("dnd", "Busy...")
    assert machine.status == presence.PAUSED


@pytest.mark.parametrize("action,version", [("revert", (9, 8, 0)), ("delete", (8, 10, 0))])
async def test_what_an_old_libvirt_cannot_do_is_said_before_anything_changes(
    machine: VirtualMachine, vir: FakeVir, host: FakeHost, monkeypatch: pytest.MonkeyPatch, action: str, version: tuple[int, ...]
) -> None:
    vir.snapshots.append(FakeSnapshot(vir, "one", EXTERNAL))
    have_version(host, monkeypatch, *version)
    with pytest.raises(CommandError, match=f"libvirt {'.'.join(map(str, version))} on Host cannot .* external"):
        await order(machine, action, "name='one'")
    assert (vir.reverted, vir.deleted) == ([], [])


async def test_a_new_libvirt_goes_back_to_external_snapshots(
    machine: VirtualMachine, vir: FakeVir, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    vir.snapshots.append(FakeSnapshot(vir, "one", EXTERNAL))
    have_version(host, monkeypatch, 9, 9, 0)
    await order(machine, "revert", "name='one'")
    assert vir.reverted == ["one"]


async def test_images_that_external_files_stand_on_are_not_changed(machine: VirtualMachine, vir: FakeVir) -> None:
    vir.snapshots += [FakeSnapshot(vir, "one"), FakeSnapshot(vir, "two", f"<parent><name>one</name></parent>{EXTERNAL}")]
    with pytest.raises(CommandError, match="delete 'two' first"):
        await order(machine, "revert", "name='one'")
    assert vir.reverted == []


async def test_what_could_never_be_deleted_is_not_taken(machine: VirtualMachine, vir: FakeVir) -> None:
    vir.snapshots.append(FakeSnapshot(vir, "one"))
    with pytest.raises(CommandError, match="delete 'one' first"):
        await order(machine, "take", "external='1'")
    assert len(vir.snapshots) == 1


async def test_a_machine_that_would_not_start_again_is_left_as_it_is(machine: VirtualMachine, vir: FakeVir) -> None:
    """Images in its folder are such as the guest may have written: they stand on nothing outside."""
    with pytest.raises(CommandError, match="external: the image of disk vda leads out of the folders"):
        await order(machine, "take", "external='1'")
    assert vir.snapshots == []


async def test_a_machine_has_only_so_many_snapshots(machine: VirtualMachine, vir: FakeVir) -> None:
    vir.snapshots += [FakeSnapshot(vir, str(number)) for number in range(snapshots.MOST_SNAPSHOTS)]
    with pytest.raises(CommandError, match="has 100 snapshots: delete some first"):
        await order(machine, "take")
    assert len(vir.snapshots) == snapshots.MOST_SNAPSHOTS


async def test_a_disk_that_libvirt_cannot_read_is_libvirts_error(machine: VirtualMachine, vir: FakeVir) -> None:
    vir.domain.refuse["is active"] = failure("it hangs")
    with pytest.raises(CommandError, match="it hangs"):
        await order(machine, "take")


# -- files --------------------------------------------------------------------------------------------------------------


def test_files_go_only_when_nothing_stands_on_them(tmp_path: Path) -> None:
    folder = tmp_path / "vm"
    folder.mkdir()
    for name in ("base", "middle", "top", "gone", "kept", "live"):
        backing = {"middle": "base", "top": "middle"}.get(name)
        options = ["-b", folder / backing, "-F", "qcow2"] if backing else []
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, folder / name, *([] if backing else ["1M"])], check=True)
    outside = tmp_path / "outside"
    outside.touch()
    (folder / "link").symlink_to(outside)
    texts = {domain_xml(devices=disk(source=f"file='{folder}/top'")), domain_xml(devices=disk(source=f"file='{folder}/live'"))}
    candidates = [*map(str, folder.iterdir()), str(outside), "/etc/passwd", f"{folder}/never", str(folder)]
    assert _remove(candidates, texts, {f"{folder}/kept"}, folder) == [folder / "gone"]
    assert sorted(path.name for path in folder.iterdir()) == ["base", "kept", "link", "live", "middle", "top"]
    assert outside.exists()


async def test_files_of_a_snapshot_are_made_for_the_group_that_qemu_is_in(machine: VirtualMachine) -> None:
    files = [machine.folder / "snapshot-1.qcow2", machine.folder / "snapshot-2.qcow2"]
    await make_files(machine, files)
    assert {(file.stat().st_size, file.stat().st_mode & 0o600) for file in files} == {(0, 0o600)}
    files[1].write_text("an image")
    await remove_empty(files)
    assert list(machine.folder.iterdir()) == files[1:]


async def test_a_file_that_cannot_be_made_leaves_none(machine: VirtualMachine) -> None:
    files = [machine.folder / "snapshot-1.qcow2", machine.folder / "missing" / "snapshot-2.qcow2"]
    with pytest.raises(CommandError, match="cannot make the files of the snapshot"):
        await make_files(machine, files)
    assert list(machine.folder.iterdir()) == []
