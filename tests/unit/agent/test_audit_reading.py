# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log is read backwards: every entry once, in pages, through rotated files, whatever else stands in them."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent import audit_reading
from archipel.agent.audit_reading import Found, Question, lines_backwards, read_entries, rotated
from archipel.protocol.audit import Outcome, parse_position, parse_time, write_position

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def entry(number: int, second: int | None = None, **changes: Any) -> bytes:
    moment = START + timedelta(seconds=number if second is None else second)
    fields = {"time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "who": "eve@lab.example", "action": "create"}
    return json.dumps({**fields, "entity": "vm@lab.example", "outcome": "ok", "number": number} | changes).encode() + b"\n"


def numbers(found: Found) -> list[int]:
    return [each["number"] for each in found.entries]


def read_pages(path: Path, limit: int, **more: Any) -> list[int]:
    """All numbers, page by page, the positions as they go over the wire."""
    told: list[int] = []
    after = None
    while True:
        found = read_entries(path, Question(limit=limit, after=after, **more))
        told += numbers(found)
        if found.position is None:
            return told
        after = parse_position(write_position(*found.position))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Numbers 0 to 29, rotated twice, the oldest compressed."""
    path = tmp_path / "audit.log"
    parts = [b"".join(entry(number) for number in range(first, first + 10)) for first in (0, 10, 20)]
    with gzip.open(tmp_path / "audit.log.2.gz", "wb") as packed:
        packed.write(parts[0])
    (tmp_path / "audit.log.1").write_bytes(parts[1])
    path.write_bytes(parts[2])
    for age, name in enumerate(("audit.log", "audit.log.1", "audit.log.2.gz")):
        moment = (START + timedelta(seconds=30 - 10 * age)).timestamp()
        os.utime(tmp_path / name, (moment, moment))
    return path


def test_the_newest_come_first_through_all_files(log: Path):
    assert numbers(read_entries(log, Question(limit=100))) == list(range(29, -1, -1))


@pytest.mark.parametrize("limit", [1, 3, 10, 29, 30, 31])
def test_pages_hold_each_entry_once(log: Path, limit: int):
    assert read_pages(log, limit) == list(range(29, -1, -1))


@pytest.mark.parametrize("compressed", [False, True])
@settings(max_examples=40, deadline=None)
@given(seconds=st.lists(st.integers(0, 3), max_size=30), limit=st.integers(1, 7), skipped=st.sets(st.integers(0, 29)))
def test_pages_hold_each_entry_once_although_many_have_one_time(
    tmp_path_factory: pytest.TempPathFactory, compressed: bool, seconds: list[int], limit: int, skipped: set[int]
):
    path = tmp_path_factory.mktemp("log") / "audit.log"
    lines = [
        entry(number, second, who="bob@lab.example" if number in skipped else "eve@lab.example")
        for number, second in enumerate(sorted(seconds))
    ]
    path.write_bytes(b"" if compressed else b"".join(lines))
    if compressed:
        path.with_name("audit.log-20261121.gz").write_bytes(gzip.compress(b"".join(lines)))
    wanted = [number for number in reversed(range(len(seconds))) if number not in skipped]
    assert read_pages(path, limit, who="eve@lab.example") == wanted


def test_what_is_written_and_rotated_between_two_pages_changes_nothing(log: Path):
    first = read_entries(log, Question(limit=5))
    log.rename(log.with_name("audit.log.1.new"))
    log.with_name("audit.log.1").rename(log.with_name("audit.log.3"))
    log.with_name("audit.log.1.new").rename(log.with_name("audit.log.1"))
    log.write_bytes(entry(30) + entry(31))
    assert numbers(read_entries(log, Question(limit=100, after=first.position))) == list(range(24, -1, -1))


@pytest.mark.parametrize(
    "question, wanted",
    [
        ({"since": START + timedelta(seconds=27)}, [29, 28, 27]),
        ({"until": START + timedelta(seconds=2)}, [2, 1, 0]),
        ({"who": "bob@lab.example"}, [30]),
        ({"command": "destroy"}, [31]),
        ({"outcome": Outcome.FAILED}, [32]),
        ({"entity": "other@lab.example"}, [33]),
        ({"who": "nobody@lab.example"}, []),
    ],
)
def test_all_that_is_given_must_fit(log: Path, question: dict[str, Any], wanted: list[int]):
    with log.open("ab") as file:
        file.write(entry(30, 20, who="bob@lab.example") + entry(31, 20, action="destroy"))
        file.write(entry(32, 20, outcome="error: no") + entry(33, 20, entity="other@lab.example"))
    assert numbers(read_entries(log, Question(limit=100, **question))) == wanted


def test_lines_that_are_no_entries_are_passed_over_and_counted(log: Path):
    for line in (b"\n", b"{\n", b"[]\n", b'{"time": "noon"}\n', b'{"time": 5}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'"x"\n'):
        with log.open("ab") as file:
            file.write(line)
    with log.open("ab") as file:
        file.write(entry(30)[:20])  # a line that is being written
    found = read_entries(log, Question(limit=100))
    assert numbers(found) == list(range(29, -1, -1))
    assert found.malformed == 8


def test_a_compressed_file_that_breaks_off_tells_what_can_be_read(tmp_path: Path):
    whole = gzip.compress(b"".join(entry(number) for number in range(10)))
    (tmp_path / "audit.log.1.gz").write_bytes(whole[:-8])
    found = read_entries(tmp_path / "audit.log", Question(limit=100))
    assert numbers(found) == list(range(9, -1, -1))
    assert found.malformed == 1


def test_a_log_of_gigabytes_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_reading, "MOST_READ", 2000)
    path = tmp_path / "audit.log"
    path.write_bytes(entry(0, action="destroy") + b"".join(entry(number) for number in range(1, 100)))
    first = read_entries(path, Question(limit=5, command="destroy"))
    assert (first.entries, first.position is not None) == ([], True)
    assert read_pages(path, 5, command="destroy") == [0]


def test_an_answer_stays_within_what_servers_take(tmp_path: Path):
    path = tmp_path / "audit.log"
    path.write_bytes(b"".join(entry(number, arguments="x" * 30_000) for number in range(10)))
    assert numbers(read_entries(path, Question(limit=100))) == [9, 8, 7]
    assert read_pages(path, 100) == list(range(9, -1, -1))


def test_a_file_that_is_too_old_is_not_opened(log: Path):
    oldest = log.with_name("audit.log.2.gz")
    oldest.write_bytes(b"no gzip at all")
    os.utime(oldest, (0, 0))
    assert read_entries(log, Question(limit=100, since=START + timedelta(seconds=10))).malformed == 0


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), max_size=20),
    block=st.integers(1, 50),
    end=st.booleans(),
)
def test_lines_backwards_are_the_lines_forwards_turned_round(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], block: int, end: bool
):
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(b"\n".join(lines) + (b"\n" if end else b""))
    with pytest.MonkeyPatch.context() as patch, path.open("rb") as file:
        patch.setattr(audit_reading, "BLOCK", block)
        assert list(lines_backwards(file)) == [line for line in reversed(lines) if line.strip()]


def test_only_what_logrotate_made_of_the_log_is_read(tmp_path: Path):
    for name in (
        "audit.log",
        "audit.log.1",
        "audit.log.2.gz",
        "audit.log-20261121",
        "audit.log-2026-11-21.gz",
        "audit.log.bak",
        "audit.log.lock",
    ):
        (tmp_path / name).touch()
    names = {path.name for path in rotated(tmp_path / "audit.log")}
    assert names == {"audit.log.1", "audit.log.2.gz", "audit.log-20261121", "audit.log-2026-11-21.gz"}


def test_times_without_an_offset_are_utc():
    assert parse_time("2026-11-21T08:00") == START
    assert parse_time("2026-11-21T09:00+01:00") == START
