# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that a hypervisor takes (namespace ``archipel:hypervisor:control``)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, child, children, not_empty, payload, text, text_child

# A vCard that the server does not take would keep its entity from coming online.
_FITS_A_VCARD = at_most_characters(1000)


@payload
class MachineAddress(Payload, tag="virtualmachine"):
    """The JID of a machine, as the answer of a command."""

    jid: str = attribute()


@payload
class RosterItem(Payload, tag="item"):
    """A machine of the hypervisor.

    ``jid`` is the full JID of a managed machine; for a libvirt domain that is not managed, the bare JID that it would have.
    """

    managed: bool = attribute(words=("False", "True"))
    name: str = attribute(default="")
    jid: str = text()


@payload
class MachineReference(Payload, tag="item"):
    """A machine named in a request: its JID, or just the UUID of its domain."""

    jid: str = attribute(not_empty)


@payload
class Alloc(Request[MachineAddress], namespace=ns.HYPERVISOR_CONTROL, action="alloc"):
    """Make a machine: its account, its folder, its entity, and its definition if one is given.

    ``uuid`` is new here: the identity that the machine shall have. Without it the agent makes one.
    """

    name: str = attribute(default="")
    orgname: str = attribute(_FITS_A_VCARD, default="")
    orgunit: str = attribute(_FITS_A_VCARD, default="")
    locality: str = attribute(_FITS_A_VCARD, default="")
    userid: str = attribute(_FITS_A_VCARD, default="")
    categories: str = attribute(_FITS_A_VCARD, default="")
    uuid: str | None = attribute(default=None)
    domain: ET.Element | None = child(default=None)


@payload
class Clone(Request[MachineAddress], namespace=ns.HYPERVISOR_CONTROL, action="clone"):
    """Copy a machine that is off; the answer comes when the copy has its place, the push ``clone`` when it is whole.

    New here are the answer's content and ``linked``: drives that stand on a golden drive go on standing on it, so that only what
    differs is copied.
    """

    jid: str = attribute(not_empty)
    name: str = attribute(default="")
    linked: bool = attribute(default=False)


@payload
class Free(Request[MachineAddress], namespace=ns.HYPERVISOR_CONTROL, action="free"):
    """Destroy a machine: domain, account, folder.

    ``keep`` is new here: ``disks`` leaves the machine's folder with its disks where it is.
    """

    jid: str = attribute(not_empty)
    keep: str = attribute(default="")


@payload
class RosterVM(Request[tuple[RosterItem, ...]], namespace=ns.HYPERVISOR_CONTROL, action="rostervm", reads=True):
    """All machines of the hypervisor, managed or not."""


@payload
class Address(Payload, tag="ip"):
    """The hypervisor's address."""

    address: str = text()


@payload
class GetAddress(Request[Address], namespace=ns.HYPERVISOR_CONTROL, action="ip", reads=True):
    """The hypervisor's address, as configured or found."""


@payload
class GetHostCapabilities(Request[ET.Element], namespace=ns.HYPERVISOR_CONTROL, action="capabilities", reads=True):
    """libvirt's capabilities of the host (virConnectGetCapabilities)."""


@payload
class NodeInfo(Payload, tag="nodeinfo"):
    """What the host is made of (virNodeGetInfo); memory in MiB, frequency in MHz."""

    model: str = attribute()
    memory: int = attribute()
    cpus: int = attribute(name="nrCPU")
    mhz: int = attribute(name="mHzCPU")
    nodes: int = attribute(name="nrNumaNodes")
    sockets: int = attribute(name="nrSockets")
    cores: int = attribute(name="nrCoreperSocket")
    threads: int = attribute(name="nrThreadperCore")


@payload
class GetNodeInfo(Request[NodeInfo], namespace=ns.HYPERVISOR_CONTROL, action="nodeinfo", reads=True):
    """What the host is made of."""


@payload
class Manage(Request[None], namespace=ns.HYPERVISOR_CONTROL, action="manage"):
    """Take existing libvirt domains in, as they are, while they run."""

    machines: tuple[MachineReference, ...] = children()


@payload
class Unmanage(Request[None], namespace=ns.HYPERVISOR_CONTROL, action="unmanage"):
    """Let managed machines go: their domains stay as they were found."""

    machines: tuple[MachineReference, ...] = children()


@payload
class SetOrganisation(Request[MachineAddress], namespace=ns.HYPERVISOR_CONTROL, action="setorginfo"):
    """Change the organisation fields of a machine's vCard; FN renames the machine, which must be off."""

    target: str = attribute(not_empty)
    name: str | None = text_child(name="FN", default=None)
    orgname: str | None = text_child(_FITS_A_VCARD, name="ORGNAME", default=None)
    orgunit: str | None = text_child(_FITS_A_VCARD, name="ORGUNIT", default=None)
    locality: str | None = text_child(_FITS_A_VCARD, name="LOCALITY", default=None)
    userid: str | None = text_child(_FITS_A_VCARD, name="USERID", default=None)
    categories: str | None = text_child(_FITS_A_VCARD, name="CATEGORIES", default=None)
