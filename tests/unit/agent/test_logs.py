# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's log."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from archipel.agent.logs import JsonFormatter, TextFormatter, configure_logging, timestamp
from archipel.agent.settings import LogFormat, Logging, LogLevel


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


def settings(path: Path | None, *, level: LogLevel = LogLevel.INFO, format: LogFormat = LogFormat.TEXT) -> Logging:  # noqa: A002 - the setting's name
    return Logging(level=level, format=format, file=path, audit_file=Path("/nowhere"))


def make_record(message: str = "hello", **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("archipel.x", logging.WARNING, "", 0, message, None, None)
    record.created, record.fields = 1893499200.5, fields
    return record


def test_a_line_for_people_has_time_severity_and_fields():
    line = TextFormatter().format(make_record(who="eve@lab.example", milliseconds=3))
    assert line == '2030-01-01T12:00:00.500Z warning archipel.x: hello who="eve@lab.example" milliseconds=3'


def test_the_journal_gets_the_severity_in_its_own_way():
    assert TextFormatter(journal=True).format(make_record()) == "<4>warning archipel.x: hello"


def test_a_json_line_has_the_same():
    assert json.loads(JsonFormatter().format(make_record(who="eve@lab.example"))) == {
        "time": "2030-01-01T12:00:00.500Z",
        "level": "warning",
        "logger": "archipel.x",
        "message": "hello",
        "who": "eve@lab.example",
    }


@pytest.mark.parametrize(
    "evil",
    [
        "a\n<3>forged",
        "a\rb",
        "a\x1b[31mb",
        "a\u2028b",
        "a\x85b",
        "a\u202eb",
        "a\u200bb",
        "a\u2066b",
        "a\ufeffb",
        "a\U000e0041b",
        "a\ud800b",
    ],
)
def test_what_comes_from_the_network_begins_no_line_of_its_own(evil: str):
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(make_record(evil, who=evil))
        assert len(line.splitlines()) == 1
        assert line.isprintable()


def test_what_people_can_read_is_left_as_it_is():
    assert TextFormatter().format(make_record("Übung 日本", who="é")).endswith('warning archipel.x: Übung 日本 who="é"')


def test_a_traceback_shows_nothing_invisible_either():
    try:
        raise ValueError("a\u202eb\x1b[31m")
    except ValueError:
        record = make_record()
        record.exc_info = sys.exc_info()
    assert all(line.isprintable() for line in TextFormatter().format(record).splitlines())


def test_an_exception_is_told_in_both_formats():
    try:
        raise ValueError("broken")
    except ValueError:
        record = make_record()
        record.exc_info = sys.exc_info()
    assert json.loads(JsonFormatter().format(record))["exception"].endswith("ValueError: broken")
    text = TextFormatter().format(record).splitlines()
    assert text[1].startswith("    Traceback")
    assert text[-1] == "    ValueError: broken"


def test_the_log_goes_to_a_private_file_from_the_wanted_severity_on(tmp_path: Path):
    file = tmp_path / "new" / "archipel.log"
    configure_logging(settings(file, format=LogFormat.JSON))
    logging.getLogger("archipel.x").info("seen")
    logging.getLogger("archipel.x").debug("not seen")
    logging.getLogger("slixmpp.x").info("not seen")
    logging.getLogger("slixmpp.x").warning("seen too")
    assert [json.loads(line)["message"] for line in file.read_text().splitlines()] == ["seen", "seen too"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_warnings_of_python_are_logged(tmp_path: Path):
    file = tmp_path / "archipel.log"
    configure_logging(settings(file))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in file.read_text()


@pytest.mark.parametrize("under_systemd", [False, True])
def test_without_a_file_it_goes_to_standard_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, under_systemd: bool):
    with (tmp_path / "stderr").open("w+") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        status = os.fstat(stderr.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}" if under_systemd else "1:1")
        configure_logging(settings(None))
        logging.getLogger("archipel.x").error("seen")
        stderr.seek(0)
        line = stderr.read()
    assert line.startswith("<3>error archipel.x: seen") is under_systemd
    assert line.endswith("error archipel.x: seen\n")


def test_a_moment_is_written_in_utc():
    assert timestamp(0) == "1970-01-01T00:00:00.000Z"
