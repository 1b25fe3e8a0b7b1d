# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared folder: what its files say, which of them count, and that one hypervisor at a time has a machine."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import logging
import os
import stat
import threading
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import shelf as shelf_module
from archipel.agent.luggage import Luggage
from archipel.agent.parked_machines import show_page
from archipel.agent.secret import Secret
from archipel.agent.shelf import Shelf
from archipel.agent.shelf_entry import MOST_BYTES, EntryRefused, Shelved, read_entry, write_entry
from archipel.protocol.errors import CommandError, Condition, Unavailable
from archipel.protocol.migration import NeededFile
from archipel.protocol.vcard import Organisation
from tests.unit.agent.fakes import HYP, OTHER_UUID, OWNER, UUID, domain_xml

DOMAIN, SECOND = "lab.example", "second@lab.example"
MARK = "0d9a2c11-7a53-4d0e-9f0a-5a4f0b6f2f10"


def shelved(uuid: str = UUID, name: str = "web", **changes: Any) -> Shelved:
    entity = f"{uuid}@{DOMAIN}"
    luggage = Luggage(
        entity=entity, name=name, adopted=False, autostart=True, created_at=datetime.now(UTC), organisation=Organisation("Lab"), tags=("a",)
    )
    values: dict[str, Any] = {
        "machine": luggage.record(uuid, Secret("hunter2")),
        "definition": domain_xml(name, uuid, devices="<graphics type='vnc' passwd='hunter3'/>"),
        "parker": OWNER.bare,
        "autostart": True,
        "luggage": luggage,
        "source": HYP,
        "base_folder": Path("/srv/vm"),
        "mark": MARK,
        "files": (NeededFile(path="/srv/iso/a.iso", size=7),),
    }
    return Shelved(**{**values, **changes})


WHOLE = json.loads(write_entry(shelved()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "parking"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(folder, HYP, DOMAIN)


async def put(shelf: Shelf, parked: Shelved) -> None:
    await shelf.write_held(parked)
    await shelf.release(parked.uuid)


# -- what a file says -----------------------------------------------------------------------------------------------------


def test_a_machine_is_read_as_it_was_written() -> None:
    parked = shelved()
    assert read_entry(write_entry(parked), UUID, DOMAIN) == parked
    assert "hunter" not in repr(parked)


def test_no_list_shows_a_secret() -> None:
    [shown] = show_page((shelved(),), 0, "")
    assert ("hunter" in str(shown.write().attrib), "passwd" in str([*shown.write().iter()])) == (False, False)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"version": 2}, "is not of version 1"),
        ({"uuid": OTHER_UUID}, "is another machine's"),
        ({"password": ""}, "has no password"),
        ({"password": "a\nb"}, "has no password"),
        ({"password": None}, "TypeError"),
        ({"parked_at": "2026-01-01T00:00:00"}, "without a zone"),
        ({"parked_at": "0001-01-01T00:00:00+14:00"}, "ValueError"),
        ({"parked_at": "0001-01-01T00:00:00+00:00"}, "outside of the calendar"),
        ({"parked_at": "9999-12-31T23:59:59-14:00"}, "ValueError"),
        ({"files": [["/srv/\ud800", 1]]}, "UnicodeEncodeError"),
        ({"parker": "@"}, "names no account as its parker"),
        ({"mark": "../../etc/passwd"}, "ValueError"),
        ({"mark": ""}, "ValueError"),
        ({"files": [["etc/shadow", 1]]}, "TypeError"),
        ({"definition": "<domain>"}, "DomainXmlError"),
        ({"definition": "<!DOCTYPE a [<!ENTITY b 'c'>]><domain>&b;</domain>"}, "DomainXmlError"),
        ({"definition": domain_xml("other")}, "has another machine's definition"),
        ({"definition": domain_xml(uuid=OTHER_UUID)}, "has another machine's definition"),
        ({"package": "AAAA"}, "BadRequest"),
        ({"package": shelved(OTHER_UUID).luggage.pack()}, "BadRequest"),
    ],
)
def test_what_is_not_whole_is_refused_in_plain_words(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(EntryRefused, match=told) as refused:
        read_entry(json.dumps({**WHOLE, **changes}).encode(), UUID, DOMAIN)
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_what_is_missing_is_named(name: str) -> None:
    values = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(EntryRefused, match="is not of version" if name == "version" else f"'{name}' is missing|{name} is missing"):
        read_entry(json.dumps(values).encode(), UUID, DOMAIN)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"version": 1' + b"0" * 5000 + b"}", b"null"])
def test_what_is_no_entry_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(EntryRefused):
        read_entry(content, UUID, DOMAIN)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(WHOLE)), JSON, min_size=1, max_size=3))
