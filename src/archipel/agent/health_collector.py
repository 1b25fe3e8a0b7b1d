# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects how the host and its machines fare, while the agent runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from archipel.agent.daemon_threads import DaemonThreads
from archipel.agent.health_alarms import Alarms, Averages, Change
from archipel.agent.health_history import HOST, History, series_of
from archipel.agent.health_samples import NAN, HostSample, MachineSample
from archipel.agent.host_figures import FileSystem, HostReader, read_file_systems
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.options import WORD, Kind, Section, integer, list_of, optional, seconds
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.host import LibvirtVersion
from archipel.agent.virt.machine_figures import COUNTED, NANOSECONDS, Counters, FigureReader
from archipel.protocol.errors import Unavailable
from archipel.protocol.events import Topic
from archipel.protocol.health import Alarm, HealthChange

log = logging.getLogger(__name__)

FIRST_SPAN: Final = 1.0  # seconds until the first figures are known
FIRST_WAIT: Final = 3.0  # seconds for which somebody who asks earlier is kept waiting
WRITE_INTERVAL: Final = 60.0  # seconds; also that of looking at the file systems
SMOOTHED: Final = 60.0  # seconds of CPU that are averaged before an alarm
FILE_SYSTEMS_WAIT: Final = 5.0  # seconds for all file systems to answer
FILE_SYSTEMS_AGE: Final = 10.0  # seconds for which what they answered is told again
VERSIONS_AGE: Final = 60.0  # seconds; they change when libvirt's daemon is replaced
AT_ONCE: Final = 25  # machines that are reckoned up in one turn of the loop

HEALTH = Section("HEALTH")
_NAME: Final = Kind("the beginning of an interface's name", lambda text: WORD.parse(text.strip('"')))
_PERCENT: Final = optional(integer(1, 100))
_LOAD: Final = optional(integer(1, 10000))
CPU, LOAD, MEMORY, DISK, MACHINE_CPU = "cpu", "load", "memory", "disk", "machine_cpu"


@dataclass(frozen=True, kw_only=True)
class HealthSettings:
    """Options of the figures."""

    interval: float = HEALTH.option(
        "health_collection_interval", seconds(1, 300), "5", "Seconds between two samples of the host's CPU, memory, load and traffic."
    )
    machines_interval: float = HEALTH.option(
        "machines_interval", seconds(1, 3600), "15", "Seconds between two samples of all machines, one question to libvirt each."
    )
    excluded: tuple[str, ...] = HEALTH.option(
        "exclude_interfaces",
        list_of(_NAME),
        "virbr ovs-system ovsbr vnet macvtap",
        "Interfaces whose names begin like this are left out of the host's figures.",
    )
    alarm_cpu: int | None = HEALTH.option("alarm_cpu", _PERCENT, "", "CPU in percent, over a minute, from which on an alarm is pushed.")
    alarm_load: int | None = HEALTH.option(
        "alarm_load", _LOAD, "", "Load of the last five minutes from which on an alarm is pushed, in percent: 100 keeps every CPU busy."
    )
    alarm_machine_cpu: int | None = HEALTH.option(
        "alarm_machine_cpu", _PERCENT, "", "CPU of one machine in percent of the host, over a minute, from which on it pushes an alarm."
    )
    alarm_memory: int | None = HEALTH.option("alarm_memory", _PERCENT, "", "Memory in percent from which on an alarm is pushed.")
    alarm_disk: int | None = HEALTH.option(
        "alarm_disk", _PERCENT, "95", "Use of a file system in percent from which on an alarm is pushed."
    )


