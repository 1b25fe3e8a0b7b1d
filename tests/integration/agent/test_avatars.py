# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture that somebody chose is in the vCard and in the presence, and still there when the agent was started again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from testbed.certificates import Authority
from tests.wire.actions.avatars import AVATAR
from tests.wire.matching import assert_error, assert_payload, child, text_of
from tests.wire.person import Person
from tests.wire.platform import ADMIN, Machine, Platform, open_platform

pytestmark = [pytest.mark.asyncio(loop_scope="session")]


def draw() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(file, "JPEG")
    return file.getvalue()


async def assert_shown(admin: Person, bare: str, picture: bytes) -> None:
    """Check vCard and presence of an entity."""
    digest = hashlib.sha1(picture).hexdigest()
    await admin.until(lambda: [found for found in admin.presences(bare)[-1:] if text_of(found, "photo") == digest], f"the hash {digest}")
    card = child(await admin.ask(bare, "<vCard xmlns='vcard-temp'/>", "get"), "vCard")
    assert text_of(card, "TYPE") == "image/jpeg"
    assert base64.b64decode(text_of(card, "BINVAL") or "") == picture


async def test_a_choice_outlives_the_agent(tmp_path: Path, authority: Authority):
    async with open_platform(tmp_path, authority, "avatars.localhost") as platform:
        admin = await platform.enter(ADMIN)
        await platform.meet_hypervisor(admin)
        machine = await platform.make_machine(admin)
        picture, folder = draw(), platform.agent.database.parent / "avatars"
        folder.mkdir()
        (folder / "navy.jpg").write_bytes(picture)
        for address in (machine.full, platform.host):
            assert_payload(await admin.command(address, AVATAR, "<archipel action='setavatar' avatar='navy.jpg'/>"), AVATAR, "")
            await assert_shown(admin, address.partition("/")[0], picture)
        await restart(platform, admin, machine)
        for bare in (machine.bare, platform.hypervisor):
            await assert_shown(admin, bare, picture)


async def restart(platform: Platform, admin: Person, machine: Machine) -> None:
    since = len(admin.received)
    await asyncio.to_thread(platform.agent.stop)
    await asyncio.to_thread(platform.agent.start)
    for bare in (machine.bare, platform.hypervisor):
        await admin.until(lambda bare=bare: [one for one in admin.presences(bare, since) if one.get("type") is None], f"{bare} back")


async def test_a_picture_that_is_not_there_is_not_chosen(machine: Machine, admin: Person):
    answer = await admin.command(machine.full, AVATAR, "<archipel action='setavatar' avatar='never.png'/>")
    assert_error(answer, code=-2, condition="item-not-found", mentions="getavatars", action="setavatar")


async def test_pictures_can_be_talked_about(machine: Machine, admin: Person):
    assert await admin.say(machine.full, "avatars") == "defaulthypervisor.png, defaultvm.png"
    assert await admin.say(machine.full, "avatar defaulthypervisor.png") == "I like it."
