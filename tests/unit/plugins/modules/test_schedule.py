# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import uuid
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import jobs

from archipel.client import Hypervisor
from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, ScriptedStream, command
from tests.unit.plugins.modules.wire import Wire, query, wire

__all__ = ["wire"]

JOBS = "<archipel action='jobs'/>"
UID = "5d6f8a10-c5f5-11ef-9f5e-0242ac120002"
OTHER_UID = "5d6f8a10-c5f5-11ef-9f5e-0242ac120003"
NEW = uuid.UUID("5d6f8a10-c5f5-11ef-9f5e-0242ac120004")
NIGHTLY = "*-*-* @ 22 : 00 : 00"
NAME = {"name": "night"}


def job(action: str, date: str, uid: str = UID, more: str = "") -> str:
    return f"<job action='{action}' uid='{uid}' date='{date}' comment='night' creator='teacher@example.org' zone='Etc/UTC' {more}/>"


def add(times: str, action: str = "shutdown", param: str = "") -> str:
    return f"<archipel job='{action}' {times} comment='night' param='{param}' uid='{NEW}' action='schedule'/>"


def remove(uid: str) -> str:
    return f"<archipel uid='{uid}' action='unschedule'/>"


@pytest.mark.parametrize(
    "declared, before, sent, after",
    [
        ({"job": "shutdown", "hour": "22"}, "", [add("hour='22'")], job("shutdown", NIGHTLY)),
        (
            {"job": "shutdown", "hour": "23"},
            job("shutdown", NIGHTLY),
            [add("hour='23'"), remove(UID)],
            job("shutdown", "*-*-* @ 23 : 00 : 00"),
        ),
        (
            {"job": "shutdown", "hour": "22"},
            job("shutdown", NIGHTLY) + job("shutdown", NIGHTLY, OTHER_UID),
            [remove(OTHER_UID)],
            job("shutdown", NIGHTLY),
        ),
        ({"state": "absent"}, job("shutdown", NIGHTLY), [remove(UID)], ""),
    ],
    ids=["made", "another hour", "there twice", "removed"],
)
def test_a_job_is_there_once_as_declared(
    declared: dict[str, Any], before: str, sent: list[str], after: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archipel.client.schedule.uuid.uuid4", lambda: NEW)
    wire.entity(HYPERVISOR_FULL, "get", ns.SCHEDULER, JOBS, before, after)
    for request in sent:
        wire.entity(HYPERVISOR_FULL, "set", ns.SCHEDULER, request)
    answer = wire.run("schedule", **NAME, **declared)
    assert answer["changed"]
    assert answer["jobs"][0]["present"] is bool(after)
    wire.assert_asked(*(command("set", HYPERVISOR_FULL, ns.SCHEDULER, request) for request in sent))


@pytest.mark.parametrize(
    "declared, there",
    [
        ({"job": "shutdown", "hour": "22"}, job("shutdown", NIGHTLY)),
        ({"job": "shutdown", "hour": "22", "minute": "0", "second": "00"}, job("shutdown", NIGHTLY)),
        ({"job": "snapshot", "param": "n", "weekday": "mon"}, job("snapshot", "*-*-* @ 0 : 00 : 00", more="weekday='mon' param='n'")),
        ({"job": "shutdown", "year": "2020", "month": "1", "day": "1"}, ""),
        ({"state": "absent"}, job("shutdown", NIGHTLY).replace("night", "other")),
    ],
    ids=["hour alone", "all of the clock", "weekday and parameter", "a moment that is over", "another name"],
)
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], there: str, wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.SCHEDULER, JOBS, there)
    assert not wire.run("schedule", **NAME, **declared)["changed"]
    wire.assert_asked()


def test_other_jobs_go_if_told(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.SCHEDULER, JOBS, job("shutdown", NIGHTLY), "")
    wire.entity(HYPERVISOR_FULL, "set", ns.SCHEDULER, remove(UID))
    answer = wire.run("schedule", jobs=[], exclusive=True)
    assert answer["jobs"][0]["removed"] == ["night"]
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.SCHEDULER, remove(UID)))


def test_check_mode_knows_what_can_be_scheduled(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.SCHEDULER, "<archipel action='actions'/>", "<action>shutdown</action><action>create</action>")
    wire.entity(HYPERVISOR_FULL, "get", ns.SCHEDULER, JOBS, "")
    assert wire.run("schedule", check=True, **NAME, job="shutdown", hour="22")["changed"]
    assert (
        "'shutdwn' cannot be scheduled there; did you mean shutdown?"
        in wire.run("schedule", check=True, **NAME, job="shutdwn", hour="22")["msg"]
    )


@pytest.mark.parametrize(
    "declared, words",
    [
        ({"name": "night", "job": "shutdown"}, "say what is done, and when"),
        ({"name": "night", "job": "shutdown", "hour": "22;"}, "hour: must be a number"),
        ({"name": " "}, "name: say what the job is called"),
        ({"jobs": [NAME, NAME]}, "jobs: name night is there twice"),
        ({"jobs": [{"job": "shutdown"}]}, "name: say which one"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], words: str, wire: Wire) -> None:
    assert words in wire.run("schedule", **declared)["msg"]


@pytest.mark.parametrize(
    "fields, date, said",
    [
        ("year='*' month='*' day='*' hour='22' minute='0' second='0'", NIGHTLY, {"hour": "22", "minute": "0", "second": "0"}),
        (
            "year='*' month='1-6' day='*' hour='8' minute='*/5' second='0' weekday='mon-fri'",
            "*-1-6-* @ 8 hour(s) and */5 minute(s) and 0 second(s)",
            {"weekday": "mon-fri", "month": "1-6", "hour": "8", "minute": "*/5", "second": "0"},
        ),
    ],
)
async def test_what_is_described_is_what_may_be_declared(
    fields: str, date: str, said: dict[str, str], stream: ScriptedStream, hypervisor: Hypervisor
) -> None:
    stream.answer(command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>"), query(ns.HYPERVISOR_CONTROL))
    stream.answer(command("get", HYPERVISOR_FULL, ns.SCHEDULER, JOBS), query(ns.SCHEDULER, job("shutdown", date, more=fields)))
    described = await jobs.describe_all(hypervisor)
    assert described == [{"name": "night", "job": "shutdown", **said}]
    declared = jobs.DeclaredJob(hypervisor, dict.fromkeys(jobs.KIND) | described[0], check_mode=False)
    before = await declared.read()
    assert declared.desired(before) == before
