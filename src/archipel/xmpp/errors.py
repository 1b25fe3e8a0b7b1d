# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong on the way to the server; what the other side answers is in :mod:`archipel.protocol.errors`."""

from __future__ import annotations


class WireError(Exception):
    """The connection to the XMPP server fails; the text says how, in plain words."""


class ServerUnreachable(WireError):
    """Nobody listens there, or the name has no address: true for every account of that server."""


class UntrustedServer(WireError):
    """The server's certificate cannot be verified, or it offers no encryption."""


class LoginRefused(WireError):
    """The server does not accept account and password, or none of its ways to log in is safe enough."""


class LoginFailed(WireError):
    """The login broke off, or did not end in time."""


class Disconnected(WireError):
    """There is no session, or it ended before the answer came."""


class NoAnswer(WireError):
    """The other side did not answer in time."""
