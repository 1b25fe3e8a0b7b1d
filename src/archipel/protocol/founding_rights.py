# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The founding system's rights as a table: those of its modules, the dead ones, and those that it asked for but never made.

Its code has 108 names (its papers say 110): 40 of the core, two dead ones, 66 of modules. A right whose capability is not there
yet can be granted all the same, because founding clients send whole sets; it counts when the capability comes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from archipel.protocol.entities import ANY_ENTITY, ON_HYPERVISOR, ON_VIRTUAL_MACHINE, EntityKind, Token


class Standing(enum.StrEnum):
    """What a name was in the founding system."""

    FOUNDING = "founding"
    DEAD = "founding, dead there"
    NEVER_MADE = "founding, asked for there but never made"
    NEW = "new"


_HYPERVISOR: Final[Mapping[str, str]] = {
    "geolocalization_get": "See where the hypervisor stands",
    "health_info": "See load, memory and disks of the host",
    "health_history": "See how load, memory and disks of the host were",
    "health_logs": "Read the agent's log",
    "network_define": "Change definitions of virtual networks",
    "network_undefine": "Remove definitions of virtual networks",
    "network_create": "Start virtual networks",
    "network_destroy": "Stop virtual networks",
    "network_get": "See the virtual networks with their definitions",
    "network_getnics": "See the host's network cards",
    "network_getnwfilters": "See the host's network filters",
    "nuagenetwork_create": "Make Nuage networks",
    "nuagenetwork_delete": "Remove Nuage networks",
    "nuagenetwork_update": "Change Nuage networks",
    "vmcasting_get": "See the feeds of appliances",
    "vmcasting_register": "Add a feed of appliances",
    "vmcasting_unregister": "Remove a feed of appliances",
    "vmcasting_downloadappliance": "Download appliances",
    "vmcasting_downloadqueue": "See what is being downloaded",
    "vmcasting_getappliances": "See the appliances of the feeds",
    "vmcasting_deleteappliance": "Delete downloaded appliances",
    "vmcasting_getinstalledappliances": "See which appliances are downloaded",
    "vmparking_list": "See the parked machines",
    "vmparking_unpark": "Bring parked machines back",
    "vmparking_delete": "Delete parked machines",
    "vmparking_edit_definition": "Change the definition of parked machines",
    "vmparking_create_parked": "Make machines that are parked from the beginning",
    "vmparking_updatexml": "Change the definition of parked machines, as the founding web client asks for it",
}
_VIRTUAL_MACHINE: Final[Mapping[str, str]] = {
    "oom_getadjust": "See how ready the kernel is to kill the machine when memory runs out",
    "oom_setadjust": "Change how ready the kernel is to kill the machine when memory runs out",
    "snapshot_take": "Take snapshots",
    "snapshot_delete": "Delete snapshots",
    "snapshot_get": "See the snapshots",
    "snapshot_current": "See which snapshot the machine stands on",
    "snapshot_revert": "Go back to a snapshot",
    "drives_create": "Make disks",
    "drives_delete": "Delete disks",
    "drives_get": "See the disks",
    "drives_getiso": "See the images of installation disks",
    "drives_convert": "Convert disks to another format",
    "drives_rename": "Rename disks",
    "drives_create_golden": "Make disks that stand on a golden image",
    "drives_getgolden": "See the golden images",
    "drives_setgolden": "Make a disk a golden image",
    "network_getnics": "See the host's network cards",
    "network_getnwfilters": "See the host's network filters",
    "vnc_display": "See where the screen can be watched",
    "appliance_get": "See which appliances can be installed",
    "appliance_attach": "Install an appliance",
    "appliance_detach": "Let go of the installed appliance",
    "appliance_package": "Make an appliance of the machine",
}
_ANY: Final[Mapping[str, str]] = {
    "scheduler_jobs": "See what is planned",
    "scheduler_schedule": "Plan actions",
    "scheduler_unschedule": "Cancel planned actions",
    "scheduler_actions": "See which actions can be planned",
    "network_getnames": "See the names of the virtual networks",
    "network_bridges": "See the host's bridges",
    "nuagenetwork_get": "See the Nuage networks",
    "nuagenetwork_getnames": "See the names of the Nuage networks",
    "vmparking_park": "Park machines",
    "xmppserver_users_list": "See the accounts of the server",
    "xmppserver_users_filter": "Search the accounts of the server",
    "xmppserver_users_number": "See how many accounts the server has",
}

CENTRAL_AGENT: Final[Mapping[str, str]] = {
    "xmppserver_groups_create": "Make groups of the server's shared roster",
    "xmppserver_groups_delete": "Delete groups of the server's shared roster",
    "xmppserver_groups_list": "See the groups of the server's shared roster",
    "xmppserver_groups_addusers": "Put accounts into groups of the server's shared roster",
    "xmppserver_groups_deleteusers": "Take accounts out of groups of the server's shared roster",
    "xmppserver_users_register": "Make accounts on the server",
    "xmppserver_users_unregister": "Remove accounts of the server",
    "xmppserver_users_changepassword": "Change passwords of accounts of the server",
}
"""Rights that only the founding central agent had; no entity of this agent has them."""

MODULE_TOKENS: Final = tuple(
    Token(name, description, entities)
    for table, entities in ((_HYPERVISOR, ON_HYPERVISOR), (_VIRTUAL_MACHINE, ON_VIRTUAL_MACHINE), (_ANY, ANY_ENTITY))
    for name, description in table.items()
)
"""The rights of the founding modules, for entities of this agent; a capability that brings one says what it means from then on."""

DEAD: Final[Mapping[str, str]] = {
    "roster": "No entity of the founders made it; here it lets see a machine's roster in a chat",
    "sendfiles": "No entity of the founders made it, and none takes files here",
}
_NEVER_MADE: Final = frozenset(
    {
        (EntityKind.VIRTUAL_MACHINE, "drives_getgolden"),
        (EntityKind.VIRTUAL_MACHINE, "drives_setgolden"),
        (EntityKind.VIRTUAL_MACHINE, "network_getnics"),
        (EntityKind.VIRTUAL_MACHINE, "network_getnwfilters"),
        (EntityKind.HYPERVISOR, "vmparking_updatexml"),
    }
)
_CORE: Final = frozenset({
    "all", "presence", "message", "permission_get", "permission_getown", "permission_list", "permission_set", "permission_setown",
    "subscription_add", "subscription_remove", "settags", "getavatars", "setavatar", "alloc", "free", "rostervm", "clone", "ip",
    "migrationinfo", "capabilities", "nodeinfo", "manage", "unmanage", "setorginfo", "info", "create", "shutdown", "destroy",
    "reboot", "suspend", "resume", "xmldesc", "migrate", "autostart", "memory", "setvcpus", "networkinfo", "define", "undefine",
    "screenshot",
})  # fmt: skip
_MADE: Final = _CORE | {token.name for token in MODULE_TOKENS} | CENTRAL_AGENT.keys()


def standing_of(kind: EntityKind, name: str) -> Standing:
    """Return what a right was in the founding system on entities of that kind."""
    if name in DEAD:
        return Standing.DEAD
    if (kind, name) in _NEVER_MADE:
        return Standing.NEVER_MADE
    return Standing.FOUNDING if name in _MADE else Standing.NEW


def founding_names() -> frozenset[str]:
    """Return the 108 names that the founding code has, the dead ones included."""
    only_asked_for = {"drives_getgolden", "drives_setgolden", "vmparking_updatexml"}
    return frozenset((_MADE - only_asked_for) | DEAD.keys())
