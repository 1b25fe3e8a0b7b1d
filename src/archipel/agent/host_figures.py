# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the host fares, from the kernel's files and psutil; everything here may block and belongs in a thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from archipel.agent.health_samples import HostSample

MERGED: Final = Path("/sys/kernel/mm/ksm/pages_sharing")
MEMORY: Final = Path("/proc/meminfo")
KIB: Final = 1024


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system with a device; sizes in bytes. ``free`` is what ordinary users may take."""

    device: str
    mount: str
    size: int
    used: int
    free: int

    @property
    def percent(self) -> int:
        """The share in use of what ordinary users can have, as df(1) tells it."""
        return percent_of(self.used, self.free)


def percent_of(used: int, free: int) -> int:
    """Return the share in use, rounded up, as df(1) does; 0 of nothing."""
    return -(-100 * used // (used + free)) if used + free > 0 else 0


class HostReader:
    """Reads samples; ``excluded`` are beginnings of names of network interfaces that are left out."""

    def __init__(self, excluded: tuple[str, ...], clock: Callable[[], float] = time.time) -> None:
        self._excluded = excluded
        self._clock = clock
        self._before: tuple[float, float, float] | None = None
        self._counters: dict[str, int] = {}

    def read(self) -> HostSample | None:
        """Return what happened since the last call; None the first time, and when no time has passed."""
        busy, total = _cpu_times()
        now, counters = self._clock(), self._read_counters()
        before, self._before = self._before, (now, busy, total)
        deltas = {name: count - self._counters[name] for name, count in counters.items() if name in self._counters}
        self._counters = counters
        if before is None or total <= before[2] or now <= before[0]:
            return None
        idle = 100.0 * (1 - (busy - before[1]) / (total - before[2]))
        one, five, fifteen = os.getloadavg()
        free, used, size, swapped = _memory()
        return HostSample(
            at=now,
            seconds=now - before[0],
            free=free,
            used=used,
            total=size,
            swapped=swapped,
            shared=_merged(),
            idle=min(100.0, max(0.0, idle)),
            one=one,
            five=five,
            fifteen=fifteen,
            networks={name: max(0, count) for name, count in deltas.items()},
        )

    def _read_counters(self) -> dict[str, int]:
        found = psutil.net_io_counters(pernic=True)
        return {
            name: card.bytes_recv + card.bytes_sent
            for name, card in found.items()
            if name != "lo" and not name.startswith(self._excluded or ("lo:",))
        }


def read_file_systems() -> list[FileSystem]:
    """Return the mounted file systems that have a device, each device once; one that cannot be asked is left out."""
    found: dict[str, FileSystem] = {}
    for partition in psutil.disk_partitions(all=False):
        if partition.device in found:
            continue
        try:
            usage = os.statvfs(partition.mountpoint)
        except OSError:
            continue
        size, free = usage.f_blocks * usage.f_frsize, usage.f_bavail * usage.f_frsize
        if size:
            used = size - usage.f_bfree * usage.f_frsize
            found[partition.device] = FileSystem(partition.device, partition.mountpoint, size, used, free)
    return list(found.values())


def uptime() -> float:
    """Return for how many seconds the host runs."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _cpu_times() -> tuple[float, float]:
    """Return the time that the CPUs worked, and all their time; waiting for a disk is no work, a guest's is counted as ``user``."""
    times = psutil.cpu_times()
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _memory() -> tuple[int, int, int, int]:
    """Return free (with caches), used, all, and swapped-out memory, in KiB."""
    figures = {}
    for line in MEMORY.read_text().splitlines():
        name, _, value = line.partition(":")
        figures[name] = int(value.split()[0])
    free = figures["MemFree"] + figures.get("Buffers", 0) + figures.get("Cached", 0)
    total = figures["MemTotal"]
    return free, total - free, total, figures.get("SwapTotal", 0) - figures.get("SwapFree", 0)


def _merged() -> int:
    """Return the memory that the kernel saves by merging equal pages, in KiB."""
    try:
        return int(MERGED.read_text()) * os.sysconf("SC_PAGE_SIZE") // KIB
    except (OSError, ValueError):
        return 0