class Collector:
    """The figures of an agent's host and machines; ``latest`` and ``latest_of`` (by UUID) are the newest."""

    def __init__(self, hypervisor: Hypervisor, settings: HealthSettings) -> None:
        self._hypervisor = hypervisor
        self._settings = settings
        self.host = History(hypervisor.services.store, HostSample, settings.interval)
        self.machines = History(hypervisor.services.store, MachineSample, settings.machines_interval)
        self.latest: HostSample | None = None
        self._begun = asyncio.Event()
        self.latest_of: dict[str, MachineSample] = {}
        self._versions: tuple[LibvirtVersion, LibvirtVersion] | None = None
        self._asked_versions = -VERSIONS_AGE
        self._reader = HostReader(settings.excluded)
        self._figures = FigureReader(hypervisor.services.libvirt)
        self._meter = MachineMeter(os.cpu_count() or 1)
        self._alarms = Alarms(
            {
                CPU: settings.alarm_cpu,
                LOAD: settings.alarm_load,
                MEMORY: settings.alarm_memory,
                DISK: settings.alarm_disk,
                MACHINE_CPU: settings.alarm_machine_cpu,
            }
        )
        self._busy = Averages(round(SMOOTHED / settings.interval))
        self._busy_machines = Averages(round(SMOOTHED / settings.machines_interval))
        self._threads = DaemonThreads(1, "archipel-health")
        # A file system that does not answer must not stop the other figures.
        self._disks = DaemonThreads(1, "archipel-disks")
        self._known_disks: tuple[float, list[FileSystem]] | None = None

    async def run(self) -> None:
        """Collect until cancelled; then what was collected is written down."""
        try:
            await self._load()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_host())
                group.create_task(_repeat(self.sample_machines, self._settings.machines_interval))
                group.create_task(_repeat(self._keep, WRITE_INTERVAL))
        finally:
            await self.host.write(last=True)
            await self.machines.write(last=True)
            self._threads.shutdown()
            self._disks.shutdown()

    async def _load(self) -> None:
        try:
            await self.host.load(time.time())
            await self.machines.load(time.time())
        except StoreError as error:
            log.error("what was known of the host's health cannot be read now: %s", error)

    # -- the host -------------------------------------------------------------------------------------------------------

    async def _watch_host(self) -> None:
        await self.sample_host()
        await asyncio.sleep(min(FIRST_SPAN, self._settings.interval))
        await _repeat(self.sample_host, self._settings.interval)

    async def sample_host(self) -> None:
        """Take a sample of the host, and tell what is alarming about it."""
        try:
            sample = await asyncio.get_running_loop().run_in_executor(self._threads, self._reader.read)
        except (OSError, ValueError, KeyError) as error:
            log.error("the host's figures cannot be read: %s", error)
            sample = None
        self.latest = sample
        if sample is None:
            return
        self._begun.set()
        self.host.add(HOST, sample)
        self._busy.add("", 100 - sample.idle)
        self._look(CPU, self._busy.known)
        self._look(LOAD, {"": 100 * sample.five / (os.cpu_count() or 1)})
        self._look(MEMORY, {"": 100 * sample.used / max(1, sample.total)})

    async def newest(self) -> HostSample | None:
        """Return the newest sample; just after the start wait for the first one. None if nothing can be read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT):
                await self._begun.wait()
        return self.latest

    async def file_systems(self) -> list[FileSystem]:
        """Return the host's file systems, as they were ten seconds ago at most. Raises ``service-unavailable``."""
        now = time.monotonic()
        if self._known_disks is None or now - self._known_disks[0] > FILE_SYSTEMS_AGE:
            reading = asyncio.get_running_loop().run_in_executor(self._disks, read_file_systems)
            try:
                self._known_disks = now, await asyncio.wait_for(reading, FILE_SYSTEMS_WAIT)
            except TimeoutError:
                raise Unavailable(f"a file system of the host does not answer within {FILE_SYSTEMS_WAIT:g} s") from None
        return self._known_disks[1]

    async def _look_at_disks(self) -> None:
        if not self._alarms.watches(DISK):
            return
        try:
            found = await self.file_systems()
        except (Unavailable, OSError) as error:
            log.error("the file systems cannot be looked at: %s", error)
            return
        self._look(DISK, {each.mount: each.percent for each in found})

    def _look(self, resource: str, figures: Mapping[str, float]) -> None:
        for change in self._alarms.look(resource, figures):
            self._tell(change)

    def _tell(self, change: Change) -> None:
        resource, place = change.what
        machine = self._hypervisor.machines.get(place) if resource == MACHINE_CPU else None
        if resource == MACHINE_CPU and machine is None:
            return  # it left meanwhile
        entity, resource, place = (self._hypervisor, resource, place) if machine is None else (machine, CPU, "")
        state = "raised" if change.raised else "over"
        level = logging.WARNING if change.raised else logging.INFO
        log.log(level, "%s: %s %s: %d %%", entity.name, f"{resource} {place}".strip(), state, change.value)
        alarm = Alarm(resource=resource, state=state, value=change.value, threshold=change.threshold, mount=place or None)
        entity.push(Topic.HEALTH, HealthChange.ALARM, alarm.write())

    async def find_versions(self) -> tuple[LibvirtVersion, LibvirtVersion] | None:
        """Return the versions of libvirt and its driver, a minute old at most; without libvirt the last ones, or None."""
        host, now = self._hypervisor.services.host, time.monotonic()
        if now - self._asked_versions >= VERSIONS_AGE:
            self._asked_versions = now
            try:
                self._versions = await host.libvirt_version(), await host.hypervisor_version()
            except VirtError as error:
                log.debug("versions not read: %s", error)
        return self._versions

    # -- machines -------------------------------------------------------------------------------------------------------

    async def sample_machines(self) -> None:
        """Take a sample of all machines that run; of those that do not, nothing is known."""
        found: dict[str, Counters] = {}
        answered = self._hypervisor.services.libvirt_connected
        try:
            found = await self._figures.read() if answered else found
        except VirtError as error:
            log.debug("the machines' figures cannot be read: %s", error)
            answered = False
        at, now = time.time(), time.monotonic()
        for number, uuid in enumerate(list(self._hypervisor.machines)):
            self._take(uuid, self._meter.measure(uuid, found.get(uuid), at, now))
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        self._meter.keep(found)
        if answered:  # no alarm begins, or is over, because nothing can be read
            self._busy_machines.keep(self.latest_of)
            self._look(MACHINE_CPU, self._busy_machines.known)

    def _take(self, uuid: str, sample: MachineSample | None) -> None:
        if sample is None:
            self.latest_of.pop(uuid, None)
            return
        self.latest_of[uuid] = sample
        self._busy_machines.add(uuid, sample.cpu)
        self.machines.add(series_of(uuid), sample)

    async def forget(self, uuid: str) -> None:
        """Forget a machine that leaves. Raises :class:`StoreError`."""
        self.latest_of.pop(uuid, None)
        await self.machines.forget(series_of(uuid))

    async def _keep(self) -> None:
        """Write down what is new, and look at what seldom changes."""
        await self._look_at_disks()
        await self.host.write()
        await self.machines.write()


