# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""People in an entity's roster, as module ``roster`` declares them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import read_accounts
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedEntity

CONTACTS = "contacts"
ROSTER: Mapping[str, Mapping[str, Any]] = {
    "people": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "exclusive": {"type": "bool", "default": False},
}


def refuse_roster(arguments: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError` for what contradicts itself."""
    if arguments["exclusive"] and arguments["state"] == "absent":
        raise ValueError("exclusive: goes with state: present; an empty list of people then takes everybody out")


class Contacts(Resource):
    """Who is in the roster of one entity; the value is the sorted list of those that are declared, or of all if it is exclusive."""

    def __init__(self, named: NamedEntity, arguments: Mapping[str, Any]) -> None:
        self.title = named.name
        self.entity = named.entity
        self.people = set(read_accounts(arguments["people"], "people"))
        self.present = arguments["state"] == "present"
        self.exclusive = arguments["exclusive"]
        self._subscriptions: dict[str, str] = {}

    async def read(self) -> Values:
        """Return those in the roster whom the declaration is about."""
        self._subscriptions = {contact.jid: contact.subscription for contact in await self.entity.roster()}
        return {CONTACTS: sorted(self._subscriptions if self.exclusive else self.people & self._subscriptions.keys())}

    def desired(self, current: Values) -> Values:
        """Return those of them who shall be there."""
        return {CONTACTS: sorted(self.people) if self.present else []}

    async def apply(self, current: Values, desired: Values) -> None:
        """Take people in, and others out."""
        before, after = set(current[CONTACTS]), set(desired[CONTACTS])
        await asyncio.gather(
            *(self.entity.add_subscription(person) for person in sorted(after - before)),
            *(self.entity.remove_subscription(person) for person in sorted(before - after)),
        )

    def report(self, change: Change) -> dict[str, Any]:
        """Return name, account and everybody in the roster; in check mode those who would be in it."""
        others = self._subscriptions.keys() - set(change.before[CONTACTS]) - set(change.after[CONTACTS])
        people = sorted({*others, *change.after[CONTACTS]})
        contacts = [{"jid": person, "subscription": self._subscriptions.get(person, "none")} for person in people]
        return {"name": self.title, "jid": self.entity.bare, CONTACTS: contacts}
