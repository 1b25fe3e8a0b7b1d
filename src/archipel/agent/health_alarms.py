# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When somebody should be told: a figure that passes its threshold, and one that falls clearly below it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

CALM: Final = 5  # percent below the threshold at which an alarm is over: a figure that sways tells once


@dataclass(frozen=True)
class Change:
    """An alarm that begins (``raised``) or is over; ``what`` is the resource, and where (a mount point) for disks."""

    what: tuple[str, str]
    raised: bool
    value: int
    threshold: int


class Averages:
    """Figures by place, smoothed: a threshold that is passed for a moment is none that is passed."""

    def __init__(self, count: int) -> None:
        self._count = max(1, count)
        self._figures: dict[str, deque[float]] = {}

    def add(self, place: str, figure: float) -> None:
        """Take a figure in; of each place the last ``count`` are remembered."""
        self._figures.setdefault(place, deque(maxlen=self._count)).append(figure)

    def keep(self, places: Iterable[str]) -> None:
        """Forget all places but these."""
        self._figures = {place: self._figures[place] for place in places if place in self._figures}

    @property
    def known(self) -> dict[str, float]:
        """The averages of all places with as many figures as are averaged."""
        return {place: sum(figures) / self._count for place, figures in self._figures.items() if len(figures) == self._count}


class Alarms:
    """The alarms of a host; ``thresholds`` are percent by resource, those that are None never sound."""

    def __init__(self, thresholds: Mapping[str, int | None]) -> None:
        self._thresholds = {name: limit for name, limit in thresholds.items() if limit is not None}
        self._raised: set[tuple[str, str]] = set()

    def watches(self, resource: str) -> bool:
        """Whether a figure of this resource can make an alarm."""
        return resource in self._thresholds

    def look(self, resource: str, figures: Mapping[str, float]) -> list[Change]:
        """Return what changes with all present figures of a resource, by their places; a place that is gone is calm."""
        limit = self._thresholds.get(resource)
        if limit is None:
            return []
        gone = {place: 0.0 for what, place in self._raised if what == resource and place not in figures}
        changes = []
        for place, value in {**gone, **figures}.items():
            what = resource, place
            if value >= limit and what not in self._raised:
                self._raised.add(what)
            elif value < max(limit - CALM, 1) and what in self._raised:
                self._raised.discard(what)
            else:
                continue
            changes.append(Change(what, what in self._raised, round(value), limit))
        return changes
