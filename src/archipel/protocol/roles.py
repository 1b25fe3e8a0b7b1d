# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles that every agent knows: named sets of rights, for machines and hypervisors alike; names that an entity lacks do nothing there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from archipel.protocol.rights import ALL, CORE_TOKENS, MODULE_TOKENS

ROLE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Role:
    """A named set of rights."""

    name: str
    description: str
    tokens: frozenset[str]


_MEET: Final = frozenset({"presence", "message", "permission_getown", "permission_list"})
_STUDENT: Final = _MEET | {"info", "create", "shutdown", "destroy", "reboot", "vnc_display", "screenshot"}
_SNAPSHOTS: Final = frozenset({"snapshot_take", "snapshot_get", "snapshot_current", "snapshot_revert", "snapshot_delete"})
_WEBMASTER: Final = _STUDENT | _SNAPSHOTS | {"suspend", "resume", "xmldesc", "networkinfo", "autostart"}
_DRIVES: Final = frozenset({"drives_get", "drives_getiso", "drives_getgolden", "drives_create", "drives_delete", "drives_rename"})
_DEVELOPER: Final = (
    _WEBMASTER
    | _DRIVES
    | {"define", "undefine", "memory", "setvcpus", "capabilities", "nodeinfo", "network_getnames", "network_bridges", "drives_convert"}
)
_ASSISTANT: Final = _WEBMASTER | {"permission_get", "rostervm", "getroster", "nodeinfo", "drives_get"}
_TEACHER: Final = (
    _ASSISTANT
    | _DEVELOPER
    | {"permission_set", "permission_setown", "subscription_add", "subscription_remove", "settags", "setavatar", "getavatars"}
    | {"alloc", "free", "clone", "setorginfo", "drives_create_golden", "drives_setgolden", "scheduler_jobs", "scheduler_schedule"}
    | {"scheduler_unschedule", "scheduler_actions"}
)
_LOOKING: Final = frozenset({
    "presence", "permission_get", "permission_getown", "permission_list", "info", "xmldesc", "networkinfo", "capabilities",
    "nodeinfo", "rostervm", "ip", "migrationinfo", "getroster", "getavatars", "geolocalization_get", "vmparking_list",
    "scheduler_jobs", "scheduler_actions", "snapshot_current", "vmcasting_downloadqueue", "vmcasting_getappliances",
    "vmcasting_getinstalledappliances", "health_info", "health_history", "health_logs", "network_bridges",
    "xmppserver_users_list", "xmppserver_users_filter", "xmppserver_users_number", "oom_getadjust",
})  # fmt: skip
# What capabilities declare themselves, and what a plan of a whole platform asks for.
_OURS: Final = frozenset({"golden_images", "guest_info", "network_leases", "ownership_get", "storage_pools", "storage_volumes"})
_AUDITOR: Final = (
    _LOOKING
    | _OURS
    | {token.name for token in (*CORE_TOKENS, *MODULE_TOKENS) if token.name.partition("_")[2].startswith("get") and token.name != ALL}
)

BUILT_IN: Final[Mapping[str, Role]] = MappingProxyType(
    {
        role.name: role
        for role in (
            Role("student", "Start, stop and watch a machine", _STUDENT),
            Role("webmaster", "Run a server: what a student may, pauses, snapshots, start with the host", _WEBMASTER),
            Role("developer", "Build a machine: what a webmaster may, definition and disks", _DEVELOPER),
            Role("assistant", "Help others: what a webmaster may, and see machines, contacts and rights", _ASSISTANT),
            Role("teacher", "Make machines and give them to others: what assistant and developer may, alloc, free, rights", _TEACHER),
            Role("host-admin", "Everything, but for the rights that are granted one by one", frozenset({ALL})),
            Role("auditor", "See everything, change nothing", _AUDITOR),
        )
    }
)
