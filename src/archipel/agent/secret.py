# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords that do not print themselves."""

from __future__ import annotations

import hmac
import secrets
import string
from typing import final

_CHARACTERS = string.ascii_letters + string.digits  # what the founding agent used: safe in every client and URI


@final
class Secret:
    """A secret text; only :meth:`reveal` gives it away, never ``repr``, ``str``, an f-string, JSON or a pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself, for the one call that needs it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


def make_password(size: int) -> Secret:
    """Return a new random password of ``size`` letters and digits (almost 6 bits each)."""
    return Secret("".join(secrets.choice(_CHARACTERS) for _ in range(size)))
