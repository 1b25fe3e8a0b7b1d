# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Explicit rights of people on an entity, as module ``permission`` declares them."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import read_accounts
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedEntity


class GrantedRights(Resource):
    """The rights of some subjects on one entity; values are sorted lists by subject."""

    def __init__(self, named: NamedEntity, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.title = named.name
        self.entity = named.entity
        self.subjects = read_accounts(arguments["subjects"], "subject")
        self.rights = None if arguments["rights"] is None else set(arguments["rights"])
        self.present = arguments["state"] == "present"
        self.exclusive = arguments["exclusive"]
        self._check_names = check_mode

    async def read(self) -> Values:
        """Return what each subject was granted; in check mode, refuse names that the agent would refuse."""
        if self._check_names:
            await self._refuse_unknown_rights()
        found = await asyncio.gather(*(self.entity.rights_of(subject) for subject in self.subjects))
        return {subject: sorted(rights) for subject, rights in zip(self.subjects, found, strict=True)}

    def desired(self, current: Values) -> Values:
        """Return what each subject shall have."""
        return {subject: sorted(self._adjust(set(rights))) for subject, rights in current.items()}

    def _adjust(self, rights: set[str]) -> set[str]:
        named = rights if self.rights is None else self.rights
        if not self.present:
            return rights - named
        return named if self.exclusive else rights | named

    async def apply(self, current: Values, desired: Values) -> None:
        """Grant and revoke in one request: all of it, or nothing."""
        await self.entity.change_rights(
            (subject, right, right in desired[subject])
            for subject in self.subjects
            for right in sorted(set(current[subject]) ^ set(desired[subject]))
        )

    def report(self, change: Change) -> dict[str, Any]:
        """Return name, account and rights."""
        return {"name": self.title, "jid": self.entity.bare, "rights": dict(change.after)}

    async def _refuse_unknown_rights(self) -> None:
        known = [right.name for right in await self.entity.list_rights()]
        for right in sorted(set(self.rights or ()) - set(known)):
            near = difflib.get_close_matches(right, known, 3)
            raise ValueError(f"{right!r} is no right on {self.title}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
