# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser without a window: Chromium, by its own protocol (Chrome DevTools Protocol)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.wire.waiting import eventually

START_SECONDS = 60
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it asks nobody but the agent
    "--remote-debugging-port=0",
    "--window-size=1024,768",
)


class Page:
    """One page of a browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(await self._socket.recv())).get("id") != number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, right: Callable[[Any], object], deadline: float) -> Any:
        """Look again and again until an expression is right, and return it."""
        found = None

        async def look() -> bool:
            nonlocal found
            found = await self.evaluate(expression)
            return bool(right(found))

        await eventually(look, f"{expression}", deadline)
        return found

    async def type(self, text: str) -> None:
        """Press keys, as somebody at the keyboard would."""
        for character in text:
            key = {"key": "Enter", "code": "Enter", "text": "\r"} if character == "\n" else {"key": character, "text": character}
            await self.call("Input.dispatchKeyEvent", type="keyDown", **key)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=key["key"])

    async def picture(self) -> bytes:
        """What the page looks like, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


@contextlib.asynccontextmanager
async def open_browser(folder: Path) -> AsyncIterator[Page]:
    """Start Chromium with a profile of its own, and end it."""
    process = await asyncio.create_subprocess_exec(
        "chromium",
        *OPTIONS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await eventually(lambda: _read_port(folder / "DevToolsActivePort"), "the browser", START_SECONDS)
        address = await asyncio.to_thread(_find_page, port)
        async with connect(address, max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        await process.wait()


def _read_port(file: Path) -> int | None:
    with contextlib.suppress(FileNotFoundError, IndexError):
        return int(file.read_text().splitlines()[0])
    return None


def _find_page(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/json/list")
        targets = json.load(connection.getresponse())
    finally:
        connection.close()
    address: str = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
    return address
