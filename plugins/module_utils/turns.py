# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One after the other, where all else of a session is done at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from archipel.client import Session

_TURNS: WeakKeyDictionary[Session, defaultdict[Hashable, asyncio.Lock]] = WeakKeyDictionary()


def turn(session: Session, what: Hashable) -> asyncio.Lock:
    """Return what is held by the one of a session who does something; ``what`` tells that from all else."""
    return _TURNS.setdefault(session, defaultdict(asyncio.Lock))[what]
