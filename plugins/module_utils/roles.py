# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named sets of rights, as module ``role`` declares them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.entries import is_present
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client import Hypervisor, VirtualMachine
    from archipel.protocol.rights import CORE_TOKENS, MODULE_TOKENS
    from archipel.protocol.roles import BUILT_IN, ROLE_NAME
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client.platform_rules import PlatformRules
    from archipel.protocol.rules import RoleItem

KIND: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "rights": {"type": "list", "elements": "str"},
    "description": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"]},
}


class DeclaredRole(Resource):
    """A role of a hypervisor's own, or of the platform; the values are its description, if declared, and its sorted rights."""

    def __init__(self, place: Hypervisor | PlatformRules, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.place, self.name = place, str(arguments["name"])
        self.title = f"{self.name} on {place.bare}"
        self.present = is_present(arguments)
        self.rights = sorted(set(arguments.get("rights") or ()))
        self.description = arguments.get("description")
        self._check_names = check_mode and self.present
        if self.name in BUILT_IN or not ROLE_NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} is built in, or no name of a role: lower-case letters, digits and hyphens, 40 at most")
        if self.present and not self.rights:
            raise ValueError(f"{self.name}: rights: name at least one, or say state: absent")

    async def read(self) -> Values:
        """Return what the role is; in check mode, refuse rights that the agent would refuse."""
        if self._check_names and isinstance(self.place, Hypervisor):
            await refuse_unknown_rights(self.place, self.rights)
        found = {role.name: role for role in await self.place.roles() if not is_others(role, self.place)}
        return self._values(found.get(self.name))

    def _values(self, role: RoleItem | None) -> Values:
        if role is None:
            return {}
        described = {} if self.description is None else {"description": role.description}
        return {**described, "rights": sorted(role.tokens)}

    def desired(self, current: Values) -> Values:
        """Return what it shall be."""
        if not self.present:
            return {}
        return {**({} if self.description is None else {"description": self.description}), "rights": self.rights}

    async def apply(self, current: Values, desired: Values) -> None:
        """Make, change or remove it; a description that is not declared stays."""
        if not desired:
            await self.place.remove_role(self.name)
            return
        before = {role.name: role.description for role in await self.place.roles() if not is_others(role, self.place)}
        description = before.get(self.name, "") if self.description is None else self.description
        await self.place.set_role(self.name, self.rights, description=description)

    def report(self, change: Change) -> dict[str, Any]:
        """Return name, place and what the role is."""
        return {"name": self.name, "on": self.place.bare, "present": bool(change.after), **change.after}


def is_others(role: RoleItem, place: Hypervisor | PlatformRules) -> bool:
    """Whether a role that a place lists is not of its own."""
    return role.builtin or (role.platform and isinstance(place, Hypervisor))


async def refuse_unknown_rights(hypervisor: Hypervisor, rights: list[str]) -> None:
    """Raise :class:`ValueError` for rights that neither the hypervisor nor its machines have."""
    known = {token.name for token in (*CORE_TOKENS, *MODULE_TOKENS)} | {right.name for right in await hypervisor.list_rights()}
    if {*rights} - known:
        known |= await _rights_of_machines(hypervisor)
    for right in sorted({*rights} - known):
        near = difflib.get_close_matches(right, sorted(known), 3)
        raise ValueError(f"{right!r} is no right on {hypervisor.bare}" + (f"; did you mean {' or '.join(near)}?" if near else ""))


async def _rights_of_machines(hypervisor: Hypervisor) -> set[str]:
    """Return the rights that exist on machines: the same on all, so one of them is asked."""
    machine = next((entry for entry in await hypervisor.machines() if entry.managed), None)
    if machine is None:
        return set()
    return {right.name for right in await VirtualMachine(hypervisor.session, machine.jid).list_rights()}


async def describe_all(place: Hypervisor | PlatformRules) -> list[dict[str, Any]]:
    """Return the roles of a hypervisor's own, or of the platform."""
    found = sorted((role for role in await place.roles() if not is_others(role, place)), key=lambda role: role.name)
    return [{"name": role.name, "rights": sorted(role.tokens), "description": role.description} for role in found]
