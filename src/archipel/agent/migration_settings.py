# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of migration: whom machines are entrusted to and taken from, and how they travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from archipel.agent import options as kinds
from archipel.agent.options import Section, integer, list_of, optional, seconds
from archipel.agent.settings import GLOBAL

MIGRATION: Final = Section("MIGRATION")
NAME: Final = "migration"  # in [MODULES]


@dataclass(frozen=True, kw_only=True)
class MigrationSettings:
    """Migration of machines to and from other hypervisors."""

    uri: str | None = GLOBAL.option(
        "migration_uri",
        optional(kinds.WORD),
        "",
        "URI at which other hosts' libvirt reaches this one's; left out, libvirt_uri with this host's address in it.",
    )
    peers: tuple[str, ...] = MIGRATION.option(
        "migration_peers",
        list_of(kinds.ACCOUNT),
        "",
        "Accounts of the hypervisors that machines are entrusted to and taken from: they must be as trustworthy as this host's root.",
    )
    address: str | None = MIGRATION.option(
        "migration_address", optional(kinds.WORD), "", "Name or address where guests' memory arrives; left out, this host's name."
    )
    plain: bool = MIGRATION.option(
        "insecure_migration", kinds.BOOLEAN, "False", "No TLS between the hosts' QEMUs: who is on the way reads guests' memory and disks."
    )
    trust_sharing: bool = MIGRATION.option(
        "migration_trusts_sharing",
        kinds.BOOLEAN,
        "False",
        "Whether a folder that both hosts see is migrated on where libvirt does not know its file system as shared.",
    )
    bandwidth: int = MIGRATION.option("migration_bandwidth", integer(0, 1_000_000), "0", "Most MiB per second of a migration; 0: no limit.")
    timeout: float = MIGRATION.option("migration_timeout", seconds(1, 7 * 86400), "3600", "Time after which a migration is given up.")
    downtime: int = MIGRATION.option(
        "migration_downtime",
        integer(1, 60_000),
        "500",
        "Milliseconds that a guest may stand still at the end of its way; one that writes much on a slow network needs more.",
    )
