# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The platform's list of administrators, as module ``administrator`` declares it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import read_accounts
from ansible_collections.archipel.platform.plugins.module_utils.entries import is_present
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client.administrators import list_administrators, name_administrator, remove_administrator
    from archipel.protocol.events import ADMIN_ACCOUNTS_NODE
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Session

KIND: Mapping[str, Mapping[str, Any]] = {
    "people": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "exclusive": {"type": "bool", "default": False},
}


class DeclaredAdministrators(Resource):
    """Who is on the list; the value is the sorted list of those that are declared, or of all if it is exclusive.

    It is the platform's, so it is made of a session, not of a hypervisor.
    """

    def __init__(self, session: Session, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.session, self.title = session, ADMIN_ACCOUNTS_NODE
        self.people = set(read_accounts(arguments["people"], "people"))
        self.present, self.exclusive = is_present(arguments), bool(arguments.get("exclusive"))
        self._all: set[str] = set()

    async def read(self) -> Values:
        """Return those on the list whom the declaration is about."""
        self._all = {found.jid for found in await list_administrators(self.session)}
        return {"administrators": sorted(self._all if self.exclusive else self.people & self._all)}

    def desired(self, current: Values) -> Values:
        """Return those of them who shall be there."""
        return {"administrators": sorted(self.people) if self.present else []}

    async def apply(self, current: Values, desired: Values) -> None:
        """Name some and remove others; the new ones first, so that the list is never without anybody."""
        before, after = {*current["administrators"]}, {*desired["administrators"]}
        for person in sorted(after - before):
            await name_administrator(self.session, person)
        for person in sorted(before - after):
            await remove_administrator(self.session, person)
        if await self.read() != desired:
            raise ValueError(f"{self.title}: {self.session.settings.service} took the change, and has another list: {sorted(self._all)}")

    def report(self, change: Change) -> dict[str, Any]:
        """Return everybody on the list; in check mode those who would be."""
        before, after = {*change.before["administrators"]}, {*change.after["administrators"]}
        return {"list": self.title, "administrators": sorted((self._all - before) | after)}


async def describe_all(session: Session) -> list[dict[str, Any]]:
    """Return the list as one declaration."""
    return [{"people": [found.jid for found in await list_administrators(session)], "exclusive": True}]
