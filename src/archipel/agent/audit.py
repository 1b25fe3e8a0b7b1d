# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who did what on which entity, from where, allowed by which rule, and how it ended: one JSON object a line.

Arguments are summarised: never a password, never a definition. The file survives logrotate; every entry goes to the log as well.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.agent.jids import MalformedJid, bare_jid
from archipel.agent.logs import PrivateFileHandler, timestamp
from archipel.agent.secret import Secret

log = logging.getLogger("archipel.audit")

LONGEST: Final = 200  # characters of a value
MOST: Final = 500  # values of a list
_HIDDEN: Final = "***"
_SECRET_NAME = re.compile(r"pass(w|phrase|$)|pwd|secret|token$|credential|private|(^|_)key$", re.IGNORECASE)
_SECRET_PHRASE = re.compile(r"(\b\w*(?:passw|passphrase|pwd|secret|credential)\w*\W+)\S.*", re.IGNORECASE | re.DOTALL)


class AuditLog:
    """The audit file, opened to append. Raises :class:`OSError` if that cannot be done."""

    def __init__(self, path: Path) -> None:
        self._file = PrivateFileHandler(path)
        self._file.setFormatter(_EntryFormatter())

    def record(
        self,
        *,
        caller: str,
        entity: str,
        namespace: str,
        action: str,
        arguments: object,
        rule: str,
        outcome: str,
        seconds: float,
        phrase: str = "",
        quiet: bool = False,
    ) -> None:
        """Write an entry down, in the file and in the log.

        ``caller`` is a full JID, ``entity`` a bare one, ``arguments`` a payload, mapping or element, ``phrase`` what was said in
        a chat, ``rule`` what allowed or refused it, ``outcome`` ``ok`` or the error, ``seconds`` how long it took;
        ``quiet`` entries go to the file only.
        """
        fields = _origin(caller) | {"entity": entity, "namespace": namespace, "action": action}
        if phrase:
            fields["phrase"] = summarise_phrase(phrase)
        fields |= {"arguments": summarise(arguments), "rule": str(rule), "outcome": _shorten(outcome)}
        fields["milliseconds"] = round(seconds * 1000, 1)
        entry = log.makeRecord(log.name, logging.INFO, "", 0, "%s: %s", (action, outcome.partition(":")[0]), None, extra={"fields": fields})
        self._file.handle(entry)
        if not quiet and log.isEnabledFor(logging.INFO):
            log.handle(entry)

    def reopen(self) -> None:
        """Open the file anew for the next entry; a file that was moved or removed is noticed without this, too."""
        self._file.close_stream()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _EntryFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        return json.dumps({"time": timestamp(record.created), **fields})


def _origin(caller: str) -> dict[str, Any]:
    try:
        who = bare_jid(caller)
    except MalformedJid:
        who = ""
    return {"who": who, "jid": _shorten(caller), "resource": _shorten(caller.partition("/")[2]), "server": who.rpartition("@")[2]}


def summarise(value: object, name: str = "") -> Any:
    """Return what may be written down of a request's arguments, as JSON values.

    What is called like a secret becomes ``***``, XML its tag, a long text its beginning; what is empty is left out.
    """
    if isinstance(value, Secret) or _SECRET_NAME.search(name):
        return _HIDDEN
    if value is None:
        return {}
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _shorten(value)
    if isinstance(value, ET.Element):
        return _summarise_element(value)
    return _summarise_parts(value)


def _summarise_parts(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): summarise(part, str(name)) for name, part in value.items() if part not in (None, "", ())}
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        parts = [summarise(part) for part in value]
        return parts[:MOST] + ([f"and {len(parts) - MOST} more"] if len(parts) > MOST else [])
    return f"({type(value).__name__})"


def _summarise_element(element: ET.Element) -> Any:
    """Return the attributes of ``<archipel/>`` and the tags of what is in it; of any other element just the tag."""
    tag = element.tag.rpartition("}")[2]
    if tag != "archipel":
        return f"<{tag}>"
    found = {name: text for name, text in element.attrib.items() if name != "action"}
    return summarise({**found, "children": tuple(element)})


def summarise_phrase(body: str) -> str:
    """Return what may be written down of a chat message: not what follows a word like password."""
    return _shorten(_SECRET_PHRASE.sub(rf"\1{_HIDDEN}", body))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
