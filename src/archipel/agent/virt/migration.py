# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: N802 - the methods of the protocol are libvirt's, and so are their names and documentation
"""Moving a domain's running half from one libvirt to another, and finding out where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import libvirt

from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirDomain, VirFailure
from archipel.agent.virt.domain import Domain
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virt.lifecycle import DomainState

MARGIN: Final = 300.0  # seconds beyond the longest migration, in which libvirt gives one up that was told to

_BASE: Final[int] = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE
)
_COMPLETED: Final[int] = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED


class _VirDomain(Protocol):
    """What a virDomain does for migrations."""

    def migrateToURI3(self, dconnuri: str, params: dict[str, Any], flags: int) -> int: ...
    def migrateSetMaxDowntime(self, downtime: int, flags: int) -> int: ...
    def jobStats(self, flags: int) -> dict[str, Any]: ...
    def abortJob(self) -> int: ...
    def createWithFlags(self, flags: int) -> int: ...
    def state(self) -> list[int]: ...
    def isActive(self) -> int: ...
    def isPersistent(self) -> int: ...
    def blockInfo(self, disk: str, flags: int) -> list[int]: ...


@dataclass(frozen=True)
class Route:
    """How a domain travels.

    ``uri`` is the other host's libvirt as this one's daemon reaches it, ``address`` where QEMU goes (None: libvirt chooses).
    ``copied`` are the targets of disks whose contents go along. ``trusts_sharing``: the other disks are shared, whether libvirt
    knows that or not. ``bandwidth`` in MiB/s, 0 for no limit. ``downtime``: milliseconds that the guest may stand still.
    """

    uri: str
    address: str | None = None
    copied: Sequence[str] = ()
    trusts_sharing: bool = False
    encrypted: bool = True
    bandwidth: int = 0
    downtime: int = 300

    @property
    def flags(self) -> int:
        """The flags of libvirt's."""
        flags = _BASE
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK if self.copied else 0
        flags |= libvirt.VIR_MIGRATE_UNSAFE if self.trusts_sharing else 0
        return flags | (libvirt.VIR_MIGRATE_TLS if self.encrypted else 0)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of libvirt's."""
        found: dict[str, Any] = {}
        if self.address:
            found[libvirt.VIR_MIGRATE_PARAM_URI] = f"tcp://{self.address}"
        if self.copied:
            found[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = list(self.copied)
        if self.bandwidth:
            found[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = self.bandwidth
        return found


@dataclass(frozen=True)
class Situation:
    """How a domain stands; ``stopped_midway``: paused by a migration whose end libvirt does not know. ``busy``: a job is under way."""

    active: bool
    persistent: bool
    paused: bool
    stopped_midway: bool
    busy: bool


async def read_situation(domain: Domain) -> Situation | None:
    """Read how a domain stands; ``None`` if there is none."""
    try:
        return await domain.read("situation", _read_situation)
    except DomainNotFound:
        return None


def _read_situation(domain: VirDomain) -> Situation:
    found = cast(_VirDomain, domain)
    state, reason = found.state()
    paused = state == DomainState.PAUSED
    return Situation(
        active=found.isActive() == 1,
        persistent=found.isPersistent() == 1,
        paused=paused,
        stopped_midway=paused and reason == libvirt.VIR_DOMAIN_PAUSED_MIGRATION,
        busy=bool(_job(found).get("type", libvirt.VIR_DOMAIN_JOB_NONE)),
    )


def _job(domain: _VirDomain, flags: int = 0) -> dict[str, Any]:
    """Return the job that is under way; none where the driver has no jobs, or the domain does not run."""
    try:
        return domain.jobStats(flags)
    except VirFailure as failure:
        code = binding.describe(failure).code
        if code not in binding.REFUSED_FLAGS and code != libvirt.VIR_ERR_OPERATION_INVALID:
            raise
        return {}


async def migrate(domain: Domain, route: Route, within: float) -> None:
    """Move a domain that runs, and return when the other host has it for good; its definition stays here.

    Raises :class:`LibvirtError` when libvirt says that it stays; after any other error nobody knows.
    """
    await domain.change("migrate", lambda found: _migrate(found, route), within + MARGIN)


def _migrate(domain: VirDomain, route: Route) -> None:
    found = cast(_VirDomain, domain)
    found.migrateSetMaxDowntime(route.downtime, 0)
    found.migrateToURI3(route.uri, route.parameters, route.flags)


async def read_progress(domain: Domain) -> int | None:
    """Read how much of a migration is done, in per cent; ``None`` if none is under way."""
    return await domain.read("progress", _read_progress)


def _read_progress(domain: VirDomain) -> int | None:
    stats = _job(cast(_VirDomain, domain))
    if not stats.get("type"):
        return None
    total, left = stats.get("data_total", 0), stats.get("data_remaining", 0)
    if not total:
        return 0
    return 100 if not left else min(99, max(1, round(100 * (total - left) / total)))


async def read_downtime(domain: Domain) -> int | None:
    """Read for how many milliseconds a guest stood still when it came here, as libvirt measured it; ``None`` if it does not tell."""
    return await domain.read("downtime", lambda found: _job(cast(_VirDomain, found), _COMPLETED).get("downtime"))


async def give_up(domain: Domain) -> None:
    """Have libvirt give up what it does with a domain; one that is busy with nothing is given up already."""
    await domain.read("abort job", _give_up)


def _give_up(domain: VirDomain) -> None:
    try:
        cast(_VirDomain, domain).abortJob()
    except VirFailure as failure:
        if binding.describe(failure).code not in {*binding.REFUSED_FLAGS, libvirt.VIR_ERR_OPERATION_INVALID}:
            raise


async def start_paused(domain: Domain) -> None:
    """Start a domain without letting its guest do a single step."""
    await domain.change("start paused", lambda found: cast(_VirDomain, found).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED))


async def read_capacity(domain: Domain, disk: str) -> int:
    """Read how many bytes of a disk, named by its target, the guest sees."""
    return await domain.read("capacity", lambda found: cast(_VirDomain, found).blockInfo(disk, 0)[0])
