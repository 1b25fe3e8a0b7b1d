# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the audit log in systemd's journal, with fields of their own: ``journalctl ARCHIPEL_ACTION=destroy``.

The protocol is the journal's own (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): a datagram of fields. It is never waited for: what
the journal does not take at once stands in the audit file alone, and the next entry that it takes says how many those are.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from typing import Any, Final

from archipel.agent.logs import is_journal

ADDRESS: Final = "/run/systemd/journal/socket"
LONGEST_FIELD: Final = 8000  # bytes; a datagram has some 200,000 at most
INFO, DEBUG = "6", "7"  # syslog(3); who only looked is debugging


class Journal:
    """The journal's socket; raises :class:`OSError` if there is none."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._missing = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(address)
        except OSError:
            self._socket.close()
            raise

    def send(self, message: str, fields: Mapping[str, Any], *, quiet: bool = False) -> None:
        """Write an entry whose ``fields`` become ``ARCHIPEL_WHO`` and so on; ``quiet`` ones have the priority ``debug``."""
        own = {"MESSAGE": message, "PRIORITY": DEBUG if quiet else INFO, "SYSLOG_IDENTIFIER": "archipel-agent"}
        if self._missing:
            own["ARCHIPEL_MISSING_BEFORE"] = str(self._missing)
        told = {f"ARCHIPEL_{name.upper()}": value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        try:
            self._socket.send(b"".join(_field(name, value) for name, value in {**own, **told}.items()))
        except OSError:
            self._missing += 1
        else:
            self._missing = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _field(name: str, value: str) -> bytes:
    text = value.encode(errors="backslashreplace")[:LONGEST_FIELD]
    if b"\n" not in text:
        return b"%s=%s\n" % (name.encode(), text)
    return b"%s\n%s%s\n" % (name.encode(), len(text).to_bytes(8, "little"), text)


def open_journal() -> Journal | None:
    """Return the journal if systemd has started this process and reads its standard error, else ``None``."""
    if is_journal():
        with contextlib.suppress(OSError):
            return Journal()
    return None
