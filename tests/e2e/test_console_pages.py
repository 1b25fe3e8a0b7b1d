# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages that a link to a console opens, in a real browser: noVNC draws the guest's screen, the terminal takes what is typed."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image

from archipel.client import Session, VirtualMachine
from archipel.protocol.console import OpenConsole
from tests.e2e.browser import Page, open_browser
from tests.e2e.real_guest import Place
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BOOT_DEADLINE = 120  # seconds; under emulation, on a machine that is busy
STATE = "document.getElementById('state')?.textContent ?? ''"
TERMINAL = "document.getElementById('terminal')?.textContent ?? ''"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(place: Place, admin: Session) -> VirtualMachine:
    """The guest, switched on."""
    machine = await place.make_machine(admin, "paged")
    await machine.start()
    return machine


@pytest_asyncio.fixture(loop_scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    async with open_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


def colours(picture: bytes) -> int:
    """How many colours the middle of a picture has: a screen that shows text has more than one."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    width, height = image.size
    return len(image.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8)).getcolors(1 << 24) or ())


async def test_the_screen_is_drawn_from_a_link_that_works_once(machine: VirtualMachine, page: Page) -> None:
    link = await machine.ask(OpenConsole())
    await page.open(link.url)
    await page.until(STATE, lambda text: text == "Connected.", BOOT_DEADLINE)
    assert await page.evaluate("location.hash") == "", "the token is gone from the address and the history"
    size = await page.until("(c => c && [c.width, c.height])(document.querySelector('canvas'))", bool, BOOT_DEADLINE)
    assert size >= [640, 400]

    async def drawn() -> bool:
        return colours(await page.picture()) > 1

    await eventually(drawn, "a screen that shows something", BOOT_DEADLINE)
    await page.open("about:blank")
    await page.open(link.url)
    assert "ask for a new one" in await page.until(STATE, lambda text: text and "Connect" not in text, BOOT_DEADLINE)


async def test_the_terminal_shows_the_serial_port_and_takes_what_is_typed(machine: VirtualMachine, page: Page) -> None:
    await machine.destroy()
    await machine.start()
    link = await machine.ask(OpenConsole(kind="text"))
    await page.open(link.url)
    await page.until(TERMINAL, lambda text: "READY" in text, BOOT_DEADLINE)
    await page.evaluate("document.getElementById('terminal').focus()")
    await page.type("echo $((6 * 7))-typed\n")
    await page.until(TERMINAL, lambda text: "42-typed" in text, BOOT_DEADLINE)
    await machine.destroy()
    await page.until(STATE, lambda text: "Connected" not in text, BOOT_DEADLINE)
