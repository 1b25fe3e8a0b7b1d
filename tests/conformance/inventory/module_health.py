# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hypervisor_health."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, action, option, phrases, tokens

NS = "archipel:hypervisor:health"

ROWS = (
    action(
        NS,
        "info",
        (HYPERVISOR,),
        "processor, memory, disks, networks, load, versions, now",
        tests=("tests/integration/agent/test_health.py::test_info_says_how_the_host_fares",),
    ),
    action(
        NS,
        "history",
        (HYPERVISOR,),
        "the figures of the past, newest first",
        better="the newest figures survive a stop",
        tests=("tests/integration/agent/test_health.py::test_the_history_grows_and_the_newest_survive_a_stop",),
    ),
    action(
        NS,
        "logs",
        (HYPERVISOR,),
        "the end of the agent's log, oldest first",
        tests=("tests/integration/agent/test_health.py::test_the_log_is_told_line_by_line_also_that_of_before_a_restart",),
    ),
    *phrases(HYPERVISOR, (NS, "history"), "health", meaning="the latest figures, by the right health_info"),
    *phrases(HYPERVISOR, (NS, "logs"), "logs"),
    *tokens((HYPERVISOR,), "health_info", "health_history", "health_logs"),
    option("HEALTH", "health_database_path", "%(archipel_folder_lib)s/statscollection.sqlite3"),
    option("HEALTH", "health_collection_interval", "5"),
    option("HEALTH", "max_rows_before_purge", "50000"),
    option("HEALTH", "max_cached_rows", "200"),
    option(
        "HEALTH",
        "exclude_interfaces",
        "virbr,ovs-system,ovsbr",
        meaning="network devices that are left out; none ever was",
        tests=(
            "tests/unit/agent/test_health.py::TestHostReader::test_excluded_interfaces_are_left_out_by_the_beginning_of_their_names",
            "tests/unit/agent/test_health.py::TestCollector::test_quotes_around_excluded_interfaces_are_none_of_their_names",
        ),
    ),
)
