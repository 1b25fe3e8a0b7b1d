# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures as programs tell them to people: which to expect, and in which words."""

from __future__ import annotations

from typing import Final

from archipel.client.errors import ClientError
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.errors import CommandError, PermissionDenied
from archipel.xmpp.errors import WireError

EXPECTED: Final = (ClientError, CommandError, DomainXmlError, OSError, WireError)
"""Errors that are told in a line; any other is a defect of the program that uses this library."""


def describe(error: BaseException) -> str:
    """Return the words for an error."""
    if isinstance(error, PermissionDenied) and error.right and error.right not in str(error):
        return f"{error} (missing right: {error.right})"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
