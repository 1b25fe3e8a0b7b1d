# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a virtual machine (namespace ``archipel:virtualmachine:snapshoting``)."""

from __future__ import annotations

import re
from typing import Final, Self
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.errors import BadRequest, shorten
from archipel.protocol.events import Topic
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, child, not_empty, payload, text_child
from archipel.protocol.xml import local_name

LONGEST_NAME: Final = 200  # bytes; libvirt makes a file's name of it, and qcow2 has room for 255
LONGEST_DESCRIPTION: Final = 2000  # characters
_NOT_IN_NAMES: Final = re.compile(r"[/\x00-\x1f\x7f]")
_TAKEN: Final = frozenset({"name", "description"})


@about(Topic.SNAPSHOTS)
class SnapshotChange(Change):
    """What happens to a machine's snapshots."""

    TAKEN = "taken", "a [snapshot](snapshots.md) was taken"
    DELETED = "deleted", "a snapshot was deleted"
    RESTORED = "restored", "the machine went back to a snapshot"


def proper_name(value: str) -> str | None:
    """Check that a new snapshot may be called so; an empty name is made up for it."""
    name = value.strip()
    if _NOT_IN_NAMES.search(name) or name.startswith("."):
        return "must have no slash and no control characters, and not begin with a dot"
    size = len(name.encode())
    return None if size <= LONGEST_NAME else f"must have {LONGEST_NAME} bytes at most, not {size}"


@payload
class Wish(Payload, tag="domainsnapshot"):
    """How a new snapshot is called and described. Nothing else of libvirt's format is taken: it would name files of the host."""

    name: str = text_child(proper_name, default="")
    description: str = text_child(at_most_characters(LONGEST_DESCRIPTION), default="")

    @classmethod
    def read(cls, element: ET.Element) -> Self:
        """Return what ``element`` says; :class:`BadRequest` names what it may not say."""
        for found in element:
            name = local_name(found.tag)
            if name not in _TAKEN:
                raise BadRequest(f"domainsnapshot: <{shorten(name)}> is not taken here, only <name> and <description> are")
        return super().read(element)


@payload
class Parent(Payload, tag="parent"):
    """The snapshot that another one stands on."""

    name: str = text_child()


@payload
class Snapshot(Payload, tag="domainsnapshot"):
    """A snapshot as founding clients read it; ``created`` in seconds since 1970, ``domain`` the definition of that time.

    ``state`` is libvirt's word (``running``, ``paused``, ``shutoff``, ``disk-snapshot``). New here: whether it is the current one,
    whether it is kept in files of its own (``external``), and whether the memory is in it.
    """

    # Founding clients take the first element of a name, at any depth: these come before what stands in <domain>.
    name: str = text_child()
    description: str = text_child(default="")
    state: str = text_child(default="")
    parent: Parent | None = child(default=None)
    created: int = text_child(name="creationTime", default=0)
    domain: ET.Element | None = child(default=None)
    current: bool = attribute(default=False)
    external: bool = attribute(default=False)
    memory: bool = attribute(default=False)


@payload
class TakeSnapshot(Request[None], namespace=ns.VM_SNAPSHOTS, action="take"):
    """Take a snapshot; a name is made where none is given.

    New here: ``memory`` (left out: as the machine runs or not), ``external``: into new files in the machine's folder, ``quiesce``:
    the guest's file systems are frozen meanwhile (left out: where that can be done and its agent is connected), and ``name`` for
    those who write no XML.
    """

    name: str = attribute(proper_name, default="")
    memory: bool | None = attribute(default=None)
    external: bool = attribute(default=False)
    quiesce: bool | None = attribute(default=None)
    wish: Wish | None = child("domainsnapshot", default=None)

    @property
    def wanted_name(self) -> str:
        """The name that was asked for, empty if none was."""
        return ((self.wish.name if self.wish else "") or self.name).strip()

    @property
    def description(self) -> str:
        """What the snapshot is for."""
        return self.wish.description if self.wish else ""


@payload
class GetSnapshots(Request[tuple[Snapshot, ...]], namespace=ns.VM_SNAPSHOTS, action="get", reads=True):
    """All snapshots of the machine, parents before their children."""


@payload
class GetCurrentSnapshot(Request[Snapshot | None], namespace=ns.VM_SNAPSHOTS, action="current", reads=True):
    """The snapshot that was taken or gone back to last; nothing if there is none."""


@payload
class DeleteSnapshot(Request[None], namespace=ns.VM_SNAPSHOTS, action="delete"):
    """Delete a snapshot; what stands on it stays, unless ``children`` (new here) says otherwise."""

    name: str = attribute(not_empty)
    children: bool = attribute(default=False)


@payload
class RevertToSnapshot(Request[None], namespace=ns.VM_SNAPSHOTS, action="revert"):
    """Go back to a snapshot: what the disks hold now is lost."""

    name: str = attribute(not_empty)
