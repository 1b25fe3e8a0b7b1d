# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine shows: pictures of its screen, one-time links to its consoles."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from archipel.client.concern import Concern
from archipel.client.errors import ClientError, MalformedAnswer
from archipel.protocol.console import ConsoleKind, ConsoleLink, Display, GetDisplay, OpenConsole
from archipel.protocol.screenshots import FULL, THUMBNAIL, GetScreenshot


class NoScreen(ClientError):
    """There is no picture: the machine is off, or its administrator wants nobody to see screens."""


@dataclass(frozen=True)
class Picture:
    """A picture; width and height in pixels."""

    mime: str
    width: int
    height: int
    data: bytes


class Screens(Concern):
    """The screen and the consoles of a machine."""

    async def picture(self, *, thumbnail: bool = False) -> Picture:
        """Return what the screen shows now (right ``screenshot``); raises :class:`NoScreen`."""
        found = await self.ask(GetScreenshot(size=THUMBNAIL if thumbnail else FULL))
        if found is None:
            name = getattr(self.entity, "name", "") or self.entity.bare
            raise NoScreen(f"{name} shows nothing: it is off, or the agent's option disable_screenshot is set")
        try:
            return Picture(found.mime, found.width, found.height, base64.b64decode(found.data))
        except ValueError:  # of what is no base64, or not even ASCII
            raise MalformedAnswer(self.entity.bare, GetScreenshot.action, "data is not base64") from None

    async def open_console(self, kind: str = ConsoleKind.VNC) -> ConsoleLink:
        """Return a link to the screen (``vnc``) or the serial console (``text``) that works once (docs/console.md)."""
        return await self.ask(OpenConsole(kind=kind))

    async def display(self) -> Display:
        """Return where the machine's display is, as founding clients ask for it."""
        return await self.ask(GetDisplay())
