# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a machine's screen."""

from __future__ import annotations

import base64

from archipel.agent.dispatch import Caller, command
from archipel.agent.pictures import Picture, PictureUnreadable, draw_screen
from archipel.agent.virt.binding import VirDomain
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virt.screen import read_screen
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import screenshots as wire
from archipel.protocol.errors import CommandError, ErrorCode
from archipel.protocol.rights import EntityKind


@command(wire.GetScreenshot, on=EntityKind.VIRTUAL_MACHINE, right="screenshot", failure=ErrorCode.SCREENSHOT)
async def get_screenshot(vm: VirtualMachine, request: wire.GetScreenshot, _caller: Caller) -> wire.Screenshot | None:
    """What the screen of this machine shows now."""
    if vm.services.settings.machines.disable_screenshot:
        return None
    try:
        if not await vm.domain.is_active():
            return None
        picture = await _draw(vm, thumbnail=request.size == wire.THUMBNAIL)
    except DomainNotFound:
        return None
    return wire.Screenshot(mime="image/png", width=picture.width, height=picture.height, data=base64.b64encode(picture.png).decode())


async def _draw(vm: VirtualMachine, *, thumbnail: bool) -> Picture:
    """Read and draw in one go, in turn with others of the same machine: a screen takes much memory."""

    def work(domain: VirDomain) -> Picture:
        return draw_screen(read_screen(domain), thumbnail=thumbnail)

    try:
        return await vm.domain.ask_guest("screenshot", work)
    except PictureUnreadable as error:
        raise CommandError(str(error)) from error
