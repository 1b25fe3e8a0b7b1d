# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that move between hypervisors: what people ask, and what two hypervisors say to each other."""

from __future__ import annotations

import enum
import re
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import (
    Payload,
    Request,
    at_least,
    at_most_characters,
    attribute,
    child,
    children,
    not_empty,
    payload,
    text_child,
)

LONGEST_PACKAGE: Final = 150_000
"""Characters of what is remembered of a machine, on its way: the server ends a session that sends a stanza of more than 256 KiB."""
LONGEST_PASSWORD: Final = 200
LONGEST_PATH: Final = 4096


_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _is_uuid(text: str) -> str | None:
    return None if _UUID.fullmatch(text) else f"must be a UUID in lower case, not {text[:40]!r}"


class MigrationCode(enum.IntEnum):
    """Codes of errors; those of the founders where they had the action."""

    MIGRATE = -1013
    CANCEL = -1014
    SOFT_ALLOC = -9007
    MIGRATION_INFO = -9012


class Mode(enum.StrEnum):
    """How a machine moves: it runs on (``LIVE``); it is off, and its files with it (``PAUSED``), or its definition alone (``PLAIN``)."""

    LIVE = "live"
    PAUSED = "paused"
    PLAIN = "plain"


class Standing(enum.StrEnum):
    """What a hypervisor has of a machine that was announced to it."""

    UNKNOWN = "unknown"
    EXPECTED = "expected"
    HELD = "held"
    SERVED = "served"


# -- what people ask ----------------------------------------------------------------------------------------------------


@payload
class Migrate(Request[None], namespace=ns.VM_CONTROL, action="migrate"):
    """Move a machine to the hypervisor with this full JID; the answer says that it has begun."""

    hypervisor: str = attribute(not_empty, at_most_characters(3071), name="hypervisorjid")


@payload
class CancelMigration(Request[None], namespace=ns.VM_MIGRATION, action="cancel"):
    """Give a migration up that is under way: the machine stays where it is."""


@payload
class MigrationInfo(Payload, tag="migration"):
    """Where other hosts' libvirt finds this one's, and the folder of the machines' folders."""

    uri: str = attribute(name="libvirt_uri")
    base_folder: str = attribute()


@payload
class GetMigrationInfo(Request[MigrationInfo], namespace=ns.HYPERVISOR_CONTROL, action="migrationinfo", reads=True):
    """Where machines migrate to."""


@payload
class Journey(Payload, tag="journey"):
    """A machine (bare JID) that came from the hypervisor ``source`` (bare JID), in the push that says so.

    ``downtime``: for how many milliseconds its guest stood still, as libvirt measured it; left out for one that was off, and where
    libvirt does not tell.
    """

    machine: str = attribute()
    source: str = attribute()
    downtime: int | None = attribute(default=None)


# -- what hypervisors say to each other ---------------------------------------------------------------------------------


@payload
class MovedDisk(Payload, tag="disk"):
    """A disk that the machine writes: a file, its format, and how many bytes the guest sees."""

    target: str = attribute(not_empty)
    path: str = attribute(not_empty, at_most_characters(LONGEST_PATH))
    format: str = attribute(not_empty)
    capacity: int = attribute(at_least(0))


@payload
class NeededFile(Payload, tag="file"):
    """A file that the machine only reads, and its size in bytes."""

    path: str = attribute(not_empty, at_most_characters(LONGEST_PATH))
    size: int = attribute(at_least(0))


@payload
class Destination(Payload, tag="destination"):
    """What a hypervisor says that expects a machine.

    ``address`` is where QEMU comes to (``tcp://host``), empty: libvirt chooses. ``copied`` are the targets of the disks that do not
    lie where both hosts see them, with commas between.
    """

    uri: str = attribute(name="libvirt_uri")
    address: str = attribute(default="")
    shared: bool = attribute()
    copied: str = attribute(default="")


@payload
class Expect(Request[Destination], namespace=ns.HYPERVISOR_MIGRATION, action="expect"):
    """A machine is to come: from now on its name and UUID are taken here, and its files have their place.

    ``folder``: it has a folder at its host, with a file in it that is named by the attempt.
    """

    attempt: str = attribute(_is_uuid)
    uuid: str = attribute(_is_uuid)
    name: str = attribute(not_empty)
    base_folder: str = attribute(not_empty, at_most_characters(LONGEST_PATH))
    folder: bool = attribute()
    mover: str = attribute(not_empty)
    domain: ET.Element = child()
    disks: tuple[MovedDisk, ...] = children()
    files: tuple[NeededFile, ...] = children()


@payload
class SoftAlloc(Request[None], namespace=ns.HYPERVISOR_CONTROL, action="soft_alloc"):
    """Hold a machine that was expected: its account, its rights, all that is remembered of it.

    The content is new here: the founders sent the password inside the domain, which libvirt showed to everybody.
    """

    attempt: str = attribute(_is_uuid)
    uuid: str = attribute(_is_uuid)
    mode: str = attribute(lambda mode: None if mode in set(Mode) else f"must be {', '.join(Mode)}, not {mode[:40]!r}")
    password: str = text_child(not_empty, at_most_characters(LONGEST_PASSWORD))
    package: str = text_child(not_empty, at_most_characters(LONGEST_PACKAGE))


@payload
class Serve(Request[None], namespace=ns.HYPERVISOR_MIGRATION, action="serve"):
    """Serve the account of a machine that is held: its former hypervisor does so no more."""

    attempt: str = attribute(_is_uuid)
    uuid: str = attribute(_is_uuid)


@payload
class Forget(Request[None], namespace=ns.HYPERVISOR_MIGRATION, action="forget"):
    """Forget a machine that was expected and does not come."""

    attempt: str = attribute(_is_uuid)
    uuid: str = attribute(_is_uuid)


@payload
class Arrival(Payload, tag="arrival"):
    """What became of a machine here; ``domain``: libvirt has a lasting definition of it."""

    standing: str = attribute()
    domain: bool = attribute()


@payload
class GetArrival(Request[Arrival], namespace=ns.HYPERVISOR_MIGRATION, action="arrival", reads=True):
    """What became of a machine that was announced."""

    attempt: str = attribute(_is_uuid)
    uuid: str = attribute(_is_uuid)
