# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long tests of faults: the same scenarios as in tests/integration, for minutes. ``make test-all`` runs them."""

from __future__ import annotations

import random

import pytest


@pytest.fixture
def seed() -> int:
    """What the scenario's random moments come from; pytest shows it when a test fails."""
    chosen = random.SystemRandom().randrange(1_000_000)
    print(f"seed {chosen}")
    return chosen
