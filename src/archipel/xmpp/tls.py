# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS for XMPP: one verified context for all streams of a process.

Making a context parses the whole certificate bundle (20 ms, a megabyte): three hundred machines share one.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context that verifies certificate and host name, against ``ca_file`` or else the system's authorities.

    Raises :class:`OSError` or :class:`ssl.SSLError` if the file cannot be read or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    return context
