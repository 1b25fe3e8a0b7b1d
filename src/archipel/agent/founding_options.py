# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the founding agent that this one reads without acting on them, each with what replaces it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_RIGHTS = "rights are kept in hypervisor_database_path"
_ROTATION = "rotate the file with logrotate; the agent notices"
_LAYOUT = "logging_format chooses between text and json"
_DISKS = "disks are confined to folders and to [POLICY] allowed_pools, and the right domain_policy_bypass lifts that"
_EVENTS = "the log is not published"
_NOT_OFFERED = "this version has nothing that it could steer"

WITHOUT_EFFECT: Final[Mapping[tuple[str, str], str]] = {
    ("DEFAULT", "archipel_general_uuid"): _NOT_OFFERED,
    ("GLOBAL", "stateless_node"): "a host without disks mounts its folders through /etc/fstab or systemd",
    ("GLOBAL", "libvirt_need_authentication"): "libvirt reads its own credentials from /etc/libvirt/auth.conf",
    ("GLOBAL", "libvirt_auth_password"): "libvirt reads its own credentials from /etc/libvirt/auth.conf",
    ("HYPERVISOR", "name_generation_file"): "names are made from a word list that comes with the agent",
    ("HYPERVISOR", "hypervisor_permissions_database_path"): _RIGHTS,
    ("VIRTUALMACHINE", "vm_perm_path"): _RIGHTS,
    ("VIRTUALMACHINE", "vm_permissions_database_path"): _RIGHTS,
    ("VIRTUALMACHINE", "enable_block_device_access"): _DISKS,
    ("GEOLOCALIZATION", "localization_service_method"): "the service is asked with GET",
    ("GEOLOCALIZATION", "localization_service_response_root_node"): "the answer's top element may have any name",
    ("NETWORKS", "libvirt_nw_filters_path"): "libvirt itself is asked for its network filters",
    ("HEALTH", "health_database_path"): "figures are kept in hypervisor_database_path",
    ("HEALTH", "max_rows_before_purge"): "an hour of samples, a day of minutes and a month of hours are kept",
    ("HEALTH", "max_cached_rows"): "an hour of samples, a day of minutes and a month of hours are kept",
    (
        "VMCASTING",
        "vmcasting_database_path",
    ): "feeds are kept in hypervisor_database_path; those of a founding agent must be registered again",
    ("SCHEDULER", "database"): "jobs are kept in hypervisor_database_path; those of a founding agent must be scheduled again",
    ("IPHONENOTIFICATION", "credentials_key"): "that service is gone; notifier_routes of [NOTIFIER] names who is told",
    ("LOGGING", "log_pubsub_item_expire"): _EVENTS,
    ("LOGGING", "log_pubsub_max_items"): _EVENTS,
    ("LOGGING", "logging_max_bytes"): _ROTATION,
    ("LOGGING", "logging_backup_count"): _ROTATION,
    ("LOGGING", "logging_date_format"): _LAYOUT,
    ("LOGGING", "logging_formatter"): _LAYOUT,
    ("LOGGING", "xmpppy_debug"): "logging_level = debug shows what the agent does on the wire",
    ("VNC", "vnc_only_ssl"): "with a certificate nothing but TLS is served, without one nothing but the loopback",
    ("VNC", "vnc_enable_websocket_debug"): "the audit log tells who opened which console",
}

# Sections that the founding agent's modules brought along. A capability that declares one of them takes it over.
MODULE_SECTIONS: Final[frozenset[str]] = frozenset(
    {
        "CENTRALAGENT",
        "GEOLOCALIZATION",
        "HEALTH",
        "IPHONENOTIFICATION",
        "NETWORKS",
        "NUAGE",
        "SCHEDULER",
        "VMCASTING",
        "VNC",
        "XMPPSERVER",
    }
)
