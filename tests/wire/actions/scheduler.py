# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler of hypervisors and machines."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

SCHEDULER = "archipel:entity:scheduler"
UID = "5d6f8a10-c5f5-11ef-9f5e-0242ac120002"
NEXT_YEAR = "year='*' month='1' day='1' hour='8' minute='30' second='0'"

WHEN = (
    Wrong("year", "job='{job}'"),
    Wrong("year", "job='{job}' year='1999' month='1' day='1' hour='0' minute='0' second='0'"),
    Wrong("month", "job='{job}' month='13'"),
    Wrong("day", "job='{job}' day='32'"),
    Wrong("day", "job='{job}' year='2031' month='2' day='30' hour='0' minute='0' second='0'"),
    Wrong("weekday", "job='{job}' weekday='someday'"),
    Wrong("hour", "job='{job}' hour='8;9'"),
    Wrong("hour", "job='{job}' hour='\u0661'"),
    Wrong("minute", "job='{job}' minute='*/0'"),
    Wrong("minute", "job='{job}' minute='" + "1," * 60 + "1'"),
    Wrong("second", "job='{job}' second='*'"),
    Wrong("second", "job='{job}' second='0,5'"),
)
WHAT = (
    Wrong("job", "hour='8'"),
    Wrong("job", "job='explode' hour='8'"),
    Wrong("comment", f"job='{{job}}' hour='8' comment='{'x' * 501}'"),
    Wrong("param", f"job='{{job}}' hour='8' param='{'x' * 1001}'"),
    Wrong("uid", "job='{job}' hour='8' uid='first'"),
)


def with_job(wrong: Wrong, job: str) -> Wrong:
    return Wrong(wrong.field, wrong.attributes.replace("{job}", job), wrong.inner, wrong.mentions)


def on(kind: str, job: str, jobs: str, more: tuple[Wrong, ...]) -> tuple[Action, ...]:
    """The four actions; ``first`` makes the job that is unscheduled."""
    wrong = tuple(with_job(each, job) for each in (*WHEN, *WHAT))
    first = f"<archipel action='schedule' job='{job}' uid='{UID}' {NEXT_YEAR}/>"
    return (
        Action(
            kind, SCHEDULER, "schedule", "scheduler_schedule", -1, f"job='{job}' comment='new year' {NEXT_YEAR}", malformed=wrong + more
        ),
        Action(
            kind,
            SCHEDULER,
            "unschedule",
            "scheduler_unschedule",
            -1,
            f"uid='{UID}'",
            before=((SCHEDULER, first),),
            malformed=(Wrong("uid"), Wrong("uid", "uid=''"), Wrong("uid", "uid='all'")),
        ),
        Action(kind, SCHEDULER, "jobs", "scheduler_jobs", -1, answer=None),
        Action(kind, SCHEDULER, "actions", "scheduler_actions", -1, answer="".join(f"<action>{name}</action>" for name in jobs.split())),
    )


ROWS = (
    *on(HYPERVISOR, "alloc", "alloc free", (Wrong("param", "job='free' hour='8'"),)),
    *on(
        MACHINE,
        "create",
        "create shutdown destroy suspend resume reboot migrate pause snapshot",
        (Wrong("param", "job='create' hour='8' param='now'"),),
    ),
)
