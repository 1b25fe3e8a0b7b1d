# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of objects that a declaration may have: one entry each. A new kind is a new entry, and nothing else.

What stands on others comes behind them: what is pruned goes in the opposite order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ansible_collections.archipel.platform.plugins.module_utils.contacts import ROSTER, Contacts, refuse_roster
from ansible_collections.archipel.platform.plugins.module_utils.fleet.host_kinds import HOST_KINDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Kind, entries_of
from ansible_collections.archipel.platform.plugins.module_utils.fleet.people_kinds import ATTACHED_KINDS, PEOPLE_KINDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import GRANTS, PEOPLE
from ansible_collections.archipel.platform.plugins.module_utils.golden_image import file_name
from ansible_collections.archipel.platform.plugins.module_utils.grants import GrantedRights
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import DEFINITION_OR_HARDWARE, MACHINE, MachineWish
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import DeclaredMachine
from ansible_collections.archipel.platform.plugins.module_utils.permissions import CONSTRAINTS, PERMISSION, refuse_permission
from ansible_collections.archipel.platform.plugins.module_utils.rules import DeclaredRules, needs_rules

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground
    from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource


# -- machines -----------------------------------------------------------------------------------------------------------


def _machine(ground: Ground, item: Item) -> Resource:
    machine = DeclaredMachine(MachineWish.of(item.arguments), ground.host)
    ground.machines.setdefault(item.key.name, machine)
    return machine


def _remove_machine(uuid: str) -> dict[str, Any]:
    return {"uuid": uuid, "state": "absent"}


def _name_machine(arguments: Mapping[str, Any]) -> str:
    return arguments["name"] or arguments["uuid"] or ""


def _refuse_machine(arguments: Mapping[str, Any]) -> None:
    MachineWish.of(arguments)


def needs_of_machine(item: Item) -> Iterator[tuple[str, str]]:
    """Yield networks, filters, pools and volumes that a machine stands on."""
    arguments = item.arguments
    for card in arguments["networks"] or ():
        yield from (("network", card["network"]), ("filter", card["filter"]))
    for disk in arguments["disks"] or ():
        yield from (("pool", disk["pool"]), ("volume", f"{disk['pool']}/{disk['volume']}"))
    yield from (("image", file_name(drive["golden"])) for drive in arguments["drives"] or () if drive["golden"])
    if arguments["definition"]:
        yield from _needs_of_definition(arguments["definition"])


def _needs_of_definition(text: str) -> Iterator[tuple[str, str]]:
    try:
        devices = ET.fromstring(text)  # noqa: S314 - it is the user's own; no entity of it is ever resolved from elsewhere
    except ET.ParseError:
        return  # who reads it for the machine says what is wrong with it
    for source in devices.iterfind("devices/*/source"):
        if source.get("network"):
            yield "network", source.get("network", "")
        if source.get("pool"):
            yield from (("pool", source.get("pool", "")), ("volume", f"{source.get('pool')}/{source.get('volume')}"))
    yield from (("filter", found.get("filter", "")) for found in devices.iterfind("devices/interface/filterref"))


# -- people and rights --------------------------------------------------------------------------------------------------


def _roster(ground: Ground, item: Item) -> Resource:
    return Contacts(ground.entity_of(item), item.arguments)


def _name_roster(arguments: Mapping[str, Any]) -> str:
    people = ", ".join(arguments["people"]) or "nobody"
    return people if arguments["state"] == "present" else f"{people} ({arguments['state']})"


def _read_people(value: Any) -> list[Any]:
    """Return the entries for a person, people, or what module ``roster`` takes."""
    entries = entries_of(value)
    people = [entry for entry in entries if isinstance(entry, str)]
    return [{"people": people}] * bool(people) + [entry for entry in entries if not isinstance(entry, str)]


def _needs_of_roster(item: Item) -> Iterator[tuple[str, str]]:
    for person in item.arguments["people"]:
        yield from (("user", name) for name in (person, person.partition("@")[0]))


def _permission(ground: Ground, item: Item) -> Resource:
    kind = DeclaredRules if needs_rules(item.arguments) else GrantedRights
    # What is named is checked before anything is done, as far as anybody can be asked.
    return kind(ground.entity_of(item), item.arguments, check_mode=ground.knows_rights_for(item))


def _name_permission(arguments: Mapping[str, Any]) -> str:
    who = ", ".join([*(arguments["subjects"] or ()), *(f"group {group}" for group in arguments["groups"] or ())])
    what = ", ".join([*(f"role {role}" for role in arguments["roles"] or ()), *(arguments["rights"] or ())]) or "nothing"
    where = "" if arguments["scope"] == "entity" else f", scope {arguments['scope']}"
    return f"{who}: {what}{where}" + ("" if arguments["state"] == "present" else f" ({arguments['state']})")


def _needs_of_permission(item: Item) -> Iterator[tuple[str, str]]:
    for kind, names in (("role", "roles"), ("group", "groups"), ("kept-group", "groups"), ("user", "subjects")):
        for name in item.arguments[names] or ():
            yield from ((kind, word) for word in (name, name.partition("@")[0]))


KINDS: tuple[Kind, ...] = (
    *HOST_KINDS,
    *PEOPLE_KINDS,
    Kind(
        name="machine",
        section="vms",
        options=MACHINE,
        declare=_machine,
        refer=needs_of_machine,
        identify=_name_machine,
        constraints={"mutually_exclusive": DEFINITION_OR_HARDWARE, "required_one_of": [("name", "uuid")]},
        refuse=_refuse_machine,
        removal=_remove_machine,
    ),
    Kind(
        name="contact",
        section="rosters",
        inline="roster",
        options=ROSTER,
        declare=_roster,
        refer=_needs_of_roster,
        identify=_name_roster,
        refuse=refuse_roster,
        read_inline=_read_people,
        of_machines=True,
        pieces=PEOPLE,
    ),
    Kind(
        name="grant",
        section="permissions",
        inline="permissions",
        options=PERMISSION,
        declare=_permission,
        refer=_needs_of_permission,
        identify=_name_permission,
        constraints=CONSTRAINTS,
        refuse=refuse_permission,
        of_machines=True,
        pieces=GRANTS,
    ),
    *ATTACHED_KINDS,
)
