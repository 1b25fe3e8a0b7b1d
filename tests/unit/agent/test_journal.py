# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal gets of the audit log, as its own protocol wants it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from archipel.agent import logs
from archipel.agent.audit import AuditLog
from archipel.agent.journal import Journal, open_journal
from tests.unit.agent.fakes import make_settings


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.settimeout(10)
        yield listener


@pytest.fixture
def journal(listener: socket.socket) -> Iterator[Journal]:
    opened = Journal(listener.getsockname())
    yield opened
    opened.close()


def parse(datagram: bytes) -> dict[str, str]:
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        fields[name.decode()], datagram = value.decode(), rest
    return fields


def record(audit: AuditLog, *, quiet: bool = False, **changes: str) -> None:
    entry = {"caller": "eve@lab.example/x", "entity": "vm@lab.example", "namespace": "archipel:vm:control", "action": "destroy"}
    audit.record(**{**entry, "rule": "granted", "outcome": "ok", **changes}, arguments={"value": 1}, seconds=0.01, quiet=quiet)


def test_an_entry_has_fields_to_search_by(listener: socket.socket, journal: Journal, tmp_path: Path):
    record(AuditLog(tmp_path / "audit.log", journal))
    fields = parse(listener.recv(65536))
    assert (fields["MESSAGE"], fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"]) == ("destroy: ok", "6", "archipel-agent")
    assert (fields["ARCHIPEL_ACTION"], fields["ARCHIPEL_WHO"], fields["ARCHIPEL_OUTCOME"]) == ("destroy", "eve@lab.example", "ok")
    assert fields["ARCHIPEL_ARGUMENTS"] == '{"value": 1}'


def test_who_only_looked_is_debugging(listener: socket.socket, journal: Journal, tmp_path: Path):
    record(AuditLog(tmp_path / "audit.log", journal), quiet=True)
    assert parse(listener.recv(65536))["PRIORITY"] == "7"


def test_nobody_smuggles_a_field_in(listener: socket.socket, journal: Journal, tmp_path: Path):
    record(AuditLog(tmp_path / "audit.log", journal), outcome="error: a\nPRIORITY=0\n", action="x\nARCHIPEL_WHO=admin@lab.example")
    fields = parse(listener.recv(65536))
    assert (fields["PRIORITY"], fields["ARCHIPEL_WHO"]) == ("6", "eve@lab.example")
    assert fields["ARCHIPEL_OUTCOME"] == "error: a\nPRIORITY=0\n"


def test_a_journal_that_takes_nothing_stops_nothing_and_is_told_what_it_missed(listener: socket.socket, journal: Journal):
    sent = 0
    while journal._missing < 3:
        journal.send("full", {"number": sent, "more": "x" * 4000})
        sent += 1
    for _ in range(sent - 3):
        listener.recv(65536)
    journal.send("again", {})
    assert parse(listener.recv(65536))["ARCHIPEL_MISSING_BEFORE"] == "3"
    journal.send("and again", {})
    assert "ARCHIPEL_MISSING_BEFORE" not in parse(listener.recv(65536))


def test_without_systemd_there_is_none():
    assert open_journal() is None


def test_the_journal_does_not_get_an_entry_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(logs, "is_journal", lambda: True)
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        logs.configure_logging(make_settings(tmp_path).logging)
        record(AuditLog(tmp_path / "audit.log"))
        logging.getLogger("archipel.agent").warning("something else")
    finally:
        logging.getLogger().handlers[:], logging.getLogger().level = before
        logging.captureWarnings(False)
    assert capsys.readouterr().err.count("\n") == 1
