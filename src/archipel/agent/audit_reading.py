# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the audit log backwards, newest entry first, through the files that logrotate made of it, compressed ones included.

Nothing is read whole: a plain file in blocks from its end, a compressed one line by line. What a question may cost is limited;
an answer that ends early says where to go on. Lines that are no entries are passed over and counted.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

from archipel.protocol.audit import Outcome, parse_time

BLOCK: Final = 65_536  # bytes
LONGEST_LINE: Final = 1_048_576  # bytes; an entry is never that long
MOST_READ: Final = 64 * 1_048_576  # bytes of plain files for one question
LARGEST_PAGE: Final = 100_000  # characters; servers end the stream of who sends them much more in one stanza
SLACK: Final = timedelta(hours=1)  # by so much entries may be out of order: clocks are set back
_ROTATED = re.compile(r"[.-][0-9]+(?:\.gz)?|[.-][0-9-]+\.gz")

Entry = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for; ``after`` goes on behind what was told: the time of the last entry, and how many of that time."""

    limit: int
    entity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    who: str | None = None
    command: str | None = None
    outcome: Outcome | None = None
    after: tuple[datetime, int] | None = None

    def fits(self, entry: Entry, moment: datetime) -> bool:
        """Whether an entry is looked for."""
        return (
            self.entity in (None, entry.get("entity"))
            and self.who in (None, entry.get("who"))
            and self.command in (None, entry.get("action"))
            and (self.since is None or moment >= self.since)
            and (self.until is None or moment <= self.until)
            and (self.outcome is None or (entry.get("outcome") == "ok") is (self.outcome is Outcome.OK))
        )

    def is_past(self, moment: datetime) -> bool:
        """Whether all that follows is too old."""
        return self.since is not None and self.since - moment > SLACK


@dataclass
class Found:
    """Entries, newest first; ``position`` is where the next question goes on (``after``), if there may be more."""

    entries: list[Entry] = field(default_factory=list)
    position: tuple[datetime, int] | None = None
    malformed: int = 0


class _Place:
    """Where a reading stands: the time of the entry that it came to, and how many fitting ones of that time it passed."""

    def __init__(self, after: tuple[datetime, int] | None) -> None:
        self._after = after
        self.moment: datetime | None = after[0] if after else None
        self.passed = after[1] if after else 0
        self._to_skip = self.passed

    def comes_before(self, moment: datetime) -> bool:
        """Whether an entry of this time lies before where the reading begins."""
        return self._after is not None and moment > self._after[0]

    def is_told(self, moment: datetime, *, fits: bool) -> bool:
        """Whether the entry was told before; what follows the first one that was not, was not either."""
        if self._after is None or self.comes_before(moment):
            return self._after is not None
        if moment < self._after[0]:
            self._after = None
            return False
        self._to_skip -= fits
        return fits and self._to_skip >= 0

    def step(self, moment: datetime, *, fits: bool) -> None:
        """Pass an entry."""
        self.passed = fits + (self.passed if moment == self.moment else 0)
        self.moment = moment


class Reading:
    """The answer to one question."""

    def __init__(self, path: Path, question: Question) -> None:
        self._path = path
        self._question = question
        self._found = Found()
        self._place = _Place(question.after)
        self._read = 0
        self._size = 0

    def run(self) -> Found:
        """Return what was found; raises :class:`OSError` if the log cannot be read."""
        for moment, entry in self._entries():
            fits = self._question.fits(entry, moment)
            if self._question.is_past(moment):
                break
            if self._place.is_told(moment, fits=fits):
                self._read = 0  # what only leads to where the question goes on does not count, or it would never get on
                continue
            if self._is_enough(entry, fits=fits):
                self._found.position = None if self._place.moment is None else (self._place.moment, self._place.passed)
                break
            self._place.step(moment, fits=fits)
            if fits:
                self._found.entries.append(entry)
        return self._found

    def _is_enough(self, entry: Entry, *, fits: bool) -> bool:
        if not fits:
            return self._read > MOST_READ and self._place.moment is not None
        self._size += len(json.dumps(entry))
        return len(self._found.entries) >= self._question.limit or (self._size > LARGEST_PAGE and bool(self._found.entries))

    def _entries(self) -> Iterator[tuple[datetime, Entry]]:
        with ExitStack() as stack:
            for name, file in self._open(stack):
                for line in self._backwards_compressed(file) if name.endswith(".gz") else self._backwards(file):
                    read = parse_entry(line)
                    if read is None:
                        self._found.malformed += 1
                    else:
                        yield read

    def _open(self, stack: ExitStack) -> list[tuple[str, IO[bytes]]]:
        """Return the log and its predecessors, opened at once: what logrotate does meanwhile changes nothing."""
        files: dict[tuple[int, int], tuple[str, IO[bytes]]] = {}
        for path in (self._path, *rotated(self._path)):
            try:
                file = stack.enter_context(path.open("rb"))
            except FileNotFoundError:
                continue
            status = os.fstat(file.fileno())
            if not self._question.is_past(datetime.fromtimestamp(status.st_mtime, UTC)):
                files.setdefault((status.st_dev, status.st_ino), (path.name, file))
        return list(files.values())

    def _backwards(self, file: IO[bytes]) -> Iterator[bytes]:
        for line in lines_backwards(file):
            self._read += len(line)
            yield line

    def _backwards_compressed(self, file: IO[bytes]) -> Iterator[bytes]:
        """Return the last lines of a compressed file that may be told, backwards; it can only be read from its beginning."""
        kept: deque[bytes] = deque(maxlen=self._question.limit + (self._question.after or (None, 0))[1] + 1)
        try:
            with gzip.open(file) as unpacked:
                for line in iter(lambda: unpacked.readline(LONGEST_LINE + 1), b""):
                    self._keep(line, kept)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            self._found.malformed += 1
        return reversed(kept)

    def _keep(self, line: bytes, kept: deque[bytes]) -> None:
        read = parse_entry(line)
        if read is None:
            self._found.malformed += bool(line.strip())
        elif self._question.fits(read[1], read[0]) and not self._place.comes_before(read[0]):
            kept.append(line)


def rotated(path: Path) -> list[Path]:
    """Return the predecessors of a log file, the newest first."""
    found: list[tuple[float, Path]] = []
    for other in path.parent.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if other.name.startswith(path.name) and _ROTATED.fullmatch(other.name[len(path.name) :]):
                found.append((other.stat().st_mtime, other))
    return [other for _time, other in sorted(found, reverse=True)]


def lines_backwards(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file that are not empty, the last one first; of one that is too long only a part, which is no entry."""
    position, rest = file.seek(0, os.SEEK_END), b""
    while position:
        size = min(BLOCK, position)
        position -= size
        file.seek(position)
        head, *lines = (file.read(size) + rest).split(b"\n")
        yield from (line for line in reversed(lines) if line.strip())
        rest = head if len(head) <= LONGEST_LINE else head[:BLOCK]
    if rest.strip():
        yield rest


def parse_entry(line: bytes) -> tuple[datetime, Entry] | None:
    """Return an entry with its time; ``None`` if the line is none."""
    if len(line) > LONGEST_LINE:
        return None
    try:
        entry = json.loads(line)
        return parse_time(entry["time"]), entry
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def read_entries(path: Path, question: Question) -> Found:
    """Return the entries that a question is about. Blocks; raises :class:`OSError` if the log cannot be read."""
    return Reading(path, question).run()