async def _repeat(work: Callable[[], Awaitable[None]], interval: float) -> None:
    """Do ``work`` every ``interval`` seconds, for ever."""
    while True:
        try:
            await work()
        except Exception:  # a fault of ours in one round must not end the figures for good
            log.exception("figures were not collected")
        await asyncio.sleep(interval)


class MachineMeter:
    """Makes samples of machines from what their domains have used; ``host_cpus`` all together are 100 %."""

    def __init__(self, host_cpus: int) -> None:
        self._host_cpus = host_cpus
        self._before: dict[str, tuple[float, Counters]] = {}

    def measure(self, uuid: str, counters: Counters | None, at: float, now: float) -> MachineSample | None:
        """Return what a machine used since the last call, ``now`` on the monotonic clock; None until there are two of one run."""
        before = self._before.pop(uuid, None)
        if counters is None:
            return None
        self._before[uuid] = now, counters
        if before is None or before[1].run != counters.run or now <= before[0]:
            return None
        span = now - before[0]
        used = {name: _difference(getattr(before[1], name), getattr(counters, name)) for name in COUNTED}
        cpu = 100 * used.pop("cpu_time") / (NANOSECONDS * span * self._host_cpus)
        memory, resident = (NAN if value is None else float(value) for value in (counters.memory, counters.resident))
        return MachineSample(at=at, seconds=span, cpu=min(100.0, cpu), memory=memory, resident=resident, **used)

    def keep(self, found: dict[str, Counters]) -> None:
        """Forget the machines that do not run."""
        self._before = {uuid: before for uuid, before in self._before.items() if uuid in found}


def _difference(before: int | None, after: int | None) -> float:
    """Return what was added; a counter that went back, because a device was taken out, adds nothing."""
    return NAN if before is None or after is None else float(max(0, after - before))
