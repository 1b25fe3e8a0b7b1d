# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One question for all who ask the same thing at the same moment: forty volumes are read from one list of their pool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from archipel.client import Hypervisor, Session

T = TypeVar("T")
_waiting: WeakKeyDictionary[Session, dict[Hashable, asyncio.Task[Any]]] = WeakKeyDictionary()


async def ask_together(hypervisor: Hypervisor, what: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
    """Return the answer to a question, which is not older than the call.

    Only a question that was not sent yet is shared: what somebody has changed before he asks is in the answer.
    """
    asked = _waiting.setdefault(hypervisor.session, {})
    key = (hypervisor.bare, what)
    if key not in asked:

        async def ask_once() -> T:
            del asked[key]  # from now on it is on its way
            return await ask()

        asked[key] = asyncio.ensure_future(ask_once())
    answer: T = await asyncio.shield(asked[key])
    return answer
