# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures over a span of time, and what several of them come to together."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, Protocol, Self

NAN: Final = math.nan


class Sample(Protocol):
    """Figures of the ``seconds`` that ended ``at`` (seconds since the epoch)."""

    at: float
    seconds: float

    def joined(self, later: Self) -> Self:
        """Return the figures of both spans together."""

    def pack(self) -> bytes:
        """Return the sample as bytes."""

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read what :meth:`pack` wrote; raises :class:`ValueError`."""


@dataclass(frozen=True, slots=True)
class HostSample:
    """How a host fared: memory in KiB, ``idle`` in percent, ``networks`` bytes received and sent."""

    at: float
    seconds: float
    free: float
    used: float
    total: float
    swapped: float
    shared: float
    idle: float
    one: float
    five: float
    fifteen: float
    networks: Mapping[str, int]

    def joined(self, later: HostSample) -> HostSample:
        """Return averages, and the sums of the traffic."""
        names = ("free", "used", "total", "swapped", "shared", "idle", "one", "five", "fifteen")
        weights = self.seconds, later.seconds
        figures = {name: _average(getattr(self, name), getattr(later, name), *weights) for name in names}
        traffic = dict(self.networks)
        for name, count in later.networks.items():
            traffic[name] = traffic.get(name, 0) + count
        return HostSample(at=later.at, seconds=sum(weights), networks=traffic, **figures)

    def pack(self) -> bytes:
        """Return the sample as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, data: bytes) -> HostSample:
        """Read what :meth:`pack` wrote; raises :class:`ValueError`."""
        try:
            return cls(**json.loads(data))
        except TypeError as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class MachineSample:
    """How a machine fared: ``cpu`` in percent of the host, memories in KiB, the rest bytes; NaN is what nobody counts."""

    at: float
    seconds: float
    cpu: float = NAN
    memory: float = NAN
    resident: float = NAN
    disk_read: float = NAN
    disk_written: float = NAN
    received: float = NAN
    sent: float = NAN

    def joined(self, later: MachineSample) -> MachineSample:
        """Return averages, and the sums of what was counted."""
        weights = self.seconds, later.seconds
        averages = {name: _average(getattr(self, name), getattr(later, name), *weights) for name in ("cpu", "memory", "resident")}
        sums = {name: _sum(getattr(self, name), getattr(later, name)) for name in ("disk_read", "disk_written", "received", "sent")}
        return MachineSample(at=later.at, seconds=sum(weights), **averages, **sums)

    def pack(self) -> bytes:
        """Return the sample in 72 bytes."""
        return _PACKED.pack(*(getattr(self, name) for name in _NAMES))

    @classmethod
    def unpack(cls, data: bytes) -> MachineSample:
        """Read what :meth:`pack` wrote; raises :class:`ValueError`."""
        try:
            return cls(*_PACKED.unpack(data))
        except struct.error as error:
            raise ValueError(str(error)) from error


_NAMES: Final = tuple(field.name for field in fields(MachineSample))
_PACKED: Final = struct.Struct(f"<{len(_NAMES)}d")


def _average(first: float, second: float, first_weight: float, second_weight: float) -> float:
    if math.isnan(first) or math.isnan(second):
        return first if math.isnan(second) else second
    total = first_weight + second_weight
    return second if total <= 0 else (first * first_weight + second * second_weight) / total


def _sum(first: float, second: float) -> float:
    if math.isnan(first) or math.isnan(second):
        return first if math.isnan(second) else second
    return first + second
