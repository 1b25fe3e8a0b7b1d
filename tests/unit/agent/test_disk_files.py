# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are drives, however somebody names them; and files that are not what they will be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from archipel.agent.virt import unfinished_files
from archipel.agent.virt.confined_paths import PathRefused
from archipel.agent.virt.disk_files import Definitions, find_drive, find_golden, format_of, list_drives, list_goldens, list_isos, sources_of
from archipel.agent.virt.unfinished_files import Replacement, put_in_place, read_notes, sweep, unfinished_file, write_note
from archipel.protocol.domain import Domain, parse
from archipel.protocol.drives import LONGEST_NAME, _nameable, file_name_of
from tests.unit.agent.fakes import domain_xml


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "drives" / "machine"
    own.mkdir(parents=True)
    for name in ("a.qcow2", "b.RAW", "c.img", "d.vmdk", "plain", "notes.txt", "cd.iso", "web_VARS.fd", ".hidden.qcow2"):
        (own / name).write_bytes(name.encode())
    (own / "sub").mkdir()
    (own / "sub" / "e.qcow2").touch()
    (tmp_path / "outside.qcow2").touch()
    (own / "link.qcow2").symlink_to(tmp_path / "outside.qcow2")
    return own


def defined(folder: Path, *disks: tuple[str, str, str], more: str = "") -> Domain:
    written = "".join(
        f"<disk type='file' device='{device}'><driver type='{image_format}'/><source file='{folder}/{name}'/><target dev='vd{number}'/></disk>"
        for number, (device, image_format, name) in enumerate(disks)
    )
    return parse(domain_xml(devices=written).replace("</os>", f"{more}</os>"))


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_drives_are_called_so_by_their_ending_or_by_the_definition(folder: Path) -> None:
    assert names(list_drives(folder, Definitions())) == ["a.qcow2", "b.RAW", "c.img", "d.vmdk"]
    definitions = Definitions(defined(folder, ("disk", "qcow2", "plain"), ("cdrom", "raw", "c.img")), None)
    assert names(list_drives(folder, definitions)) == ["a.qcow2", "b.RAW", "d.vmdk", "plain"]
    firmware = f"<loader>{folder}/a.qcow2</loader><nvram>{folder}/b.RAW</nvram><kernel>{folder}/d.vmdk</kernel>"
    assert names(list_drives(folder, Definitions(None, defined(folder, more=firmware)))) == ["c.img"]
    assert list_drives(folder / "missing", Definitions()) == []


@pytest.mark.parametrize("told", ["a.qcow2", "{folder}/a.qcow2", "{folder}/../machine/./a.qcow2"])
def test_a_drive_is_found_by_name_and_by_path(folder: Path, told: str) -> None:
    assert find_drive(folder, told.format(folder=folder), Definitions()) == folder / "a.qcow2"


@pytest.mark.parametrize("told", ["", ".", "..", "./a.qcow2", "../machine/a.qcow2", "sub/e.qcow2", "{folder}/sub/e.qcow2", "link.qcow2", "{folder}", "{folder}/../../outside.qcow2", "/etc/passwd", "notes.txt", ".hidden.qcow2", "/proc/self/fd/3", "a\0.qcow2"])  # fmt: skip
def test_everything_else_is_refused(folder: Path, told: str) -> None:
    with pytest.raises(PathRefused):
        find_drive(folder, told.format(folder=folder), Definitions())


def test_a_drive_that_is_not_there_is_told_so(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"'gone\.qcow2' is not there"):
        find_drive(folder, "gone.qcow2", Definitions())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(told=st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "a.qcow2", "sub", "e.qcow2", "", "link.qcow2"])).map("/".join))
def test_no_way_of_writing_leads_out_of_the_folder(folder: Path, told: str) -> None:
    try:
        found = find_drive(folder, told, Definitions())
    except (PathRefused, FileNotFoundError):
        return
    assert (found.parent, found.is_symlink()) == (folder, False)


@settings(max_examples=300)
@given(st.text(max_size=200))
@example("..")
@example("../../etc")
def test_a_name_becomes_that_of_a_file_or_is_refused(name: str) -> None:
    if _nameable(name) is None:
        made = file_name_of(name)
        assert "/" not in made
        assert ".." not in made
        assert 0 < len(made.encode("utf-8", "surrogatepass")) <= LONGEST_NAME
        assert not made.startswith(".")


