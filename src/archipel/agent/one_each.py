# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capability keeps once for each hypervisor of a process; the agent has one, tests have several."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

Made = TypeVar("Made")


def one_per_hypervisor(make: Callable[[Hypervisor], Made]) -> Callable[[Hypervisor], Made]:
    """Let a function that makes something for a hypervisor return the same from its first call on."""
    made: WeakKeyDictionary[Hypervisor, Made] = WeakKeyDictionary()

    @functools.wraps(make)
    def find(hypervisor: Hypervisor) -> Made:
        if hypervisor not in made:
            made[hypervisor] = make(hypervisor)
        return made[hypervisor]

    return find
