# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's log: lines for people or JSON objects, to standard error (under systemd: the journal) or to a file.

A record's structured part is what ``logger.info("...", extra={"fields": {...}})`` carries. What comes from the network can
neither begin a line of its own nor change how a terminal shows one: what is not printable is escaped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Final

from archipel.agent.settings import LogFormat, Logging

AUDIT: Final = "archipel.audit"  # the logger of the audit log's entries
# sd-daemon(3): journald takes the severity from this prefix of a line.
_PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def configure_logging(settings: Logging) -> None:
    """Send the log of the whole process where the settings say, instead of where it went before.

    Raises :class:`OSError` if the log file cannot be opened.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr) if settings.file is None else PrivateFileHandler(settings.file)
    handler.setFormatter(_formatter(settings))
    if settings.file is None and is_journal():
        handler.addFilter(lambda record: record.name != AUDIT)  # the journal gets those with their fields
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for chatty in ("alembic", "slixmpp"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


def _formatter(settings: Logging) -> logging.Formatter:
    if settings.format is LogFormat.JSON:
        return JsonFormatter()
    return TextFormatter(journal=settings.file is None and is_journal())


def is_journal() -> bool:
    """Whether standard error goes to the journal (systemd.exec(5), ``JOURNAL_STREAM``)."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, message, then its own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {"time": timestamp(record.created), "level": record.levelname.lower(), "logger": record.name}
        line |= {"message": record.getMessage(), **_fields(record)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A record as a line for people; the journal adds the time itself and gets the severity as it wants it."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback follows on lines of its own, indented."""
        text = f"{record.levelname.lower()} {record.name}: {record.getMessage()}"
        fields = "".join(f" {name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in _fields(record).items())
        trace = "".join(f"\n    {_escape(line)}" for line in self.formatException(record.exc_info).splitlines()) if record.exc_info else ""
        begin = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else f"{timestamp(record.created)} "
        return begin + _escape(text + fields) + trace


class PrivateFileHandler(WatchedFileHandler):
    """Appends to a file of mode 0600, and to its successor when logrotate has moved it away.

    A disk that takes no more is reported once on standard error, and never stops what is being logged.
    """

    def __init__(self, path: Path) -> None:
        self._failing = False
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        before, self._failing = self._failing, False
        try:
            super().emit(record)
        except OSError:  # the file could not be opened again
            self.handleError(record)
        if self._failing and not before:
            print(f"{self.baseFilename} cannot be written: {self._reason}", file=sys.stderr)  # noqa: T201 (the log itself fails)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Note why a record could not be written."""
        self._failing = True
        self._reason = sys.exception()

    def close_stream(self) -> None:
        """Close the file; the next record opens it again."""
        with self.lock or contextlib.nullcontext():
            if self.stream is not None:
                self.stream.close()
                self.stream = None

    def _open(self) -> TextIOWrapper:
        file = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(file, 0o600)
        return os.fdopen(file, "a", encoding="utf-8", errors="backslashreplace")


def _escape(text: str) -> str:
    """Return ``text`` without what is invisible or steers a terminal (controls, bidirectional marks, other line ends)."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def timestamp(seconds: float) -> str:
    """Return a point in time (seconds since the epoch) in ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}
