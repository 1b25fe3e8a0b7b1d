# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is parked in a shared folder, as its file there tells of it.

The file holds all that brings the machine back at another hypervisor: with its account's password, and what else is remembered of it
packed as for a machine that migrates (:mod:`archipel.agent.luggage`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from archipel.agent.jids import MalformedJid, bare_jid
from archipel.agent.luggage import Luggage
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.secret import Secret
from archipel.agent.store import canonical_uuid
from archipel.protocol.domain.domain import parse
from archipel.protocol.errors import CommandError
from archipel.protocol.migration import NeededFile
from archipel.protocol.rules import read_time

VERSION: Final = 1
MOST_BYTES: Final = 4 << 20
"""Of a file: the longest definition, written as JSON, and the largest package fit in."""
LONGEST_PASSWORD: Final = 1000  # characters
_EARLIEST: Final = datetime(2, 1, 1, tzinfo=UTC)  # each moment between the two can be told in every time zone
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)


class EntryRefused(ValueError):
    """A file is not that of a machine that can be taken in; says why, with no secret."""


@dataclass(frozen=True, kw_only=True)
class Shelved(ParkedRecord):
    """A machine that is parked in the shared folder.

    ``source`` is the hypervisor (bare JID) that put it there, ``base_folder`` where that one has the machines' folders. ``mark`` names
    the file in the machine's folder by which another host knows it again, and an old entry from the last. ``files`` are what it reads
    elsewhere.
    """

    luggage: Luggage
    source: str
    base_folder: Path
    mark: str
    files: tuple[NeededFile, ...] = ()


def write_entry(shelved: Shelved) -> bytes:
    """Return what is kept of a machine. Raises :class:`BadRequest` if its luggage is too large."""
    values = {
        "version": VERSION,
        "uuid": shelved.uuid,
        "source": shelved.source,
        "parker": shelved.parker,
        "parked_at": shelved.parked_at.isoformat(),
        "base_folder": str(shelved.base_folder),
        "mark": shelved.mark,
        "files": [[file.path, file.size] for file in shelved.files],
        "password": shelved.machine.password.reveal(),
        "package": shelved.luggage.pack(),
        "definition": shelved.definition,
    }
    return json.dumps(values, indent=1).encode()


def read_entry(content: bytes, uuid: str, domain: str) -> Shelved:
    """Return the machine with that UUID, whose account is on the server ``domain``. Raises :class:`EntryRefused`."""
    try:
        values = json.loads(content)
        if not isinstance(values, dict) or values.get("version") != VERSION:
            raise EntryRefused(f"is not of version {VERSION}, the one that this agent knows")
        if values["uuid"] != uuid:
            raise EntryRefused("is another machine's")
        shelved = _read(values, uuid, Luggage.unpack(_text(values, "package"), f"{uuid}@{domain}"))
        _check_definition(shelved)
    except (ValueError, TypeError, KeyError, RecursionError, CommandError) as error:
        if isinstance(error, EntryRefused):
            raise
        raise EntryRefused(f"is not what is kept of a parked machine ({_describe(error)})") from None
    return shelved


def _read(values: dict[str, Any], uuid: str, luggage: Luggage) -> Shelved:
    password, parked_at = _text(values, "password"), _moment(_text(values, "parked_at"))
    if not 0 < len(password) <= LONGEST_PASSWORD or not password.isprintable():
        raise EntryRefused("has no password")
    return Shelved(
        machine=luggage.record(uuid, Secret(password)),
        definition=_text(values, "definition"),
        parker=_address(values, "parker"),
        autostart=luggage.autostart,
        parked_at=parked_at,
        luggage=luggage,
        source=_address(values, "source"),
        base_folder=Path(_text(values, "base_folder")),
        mark=canonical_uuid(values["mark"], strict=True),
        files=tuple(_file(*found) for found in values["files"]),
    )


def _check_definition(shelved: Shelved) -> None:
    definition = parse(shelved.definition)
    if (definition.uuid, definition.name) != (shelved.uuid, shelved.name):
        raise EntryRefused("has another machine's definition")


def _text(values: dict[str, Any], name: str) -> str:
    found = values[name]
    if not isinstance(found, str):
        raise TypeError(f"{name} is no text")
    found.encode()  # halves of surrogates are in no JID, no path and no XML
    return found


def _moment(text: str) -> datetime:
    if datetime.fromisoformat(text).tzinfo is None:
        raise EntryRefused("was parked at a time without a zone")
    moment = read_time(text)
    if not _EARLIEST < moment < _LATEST:
        raise EntryRefused("was parked at a time outside of the calendar")
    return moment


def _address(values: dict[str, Any], name: str) -> str:
    try:
        return bare_jid(_text(values, name))
    except MalformedJid:
        raise EntryRefused(f"names no account as its {name}") from None


def _file(path: object, size: object) -> NeededFile:
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path or isinstance(size, bool) or not isinstance(size, int):
        raise TypeError("files are paths with sizes")
    path.encode()
    return NeededFile(path=path, size=size)


def _describe(error: Exception) -> str:
    """Return which field is wrong, or what kind of thing; the text itself may hold what nobody shall read."""
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else type(error).__name__
