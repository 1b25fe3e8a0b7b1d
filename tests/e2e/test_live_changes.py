# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module ``vm`` changes a running QEMU guest in place: memory, processors, disks, cards, media."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest

from testbed.demo.virtualization import connect
from testbed.guest import GuestImage, make_guest
from tests.integration.collection.platform import Platform
from tests.integration.collection.playbook import Ansible, Outcome, Task

MACHINE = "lively"


@pytest.fixture(scope="module")
def images(root: Path) -> Iterator[Path]:
    """A folder with a bootable disk, another disk, and two media, where QEMU's user can go too."""
    folder = Path(tempfile.mkdtemp(prefix="archipel-images-", dir="/tmp"))
    guest: GuestImage = make_guest(root / ".cache" / "guest")
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", guest.disk, folder / "boot.qcow2"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "data.qcow2", "16M"], check=True)
    for name in ("one.iso", "two.iso"):
        (folder / name).write_bytes(bytes(1 << 20))
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o666)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ansible(platform: Platform, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Ansible:
    return Ansible(root, tmp_path_factory.mktemp("ansible"), platform.environment())


@pytest.fixture(scope="module")
def running(ansible: Ansible, images: Path) -> dict[str, Any]:
    """The machine that all these tests change."""
    task = vm(
        state="running",
        domain_type="qemu",
        memory=128,
        max_memory=192,
        vcpus=1,
        max_vcpus=2,
        disks=[{"path": f"{images}/boot.qcow2"}],
        cdrom=f"{images}/one.iso",
        networks=[{"user": True}],
    )
    (made,) = ansible.run([task])
    assert not made.get("failed"), made["msg"]
    machine: dict[str, Any] = made["machine"]
    return machine


def vm(**arguments: object) -> Task:
    return {"name": "change", "archipel.platform.vm": {"name": MACHINE, **arguments}}


def change(ansible: Ansible, **arguments: object) -> Outcome:
    """Change the machine; check mode told the truth and a second run had nothing to do."""
    (outcome,) = ansible.run_thrice([vm(**arguments)])
    outcome.assert_truthful()
    assert outcome.first["changed"]
    return outcome


def live(platform: Platform) -> ET.Element:
    """Return the definition of the running machine, as libvirt has it."""
    with connect(platform.uri) as connection:
        domain = connection.lookupByName(MACHINE)
        assert domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        return ET.fromstring(domain.XMLDesc())


def sources(platform: Platform, device: str) -> list[str | None]:
    found = [disk.find("source") for disk in live(platform).iterfind("devices/disk") if disk.get("device") == device]
    return [None if source is None else source.get("file") for source in found]


@pytest.mark.usefixtures("running")
def test_memory_and_processors_change_at_once(ansible: Ansible, platform: Platform) -> None:
    outcome = change(ansible, memory=160, vcpus=2)
    assert not outcome.first["needs_restart"]
    assert live(platform).find("vcpu").get("current") is None  # all that there can be


@pytest.mark.usefixtures("running")
def test_a_medium_is_changed_and_taken_out(ansible: Ansible, platform: Platform, images: Path) -> None:
    assert not change(ansible, cdrom=f"{images}/two.iso").first["needs_restart"]
    assert sources(platform, "cdrom") == [f"{images}/two.iso"]
    change(ansible, cdrom="none")
    assert sources(platform, "cdrom") == [None]


@pytest.mark.usefixtures("running")
def test_a_disk_is_plugged_in_and_out(ansible: Ansible, platform: Platform, images: Path) -> None:
    both = [{"path": f"{images}/boot.qcow2"}, {"path": f"{images}/data.qcow2", "target": "vdb"}]
    assert not change(ansible, disks=both).first["needs_restart"]
    assert sources(platform, "disk") == [f"{images}/boot.qcow2", f"{images}/data.qcow2"]
    outcome = change(ansible, disks=both[:1])
    assert outcome.second["needs_restart"] is (len(sources(platform, "disk")) == 2)  # the guest may take its time to let go


@pytest.mark.usefixtures("running")
def test_a_card_is_plugged_in(ansible: Ansible, platform: Platform) -> None:
    assert not change(ansible, networks=[{"user": True}, {"user": True, "mac": "52:54:00:00:00:99"}]).first["needs_restart"]
    assert len(live(platform).findall("devices/interface")) == 2


def test_more_than_it_can_have_takes_a_restart(ansible: Ansible, platform: Platform, running: dict[str, Any]) -> None:
    assert change(ansible, max_memory=256).first["needs_restart"]
    assert int(live(platform).findtext("memory") or 0) == running["max_memory"] * 1024
    outcome = change(ansible, max_memory=256, restart=True, shutdown_timeout=60, force=True)
    assert not outcome.first["needs_restart"]
    assert int(live(platform).findtext("memory") or 0) == 256 * 1024
