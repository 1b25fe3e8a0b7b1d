# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen of a domain, as its hypervisor draws it."""

from __future__ import annotations

import contextlib
from typing import Final

from archipel.agent.virt.binding import VirDomain, VirFailure, VirStream
from archipel.agent.virt.errors import VirtError

MOST_BYTES: Final = 64 << 20
"""Of a picture as it comes: PPM has three bytes a pixel."""
_PIECE: Final = 256 << 10
_FIRST_SCREEN: Final = 0


class ScreenTooLarge(VirtError):
    """A picture that has more than :data:`MOST_BYTES`."""


def read_screen(domain: VirDomain) -> bytes:
    """Return a picture of the first screen, in the hypervisor's format (PPM or PNG); the domain must run.

    Raises :data:`VirFailure`, :class:`ScreenTooLarge`.
    """
    stream = domain.connect().newStream(0)
    domain.screenshot(stream, _FIRST_SCREEN, 0)
    try:
        picture = _receive(stream)
    except (VirFailure, ScreenTooLarge):
        with contextlib.suppress(VirFailure):
            stream.abort()
        raise
    stream.finish()
    return picture


def _receive(stream: VirStream) -> bytes:
    picture = bytearray()
    while piece := stream.recv(_PIECE):
        picture += piece
        if len(picture) > MOST_BYTES:
            raise ScreenTooLarge(f"the picture of the screen has more than {MOST_BYTES >> 20} MiB")
    return bytes(picture)
