# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of the agent's own log, kept to be read over XMPP: what the log itself holds, no more."""

from __future__ import annotations

import json
import logging
import re
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

MOST_LINES: Final = 1000
LONGEST_LINE: Final = 2000  # characters; a traceback is one line here
TAIL: Final = 256 * 1024  # bytes of a log file that are read at the start

_LEVELS: Final = {"DEBUG": "DEBUG", "INFO": "INFO", "WARNING": "WARN", "ERROR": "ERROR", "CRITICAL": "ERROR"}
_TEXT_LINE: Final = re.compile(r"(?P<time>\S+Z) (?P<level>debug|info|warning|error|critical) ")


class Line(NamedTuple):
    """A line: its level (DEBUG, INFO, WARN, ERROR), when it was written (local time, no zone), and the line itself."""

    level: str
    at: datetime
    text: str


class LineKeeper(logging.Handler):
    """Keeps what is logged, beside the handlers that write it down."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted is reported as logging does, and ends nothing
            self.handleError(record)
            return
        level = _LEVELS.get(record.levelname, "INFO")
        self._lines.append(Line(level, datetime.fromtimestamp(record.created), text[:LONGEST_LINE]))

    def put_before(self, lines: list[Line]) -> None:
        """Put what was logged earlier before what is kept already."""
        room = MOST_LINES - len(self._lines)
        self._lines.extendleft(reversed(lines[-room:] if room else []))

    def last(self, count: int) -> list[Line]:
        """Return the last lines, oldest first."""
        return list(self._lines)[-count:]


def read_tail(path: Path) -> list[Line]:
    """Return the lines at the end of a log file that this agent wrote, in either of its formats; blocks."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL).decode(errors="replace")
    except OSError:
        return []
    lines: list[Line] = []
    for raw in text.splitlines():
        line = _read_json(raw) if raw.startswith("{") else _read_text(raw)
        if line is not None:
            lines.append(line)
        elif lines and raw.startswith("    "):  # of a traceback
            lines[-1] = lines[-1]._replace(text=f"{lines[-1].text}\n{raw}"[:LONGEST_LINE])
    return lines[-MOST_LINES:]


def _read_text(raw: str) -> Line | None:
    found = _TEXT_LINE.match(raw)
    return None if found is None else _line(found["level"], found["time"], raw)


def _read_json(raw: str) -> Line | None:
    try:
        fields = json.loads(raw)
        return _line(fields["level"], fields["time"], raw)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _line(level: str, time: str, raw: str) -> Line | None:
    try:
        at = datetime.fromisoformat(time).astimezone().replace(tzinfo=None)
    except ValueError:
        return None
    return Line(_LEVELS.get(level.upper(), "INFO"), at, raw[:LONGEST_LINE])
