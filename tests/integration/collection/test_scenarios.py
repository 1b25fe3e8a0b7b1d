# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: every task predicts in check mode what it then does, and does nothing the second time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.collection.platform import TWO_HOSTS, Platform
from tests.integration.collection.playbook import Ansible, read_tasks

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.yml"))
ON_A_REAL_LIBVIRT = ("nwfilter",)  # tests/e2e/test_declared_networks.py: libvirt's test driver has none


@pytest.mark.parametrize("scenario", [file for file in SCENARIOS if file.stem not in ON_A_REAL_LIBVIRT], ids=lambda file: file.stem)
def test_check_mode_tells_the_truth_and_a_second_run_changes_nothing(
    scenario: Path, ansible: Ansible, platform: Platform, feed: str
) -> None:
    if scenario.stem in TWO_HOSTS:
        platform.start_second()
    for outcome in ansible.run_thrice(read_tasks(scenario, feed)):
        outcome.assert_truthful()
