# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.virt.cpu_usage import LEAST_SPAN, CpuUsage

SECOND = 1_000_000_000


def test_one_reading_says_nothing() -> None:
    assert CpuUsage(4).sample(123 * SECOND, 10.0) == 0


def test_two_readings_give_the_share_of_all_cpus_of_the_host() -> None:
    usage = CpuUsage(4)
    usage.sample(100 * SECOND, 10.0)
    assert usage.sample(104 * SECOND, 12.0) == 50
    assert usage.percent == 50


def test_readings_too_close_together_repeat_the_last_figure_and_keep_the_first_reading() -> None:
    usage = CpuUsage(1)
    usage.sample(0, 0.0)
    for tenth in range(1, 10):
        assert usage.sample(tenth * SECOND // 20, tenth / 10) == 0
    assert usage.sample(SECOND // 2, LEAST_SPAN) == 50


def test_a_cpu_time_that_goes_back_begins_anew() -> None:
    usage = CpuUsage(1)
    usage.sample(100 * SECOND, 0.0)
    usage.sample(101 * SECOND, 2.0)
    assert usage.sample(SECOND, 4.0) == 0
    assert usage.sample(2 * SECOND, 6.0) == 50


def test_a_host_without_cpus_is_refused() -> None:
    with pytest.raises(ValueError, match="host_cpus is 0"):
        CpuUsage(0)


@given(st.integers(1, 512), st.lists(st.tuples(st.integers(0, 2**63), st.floats(0, 1e9))))
def test_the_figure_is_a_percentage_whatever_is_read(cpus: int, readings: list[tuple[int, float]]) -> None:
    usage = CpuUsage(cpus)
    for cpu_time, at in sorted(readings, key=lambda reading: reading[1]):
        assert 0 <= usage.sample(cpu_time, at) <= 100
