# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A live platform as the document that module ``fleet`` takes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils import groups, users
from ansible_collections.archipel.platform.plugins.module_utils.fleet.kinds import KINDS
from ansible_collections.archipel.platform.plugins.module_utils.machine.exported import describe_rules, export_machines

try:
    from archipel.client.failures import EXPECTED, describe
    from archipel.protocol.rules import PLATFORM
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor

HYPERVISOR = "hypervisor"


@dataclass
class Export:
    """The document as it grows, and what could not be told."""

    document: dict[str, Any] = field(default_factory=dict)
    incomplete: list[dict[str, str]] = field(default_factory=list)

    def add(self, section: str, hypervisor: str, entries: list[dict[str, Any]]) -> None:
        """Take entries of a section in; each says its hypervisor, behind its name if it has one."""
        for entry in entries:
            named = {"name": entry["name"]} if "name" in entry else {}
            self.document.setdefault(section, []).append({**named, HYPERVISOR: hypervisor, **entry})


async def export(hypervisors: Mapping[str, Hypervisor], sections: list[str] | None, *, unmanaged: bool) -> Export:
    """Return what there is on these hypervisors, by short name."""
    found = Export({"hypervisors": {name: hypervisor.bare for name, hypervisor in hypervisors.items()}})
    parts: dict[str, Callable[[Hypervisor], Awaitable[list[dict[str, Any]]]]] = {
        kind.section: kind.describe_all for kind in KINDS if kind.describe_all is not None
    }
    parts |= {"rosters": _describe_roster, "permissions": _describe_permissions}
    wanted = [(section, tell) for section, tell in parts.items() if sections is None or section in sections]
    for name, hypervisor in hypervisors.items():
        answers = await asyncio.gather(*(tell(hypervisor) for _section, tell in wanted), return_exceptions=True)
        for (section, _tell), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, EXPECTED):
                found.incomplete.append({HYPERVISOR: name, "name": name, "part": section, "reason": describe(answer)})
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.add(section, name, answer)
        if sections is None or "vms" in sections:
            machines = await export_machines(hypervisor, unmanaged=unmanaged)
            found.add("vms", name, machines.machines)
            found.incomplete += [{HYPERVISOR: name, **missing} for missing in machines.incomplete]
    await _tell_server(found, list(hypervisors.values()), sections)
    return found


async def _tell_server(found: Export, hypervisors: list[Hypervisor], sections: list[str] | None) -> None:
    """Take in what belongs to no hypervisor: the accounts and groups of the server, where this account may read them."""
    session = hypervisors[0].session
    parts: dict[str, Callable[[], Awaitable[list[dict[str, Any]]]]] = {
        "users": lambda: users.describe_all(session, tuple(hypervisors)),
        "groups": lambda: groups.describe_all(session, os.environ.get("ARCHIPEL_API_URL")),
    }
    for section, tell in parts.items():
        if sections is None or section in sections:
            try:
                entries = await tell()
            except (*EXPECTED, ValueError) as error:
                missing = {HYPERVISOR: "", "name": session.settings.domain, "part": section, "reason": describe(error)}
                found.incomplete.append(missing)
            else:
                found.document |= {section: entries} if entries else {}


async def _describe_roster(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    people = sorted(contact.jid for contact in await hypervisor.roster())
    return [{"people": people}] if people else []


async def _describe_permissions(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    rules = await hypervisor.rules()
    return describe_rules(rule for rule in rules if rule.entity == hypervisor.bare and rule.scope != PLATFORM)
