# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module action_scheduler."""

from __future__ import annotations

from tests.conformance.row import EVERY, action, option, pushes, tokens

NS = "archipel:entity:scheduler"

ROWS = (
    action(
        NS,
        "schedule",
        EVERY,
        "let an action happen at a time, once or again and again",
        better="a job runs by the rights that its maker has when its time comes, is audited, and outlives the agent",
        tests=(
            "tests/integration/agent/test_scheduler.py::test_a_job_of_somebody_who_lost_the_right_does_nothing",
            "tests/integration/agent/test_scheduler.py::test_jobs_outlive_a_crash_and_what_was_missed_meanwhile_is_caught_up",
        ),
    ),
    action(
        NS,
        "unschedule",
        EVERY,
        "take a job off the list",
        tests=("tests/integration/agent/test_scheduler.py::test_a_job_that_is_unscheduled_does_not_run_and_an_unknown_one_is_told",),
    ),
    action(
        NS,
        "jobs",
        EVERY,
        "the jobs, each with its next time in words",
        tests=("tests/unit/agent/test_scheduler.py::TestCommands::test_a_job_is_listed_until_it_is_unscheduled",),
    ),
    action(NS, "actions", EVERY, "what can be scheduled; some of it did nothing when its time came"),
    *pushes("scheduler", "scheduled", "unscheduled", meaning="the list changed"),
    *pushes("scheduler", "jobexecuted", meaning="a job was run; never sent for one that comes again"),
    *tokens(EVERY, "scheduler_jobs", "scheduler_schedule", "scheduler_unschedule", "scheduler_actions"),
    option("SCHEDULER", "database", "%(archipel_folder_lib)s/scheduler.sqlite3"),
)
