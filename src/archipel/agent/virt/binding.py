# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: D102, N802 - the methods are libvirt's, and so are their names and documentation
"""libvirt-python, typed: the one place that knows that the library has no types.

Only what the agent calls is described. The methods block; they belong in the threads of :mod:`archipel.agent.virt.pool`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import libvirt

from archipel.agent.virt.errors import DomainNotFound, LibvirtError

log = logging.getLogger(__name__)

VirFailure: Final[type[Exception]] = libvirt.libvirtError
"""What every call of the library raises; :func:`describe` makes it ours."""

XML_SECURE: Final[int] = libvirt.VIR_DOMAIN_XML_SECURE
XML_INACTIVE: Final[int] = libvirt.VIR_DOMAIN_XML_INACTIVE
AFFECT_LIVE: Final[int] = libvirt.VIR_DOMAIN_AFFECT_LIVE
AFFECT_CONFIG: Final[int] = libvirt.VIR_DOMAIN_AFFECT_CONFIG
VCPU_MAXIMUM: Final[int] = libvirt.VIR_DOMAIN_VCPU_MAXIMUM
DEFINE_VALIDATE: Final[int] = libvirt.VIR_DOMAIN_DEFINE_VALIDATE
LIST_TRANSIENT: Final[int] = libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT
LIST_HAS_SNAPSHOT: Final[int] = libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT
UNDEFINE_MANAGED_SAVE: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
UNDEFINE_SNAPSHOTS_METADATA: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
UNDEFINE_CHECKPOINTS_METADATA: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
UNDEFINE_NVRAM: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
UNDEFINE_KEEP_NVRAM: Final[int] = libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
BLOCK_RESIZE_BYTES: Final[int] = libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
NO_SNAPSHOT: Final[int] = libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT
SNAPSHOT_DISK_ONLY: Final[int] = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
SNAPSHOT_QUIESCE: Final[int] = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE
SNAPSHOT_ATOMIC: Final[int] = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
SNAPSHOT_CHILDREN: Final[int] = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN
SNAPSHOT_METADATA_ONLY: Final[int] = libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY
SNAPSHOTS_PARENTS_FIRST: Final[int] = libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL
STATS: Final[int] = (
    libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
)
STATS_OF_ACTIVE: Final[int] = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
"""NOWAIT: a domain that is busy with a change tells what is known without asking it."""
REFUSED_FLAGS: Final[frozenset[int]] = frozenset(
    {libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, libvirt.VIR_ERR_OPERATION_UNSUPPORTED}
)
"""How drivers say that they do not know a flag, or not that combination of flags."""

_QUOTES_THE_DOCUMENT: Final[frozenset[int]] = frozenset({libvirt.VIR_ERR_XML_DETAIL})
_CLOSE_REASONS: Final[dict[int, str]] = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "an input or output error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "libvirt's daemon closed it or ended",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "libvirt's daemon no longer answers",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "it was closed here",
}


class VirSnapshot(Protocol):
    """A virDomainSnapshot; ``getName`` is known locally."""

    def getName(self) -> str: ...
    def getXMLDesc(self, flags: int) -> str: ...
    def delete(self, flags: int) -> int: ...


class VirStream(Protocol):
    """A virStream: bytes that come beside the answers."""

    def recv(self, nbytes: int) -> bytes: ...
    def finish(self) -> int: ...
    def abort(self) -> int: ...


class VirDomain(Protocol):
    """A virDomain. ``name``, ``UUIDString`` and ``ID`` are known locally; everything else asks the driver."""

    def name(self) -> str: ...
    def UUIDString(self) -> str: ...
    def ID(self) -> int: ...
    def info(self) -> list[int]: ...
    def state(self) -> list[int]: ...
    def autostart(self) -> int: ...
    def isActive(self) -> int: ...
    def isPersistent(self) -> int: ...
    def isUpdated(self) -> int: ...
    def XMLDesc(self, flags: int) -> str: ...
    def create(self) -> int: ...
    def shutdown(self) -> int: ...
    def destroy(self) -> int: ...
    def reboot(self, flags: int) -> int: ...
    def suspend(self) -> int: ...
    def resume(self) -> int: ...
    def undefine(self) -> int: ...
    def undefineFlags(self, flags: int) -> int: ...
    def rename(self, name: str, flags: int) -> int: ...
    def setAutostart(self, autostart: int) -> int: ...
    def setMemoryFlags(self, memory: int, flags: int) -> int: ...
    def setVcpusFlags(self, count: int, flags: int) -> int: ...
    def vcpusFlags(self, flags: int) -> int: ...
    def attachDeviceFlags(self, xml: str, flags: int) -> int: ...
    def detachDeviceFlags(self, xml: str, flags: int) -> int: ...
    def updateDeviceFlags(self, xml: str, flags: int) -> int: ...
    def hasManagedSaveImage(self, flags: int) -> int: ...
    def blockInfo(self, disk: str, flags: int) -> list[int]: ...
    def blockResize(self, disk: str, size: int, flags: int) -> int: ...
    def interfaceStats(self, device: str) -> tuple[int, ...]: ...
    def interfaceAddresses(self, source: int, flags: int) -> dict[str, dict[str, Any]]: ...
    def connect(self) -> VirConnect: ...
    def screenshot(self, stream: VirStream, screen: int, flags: int) -> str: ...
    def snapshotCreateXML(self, xml: str, flags: int) -> VirSnapshot: ...
    def listAllSnapshots(self, flags: int) -> list[VirSnapshot]: ...
    def snapshotLookupByName(self, name: str) -> VirSnapshot: ...
    def snapshotCurrent(self) -> VirSnapshot: ...
    def revertToSnapshot(self, snapshot: VirSnapshot, flags: int) -> int: ...


LifecycleCallback = Callable[["VirConnect", VirDomain, int, int, None], None]
CloseCallback = Callable[["VirConnect", int, None], None]


class VirConnect(Protocol):
    """A virConnect. ``isAlive`` looks at the local end of the connection only and never waits for the daemon."""

    def isAlive(self) -> int: ...
    def setKeepAlive(self, interval: int, count: int) -> int: ...
    def registerCloseCallback(self, callback: CloseCallback, opaque: None) -> int: ...
    def unregisterCloseCallback(self) -> None: ...
    def domainEventRegisterAny(self, domain: None, event: int, callback: LifecycleCallback, opaque: None) -> int: ...
    def domainEventDeregisterAny(self, callback: int) -> None: ...
    def getHostname(self) -> str: ...
    def newStream(self, flags: int) -> VirStream: ...
    def getInfo(self) -> list[Any]: ...
    def getCapabilities(self) -> str: ...
    def getType(self) -> str: ...
    def getURI(self) -> str: ...
    def getLibVersion(self) -> int: ...
    def getVersion(self) -> int: ...
    def listAllDomains(self, flags: int) -> list[VirDomain]: ...
    def getAllDomainStats(self, stats: int, flags: int) -> list[tuple[VirDomain, dict[str, Any]]]: ...
    def lookupByUUIDString(self, uuid: str) -> VirDomain: ...
    def lookupByName(self, name: str) -> VirDomain: ...
    def defineXMLFlags(self, xml: str, flags: int) -> VirDomain: ...


def open_connect(uri: str) -> VirConnect:
    """Open a connection to the driver of ``uri``; raises :data:`VirFailure`."""
    return cast("VirConnect", libvirt.open(uri))


def register_lifecycle(connect: VirConnect, callback: LifecycleCallback) -> int:
    """Have ``callback`` run, on the thread of libvirt's event loop, for each lifecycle event of every domain."""
    return connect.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, callback, None)


