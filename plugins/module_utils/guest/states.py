# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a guest as a whole is: its clock, and whether anything in it can write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

if TYPE_CHECKING:
    from archipel.client.guest import Guest


class Frozen(Resource):
    """File systems that are frozen, or not."""

    title = "file systems"

    def __init__(self, guest: Guest, wanted: bool) -> None:
        self._guest = guest
        self._wanted = wanted

    async def read(self) -> Values:
        return {"frozen": await self._guest.is_frozen()}

    def desired(self, current: Values) -> Values:
        return {"frozen": self._wanted}

    async def apply(self, current: Values, desired: Values) -> None:
        await (self._guest.freeze() if self._wanted else self._guest.thaw())

    def report(self, change: Change) -> dict[str, Any]:
        return {}


class GuestClock(Resource):
    """A clock that is right, as far as is wanted."""

    title = "clock"

    def __init__(self, guest: Guest, most: float) -> None:
        self._guest = guest
        self._most = most
        self._first: float | None = None

    async def read(self) -> Values:
        offset = (await self._guest.clock()).offset
        self._first = offset if self._first is None else self._first
        return {"clock": f"{'right' if abs(offset) <= self._most else 'wrong'} to {self._most:g} s"}

    def desired(self, current: Values) -> Values:
        return {"clock": f"right to {self._most:g} s"}

    async def apply(self, current: Values, desired: Values) -> None:
        await self._guest.set_clock()

    def report(self, change: Change) -> dict[str, Any]:
        return {"clock_offset": self._first}
