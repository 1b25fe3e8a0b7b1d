# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JIDs as keys: two spellings of one address are one address (RFC 7622)."""

from __future__ import annotations

from functools import lru_cache

from slixmpp import JID, InvalidJID


class MalformedJid(ValueError):
    """A text is not a JID; the message says which and why."""


def bare_jid(jid: str | JID) -> str:
    """Return ``jid`` without its resource, local part and domain prepared for comparison.

    A final dot of the domain does not count (RFC 7622, 3.2). Raises :class:`MalformedJid` if it is no JID at all.
    """
    return jid.bare.removesuffix(".") if isinstance(jid, JID) and jid.bare else _prepare(str(jid))


def account_jid(jid: str | JID) -> str:
    """Return the bare JID of an account, ``name@server``; a mere domain is refused as well as what is no JID."""
    bare = bare_jid(jid)
    if "@" not in bare:
        raise MalformedJid(f"{str(jid)!r} is a server's address, not an account's (name@server)")
    return bare


@lru_cache(maxsize=8192)
def _prepare(text: str) -> str:
    try:
        bare = str(JID(text).bare).removesuffix(".")
    except InvalidJID as error:
        raise MalformedJid(f"{text!r} is not a JID: {error}") from None
    if not bare:
        raise MalformedJid("an empty text is not a JID")
    return bare
