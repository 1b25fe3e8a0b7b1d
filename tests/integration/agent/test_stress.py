# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A minute of what killed the founding agent: fifty machines are started and destroyed in a loop while twenty people watch.

``make bench`` does it for half an hour. The watchers look at each push when it comes: it must bear the next number, and tell of a stop
and a start in turn.
"""

from __future__ import annotations

import pytest
import pytest_asyncio

from benchmarks.stress import MACHINES, WATCHERS, Outcome, measure_stress

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 60
MOST_GROWTH = 2.0  # MB of memory after the warm-up: less than a kilobyte for each change would show
MOST_THREADS = 4  # that may come: pools fill as they are used, to a size of their own
MOST_FILES = 2  # that may be open at the end and were not after the warm-up: a database is opened now and then


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def outcome() -> Outcome:
    return await measure_stress(SECONDS)


@pytest.mark.timeout(400)
async def test_nothing_is_lost_doubled_or_wrong(outcome: Outcome) -> None:
    assert outcome.faults == []
    assert outcome.changes >= 2 * MACHINES, "each machine was destroyed and started"
    assert outcome.pushes == outcome.changes * WATCHERS


async def test_neither_memory_nor_file_handles_nor_threads_grow(outcome: Outcome) -> None:
    assert outcome.growth_mb <= MOST_GROWTH, outcome
    assert outcome.files[1] - outcome.files[0] <= MOST_FILES, outcome
    assert outcome.threads[1] - outcome.threads[0] <= MOST_THREADS, outcome
