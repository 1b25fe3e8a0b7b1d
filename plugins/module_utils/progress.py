# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress of long work for who runs a playbook: that it goes on, and for how long by now."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

Say = Callable[[str], None]

FIRST = 2.0  # seconds; what takes no longer needs no words
AGAIN = 10.0  # seconds between two lines after that


def say_nothing(_text: str) -> None:
    """Stand in for somebody who wants to hear of progress."""


@contextlib.asynccontextmanager
async def telling(tell: Say, what: str) -> AsyncIterator[None]:
    """Tell, while the block runs, that it goes on: after two seconds, then every ten."""
    teller = asyncio.create_task(_tell_on(tell, what))
    try:
        yield
    finally:
        teller.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await teller


async def _tell_on(tell: Say, what: str) -> None:
    begun = time.monotonic()
    await asyncio.sleep(FIRST)
    while True:
        tell(f"{what} ({time.monotonic() - begun:.0f} s)")
        await asyncio.sleep(AGAIN)


def once_each(tell: Say, prefix: str = "") -> Say:
    """Return what passes on only texts that differ from the one before."""
    last = ""

    def tell_news(text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            tell(f"{prefix}{text}")

    return tell_news