def name_close_reason(reason: int) -> str:
    """Say in words what a close callback's ``reason`` (virConnectCloseReason) means."""
    return _CLOSE_REASONS.get(reason, f"close reason {reason}")


def describe(failure: Exception) -> LibvirtError:
    """Turn what the library raised into a :class:`LibvirtError`.

    A parser's message quotes the offending line of the document, which may hold a console password: only its first line,
    which says what is wrong and where, is kept.
    """
    code, domain, message = _read_failure(failure)
    if code in _QUOTES_THE_DOCUMENT:
        message = message.partition("\n")[0]
    kind = DomainNotFound if code == libvirt.VIR_ERR_NO_DOMAIN else LibvirtError
    return kind(code, domain, message.strip())


def _read_failure(failure: Any) -> tuple[int, int, str]:
    return failure.get_error_code() or 0, failure.get_error_domain() or 0, failure.get_error_message() or str(failure)


_event_loop_lock = threading.Lock()
_event_loop: threading.Thread | None = None


def run_event_loop() -> None:
    """Run libvirt's event loop on a thread of its own, once in a process and as long as it lives.

    Must come before the first connection: libvirt offers neither events nor keep-alive to connections opened earlier.
    """
    global _event_loop  # noqa: PLW0603 - libvirt's registration is global to the process, too
    with _event_loop_lock:
        if _event_loop is not None:
            return
        # Without a handler of our own libvirt writes every error to stderr.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        _event_loop = threading.Thread(target=_turn_event_loop, name="libvirt-events", daemon=True)
        _event_loop.start()


def _turn_event_loop() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError as failure:
            log.error("libvirt's event loop failed, trying again: %s", describe(failure))
            time.sleep(1)  # a loop that fails at once must not take a core
