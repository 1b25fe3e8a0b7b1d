# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:hypervisor:golden on the wire: who stands on a golden image, and that it goes when nobody does (refusals: test_every_action.py)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.integration.agent.test_storage import Drives, image
from tests.wire.matching import assert_error
from tests.wire.person import Person
from tests.wire.platform import Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

GOLDEN = "archipel:hypervisor:golden"


async def ask(person: Person, platform: Platform, request: str) -> ET.Element:
    return await person.command(platform.host, GOLDEN, f"<archipel {request}/>")


async def find(person: Person, platform: Platform, name: str) -> list[ET.Element]:
    answer = await ask(person, platform, "action='get'")
    assert answer.get("type") == "result"
    found = answer.find(f"{{{GOLDEN}}}query")
    return [one for one in ([] if found is None else found) if one.get("name") == name]


async def test_a_golden_image_goes_when_nothing_stands_on_it(platform: Platform, admin: Person, machine: Machine):
    drives = Drives(platform, admin, machine)
    golden = image(drives.goldens / f"used-{machine.uuid[:8]}.qcow2")
    over = await drives.make(golden=golden.name)
    [found] = await find(admin, platform, golden.name)
    assert (found.get("virtualSize"), found.get("path")) == (str(4 << 20), str(golden))
    assert float(found.get("modified", "0")) == pytest.approx(golden.stat().st_mtime)
    assert [user.attrib for user in found] == [{"image": str(over), "machine": machine.name}]

    answer = await ask(admin, platform, f"action='delete' name='{golden.name}'")
    assert_error(answer, code=-3122, condition="conflict", mentions="data.qcow2: they would be spoilt", action="delete")
    assert golden.exists()

    await drives.do("delete", name=over.name)
    before = len(admin.received)
    assert f"{golden.name}: 0 images stand on it" in await admin.say(platform.host, "golden images")
    assert "lost for ever" in await admin.say(platform.host, f"delete golden image {golden.name}")
    assert await admin.say(platform.host, "yes") == "Done."
    await admin.expect_push(platform.hypervisor, "disk", "goldendeleted", before)
    assert not golden.exists()
    assert await find(admin, platform, golden.name) == []
