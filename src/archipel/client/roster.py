# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account's own roster, as the server keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from archipel.client.addresses import as_uuid, bare_address
from archipel.client.errors import MalformedAddress
from archipel.protocol import namespaces as ns


@dataclass(frozen=True)
class RosterContact:
    """A contact (bare JID); ``subscription`` is ``none``, ``to``, ``from`` or ``both`` (RFC 6121, 2.1.2.5)."""

    jid: str
    name: str
    subscription: str

    @property
    def is_machine(self) -> bool:
        """Whether the account looks like a virtual machine's: its name is a UUID."""
        return as_uuid(self.jid.partition("@")[0]) is not None


def may_be_hypervisor(contact: RosterContact) -> bool:
    """Whether it is worth to look at the contact's vCard: only machines have UUIDs for names."""
    return not contact.is_machine


def read_roster(answer: ET.Element) -> tuple[RosterContact, ...]:
    """Return the contacts in a roster result; services without an account's name are left out."""
    contacts = []
    for item in answer.iter(f"{{{ns.IQ_ROSTER}}}item"):
        try:
            jid = bare_address(item.get("jid", ""))
        except MalformedAddress:
            continue
        contacts.append(RosterContact(jid, item.get("name", ""), item.get("subscription", "none")))
    return tuple(contacts)
