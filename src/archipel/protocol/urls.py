# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of web services."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class HttpUrl:
    """An address of a web service, in its parts; ``path`` has what follows the question mark."""

    text: str = field(repr=False)
    secure: bool
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def origin(self) -> str:
        """Scheme, host and port: what may be shown where the rest may be a key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


def parse_http_url(text: str) -> HttpUrl:
    """Return the parts of an http or https address; raises :class:`ValueError` without quoting it: it may hold a key."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not the address of a web service") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("is not the address of a web service, such as https://hooks.example.org/archipel")
    if not all(32 < ord(letter) < 127 for letter in text):
        raise ValueError("holds blanks, or letters that are not ASCII")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("must hold no user, password or fragment")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HttpUrl(text, secure, parts.hostname, port or (443 if secure else 80), path)
