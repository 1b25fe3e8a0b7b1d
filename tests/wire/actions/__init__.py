# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every action that an entity takes: the ``ROWS`` of the files of this folder, one for each capability or group of them.

One row is tried by ``tests/integration/agent/test_every_action.py`` with get and with set; ``tests/unit/test_completeness.py``
fails for an action that has none.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.wire.action import Action

ACTIONS: tuple[Action, ...] = tuple(
    row for found in pkgutil.iter_modules(__path__) for row in importlib.import_module(f"{__name__}.{found.name}").ROWS
)