def test_a_file_is_refused_or_can_be_listed_whatever_it_says(changes: dict[str, Any]) -> None:
    try:
        found = read_entry(json.dumps({**WHOLE, **changes}).encode(), UUID, DOMAIN)
    except EntryRefused:
        return
    assert [shown.uuid for shown in show_page((found,), 0, "")] == [UUID]


@given(st.dictionaries(st.sampled_from(["name", "adopted", "autostart", "created_at", "organisation", "tags", "oom", "avatar"]), JSON))
def test_luggage_is_what_it_must_be_or_refused(changes: dict[str, Any]) -> None:
    values = {**json.loads(zlib.decompress(base64.b64decode(WHOLE["package"]))), **changes}
    package = base64.b64encode(zlib.compress(json.dumps(values).encode())).decode()
    try:
        found = read_entry(json.dumps({**WHOLE, "package": package}).encode(), UUID, DOMAIN)
    except EntryRefused:
        return
    assert show_page((found,), 0, "")[0].name == "web"


@pytest.mark.parametrize("umask", [0o000, 0o007, 0o022, 0o077])
async def test_a_file_is_the_agents_alone_whatever_the_umask_says(
    shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    """It has a password in it; the unit's umask, which is for images, is 0007."""
    modes: set[int] = set()
    monkeypatch.setattr(Path, "write_bytes", note_mode(modes, Path.write_bytes))
    before = os.umask(umask)
    try:
        await put(shelf, shelved())
    finally:
        os.umask(before)
    assert modes | {stat.S_IMODE(os.stat(folder / f"{UUID}.parked").st_mode)} == {0o600}
    assert [found.uuid for found in await shelf.entries()] == [UUID]


def note_mode(modes: set[int], write: Callable[[Path, bytes], int]) -> Callable[[Path, bytes], int]:
    def noted(path: Path, content: bytes) -> int:
        modes.add(stat.S_IMODE(path.stat().st_mode))
        return write(path, content)

    return noted


# -- which files count ----------------------------------------------------------------------------------------------------


def as_link(path: Path) -> None:
    whole = path.with_name(".whole")
    path.rename(whole)
    path.symlink_to(whole)


def as_socket(path: Path) -> None:
    path.unlink()
    os.mknod(path, stat.S_IFSOCK | 0o600)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


HOSTILE: list[tuple[Callable[[Path], Any], str]] = [
    (as_link, "is no plain file"),
    (as_socket, "is no plain file"),
    (as_folder, "is no plain file"),
    (as_pipe, "is no plain file"),
    (lambda path: path.chmod(0o640), "may be read or changed by others"),
    (lambda path: path.chmod(0o602), "may be read or changed by others"),
    (lambda path: path.write_bytes(b" " * (MOST_BYTES + 1)), "more than"),
    (lambda path: path.write_text("{"), "is not what is kept"),
    (lambda path: path.rename(path.with_name(f"{OTHER_UUID}.parked")), "is another machine's"),
    (lambda path: path.rename(path.with_name("..parked")), ""),
    (lambda path: path.rename(path.with_name("web.parked")), "is not called as"),
    (lambda path: path.rename(path.with_name(f"{UUID.upper()}.parked")), "is not called as"),
]


@pytest.mark.parametrize("spoil, told", HOSTILE)
async def test_a_file_that_does_not_count_is_told_once_and_hinders_no_other(
    shelf: Shelf, folder: Path, spoil: Callable[[Path], Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = "11111111-1b7d-4c55-9a0e-3d2b1c4f5a69"
    await put(shelf, shelved())
    await put(shelf, shelved(good, "good"))
    spoil(folder / f"{UUID}.parked")
    with caplog.at_level(logging.WARNING):
        assert [one.name for one in await shelf.entries()] == ["good"]
        assert [one.name for one in await shelf.entries()] == ["good"]
    assert [told in line for line in caplog.messages] == ([True] if told else [])


async def test_another_users_file_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(shelf, shelved())
    read = os.fstat

    def belong_to_another(descriptor: int) -> os.stat_result:
        facts = list(read(descriptor))
        facts[stat.ST_UID] = 12345
        return os.stat_result(facts)

    monkeypatch.setattr(shelf_module.os, "fstat", belong_to_another)
    with pytest.raises(CommandError, match="belongs to user 12345"):
        await shelf.find(UUID)
    assert await shelf.entries() == []


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
async def test_a_folder_that_others_may_write_to_is_not_used(shelf: Shelf, folder: Path, mode: int) -> None:
    os.chmod(folder, mode)
    for work in (shelf.entries(), shelf.find(UUID), shelf.claim(UUID), shelf.write_held(shelved()), shelf.tidy()):
        with pytest.raises(Unavailable, match=r"others than user \d+ may write there: chown"):
            await work
    assert os.listdir(folder) == []


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        await Shelf(tmp_path / "mount" / "parking", HYP, DOMAIN).write_held(shelved())
    assert os.listdir(tmp_path) == []


async def test_a_folder_that_does_not_answer_ends_no_list_for_ever_and_is_asked_in_order(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "ANSWER_SECONDS", 0.05)
    await put(shelf, shelved())
    back, claim = threading.Event(), shelf._claim

    def claim_late(uuid: str) -> None:
        back.wait()
        claim(uuid)

    monkeypatch.setattr(shelf, "_claim", claim_late)
    with pytest.raises(Unavailable, match="does not answer"):
        await shelf.claim(UUID)
    with pytest.raises(Unavailable, match="does not answer"):
        await shelf.entries()
    monkeypatch.setattr(shelf_module, "ANSWER_SECONDS", 30)
    back.set()
    assert await shelf.tidy() == [UUID]  # what was asked for first was done first


# -- who has it -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rivals(folder: Path) -> list[Shelf]:
    return [Shelf(folder, f"hyp{number}@{DOMAIN}", DOMAIN) for number in range(8)]


async def test_of_many_who_want_a_machine_one_gets_it(rivals: list[Shelf], folder: Path) -> None:
    for _ in range(20):
        await put(rivals[0], shelved())
        results = await asyncio.gather(*(rival.claim(UUID) for rival in rivals), return_exceptions=True)
        winners = [rival for rival, result in zip(rivals, results, strict=True) if result is None]
        assert len(winners) == 1
        assert all(isinstance(result, CommandError) for result in results if result is not None)
        assert os.listdir(folder) == [f"{UUID}.held-by-{winners[0].owner}"]
        await winners[0].discard(UUID)


async def test_who_has_it_is_told_to_the_others_with_what_to_do_if_he_is_gone(shelf: Shelf, folder: Path) -> None:
    other = Shelf(folder, SECOND, DOMAIN)
    await put(shelf, shelved())
    await other.claim(UUID)
    for work in (shelf.find(UUID), shelf.claim(UUID), shelf.refuse_known(UUID)):
        with pytest.raises(CommandError, match=f"{SECOND} has the machine {UUID} in hand.*rename") as refused:
            await work
        assert refused.value.condition == Condition.CONFLICT
    assert (await shelf.entries(), await shelf.tidy(), await other.tidy()) == ([], [], [UUID])
    await other.release(UUID)
    assert (await shelf.find(UUID)) == await other.find(UUID)


async def test_a_renaming_whose_answer_was_lost_counts(shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(shelf, shelved())
    rename = Path.rename

    def rename_unheard(path: Path, target: Path) -> Path:
        rename(path, target)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "rename", rename_unheard)
    await shelf.claim(UUID)
    assert await shelf.tidy() == [UUID]
    await shelf.release(UUID)
    await shelf.release(UUID)
    monkeypatch.undo()
    assert (await shelf.find(UUID)) is not None


async def test_nothing_that_is_there_is_written_over(shelf: Shelf, folder: Path) -> None:
    await put(shelf, shelved())
    await shelf.write_held(shelved(name="other"))
    with pytest.raises(CommandError, match="is there, too"):
        await shelf.release(UUID)
    with pytest.raises(CommandError, match="is being worked on"):
        await shelf.claim(UUID)
    assert (await shelf.find(UUID) or shelved(name="none")).name == "web"


async def test_a_file_that_another_host_took_just_now_is_none(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def find_stale(*_arguments: object) -> int:
        raise OSError(errno.ESTALE, "Stale file handle")

    await put(shelf, shelved())
    monkeypatch.setattr(shelf_module.os, "open", find_stale)
    assert (await shelf.find(UUID), await shelf.entries(), caplog.messages) == (None, [], [])


async def test_what_could_not_be_read_again_is_not_written(shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of files that gives root's files to nobody would let the machine vanish from all lists."""
    read = os.fstat

    def give_away(descriptor: int) -> os.stat_result:
        facts = list(read(descriptor))
        facts[stat.ST_UID] = 65534
        return os.stat_result(facts)

    monkeypatch.setattr(shelf_module.os, "fstat", give_away)
    with pytest.raises(CommandError, match=r"belongs to user 65534.*must leave the agent's files to it"):
        await shelf.write_held(shelved())
    assert os.listdir(folder) == []


async def test_a_file_is_whole_or_not_there(shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shelf_module, "put_in_place", fail)
    with pytest.raises(Unavailable, match="No space left"):
        await shelf.write_held(shelved())
    assert os.listdir(folder) == []


async def test_what_a_former_life_did_not_finish_goes_and_nothing_of_others(shelf: Shelf, folder: Path) -> None:
    mine, others = (folder / f".archipel+{name}+0123+4567.part" for name in ("hyp_lab.example", "second_lab.example"))
    for path in (mine, others):
        path.touch()
    assert await shelf.tidy() == []
    assert (mine.exists(), others.exists()) == (False, True)
