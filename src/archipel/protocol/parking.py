# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parked machines: off the host, with disks, account and rights kept (``archipel:hypervisor:vmparking``, ``archipel:vm:vmparking``)."""

from __future__ import annotations

import enum
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import changes
from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, at_least, at_most, at_most_characters, attribute, child, children, payload

PAGE_SIZE: Final = 30  # machines; founding clients ask for the next page as long as they get so many
MOST_PAGES: Final = 100_000
LONGEST_FILTER: Final = 200  # characters
LONGEST_LIST: Final = 4000  # characters
TOPIC: Final = "vmparking"


class ParkingCode(enum.IntEnum):
    """Codes of failed commands; two share one, as with the founders."""

    LIST = -11001
    PARK = -11002
    UNPARK = -11003
    DELETE = -11004
    EDIT = -11004
    CREATE = -11005


@changes.about(TOPIC)
class Change(changes.Change):
    """What is pushed on the hypervisor; the ``cannot`` ones where a request failed after it was answered."""

    PARKED = "parked", "a machine was [parked](parking.md)"
    UNPARKED = "unparked", "a parked machine is back"
    DELETED = "deleted", "a parked machine was deleted"
    UPDATED = "updated", "a parked machine's definition was changed"
    CANNOT_PARK = "cannot-park", "a machine cannot be parked wholly now; it is later, which is then pushed"
    CANNOT_UNPARK = "cannot-unpark", "it stays parked"
    CANNOT_DELETE = "cannot-delete", "it stays parked, or is deleted later, which is then pushed"


@payload
class ParkedMachine(Payload, tag="virtualmachine"):
    """A parked machine as a list shows it; ``domain`` holds no secrets, and is left out where the answer would become too long.

    ``parker`` is the bare JID of who parked it, ``date`` the hypervisor's local time of that.
    """

    uuid: str = attribute()
    parker: str = attribute()
    date: str = attribute()
    name: str = attribute()
    domain: ET.Element | None = child(default=None)


@payload
class ListParked(Request[tuple[ParkedMachine, ...]], namespace=ns.HYPERVISOR_PARKING, action="list", reads=True):
    """A page (from 0) of the parked machines by name, of those in whose names ``filter`` stands, in any case."""

    page: int = attribute(at_least(0), at_most(MOST_PAGES), default=0)
    filter: str = attribute(at_most_characters(LONGEST_FILTER), default="")


@payload
class ManagedItem(Payload, tag="item"):
    """A managed machine by its UUID."""

    uuid: str = attribute()


@payload
class ParkedItem(Payload, tag="item"):
    """A parked machine by its UUID."""

    identifier: str = attribute()


@payload
class UnparkItem(Payload, tag="item"):
    """A parked machine by its UUID, and whether it is to be started."""

    identifier: str = attribute()
    start: bool = attribute(default=False, words=("no", "yes"))


@payload
class NewItem(Payload, tag="item"):
    """A machine to make."""

    uuid: str = attribute()
    domain: ET.Element = child()


@payload
class Park(Request[None], namespace=ns.HYPERVISOR_PARKING, action="park"):
    """Park managed machines; running ones are switched off at once.

    New here: ``named``, names or UUIDs with commas between them, as people say it.
    """

    items: tuple[ManagedItem, ...] = children()
    named: str = attribute(at_most_characters(LONGEST_LIST), default="")


@payload
class Unpark(Request[None], namespace=ns.HYPERVISOR_PARKING, action="unpark"):
    """Bring parked machines back; answered when it begins. New here: ``named``, as for :class:`Park`."""

    items: tuple[UnparkItem, ...] = children()
    named: str = attribute(at_most_characters(LONGEST_LIST), default="")


@payload
class DeleteParked(Request[None], namespace=ns.HYPERVISOR_PARKING, action="delete"):
    """Destroy parked machines with their disks and accounts; answered when it begins."""

    items: tuple[ParkedItem, ...] = children()


@payload
class EditDefinition(Request[None], namespace=ns.HYPERVISOR_PARKING, action="edit_definition"):
    """Give a parked machine another definition of the same UUID and name."""

    identifier: str = attribute()
    domain: ET.Element = child()


@payload
class UpdateXml(Request[None], namespace=ns.HYPERVISOR_PARKING, action="updatexml"):
    """What founding clients call :class:`EditDefinition`."""

    identifier: str = attribute()
    domain: ET.Element = child()


@payload
class CreateParked(Request[None], namespace=ns.HYPERVISOR_PARKING, action="create_parked"):
    """Make machines that are parked from the beginning."""

    items: tuple[NewItem, ...] = children()


@payload
class ParkMachine(Request[None], namespace=ns.VM_PARKING, action="park"):
    """Park the machine that is asked; one that runs only with ``force``."""

    force: bool = attribute(default=False)
