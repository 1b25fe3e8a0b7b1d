# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and answers about libvirt's storage pools and their volumes (namespace ``archipel:hypervisor:storage``, new here)."""

from __future__ import annotations

import copy
import enum
import re
from typing import Final, Self
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.drives import LIMITS
from archipel.protocol.payload import Check, Payload, Request, at_least, attribute, child, foreign_xml, payload
from archipel.protocol.xml import child_named

TOPIC: Final = "storage"


@about(TOPIC)
class StorageChange(Change):
    """What happens to the host's pools."""

    POOL_DEFINED = "pooldefined", "a [pool](storage-pools.md) was defined"
    POOL_CREATED = "poolcreated", "a pool was started"
    POOL_DESTROYED = "pooldestroyed", "a pool was stopped"
    POOL_UNDEFINED = "poolundefined", "a pool's definition was removed"
    POOL_REFRESHED = "poolrefreshed", "what lies in a pool was read anew"
    VOLUME_CREATED = "volumecreated", "a volume was made"
    VOLUME_DELETED = "volumedeleted", "a volume was deleted"
    VOLUME_RESIZED = "volumeresized", "a volume has another size"


"""What pushes about pools and volumes are about."""
FORMATS: Final = ("raw", "qcow2")
"""Formats that volumes are made in."""

_MOST_PATH: Final = 4095  # limits.h: PATH_MAX, with the end of the text
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")


class StorageCode(enum.IntEnum):
    """Codes of failed commands."""

    POOLS = -3101
    POOL_DEFINE = -3102
    POOL_CREATE = -3103
    POOL_DESTROY = -3104
    POOL_UNDEFINE = -3105
    POOL_REFRESH = -3106
    VOLUMES = -3107
    VOLUME_CREATE = -3108
    VOLUME_DELETE = -3109
    VOLUME_RESIZE = -3110
    POOL_DESCRIBE = -3111


def proper_name(value: str) -> str | None:
    """Check the name of something new: letters, digits and ``_ . + -``, so that it is a harmless file name too."""
    return None if _NAME.fullmatch(value) else "must be letters, digits and _ . + -, the first a letter or digit, 100 at most"


def _known_name(value: str) -> str | None:
    """Check a name that libvirt may know: others may have chosen it."""
    plain = value.strip() and "\0" not in value and len(value) <= 255
    return None if plain else "must be a name of 255 characters at most"


def _known_file(value: str) -> str | None:
    """Check the name of a volume, or a path."""
    if not value.startswith("/"):
        return _known_name(value)
    return None if "\0" not in value and len(value) <= _MOST_PATH else f"must be a path of {_MOST_PATH} characters at most"


def _one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"must be {' or '.join(words)}, not {value[:40]!r}"


# -- answers ------------------------------------------------------------------------------------------------------------


@payload
class Pool(Payload, tag="pool"):
    """A storage pool; sizes in bytes, those of one that is not active are 0. ``path`` is where its volumes appear."""

    name: str = attribute()
    uuid: str = attribute()
    type: str = attribute()
    active: bool = attribute()
    persistent: bool = attribute()
    autostart: bool = attribute()
    capacity: int = attribute()
    allocation: int = attribute()
    available: int = attribute()
    path: str = attribute(default="")


@payload
class Volume(Payload, tag="volume"):
    """A volume of a pool; sizes in bytes: ``capacity`` is what a guest sees, ``allocation`` what it takes.

    ``backing`` is the file that it stands on, if any, ``backing_format`` how that is read, if its header says so.
    """

    name: str = attribute()
    path: str = attribute()
    format: str = attribute()
    capacity: int = attribute()
    allocation: int = attribute()
    backing: str | None = attribute(default=None)
    backing_format: str | None = attribute(name="backingformat", default=None)


@payload
class PoolDescription(Payload, tag="description"):
    """A pool's definitions: ``stored`` is what its next start will use, ``running`` what is in force while it is active."""

    stored: ET.Element | None = None
    running: ET.Element | None = None

    @classmethod
    def read(cls, element: ET.Element) -> Self:
        """Return the description that ``element`` holds."""
        holders = {tag: child_named(element, tag) for tag in ("stored", "running")}
        return cls(**{tag: None if found is None or not len(found) else foreign_xml(found[0]) for tag, found in holders.items()})

    def write(self) -> ET.Element:
        """Return the element with up to two definitions in it."""
        element = ET.Element(self.tag)
        for tag, definition in (("stored", self.stored), ("running", self.running)):
            if definition is not None:
                ET.SubElement(element, tag).append(copy.deepcopy(definition))
        return element


# -- commands -----------------------------------------------------------------------------------------------------------


@payload
class GetPools(Request[tuple[Pool, ...]], namespace=ns.HYPERVISOR_STORAGE, action="pools", reads=True):
    """All pools of the host."""


@payload
class DescribePool(Request[PoolDescription], namespace=ns.HYPERVISOR_STORAGE, action="pooldescribe", reads=True):
    """The definitions of a pool."""

    name: str = attribute(_known_name)


@payload
class DefinePool(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="pooldefine"):
    """Define a pool, or one anew; ``autostart`` starts it with libvirt."""

    autostart: bool = attribute(default=False)
    pool: ET.Element = child()


@payload
class CreatePool(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="poolcreate"):
    """Start a pool; ``build`` makes its folder, its file system or its volume group before."""

    name: str = attribute(_known_name)
    build: bool = attribute(default=False)


@payload
class DestroyPool(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="pooldestroy"):
    """Stop a pool; what is in it stays."""

    name: str = attribute(_known_name)


@payload
class UndefinePool(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="poolundefine"):
    """Forget a pool that is stopped; what is in it stays."""

    name: str = attribute(_known_name)


@payload
class RefreshPool(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="poolrefresh"):
    """Have libvirt look again what is in a pool."""

    name: str = attribute(_known_name)


@payload
class GetVolumes(Request[tuple[Volume, ...]], namespace=ns.HYPERVISOR_STORAGE, action="volumes", reads=True):
    """The volumes of a pool that is active."""

    pool: str = attribute(_known_name)


@payload
class CreateVolume(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="volumecreate"):
    """Make an empty volume; ``allocation`` is how much room it has from the start, in the same unit: none unless said.

    One with a ``backing`` file holds what differs from that: a volume of ``backing_pool`` (of the same pool unless said), or a path,
    which begins with a slash. Its size is that of the file unless said.
    """

    pool: str = attribute(_known_name)
    name: str = attribute(proper_name)
    size: int | None = attribute(at_least(1), default=None)
    unit: str = attribute(_one_of(*LIMITS))
    format: str | None = attribute(_one_of(*FORMATS), default=None)
    allocation: int | None = attribute(at_least(0), default=None)
    backing: str | None = attribute(_known_file, default=None)
    backing_pool: str | None = attribute(_known_name, name="backingpool", default=None)
    backing_format: str | None = attribute(_one_of(*FORMATS), name="backingformat", default=None)


@payload
class DeleteVolume(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="volumedelete"):
    """Delete a volume that nobody uses."""

    pool: str = attribute(_known_name)
    name: str = attribute(_known_name)


@payload
class ResizeVolume(Request[None], namespace=ns.HYPERVISOR_STORAGE, action="volumeresize"):
    """Make a volume that nobody uses larger; ``shrink`` lets it become smaller, which cuts off its end."""

    pool: str = attribute(_known_name)
    name: str = attribute(_known_name)
    size: int = attribute(at_least(1))
    unit: str = attribute(_one_of(*LIMITS))
    shrink: bool = attribute(default=False)
