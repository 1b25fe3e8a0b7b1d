# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one answer, and whose declaration each thing is (namespace ``archipel:declaration``). New here."""

from __future__ import annotations

import enum
import re
import uuid
from typing import Any, Final, Self
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest
from archipel.protocol.every_entity import Contact
from archipel.protocol.guest import GuestSystem
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, child, children, not_empty, payload, text
from archipel.protocol.rules import Rule
from archipel.protocol.scheduler import Job
from archipel.protocol.snapshots import Snapshot
from archipel.protocol.virtual_machine import GuestAddress, Info

SEPARATOR: Final = " "
LONGEST_LABEL: Final = 100
LONGEST_KEY: Final = 500
MOST_CLAIMS: Final = 1000
"""Items that one request adds and removes; many more would make a larger stanza than servers take."""
MACHINE: Final = "machine"
"""The kind of items whose keys are machines' UUIDs."""
_KIND: Final = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class DeclarationCode(enum.IntEnum):
    """Error codes of these commands."""

    DESCRIBE = -470001
    OWNED = -470002
    OWN = -470003


class Part(enum.StrEnum):
    """A part of a machine's description; each is given to who has the right that its own question needs."""

    INFO = "info"
    DEFINITION = "definition"
    ORGANISATION = "organisation"
    ROSTER = "roster"
    RIGHTS = "rights"
    TAGS = "tags"
    SNAPSHOTS = "snapshots"
    SCHEDULE = "schedule"
    ADDRESSES = "addresses"
    SYSTEM = "system"


GUEST_PARTS: Final = (Part.ADDRESSES, Part.SYSTEM)
"""Parts for which guests may have to be asked, which takes its time: only who names them gets them."""
USUAL_PARTS: Final = tuple(part for part in Part if part not in GUEST_PARTS)


def read_parts(words: str) -> tuple[Part, ...]:
    """Return the parts that are named, each once; none named means the usual ones. Raises :class:`BadRequest`."""
    try:
        return tuple(dict.fromkeys(map(Part, words.split()))) or USUAL_PARTS
    except ValueError:
        raise BadRequest(f"parts: must be some of {', '.join(Part)}, not {words[:60]!r}") from None


def _check_parts(words: str) -> str | None:
    try:
        read_parts(words)
    except BadRequest as error:
        return error.text.partition(": ")[2]
    return None


def _check_part(word: str) -> str | None:
    return None if word in tuple(Part) else f"must be one of {', '.join(Part)}, not {word[:60]!r}"


def _check_kind(word: str) -> str | None:
    return None if _KIND.fullmatch(word) else f"must be a word of lower-case letters, digits, - and _, not {word[:60]!r}"


def _check_text(value: str) -> str | None:
    return "must have no control characters" if _CONTROL.search(value) else None


# -- descriptions -------------------------------------------------------------------------------------------------------


@payload
class MachineName(Payload, tag="machine"):
    """A machine that is asked for."""

    uuid: uuid.UUID = attribute()


@payload
class Cursor(Payload, tag="next"):
    """Where the next page begins: at this part of this machine."""

    uuid: uuid.UUID = attribute()
    part: str | None = attribute(_check_part, default=None)


@payload
class OneDefinition(Payload, tag="definition"):
    """libvirt's definition of a machine, without secrets."""

    domain: ET.Element = child()


@payload
class StoredDefinition(OneDefinition, tag="stored"):
    """The definition of the next start."""


@payload
class RunningDefinition(OneDefinition, tag="running"):
    """The definition of the machine that runs."""


@payload
class OrganisationItem(Payload, tag="organisation"):
    """The fields of a machine's vCard."""

    orgname: str = attribute(default="")
    orgunit: str = attribute(default="")
    locality: str = attribute(default="")
    userid: str = attribute(default="")
    categories: str = attribute(default="")


@payload
class TagItem(Payload, tag="tag"):
    """A tag."""

    word: str = text()


