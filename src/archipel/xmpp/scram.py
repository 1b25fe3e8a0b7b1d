# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM as slixmpp should do it: PBKDF2 in C, and a nonce that cannot be guessed.

slixmpp 1.17 computes PBKDF2 in Python (ten milliseconds a login, against less than one in :mod:`hashlib`) and takes its
client nonce from :func:`random.random`, where RFC 5802 asks for a cryptographic one. Both are mended in one place; a test
fails when slixmpp changes either, so that this file can go.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from slixmpp.util.sasl import mechanisms

NONCE_BYTES = 18  # 144 bits; RFC 7677 wants 'at least 18 octets of entropy' of salts, taken here for nonces too


def derive_key(mechanism: Any, password: str | bytes, salt: bytes, iterations: int) -> bytes:
    """Return ``Hi(password, salt, iterations)`` of RFC 5802, 2.2."""
    return hashlib.pbkdf2_hmac(
        mechanism.hash().name, password.encode() if isinstance(password, str) else bytes(password), bytes(salt), iterations
    )


class _SecureRandom:
    """Stands in for the module ``random`` that slixmpp asks for its nonce.

    slixmpp drops the first two characters of what it gets (the "0." of a fraction).
    """

    @staticmethod
    def random() -> str:
        return "0." + secrets.token_urlsafe(NONCE_BYTES)


def mend_slixmpp() -> None:
    """Replace the two weak spots; calling it again changes nothing."""
    mechanisms.SCRAM.Hi = derive_key  # type: ignore[method-assign, assignment] # the point of this module
    setattr(mechanisms, "random", _SecureRandom)  # noqa: B010 - the name is not exported for type checkers
