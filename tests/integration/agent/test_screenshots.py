# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a machine's screen on the wire; libvirt's test driver has one for all machines."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from tests.wire.matching import assert_payload, child
from tests.wire.person import Person
from tests.wire.platform import CONTROL, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]


async def screenshot(admin: Person, machine: Machine, size: str = ""):
    return await admin.command(machine.full, CONTROL, f"<archipel action='screenshot' {size}/>", "get")


@pytest.mark.parametrize("size,width", [("size='thumbnail'", 216), ("size='full'", 1120), ("size='whatever'", 1120), ("", 1120)])
async def test_a_picture_is_a_png_of_the_size_it_says(machine: Machine, admin: Person, size: str, width: int):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    found = child(child(await screenshot(admin, machine, size), "query"), "screenshot")
    picture = Image.open(io.BytesIO(base64.b64decode(found.text or "", validate=True)))
    assert (picture.format, picture.width) == ("PNG", width)
    assert found.attrib == {"mime": "image/png", "width": str(picture.width), "height": str(picture.height)}


async def test_a_paused_machine_has_a_screen(machine: Machine, admin: Person):
    for action in ("create", "suspend"):
        await admin.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
    assert (await screenshot(admin, machine)).get("type") == "result"


async def test_a_machine_that_is_off_has_none(machine: Machine, admin: Person):
    answer = await screenshot(admin, machine)
    assert_payload(answer, CONTROL, "")


async def test_a_machine_without_definition_has_none(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, defined=False)
    answer = await screenshot(admin, machine)
    assert_payload(answer, CONTROL, "")
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get"), CONTROL, "")