@payload
class PartItem(Payload, tag="part"):
    """A part of a machine's description.

    ``denied`` names the right that the asker lacks there, ``failed`` says why a part cannot be told (and ``code`` libvirt's number, if
    it was libvirt that failed); otherwise the part is what it holds. Nothing in ``info`` or ``definition``: the machine has no domain.
    Nothing in ``addresses``: it is off, or nobody knows any; in ``system``: it is off. A snapshot's own definition is left out, and of
    ``system`` all but what the guest runs and how it calls itself.
    """

    name: str = attribute()
    denied: str | None = attribute(default=None)
    failed: str | None = attribute(default=None)
    code: int | None = attribute(default=None)
    info: Info | None = child(default=None)
    stored: StoredDefinition | None = child(default=None)
    running: RunningDefinition | None = child(default=None)
    organisation: OrganisationItem | None = child(default=None)
    roster: tuple[Contact, ...] = children()
    rights: tuple[Rule, ...] = children()
    tags: tuple[TagItem, ...] = children()
    snapshots: tuple[Snapshot, ...] = children()
    schedule: tuple[Job, ...] = children()
    addresses: tuple[GuestAddress, ...] = children()
    system: GuestSystem | None = child("guest", default=None)

    @classmethod
    def of(cls, name: str = "", **content: Any) -> Self:
        """Return a part with nothing in it but this content."""
        return cls(**{"name": name, **content})


@payload
class MachineItem(Payload, tag="machine"):
    """A machine, with parts of its description; ``jid`` is the full JID, ``online`` whether it answers there."""

    uuid: str = attribute()
    name: str = attribute()
    jid: str = attribute()
    online: bool = attribute(default=False)
    parts: tuple[PartItem, ...] = children()


@payload
class DescriptionPage(Payload, tag="machines"):
    """Some machines, in the order of their UUIDs, and where the next page begins; the last page has no such thing.

    A machine whose parts fill more than a page stands in several.
    """

    machines: tuple[MachineItem, ...] = children()
    next: Cursor | None = child(default=None)


@payload
class Describe(Request[DescriptionPage], namespace=ns.DECLARATION, action="describe", reads=True):
    """These machines, or all that the hypervisor manages, with these parts (separated by blanks; none: all but those of guests).

    Machines that do not know the asker are not in it, as if there were none. ``next`` is what the page before said.
    """

    parts: str = attribute(_check_parts, default="")
    next: Cursor | None = child(default=None)
    machines: tuple[MachineName, ...] = children()

    @classmethod
    def of(cls, machines: tuple[str, ...], parts: tuple[Part, ...], following: Cursor | None) -> Self:
        """Return the request for machines by their UUIDs."""
        names = tuple(MachineName(uuid=uuid.UUID(machine)) for machine in machines)
        return cls(parts=SEPARATOR.join(parts), machines=names, next=following)


# -- ownership ----------------------------------------------------------------------------------------------------------


@payload
class Claim(Payload, tag="item"):
    """Something that a declaration has: what kind of thing, and which one.

    The key of a machine is its UUID; that of something on a machine begins with the UUID and a slash.
    """

    kind: str = attribute(_check_kind)
    key: str = attribute(not_empty, _check_text, at_most_characters(LONGEST_KEY))


@payload
class AddedClaim(Claim, tag="add"):
    """Something that a label owns from now on."""


@payload
class RemovedClaim(Claim, tag="remove"):
    """Something that a label owns no more."""


@payload
class OwnedItem(Claim, tag="item"):
    """Something that a label owns, since when (XEP-0082) and by whose request (bare JID)."""

    label: str = attribute()
    since: str = attribute(default="")
    by: str = attribute(default="")


@payload
class LastItem(Claim, tag="after"):
    """The last item of the page before."""


@payload
class OwnedPage(Payload, tag="owned"):
    """Some items, in the order of kinds and keys; ``more``: there are others after the last of them."""

    more: bool = attribute(default=False)
    items: tuple[OwnedItem, ...] = children()


@payload
class ListOwned(Request[OwnedPage], namespace=ns.DECLARATION, action="owned", reads=True):
    """What a label owns, or all that has an owner."""

    label: str | None = attribute(not_empty, _check_text, at_most_characters(LONGEST_LABEL), default=None)
    after: LastItem | None = child(default=None)


@payload
class Own(Request[None], namespace=ns.DECLARATION, action="own"):
    """Let a label own things, or not any more; all of it or nothing.

    What another label owns is refused, unless ``take`` is given. One that is owned already, or is not, is no error.
    """

    label: str = attribute(not_empty, _check_text, at_most_characters(LONGEST_LABEL))
    take: bool = attribute(default=False)
    add: tuple[AddedClaim, ...] = children()
    remove: tuple[RemovedClaim, ...] = children()
