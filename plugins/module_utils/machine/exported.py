# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All machines of a hypervisor in the words of a declaration, such that declaring them changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.machine.exported_drives import tell_drives
from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import RUN_STATES, run_state
from ansible_collections.archipel.platform.plugins.module_utils.machine.wording import describe_definition

try:
    from archipel.client import MachineState
    from archipel.client.failures import EXPECTED, describe
    from archipel.protocol.declaration import Part
    from archipel.protocol.rules import ALLOW, NEVER
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor, MachineEntry
    from archipel.client.declaration import MachineDescription
    from archipel.protocol.rules import Rule

ENTITY = "entity"
_DENIED = "denied"


@dataclass
class Exported:
    """What was found; ``incomplete`` are the parts that cannot be told, with the reason."""

    machines: list[dict[str, Any]] = field(default_factory=list)
    incomplete: list[dict[str, str]] = field(default_factory=list)


async def export_machines(hypervisor: Hypervisor, *, unmanaged: bool) -> Exported:
    """Return the machines that a hypervisor manages, sorted by name; those that it does not as ones to adopt, if wanted."""
    wanted = (Part.INFO, Part.DEFINITION, Part.ORGANISATION, Part.ROSTER, Part.RIGHTS, Part.TAGS)
    descriptions = await hypervisor.describe(None, wanted)
    exported = Exported()
    managed: dict[str, MachineEntry] = {}
    for entry in sorted(await hypervisor.machines(), key=lambda entry: (entry.name, entry.uuid)):
        if entry.managed:
            managed[entry.uuid] = entry
            _export(entry, descriptions.get(entry.uuid), exported)
        elif unmanaged:
            exported.machines.append({"name": entry.name, "uuid": entry.uuid, "state": "adopted"})
    own = [(managed[machine["uuid"]], machine) for machine in exported.machines if machine["uuid"] in managed]
    exported.incomplete += await tell_drives(hypervisor, own)
    return exported


def _export(entry: MachineEntry, description: MachineDescription | None, exported: Exported) -> None:
    machine: dict[str, Any] = {"name": entry.name, "uuid": entry.uuid}
    if description is None:
        exported.incomplete.append({"name": entry.name, "part": "machine", "reason": "it does not know this account"})
        return
    for part, tell in _PARTS.items():
        try:
            machine |= tell(entry.name, description)
        except EXPECTED as error:
            exported.incomplete.append({"name": entry.name, "part": part, "reason": describe(error)})
    exported.machines.append(machine)


def _tell_info(_name: str, description: MachineDescription) -> dict[str, Any]:
    info = description.info
    state = run_state(MachineState.of(info))
    return {
        **({"state": state} if info is not None and state in RUN_STATES else {}),
        **({"autostart": True} if info is not None and info.autostart else {}),
    }


def _tell_definition(name: str, description: MachineDescription) -> dict[str, Any]:
    stored = description.stored
    return {} if stored is None else describe_definition(name, stored)


def _tell_organisation(_name: str, description: MachineDescription) -> dict[str, Any]:
    return {option: value for option, value in asdict(description.organisation).items() if value}


def _tell_tags(_name: str, description: MachineDescription) -> dict[str, Any]:
    return {"tags": sorted(description.tags)} if description.tags else {}


def _tell_roster(_name: str, description: MachineDescription) -> dict[str, Any]:
    people = sorted(contact.jid for contact in description.roster)
    return {"roster": people} if people else {}


def _tell_rights(_name: str, description: MachineDescription) -> dict[str, Any]:
    permissions = describe_rules(rule for rule in description.rights if rule.scope == ENTITY)
    return {"permissions": permissions} if permissions else {}


_PARTS: Mapping[str, Callable[[str, MachineDescription], dict[str, Any]]] = {
    "info": _tell_info,
    "definition": _tell_definition,
    "organisation": _tell_organisation,
    "tags": _tell_tags,
    "roster": _tell_roster,
    "rights": _tell_rights,
}


def describe_rules(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """Return rules in the words of module ``permission``, those that differ in nothing but the right as one entry."""
    entries: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for rule in sorted(rules, key=lambda rule: (rule.subject or "", rule.group or "", rule.role or "", rule.right or "")):
        common = {
            **({"subject": rule.subject} if rule.subject else {"group": rule.group or ""}),
            **({} if rule.effect == ALLOW else {"state": _DENIED}),
            **({} if rule.scope == ENTITY else {"scope": rule.scope}),
            **({} if rule.expires == NEVER else {"expires": rule.expires}),
            **({"reason": rule.reason} if rule.reason else {}),
        }
        word, value = ("roles", rule.role) if rule.role else ("rights", rule.right)
        entry = entries.setdefault((*common.items(), ("word", word)), dict(common))
        entry.setdefault(word, []).append(value)
    return list(entries.values())
