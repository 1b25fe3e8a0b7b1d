# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel schedule``: what entities do later, or again and again."""

from __future__ import annotations

from typing import Any

import click

from archipel.cli.parameters import argument, option
from archipel.cli.subcommands import On, Subcommand, make_group, show_names
from archipel.client.schedule import Schedule
from archipel.protocol.scheduler import Job

FIELDS = ("year", "month", "day", "weekday", "hour", "minute", "second")


def _row(name: str, help: str, call: Any, *parameters: click.Parameter, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, on=On.ENTITY, concern=Schedule, **more)


def _when(job: Job) -> str:
    return f"{job.date} on {job.weekday}" if job.weekday else job.date


schedule = make_group(
    "schedule",
    "Have machines and hypervisors do things later, or again and again.",
    (
        _row(
            "list",
            "List the jobs of a machine or a hypervisor.",
            Schedule.list,
            columns={"JOB": "action", "WHEN": _when, "NEXT": "next_run", "BY": "creator", "COMMENT": "comment", "UID": "uid"},
            none="no jobs",
        ),
        _row("actions", "List what jobs can do there.", Schedule.actions, show=show_names),
        _row(
            "add",
            "Do JOB at the moments that the options describe: numbers, * or cron expressions such as */5, 1-5 or 8,20.\n\n"
            "It is done with your rights, those that you have then.",
            Schedule.add,
            argument("job"),
            *(option(f"--{field}", f"The {field}.", metavar="EXPRESSION") for field in FIELDS),
            option("--comment", "What it is for.", default=""),
            option("--param", "What the job needs to know.", default=""),
            says="{on}: {job} is planned ({answer})",
        ),
        _row("remove", "Forget a job.", Schedule.remove, argument("job", metavar="UID", kind=click.UUID), says="{on}: job {job} removed"),
    ),
)
