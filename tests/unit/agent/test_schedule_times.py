# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When jobs run: what absent fields mean, what is refused, and by which name."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent.schedule_times import LEAST_INTERVAL, Times, read_times
from archipel.protocol.errors import BadRequest
from archipel.protocol.scheduler import FIELDS

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 21, 18, 0, 0, tzinfo=UTC)


def read(zone: ZoneInfo = PARIS, **fields: str) -> Times:
    return read_times(fields, zone, NOW)


def runs(times: Times, count: int = 3) -> list[datetime]:
    found: list[datetime] = []
    previous, now = None, NOW
    while len(found) < count and (moment := times.trigger(NOW + timedelta(days=4000)).get_next_fire_time(previous, now)) is not None:
        found.append(moment)
        previous = now = moment
    return found


@pytest.mark.parametrize(
    "fields, first, second",
    [
        ({"hour": "8"}, "2026-11-22 08:00:00", "2026-11-23 08:00:00"),
        ({"hour": "8", "second": "30"}, "2026-11-22 08:00:30", "2026-11-23 08:00:30"),
        ({"minute": "*/15"}, "2026-11-21 19:00:00", "2026-11-21 19:15:00"),
        ({"second": "20"}, "2026-11-21 19:00:20", "2026-11-21 19:01:20"),
        ({"weekday": "mon"}, "2026-11-23 00:00:00", "2026-11-30 00:00:00"),
        ({"weekday": "mon-fri", "hour": "8,20"}, "2026-11-23 08:00:00", "2026-11-23 20:00:00"),
        ({"month": "2"}, "2027-02-01 00:00:00", "2028-02-01 00:00:00"),
        ({"day": "last", "hour": "23"}, "2026-11-30 23:00:00", "2026-12-31 23:00:00"),
        (dict.fromkeys(FIELDS, "*") | {"minute": "0", "second": "0"}, "2026-11-21 19:00:00", "2026-11-21 20:00:00"),
        ({"hour": "", "minute": " 5 "}, "2026-11-21 19:05:00", "2026-11-21 20:05:00"),
    ],
)
def test_what_is_absent_is_the_smallest_beside_a_larger_field_and_anything_otherwise(
    fields: dict[str, str], first: str, second: str
) -> None:
    assert [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in runs(read(**fields), 2)] == [first, second]


def test_six_numbers_are_one_moment() -> None:
    times = read(year="2027", month="03", day="4", hour="5", minute="6", second="07")
    assert times.moment == datetime(2027, 3, 4, 5, 6, 7, tzinfo=PARIS)
    assert times.describe() == "2027-03-4 @ 5 : 06 : 07"
    assert runs(times) == [times.moment]


def test_the_date_of_a_repeated_job_is_told_as_the_founders_did() -> None:
    assert read(hour="*").describe() == "*-*-* @ * : 00 : 00"
    assert read(minute="*/5").describe() == "*-*-* @ * hour(s) and */5 minute(s) and 0 second(s)"


@pytest.mark.parametrize(
    "fields, mentions",
    [
        ({}, "year, month, day, hour, minute, second: one of them"),
        (dict.fromkeys(FIELDS, ""), "one of them"),
        (dict.fromkeys(FIELDS, "*"), "second: a job runs every 10"),
        ({"second": "*/5"}, "second: "),
        ({"second": "5,58"}, "second: "),
        ({"year": "2020"}, "year: "),
        ({"year": "2020-2025", "hour": "*"}, "year, month"),
        ({"month": "2", "day": "30"}, "no moment"),
        ({"year": "2027", "month": "2", "day": "29"}, "day: 2027-2-29 is no date"),
        ({"year": "2026", "month": "11", "day": "21", "hour": "19", "minute": "0", "second": "0"}, "is over"),
        ({"year": "2027", "month": "3", "day": "28", "hour": "2", "minute": "30"}, "hour: .* clocks go forward"),
        ({"year": "9999"}, "year: .* too far"),
        ({"hour": "24"}, "hour: "),
        ({"minute": "*/0"}, "minute: "),
        ({"minute": "9" * 90}, "minute: "),
        ({"day": "8.5"}, "day: must be"),
        ({"weekday": "monday to friday"}, "weekday: "),
        ({"month": "\u0661"}, "month: must be"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, str], mentions: str) -> None:
    with pytest.raises(BadRequest, match=mentions):
        read(**fields)


def test_seconds_far_apart_within_one_minute_of_an_hour_are_no_rush() -> None:
    assert len(runs(read(minute="0", second="3,58"), 2)) == 2


EXPRESSIONS = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"(\*|[0-9]{1,2}(-[0-9]{1,2})?)(/[0-9]{1,2})?(,[0-9]{1,2}){0,3}", fullmatch=True),
    st.sampled_from(["*", "0", "last", "2nd fri", "jan-mar", "mon,wed", "2027", "*/13"]),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "weekday"]), EXPRESSIONS))
def test_whatever_is_written_is_refused_by_name_or_runs_seldom_enough(fields: dict[str, str]) -> None:
    try:
        times = read(**fields)
    except BadRequest as refusal:
        named = refusal.text.partition(":")[0].split(",")[0]
        assert named in {*FIELDS, "weekday"}
        return
    found = runs(times, 6)
    assert found or times.moment or times.trigger().get_next_fire_time(None, NOW)
    assert all((after - before).total_seconds() >= LEAST_INTERVAL for before, after in itertools.pairwise(found))
