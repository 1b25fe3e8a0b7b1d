# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JIDs as people and entities write them, and what their parts mean here.

A hypervisor is ``NAME@domain/HOSTNAME``; a machine is ``UUID@domain/NAME``, with the hypervisor's name as resource.
"""

from __future__ import annotations

import uuid

from slixmpp import JID, InvalidJID

from archipel.client.errors import MalformedAddress


def parse_address(text: str) -> JID:
    """Return ``text`` as a JID with a local part, prepared for comparison (RFC 7622).

    Raises :class:`MalformedAddress`.
    """
    try:
        jid = JID(text)
    except InvalidJID as error:
        raise MalformedAddress(f"{text!r} is not a JID: {error}") from None
    if not jid.node:
        raise MalformedAddress(f"{text!r} names no account; a JID looks like name@server")
    return jid


def bare_address(text: str) -> str:
    """Return ``text`` as a bare JID; raises :class:`MalformedAddress`."""
    return str(parse_address(text).bare)


def as_uuid(text: str) -> str | None:
    """Return ``text`` in the canonical form of a UUID, or ``None`` if it is none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None
