# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets in arguments and documents, wherever somebody put them: what is shown of a run has none of them in it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

# By the text, for a definition that is not well-formed holds secrets, too.
_IN_XML = re.compile(r"""\bpasswd\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<broken>["']?[^\s<>]+))""", re.IGNORECASE)
_KEY = re.compile(r".*(?:password|passwd|passphrase|secret)s?", re.IGNORECASE)
_NO_SECRETS = frozenset({"update_password"})


def find_secrets(value: Any) -> set[str]:
    """Return the secrets in a value: what has a key such as ``password``, and passwords in texts of XML; in all their spellings."""
    return {spelling for secret in _walk(value) for spelling in _spell(secret)}


def _walk(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for found in _IN_XML.finditer(value):
            yield found["double"] or found["single"] or (found["broken"] or "").strip("\"'/")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _NO_SECRETS and _KEY.fullmatch(str(key)):
                yield from _texts(inner)
            yield from _walk(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _walk(inner)


def _texts(value: Any) -> Iterator[str]:
    """Yield all that can be a secret in what stands under a secret's key."""
    if isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _spell(secret: str) -> Iterator[str]:
    """Yield a secret as it is meant, as it was written, and as programs quote it."""
    if not secret.strip():
        return
    for text in dict.fromkeys((secret, html.unescape(secret), secret.strip())):
        yield from (text, escape(text), quoteattr(text)[1:-1], repr(text)[1:-1], json.dumps(text)[1:-1])
        yield json.dumps(text, ensure_ascii=False)[1:-1]
