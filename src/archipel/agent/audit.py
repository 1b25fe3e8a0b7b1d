# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who did what on which entity, from where, allowed by which rule, and how it ended: one JSON object a line.

Arguments are summarised: never a password, never a definition. The file survives logrotate; every entry goes to the log as well.
Of what strangers ask, and of what comes too fast, only the beginning is written down: nobody must fill the disk.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.agent.jids import MalformedJid, bare_jid
from archipel.agent.journal import Journal
from archipel.agent.logs import AUDIT, PrivateFileHandler, timestamp
from archipel.agent.secret import Secret

log = logging.getLogger(AUDIT)

LONGEST: Final = 200  # characters of a value
MOST: Final = 500  # values of a list
MOST_OF_STRANGER, MINUTE = 20, 60.0  # entries about each stranger in as many seconds
_HIDDEN: Final = "***"
_SECRET_NAME = re.compile(r"pass(w|phrase|$)|pwd|secret|token$|credential|private|(^|_)key$", re.IGNORECASE)
# All that follows the word is optional, and no part can match what the next one does: matching is linear.
_SECRET_WORD = re.compile(r"(?:passw|passphrase|pwd|secret|credential)\w*[\s:=]*", re.IGNORECASE)


class AuditLog:
    """The audit file, opened to append, and the journal if there is one. Raises :class:`OSError` if that cannot be done."""

    def __init__(self, path: Path, journal: Journal | None = None) -> None:
        self._journal = journal
        self._file = PrivateFileHandler(path)
        self._file.setFormatter(_EntryFormatter())
        self._strangers = StrangerQuota()

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
        stranger: bool = False,
    ) -> None:
        """Write an entry down, in the file and in the log.

        ``caller`` is a full JID, ``entity`` a bare one, ``arguments`` a payload, mapping or element, ``phrase`` what was said in
        a chat, ``rule`` what allowed or refused it, ``outcome`` ``ok`` or the error, ``seconds`` how long it took;
        ``quiet`` entries go to the file only; of those about the same ``stranger``, or somebody who is refused as one would be, only the
        first of each minute are written.
        """
        self._tell_left_out()
        fields = _origin(caller) | {"entity": entity, "namespace": _shorten(namespace), "action": _shorten(action)}
        if stranger and not self._strangers.admits(fields["who"]):
            return
        if phrase:
            fields["phrase"] = summarise_phrase(phrase)
        fields |= {"arguments": summarise(arguments), "rule": str(rule), "outcome": _shorten(outcome)}
        fields["milliseconds"] = round(seconds * 1000, 1)
        self._write(fields, quiet=quiet)

    def _tell_left_out(self, *, now: bool = False) -> None:
        for who, count in self._strangers.end_minutes(now=now):
            outcome = f"left out: {count} more requests of this sender within a minute"
            self._write({"who": who, "server": _server_of(who), "action": "", "outcome": outcome}, quiet=False)

    def _write(self, fields: dict[str, Any], *, quiet: bool) -> None:
        told = (fields["action"] or "audit", fields["outcome"].partition(":")[0])
        entry = log.makeRecord(log.name, logging.INFO, "", 0, "%s: %s", told, None, extra={"fields": fields})
        self._file.handle(entry)
        if self._journal is not None:
            self._journal.send(entry.getMessage(), fields, quiet=quiet)
        if not quiet and log.isEnabledFor(logging.INFO):
            log.handle(entry)

    def reopen(self) -> None:
        """Open the file anew for the next entry; a file that was moved or removed is noticed without this, too."""
        self._file.close_stream()

    def close(self) -> None:
        """Close the file."""
        self._tell_left_out(now=True)
        self._file.close()
        if self._journal is not None:
            self._journal.close()


@dataclass
class _Minute:
    ends: float
    count: int = 0


class StrangerQuota:
    """How many entries there were about each stranger in the minute that began with his first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minutes: dict[str, _Minute] = {}  # in the order of their ends

    def admits(self, who: str) -> bool:
        """Count an entry; return whether it may be written."""
        minute = self._minutes.setdefault(who, _Minute(self._clock() + MINUTE))
        minute.count += 1
        return minute.count <= MOST_OF_STRANGER

    def end_minutes(self, *, now: bool = False) -> Iterator[tuple[str, int]]:
        """Forget the minutes that are over (``now``: all); yield of whom how many entries were left out."""
        while self._minutes:
            who, minute = next(iter(self._minutes.items()))
            if not now and minute.ends > self._clock():
                return
            del self._minutes[who]
            if minute.count > MOST_OF_STRANGER:
                yield who, minute.count - MOST_OF_STRANGER


class _EntryFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        return json.dumps({"time": timestamp(record.created), **fields})


def _origin(caller: str) -> dict[str, Any]:
    try:
        who = bare_jid(caller)
    except MalformedJid:
        who = ""
    return {"who": who, "jid": _shorten(caller), "resource": _shorten(caller.partition("/")[2]), "server": _server_of(who)}


def _server_of(bare: str) -> str:
    return bare.rpartition("@")[2]


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
    more = f"and {len(value) - MOST} more" if isinstance(value, Collection) and len(value) > MOST else ""
    if isinstance(value, Mapping):
        parts = ((str(name), part) for name, part in islice(value.items(), MOST) if part not in (None, "", ()))
        return {_shorten(name): summarise(part, name) for name, part in parts} | ({"...": more} if more else {})
    if isinstance(value, Collection) and not isinstance(value, bytes):
        return [summarise(part) for part in islice(value, MOST)] + ([more] if more else [])
    return f"({type(value).__name__})"


def _summarise_element(element: ET.Element) -> Any:
    """Return the attributes of ``<archipel/>`` and the tags of what is in it; of any other element just the tag."""
    tag = element.tag.rpartition("}")[2]
    if tag != "archipel":
        return f"<{tag}>"
    found: dict[str, object] = {name: text for name, text in element.attrib.items() if name != "action"}
    return summarise({**found, "children": list(element)} if len(element) else found)


def summarise_phrase(body: str) -> str:
    """Return what may be written down of a chat message: not what follows a word like password."""
    found = _SECRET_WORD.search(body[:LONGEST])
    if found is None or found.end() == len(body):
        return _shorten(body)
    return body[: found.end()] + _HIDDEN


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
