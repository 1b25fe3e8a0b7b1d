# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures for vCards: which there are, which was chosen, and that no other file gets out."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import avatars
from archipel.agent.avatars import LARGEST, PACKAGED, find_picture, keep_choice, list_pictures, read_choice, show_avatar
from archipel.agent.capabilities.avatars import MOST_BYTES, _list, forget_choice
from archipel.agent.settings import Settings
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.avatars import GetAvatars
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.vcard import VCard
from archipel.xmpp.errors import Disconnected
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import VM, make_settings

PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Those of an agent whose folder of pictures is on a disk: what lies in /dev is not followed."""
    made = make_settings(tmp_path)
    made.vcard.avatar_folder.mkdir(parents=True)
    return dataclasses.replace(made, vcard=dataclasses.replace(made.vcard, use_avatar=True))


def put(settings: Settings, name: str, picture: bytes) -> Path:
    file = settings.vcard.avatar_folder / name
    file.write_bytes(picture)
    return file


# -- which there are ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packaged", PACKAGED)
def test_without_a_picture_of_the_administrator_s_there_is_a_packaged_one(settings: Settings, packaged: str) -> None:
    assert show_avatar(settings, VM, "own.png", packaged).startswith(PNG)


@pytest.mark.parametrize(
    "picture,own",
    [
        (PNG, True),
        (JPEG, True),
        (GIF, True),
        (PNG.ljust(LARGEST), True),
        (PNG.ljust(LARGEST + 1), False),
        (b"#!/bin/sh", False),
        (b"", False),
    ],
)
def test_the_administrator_s_picture_counts_unless_it_is_too_big_or_none(settings: Settings, picture: bytes, own: bool) -> None:
    """Every client reads it again and again."""
    put(settings, "own.png", picture)
    assert (show_avatar(settings, VM, "own.png", "defaultvm.png") == picture) is own


def test_those_to_choose_from_are_the_folder_s_and_the_packaged(settings: Settings, tmp_path: Path) -> None:
    for name, picture in (
        ("b.JPG", JPEG),
        ("a b.gif", GIF),
        ("notes.txt", PNG),
        ("fake.png", b"text"),
        ("big.png", PNG.ljust(LARGEST + 1)),
    ):
        put(settings, name, picture)
    (settings.vcard.avatar_folder / "folder.png").mkdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    (settings.vcard.avatar_folder / "link.png").symlink_to(secret)
    (settings.vcard.avatar_folder / "inside.png").symlink_to("b.JPG")
    assert [name for name, _picture in list_pictures(settings.vcard)] == ["a b.gif", "b.JPG", *PACKAGED, "inside.png"]


def test_a_picture_of_the_administrator_s_takes_the_place_of_a_packaged_one(settings: Settings) -> None:
    put(settings, "defaultvm.png", PNG)
    assert find_picture(settings.vcard, "defaultvm.png") == PNG


def test_without_a_folder_there_are_the_packaged_ones(tmp_path: Path) -> None:
    assert [name for name, _picture in list_pictures(make_settings(tmp_path).vcard)] == list(PACKAGED)


@given(st.text() | st.sampled_from(["../x.png", "/etc/x.png", "..", "a/../../x.png", "x.png/.", "\0.png"]))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    vcard = make_settings(Path("/nowhere")).vcard
    assert find_picture(vcard, name) is None or name in PACKAGED


def test_an_answer_holds_what_fits_and_tells_how_many_follow(settings: Settings) -> None:
    for number in range(7):
        put(settings, f"a{number}.png", PNG.ljust(LARGEST - number))
    told, after = [], ""
    while True:
        found = _list(settings.vcard, after)
        assert 0 < sum(len(picture.data) for picture in found.pictures) <= MOST_BYTES
        told += [picture.name for picture in found.pictures]
        assert (found.more or 0) == 9 - len(told)
        if not found.more:
            break
        after = told[-1]
    assert told == [*(f"a{number}.png" for number in range(7)), *PACKAGED]


def test_a_picture_is_told_as_founding_clients_read_it(settings: Settings) -> None:
    put(settings, "a.jpg", JPEG)
    (first, *_others) = _list(settings.vcard, "").write()
    data = base64.b64encode(JPEG).decode()
    digest = hashlib.md5(data.encode()).hexdigest()
    assert (first.attrib, first.text) == ({"name": "a.jpg", "content-type": "image/jpeg", "hash": digest}, data)


@pytest.mark.parametrize("name", ["a/b", "..", ".a.png", "a\\b", "a\n.png", "x" * 256])
def test_what_names_no_file_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="after: must be the name of a picture"):
        GetAvatars.read(GetAvatars(after=name).write())


# -- which was chosen ---------------------------------------------------------------------------------------------------


@pytest.fixture
def chooser(machine: VirtualMachine, settings: Settings) -> VirtualMachine:
    """A machine that can choose."""
    machine.services = dataclasses.replace(machine.services, settings=settings)
    return machine


async def choose(machine: VirtualMachine, name: str) -> None:
    await ask(machine, ns.AVATAR, f"<archipel action='setavatar' avatar='{name}'/>")


async def test_a_choice_is_shown_at_once_and_kept(xmpp: FakeXmpp, chooser: VirtualMachine, settings: Settings) -> None:
    put(settings, "own.jpg", JPEG)
    stream = await go_online(chooser)
    await choose(chooser, "own.jpg")
    card = VCard.read(xmpp.vcards[VM])
    assert card.photo == JPEG
    assert next(xmpp.vcards[VM].iter(f"{{{ns.VCARD}}}TYPE")).text == "image/jpeg"
    assert f"<photo>{hashlib.sha1(JPEG).hexdigest()}</photo>" in stream.sent[-1]
    assert chooser.avatar() == JPEG
    assert read_choice(settings, VM) == "own.jpg"


async def test_a_chosen_picture_that_is_gone_gives_way_to_the_default(chooser: VirtualMachine, settings: Settings) -> None:
    file = put(settings, "own.jpg", JPEG)
    await choose(chooser, "own.jpg")
    file.unlink()
    assert chooser.avatar().startswith(PNG)


async def test_a_picture_that_is_not_there_is_not_chosen(chooser: VirtualMachine, settings: Settings) -> None:
    put(settings, "fake.png", b"text")
    for name in ("never.png", "fake.png"):
        with pytest.raises(CommandError, match="getavatars tells which there are") as refused:
            await choose(chooser, name)
        assert (refused.value.code, refused.value.condition) == (-2, Condition.ITEM_NOT_FOUND)
    assert read_choice(settings, VM) is None


async def test_a_choice_that_cannot_be_published_is_taken_back(xmpp: FakeXmpp, chooser: VirtualMachine, settings: Settings) -> None:
    for name in ("one.png", "two.png"):
        put(settings, name, PNG + name.encode())
    await go_online(chooser)
    await choose(chooser, "one.png")
    xmpp.refuse["change vcard"] = Disconnected("gone")
    with pytest.raises(CommandError, match="the XMPP server failed"):
        await choose(chooser, "two.png")
    assert read_choice(settings, VM) == "one.png"
    assert chooser.avatar() == PNG + b"one.png"


async def test_a_choice_that_cannot_be_stored_is_an_error(
    chooser: VirtualMachine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avatars.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CommandError, match="cannot be stored: No space left"):
        await choose(chooser, "defaultvm.png")
    assert list((settings.state.database.parent / "chosen-avatars").iterdir()) == []


async def test_where_no_pictures_are_shown_none_is_chosen(machine: VirtualMachine) -> None:
    with pytest.raises(CommandError, match="use_avatar"):
        await choose(machine, "defaultvm.png")


async def test_a_machine_that_leaves_takes_its_choice_along(chooser: VirtualMachine, settings: Settings) -> None:
    keep_choice(settings, VM, "own.png")
    await forget_choice(chooser)
    await forget_choice(chooser)
    assert read_choice(settings, VM) is None
