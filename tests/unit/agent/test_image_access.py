# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether agent and QEMU reach the same images, and what libvirt's own files say about that and about polkit."""

from __future__ import annotations

import grp
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from archipel.agent import access_list, check, image_access
from archipel.agent.config import parse_settings
from archipel.agent.image_access import ImagesOutOfReach, describe
from archipel.agent.installation.libvirt_configuration import read_settings, remark_on_images, remark_on_polkit
from archipel.agent.settings import Settings

GROUP = grp.getgrgid(os.getegid()).gr_name
TEXT = "[DEFAULT]\nxmpp_server = lab.example\narchipel_folder_data = {}\n[HYPERVISOR]\nhypervisor_xmpp_password = x\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A host where this is no root, with an image of a machine."""
    monkeypatch.setattr(image_access.os, "geteuid", lambda: 990)
    monkeypatch.setattr(image_access, "QEMU_GROUPS", (GROUP,))
    settings = parse_settings(TEXT.format(tmp_path / "vm"))
    for folder in (settings.places.data, settings.machines.base_path):
        folder.mkdir()
        folder.chmod(0o2770)
    folder = settings.machines.base_path / "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
    folder.mkdir()
    (folder / "data.qcow2").touch()
    return settings


def test_folders_of_both_groups_are_as_they_should_be(host: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_list, "reaches_all", lambda _folder, user: user == 990)
    assert describe(host) == "those of this user and of QEMU's group"
    monkeypatch.setattr(access_list, "reaches_all", lambda _folder, _user: False)
    assert f"may be out of reach in {host.places.data}, {host.machines.base_path}" in describe(host)


def test_what_would_keep_machines_from_starting_is_told_at_once(host: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    image = next(host.machines.base_path.glob("*/data.qcow2"))
    monkeypatch.setattr(image_access.os, "access", lambda path, _mode: path not in {image, host.places.data})
    monkeypatch.setattr(image_access.os, "getegid", lambda: 990)
    monkeypatch.setattr(image_access.os, "getgroups", lambda: [990])
    host.machines.base_path.chmod(0o770)
    with pytest.raises(ImagesOutOfReach) as caught:
        describe(host)
    told = str(caught.value)
    assert f"1 images cannot be read and written, such as {image}" in told
    assert f"{host.machines.base_path} does not give its group" in told
    assert f"not in the group of {host.places.data}" in told
    assert f"{host.places.data} cannot be written" in told


def test_folders_of_another_group_than_qemus_are_told(host: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_access, "_qemu_group", lambda: SimpleNamespace(gr_name="qemu", gr_gid=107000))
    with pytest.raises(ImagesOutOfReach, match=f"{host.places.data} is not of QEMU's group qemu"):
        describe(host)


@pytest.mark.parametrize("uri", ["test:///default", "qemu:///session"])
def test_where_qemu_is_no_other_user_nothing_is_looked_at(host: Settings, uri: str) -> None:
    text = TEXT.format(host.places.data).replace("[HYPERVISOR]", f"[GLOBAL]\nlibvirt_uri = {uri}\n[HYPERVISOR]")
    host.places.data.chmod(0o700)
    assert describe(parse_settings(text)).startswith("nothing stands between")


def test_the_check_notes_that_processes_are_not_reached(host: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "SOCKET", tmp_path / "oom.sock")
    (remark,) = check._remark(host)
    assert "systemctl enable --now archipel-oom.socket" in remark
    (tmp_path / "oom.sock").touch()
    assert list(check._remark(host)) == []


# -- libvirt's own files ------------------------------------------------------------------------------------------------


def test_settings_are_read_as_libvirt_does(tmp_path: Path) -> None:
    (tmp_path / "qemu.conf").write_text(
        '#user = "root"\n group = "kvm"  # theirs\ndynamic_ownership = 0\nnamespaces = [\n  "mount",\n  "ipc"\n]\nuser="root"\n'
    )
    read = read_settings("qemu.conf", tmp_path)
    assert read == {"group": "kvm", "dynamic_ownership": "0", "namespaces": '[\n  "mount",\n  "ipc"\n]', "user": "root"}
    assert read_settings("not-there.conf", tmp_path) == {}


@pytest.mark.parametrize("text, asked", [("", False), ('#access_drivers = [ "polkit" ]', False), ('access_drivers=["polkit"]', True)])
def test_rules_that_libvirt_does_not_ask_for_are_told(tmp_path: Path, text: str, asked: bool) -> None:
    (tmp_path / "virtqemud.conf").write_text(text)
    assert bool(list(remark_on_polkit(tmp_path))) != asked


def test_what_keeps_qemu_from_images_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tmp_path / "vm"
    monkeypatch.setattr(access_list, "is_supported", lambda folder: folder != tmp_path)
    assert [remark.split(":")[0] for remark in remark_on_images(images, "libvirt-qemu", tmp_path)] == [
        f"the file system of {images} keeps no access lists"
    ]
    (tmp_path / "qemu.conf").write_text('dynamic_ownership = 0\ngroup = "kvm"\n')
    (remark,) = remark_on_images(images, "libvirt-qemu", tmp_path)
    assert "say --image-group kvm" in remark
    (tmp_path / "qemu.conf").write_text('dynamic_ownership = 0\nuser = "root"\ngroup = "root"\n')
    assert list(remark_on_images(images, "libvirt-qemu", tmp_path)) == [], "root reaches all"
