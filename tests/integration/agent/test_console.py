# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:virtualmachine:vnc and archipel:vm:console: the answers, the pushes, and a display seen through the agent's listener."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.documentation import read_steps
from tests.unit.agent.vnc_server import GREETING, FakeVncServer
from tests.wire.actions.console import CONSOLE, DISPLAY, VNC
from tests.wire.matching import assert_error, assert_payload, child
from tests.wire.person import Person
from tests.wire.platform import CONTROL, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ASK, TOKEN = "<archipel action='display'/>", "<archipel action='token'/>"


@pytest_asyncio.fixture(loop_scope="session")
async def vnc() -> AsyncIterator[FakeVncServer]:
    async with FakeVncServer().listen() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def shown(platform: Platform, admin: Person, vnc: FakeVncServer) -> Machine:
    """A machine that runs, with a display and its password."""
    graphics = f"<devices><graphics type='vnc' port='{vnc.port}' autoport='no' listen='127.0.0.1' passwd='verysecret'/></devices>"
    machine = await platform.make_machine(admin, more=graphics)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    return machine


def viewer(link: dict[str, str], **more) -> connect:
    return connect(link["websocket"], subprotocols=["binary", f"archipel.token.{link['token']}"], **more)


async def get_link(person: Person, machine: Machine) -> dict[str, str]:
    answer = await person.command(machine.full, CONSOLE, TOKEN)
    assert answer.get("type") == "result"
    return child(answer, "query")[0].attrib


async def test_a_display_is_seen_through_the_listener(platform: Platform, admin: Person, student: Person, shown: Machine):
    await platform.grant(admin, shown.full, student, "vnc_display")
    link = await get_link(student, shown)
    async with viewer(link) as console:
        assert await console.recv() == GREETING
        await console.send(b"hello")
        assert await console.recv() == b"HELLO"
    with pytest.raises(InvalidStatus):
        await viewer(link)
    assert '"action": "open"' in platform.audit
    assert link["token"] not in platform.audit + platform.log


async def test_a_display_is_taken_away_with_the_right(platform: Platform, admin: Person, student: Person, shown: Machine):
    await platform.grant(admin, shown.full, student, "vnc_display")
    async with viewer(await get_link(student, shown)) as console:
        await platform.grant(admin, shown.full, student, "vnc_display", value="0")
        await console.wait_closed()
        assert "vnc_display" in (console.close_reason or "")


async def test_a_display_ends_with_the_machine_and_both_is_pushed(admin: Person, shown: Machine):
    await eventually(lambda: ("virtualmachine:vnc", "websocketvncstart") in [push.what for push in admin.pushes(shown.bare)])
    async with viewer(await get_link(admin, shown)) as console:
        await admin.command(shown.full, CONTROL, "<archipel action='destroy'/>")
        await console.wait_closed()
    await eventually(lambda: ("virtualmachine:vnc", "websocketvncstop") in [push.what for push in admin.pushes(shown.bare)])


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_display_always_answers(platform: Platform, admin: Person, machine: Machine, shown: Machine, vnc: FakeVncServer, kind: str):
    assert_payload(await admin.command(shown.full, VNC, ASK, kind), VNC, DISPLAY.replace("{port}", str(vnc.port)))
    assert_payload(await admin.command(machine.full, VNC, ASK, kind), VNC, "<display/>")
    undefined = await platform.make_machine(admin, defined=False)
    assert_payload(await admin.command(undefined.full, VNC, ASK, kind), VNC, "<display/>")
    await admin.command(shown.full, CONTROL, "<archipel action='destroy'/>")
    assert_payload(await admin.command(shown.full, VNC, ASK, kind), VNC, DISPLAY.replace("{port}", "-1"))


async def test_a_machine_without_display_has_no_console(admin: Person, machine: Machine):
    answer = await admin.command(machine.full, CONSOLE, TOKEN)
    assert_error(answer, code=-1010, condition="item-not-found", mentions="start it first", action="token")
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    answer = await admin.command(machine.full, CONSOLE, TOKEN)
    assert_error(answer, code=-1010, condition="item-not-found", mentions="graphics", action="token")


async def test_the_display_in_words(admin: Person, shown: Machine, vnc: FakeVncServer):
    assert str(vnc.port) in await admin.say(shown.full, "screen")
    assert "vnc.html#" in await admin.say(shown.full, "console")
    assert "kind" in await admin.say(shown.full, "console spice")


async def test_what_the_page_says_in_a_chat_works(admin: Person, shown: Machine, root: Path):
    [step] = read_steps(root / "docs" / "console.md")
    answer = await admin.say(shown.full, step.command.removeprefix("archipel chat web "))
    expected, _, _address = step.shown[0].partition("127.0.0.1")
    assert answer.startswith(f"{expected}127.0.0.1:")
