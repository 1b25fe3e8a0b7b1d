# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong on this side: an address that leads nowhere, an answer that cannot be read, a wait in vain.

What an entity answers is in :mod:`archipel.protocol.errors`, what happens to the connection in :mod:`archipel.xmpp.errors`.
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of the errors of this package; the text says what is wrong and what to do."""


class MalformedAddress(ClientError, ValueError):
    """A text is no JID, or not one of the wanted kind."""


class NotOnline(ClientError):
    """Nobody answers at an address: not online, or not for this account to see."""


class MachineNotFound(ClientError):
    """No machine of that name, UUID or JID, as far as this account can see."""


class AmbiguousMachine(ClientError):
    """Several machines have that name: the text lists their JIDs."""


class MalformedAnswer(ClientError):
    """An entity answered something else than the protocol says; ``jid`` is who, ``action`` what was asked."""

    def __init__(self, jid: str, action: str, wrong: str) -> None:
        super().__init__(f"{jid} answered {action!r} with something unreadable: {wrong}")
        self.jid = jid
        self.action = action


class WaitTimedOut(ClientError):
    """A machine did not reach the wanted state in time; the text says which state it is in."""


class LoginMissing(ClientError):
    """There is no usable login: no such profile, no password for it, or one that others can read."""
