# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy a machine is, from two readings of the CPU time it has used."""

from __future__ import annotations

LEAST_SPAN = 1.0
"""Seconds between two readings below which the figure would be noise: QEMU's CPU time advances in ticks of 10 ms."""

_NANOSECONDS = 1_000_000_000


class CpuUsage:
    """The share of the host's CPUs that a machine used between the last two readings.

    No clock and no timer of its own: whoever reads the domain anyway hands the figures over.
    """

    def __init__(self, host_cpus: int) -> None:
        """``host_cpus`` is the number of logical CPUs of the host, all of which together are 100 %."""
        if host_cpus < 1:
            raise ValueError(f"host_cpus is {host_cpus}, a host has at least one CPU")
        self._host_cpus = host_cpus
        self._cpu_time = 0
        self._at: float | None = None
        self._percent = 0.0

    @property
    def percent(self) -> float:
        """The last figure, 0 to 100; 0 until there were two readings."""
        return self._percent

    def sample(self, cpu_time: int, at: float) -> float:
        """Take a reading, ``cpu_time`` in ns at the monotonic time ``at`` in seconds; return the percentage.

        Readings closer together than :data:`LEAST_SPAN` repeat the last figure. A CPU time that goes back is a machine
        that was started anew: measuring begins again.
        """
        if self._at is None or cpu_time < self._cpu_time:
            self._percent = 0.0
        elif at - self._at < LEAST_SPAN:
            return self._percent
        else:
            used = (cpu_time - self._cpu_time) / _NANOSECONDS
            self._percent = min(100.0, 100.0 * used / ((at - self._at) * self._host_cpus))
        self._cpu_time, self._at = cpu_time, at
        return self._percent