def test_the_definition_says_which_format_a_drive_has(folder: Path) -> None:
    assert format_of(folder / "c.img", Definitions(defined(folder, ("disk", "qcow2", "c.img")))) == "qcow2"
    assert format_of(folder / "c.img", Definitions(None, defined(folder, ("disk", "vmdk", "c.img")))) == "vmdk"
    assert format_of(folder / "c.img", Definitions()) == "raw"
    (folder / "c.img").write_bytes(b"QFI\xfb\0\0\0\3" + bytes(100))
    assert format_of(folder / "c.img", Definitions()) == "qcow2"
    assert format_of(folder / "b.RAW", Definitions()) == "raw"


def test_cd_images_are_those_of_the_own_folder_first(folder: Path, tmp_path: Path) -> None:
    isos = tmp_path / "iso"
    isos.mkdir()
    (isos / "debian.ISO").touch()
    (isos / "unnamed").write_bytes(bytes(0x8001) + b"CD001")
    (isos / "boot.img").write_bytes(bytes(510) + b"\x55\xaa")
    (isos / "link.iso").symlink_to("/etc/hostname")
    assert names(list_isos(folder, (isos, tmp_path / "missing"))) == ["cd.iso", "debian.ISO", "unnamed"]


def test_golden_drives_are_found_in_their_folders_alone(folder: Path, tmp_path: Path) -> None:
    goldens = tmp_path / "goldens"
    goldens.mkdir()
    for name in ("base.qcow2", "old.qcow", "notes.txt"):
        (goldens / name).touch()
    (goldens / "link.qcow2").symlink_to(folder / "a.qcow2")
    assert names(list_goldens((goldens,))) == ["base.qcow2", "old.qcow"]
    assert find_golden("base.qcow2", (tmp_path / "missing", goldens)) == goldens / "base.qcow2"
    for name, refused in (("old.qcow", PathRefused), ("link.qcow2", PathRefused), ("gone.qcow2", FileNotFoundError)):
        with pytest.raises(refused):
            find_golden(name, (goldens,))


def test_what_a_definition_spells_out_below_a_disk_counts_as_its_source(folder: Path) -> None:
    domain = defined(folder, ("disk", "qcow2", "a.qcow2"))
    domain.element.find("devices/disk").append(parse("<domain><x><source file='/base'/></x></domain>").element[0])
    assert sources_of(domain.to_text()) == {folder / "a.qcow2", Path("/base")}


# -- files that are not finished ----------------------------------------------------------------------------------------


def test_an_unfinished_file_is_gone_unless_it_got_its_name(tmp_path: Path) -> None:
    with unfinished_file(tmp_path, "host/1") as made:
        assert made.stat().st_mode & 0o777 == 0o600
        assert made.name.startswith(".archipel+host_1+")
    with pytest.raises(RuntimeError), unfinished_file(tmp_path, "host"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with unfinished_file(tmp_path, "host") as made:
        put_in_place(made, tmp_path / "done")
    assert names(list(tmp_path.iterdir())) == ["done"]


def test_only_what_an_earlier_run_on_this_host_left_is_swept_away(tmp_path: Path) -> None:
    old, foreign, precious = (tmp_path / name for name in (".archipel+host+0+1.part", ".archipel+host-2+0+1.part", "data.part"))
    for file in (old, foreign, precious):
        file.touch()
    with unfinished_file(tmp_path, "host") as mine:
        assert sweep(tmp_path, "host") == [old]
        assert {mine, foreign, precious} == set(tmp_path.iterdir())


def test_a_note_says_what_is_replaced_and_a_torn_one_nothing(tmp_path: Path) -> None:
    note = write_note(Replacement(tmp_path / "old", tmp_path / "new"), "host")
    assert list(read_notes(tmp_path, "host")) == [(note, Replacement(tmp_path / "old", tmp_path / "new"))]
    for torn in ("", "{", "[]", json.dumps({"old": "x"}), json.dumps({"old": 1, "new": 2})):
        note.write_text(torn)
        assert list(read_notes(tmp_path, "host")) == [(note, None)]
    note.write_text(json.dumps({"old": "../../old", "new": "/etc/new"}))
    assert list(read_notes(tmp_path, "host")) == [(note, Replacement(tmp_path / "old", tmp_path / "new"))]


def test_each_run_calls_its_files_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with unfinished_file(tmp_path, "host"):
        assert sweep(tmp_path, "host") == []
        monkeypatch.setattr(unfinished_files, "_RUN", "another")
        assert len(sweep(tmp_path, "host")) == 1
