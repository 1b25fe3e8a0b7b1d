# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host and its machines fare (namespaces ``archipel:hypervisor:health`` and, new here, ``archipel:vm:health``).

Dates are the host's local time without a zone, as the founders have them.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.errors import BadRequest
from archipel.protocol.events import Topic
from archipel.protocol.payload import Payload, Request, at_least, attribute, child, children, payload, text
from archipel.protocol.xml import local_name

DATE_FORMAT: Final = "%Y-%m-%d %H:%M:%S.%f"


@about(Topic.HEALTH)
class HealthChange(Change):
    """What is alarming about a host."""

    ALARM = (
        "alarm",
        "a figure of the host, or of the machine, passed its threshold, or fell below it again; an `<alarm>` in the push says which "
        "([health.md](health.md))",
    )


@payload
class Memory(Payload, tag="memory"):
    """Memory in KiB; caches count as free, ``shared`` is what the kernel merged (KSM)."""

    date: str = attribute()
    free: int = attribute()
    used: int = attribute()
    total: int = attribute()
    swapped: int = attribute()
    shared: int = attribute()


@payload
class Cpu(Payload, tag="cpu"):
    """How idle all CPUs together were, in percent."""

    date: str = attribute()
    idle: float = attribute(name="id")


@payload
class Partition(Payload, tag="partition"):
    """A mounted file system: ``blocks`` in KiB, ``used`` and ``available`` in bytes, ``capacity`` the share in use, as ``42%``."""

    partition: str = attribute()
    blocks: int = attribute()
    used: int = attribute()
    available: int = attribute()
    capacity: str = attribute()
    mount: str = attribute()


@payload
class Disk(Payload, tag="disk"):
    """All file systems together; in a history it says nothing."""

    used: int | None = attribute(default=None)
    available: int | None = attribute(default=None)
    capacity: str | None = attribute(default=None)
    partitions: tuple[Partition, ...] = children()


@payload
class Network(Payload, tag="network"):
    """Bytes that a network interface received and sent since the sample before."""

    name: str = attribute()
    delta: int = attribute()


@payload
class Networks(Payload, tag="networks"):
    """All network interfaces that are not left out by the settings."""

    networks: tuple[Network, ...] = children()


@payload
class Load(Payload, tag="load"):
    """How many processes run or wait to run, over 1, 5 and 15 minutes."""

    date: str = attribute()
    one: float = attribute()
    five: float = attribute()
    fifteen: float = attribute()


@payload
class Uptime(Payload, tag="uptime"):
    """How long the host runs, as ``12d 3h``."""

    up: str = attribute()


@payload
class Uname(Payload, tag="uname"):
    """The host's system. The founders swapped two names, and clients read them so: ``kname`` holds the kernel's release."""

    krelease: str = attribute()
    kname: str = attribute()
    machine: str = attribute()
    os: str = attribute()


@payload
class LibvirtVersion(Payload, tag="libvirt"):
    """The version of libvirt's daemon."""

    major: int = attribute()
    minor: int = attribute()
    release: int = attribute()


@payload
class DriverVersion(Payload, tag="driver"):
    """The version of the hypervisor's driver, such as QEMU's."""

    major: int = attribute()
    minor: int = attribute()
    release: int = attribute()


@payload
class Virtualisation(Payload, tag="info"):
    """Whether the CPU has hardware virtualisation."""

    vmx: bool = attribute(words=("False", "True"))


Part = Memory | Cpu | Disk | Networks | Load | Uptime | Uname | LibvirtVersion | DriverVersion | Virtualisation
_PARTS: Final[dict[str, type[Payload]]] = {part.tag: part for part in Part.__args__}


@payload
class GetHealth(Request[tuple[Payload, ...]], namespace=ns.HEALTH, action="info", reads=True):
    """How the host fares: one of each part; versions are missing while libvirt cannot be asked and never could."""

    @classmethod
    def read_answer(cls, query: ET.Element) -> tuple[Payload, ...]:
        """Return the parts that stand in ``query``, in their order."""
        found = ((_PARTS.get(local_name(element.tag)), element) for element in query)
        return tuple(part.read(element) for part, element in found if part is not None)


@payload
class Stat(Payload, tag="stat"):
    """One entry of the history; ``seconds`` (new here) is the time that it sums up."""

    seconds: float = attribute(default=0.0)
    memory: Memory = child()
    cpu: Cpu = child()
    disk: Disk = child(default=Disk(partitions=()))
    load: Load = child()
    networks: Networks = child()


STEPS: Final = ("sample", "minute", "hour")


def _known_step(step: str) -> str | None:
    return None if step in STEPS else f"must be {', '.join(STEPS)}"


@payload
class GetHistory(Request[tuple[Stat, ...]], namespace=ns.HEALTH, action="history", reads=True):
    """The newest ``limit`` entries, newest first; an answer holds 200 at most.

    New here: ``step`` chooses single samples (an hour of them), minutes (a day) or hours (a month); ``before`` (seconds since
    the epoch) asks for what is older.
    """

    limit: int = attribute(at_least(1), default=1)
    step: str = attribute(_known_step, default="sample")
    before: float | None = attribute(at_least(0), default=None)


@payload
class LogLine(Payload, tag="log"):
    """A line of the agent's log; ``level`` is DEBUG, INFO, WARN or ERROR. ``file`` and ``method`` are always empty."""

    level: str = attribute()
    date: str = attribute()
    file: str = attribute(default="")
    method: str = attribute(default="")
    line: str = text()


@payload
class GetLogs(Request[tuple[LogLine, ...]], namespace=ns.HEALTH, action="logs", reads=True):
    """The last ``limit`` lines of the agent's log, oldest first."""

    limit: int = attribute(at_least(1), default=1)


@payload
class MachineStat(Payload, tag="stat"):
    """How a machine fared in ``seconds`` that ended at ``date``; what libvirt's driver does not count is missing.

    ``cpu`` is in percent of all CPUs of the host, ``memory`` (what the guest has) and ``resident`` (what it takes of the host) in
    KiB; the rest are bytes in that time.
    """

    date: str = attribute()
    seconds: float = attribute()
    cpu: float | None = attribute(default=None)
    memory: int | None = attribute(default=None)
    resident: int | None = attribute(default=None)
    disk_read: int | None = attribute(name="diskRead", default=None)
    disk_written: int | None = attribute(name="diskWritten", default=None)
    received: int | None = attribute(default=None)
    sent: int | None = attribute(default=None)


@payload
class GetMachineHealth(Request[MachineStat | None], namespace=ns.VM_HEALTH, action="info", reads=True):
    """How the machine fares; nothing while it does not run, or was not measured twice yet."""


@payload
class GetMachineHistory(Request[tuple[MachineStat, ...]], namespace=ns.VM_HEALTH, action="history", reads=True):
    """How the machine fared; the fields are those of :class:`GetHistory`."""

    limit: int = attribute(at_least(1), default=1)
    step: str = attribute(_known_step, default="sample")
    before: float | None = attribute(at_least(0), default=None)


def refuse_infinite(value: float | None, field: str) -> None:
    """Raise :class:`BadRequest` for a number that is none, or endless."""
    if value is not None and not 0 <= value < float("inf"):
        raise BadRequest(f"{field}: must be a point in time, in seconds since the epoch")


@payload
class Alarm(Payload, tag="alarm"):
    """What a push ``alarm`` of the topic ``health`` carries: ``state`` is ``raised`` or ``over``, the figures are percent."""

    resource: str = attribute()
    state: str = attribute()
    value: int = attribute()
    threshold: int = attribute()
    mount: str | None = attribute(default=None)
