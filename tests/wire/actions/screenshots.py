# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a machine's screen."""

from __future__ import annotations

from tests.wire.action import MACHINE, RUNNING, Action
from tests.wire.platform import CONTROL

ROWS = (
    Action(
        MACHINE,
        CONTROL,
        "screenshot",
        "screenshot",
        -1021,
        "size='thumbnail'",
        state="running",
        answer="<screenshot mime='image/png' width='216' height='*'>*</screenshot>",
        effect=RUNNING,
    ),
)
