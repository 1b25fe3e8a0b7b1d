# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent counts while it works: commands with their results and latencies. The rest is read where it is kept.

No label holds what people choose (accounts, names of machines, unknown actions): the number of series has an end.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as Series

from archipel.protocol.errors import BadRequest, CommandError, Condition, PermissionDenied
from archipel.protocol.rights import EntityKind

if TYPE_CHECKING:
    from archipel.agent.dispatch import Registry

BUCKETS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # seconds
UNKNOWN: Final = "unknown"


class Result(enum.StrEnum):
    """How a command ended."""

    OK = "ok"
    REFUSED = "refused"
    MALFORMED = "malformed"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    UNFINISHED = "unfinished"


def result_of(error: CommandError) -> Result:
    """Return how a command ended that raised ``error``."""
    if isinstance(error, PermissionDenied):
        return Result.REFUSED
    if isinstance(error, BadRequest):
        return Result.MALFORMED
    return Result.UNAVAILABLE if error.condition == Condition.SERVICE_UNAVAILABLE else Result.FAILED


class Metrics:
    """The counters of one agent; ``events`` counts pushes by what became of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.events: Counter[str] = Counter()
        labels = ("namespace", "action", "result")
        self._commands = Series("archipel_commands", "Commands that were asked for.", labels, registry=self.registry)
        self._seconds = Histogram(
            "archipel_command_seconds", "Time from a command's turn to its answer.", ("namespace",), buckets=BUCKETS, registry=self.registry
        )
        self._counted: dict[tuple[str, str, Result], Series] = {}
        self._timed: dict[str, Histogram] = {}

    def count_command(self, registry: Registry, kind: EntityKind, namespace: str, action: str, result: Result, seconds: float) -> None:
        """Count a command; one that no capability has counts as unknown."""
        key = namespace, action, result
        series = self._counted.get(key)
        if series is None:
            if registry.find(kind, namespace, action) is None:
                key = namespace, action, _ = UNKNOWN, UNKNOWN, result
            series = self._counted[key] = self._commands.labels(*key)
        series.inc()
        timer = self._timed.get(namespace)
        if timer is None:
            timer = self._timed[namespace] = self._seconds.labels(namespace)
        timer.observe(seconds)
