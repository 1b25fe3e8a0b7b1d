# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the host and its machines fare: what is read, what is told, what sounds an alarm."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import math
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import health_collector, host_figures
from archipel.agent.capabilities import health as capability
from archipel.agent.health_alarms import Alarms
from archipel.agent.health_collector import Collector, MachineMeter
from archipel.agent.health_history import HOST
from archipel.agent.health_samples import HostSample
from archipel.agent.host_figures import FileSystem, HostReader, percent_of, read_file_systems
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.log_lines import LONGEST_LINE, MOST_LINES, LineKeeper, read_tail
from archipel.agent.logs import JsonFormatter, TextFormatter
from archipel.agent.removal import remove_record
from archipel.agent.virt.host import LibvirtVersion
from archipel.agent.virt.machine_figures import Counters, read_counters
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import health as wire
from archipel.protocol.errors import CommandError
from archipel.protocol.events import events_node
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, UUID, make_settings
from tests.wire.waiting import eventually

HEALTH, VM_HEALTH = "archipel:hypervisor:health", "archipel:vm:health"
Card = namedtuple("Card", "bytes_recv bytes_sent")
Times = namedtuple("Times", "user system idle iowait irq steal guest")


class Kernel:
    """What psutil would tell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = Times(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        self.cards: dict[str, Card] = {}
        self.now = 1000.0
        monkeypatch.setattr(host_figures.psutil, "cpu_times", lambda: self.times)
        monkeypatch.setattr(host_figures.psutil, "net_io_counters", lambda pernic: self.cards)

    def pass_time(self, **spent: float) -> None:
        self.times = Times(**{name: value + spent.get(name, 0) for name, value in self.times._asdict().items()})
        self.now += 5


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def sample(**changes: Any) -> HostSample:
    figures: dict[str, Any] = {
        "at": 1_790_000_000.5,
        "seconds": 5,
        "free": 3000,
        "used": 1000,
        "total": 4000,
        "swapped": 7,
        "shared": 8,
        "idle": 97.123,
        "one": 0.1,
        "five": 0.2,
        "fifteen": 0.3,
        "networks": {"eth0": 1234, "br0": 5},
    }
    return HostSample(**(figures | changes))


class TestHostReader:
    def read(self, kernel: Kernel, *excluded: str, **spent: float) -> HostSample | None:
        reader = HostReader(excluded, lambda: kernel.now)
        assert reader.read() is None
        kernel.pass_time(**spent)
        return reader.read()

    def test_every_kind_of_work_counts_and_waiting_for_a_disk_does_not(self, kernel: Kernel) -> None:
        found = self.read(kernel, user=10, system=5, irq=3, steal=2, idle=60, iowait=20, guest=10)
        assert found is not None
        assert math.isclose(found.idle, 100 * 80 / 100, rel_tol=0.12)
        assert found.seconds == 5

    def test_excluded_interfaces_are_left_out_by_the_beginning_of_their_names(self, kernel: Kernel) -> None:
        reader = HostReader(("virbr", "ovs-system"), lambda: kernel.now)
        names = ("lo", "eth0", "virbr0", "virbr0-nic", "ovs-system", "br0")
        kernel.cards = {name: Card(100, 10) for name in names}
        reader.read()
        kernel.pass_time(idle=5)
        kernel.cards = {name: Card(150, 15) for name in names} | {"eth1": Card(9, 9), "br0": Card(0, 0)}
        found = reader.read()
        assert found is not None
        assert found.networks == {"eth0": 55, "br0": 0}, "a new one has no span yet, one that was reset counts nothing"

    def test_a_clock_that_stands_still_makes_no_sample(self, kernel: Kernel) -> None:
        assert self.read(kernel) is None

    def test_this_host_can_be_read(self) -> None:
        reader = HostReader(())
        assert reader.read() is None
        sum(number * number for number in range(1_000_000))
        found = None
        for _ in range(100):
            found = found or reader.read()
        assert found is not None
        assert found.total == found.free + found.used
        assert 0 <= found.idle <= 100
        assert host_figures.uptime() > 0
        assert all(each.size >= each.used for each in read_file_systems())


@pytest.mark.parametrize("used, free, percent", [(0, 0, 0), (1, 99, 1), (1, 999, 1), (50, 50, 50), (100, 0, 100)])
def test_the_share_in_use_is_that_of_df(used: int, free: int, percent: int) -> None:
    assert percent_of(used, free) == percent


def test_a_file_system_that_cannot_be_asked_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [SimpleNamespace(device=name, mountpoint=path) for name, path in (("a", "/"), ("a", "/bind"), ("b", "/no/such/folder"))]
    monkeypatch.setattr(host_figures.psutil, "disk_partitions", lambda **_: mounts)
    assert [(each.device, each.mount) for each in read_file_systems()] == [("a", "/")]


class TestMachines:
    STATS = {  # noqa: RUF012 - read only
        "cpu.time": 5_000_000_000,
        "balloon.current": 1048576,
        "balloon.rss": 400000,
        "block.count": 2,
        "block.0.rd.bytes": 10,
        "block.0.wr.bytes": 20,
        "block.1.rd.bytes": 1,
        "net.count": 1,
        "net.0.rx.bytes": 7,
        "net.0.tx.bytes": 8,
    }

    def test_disks_and_cards_are_added_up(self) -> None:
        expected = Counters(3, 5_000_000_000, 1048576, 400000, disk_read=11, disk_written=20, received=7, sent=8)
        assert read_counters(3, self.STATS) == expected
        assert read_counters(3, {"block.count": 0}) == Counters(3, disk_read=0, disk_written=0)

    @given(st.dictionaries(st.sampled_from([*STATS, "state.state"]), st.integers(0, 2**63)))
    def test_what_is_not_counted_is_not_made_up(self, stats: dict[str, int]) -> None:
        stats = {name: min(value, 3) if name.endswith("count") else value for name, value in stats.items()}
        found = read_counters(1, stats)
        assert (found.cpu_time is None) == ("cpu.time" not in stats)
        assert (found.received is None) == ("net.count" not in stats)

    def test_two_readings_of_one_run_make_a_sample(self) -> None:
        meter = MachineMeter(4)
        assert meter.measure(UUID, Counters(1, 0, 100, None, 50, 0, 0, 0), 10, 10) is None
        found = meter.measure(UUID, Counters(1, 2_000_000_000, 200, 90, 150, 0, 5, 0), 15, 15)
        assert found is not None
        assert (found.cpu, found.memory, found.resident, found.disk_read, found.received, found.seconds) == (10, 200, 90, 100, 5, 5)

    def test_a_restart_begins_anew_and_a_disk_that_was_taken_out_counts_nothing(self) -> None:
        meter = MachineMeter(1)
        meter.measure(UUID, Counters(1, 9, disk_read=500), 0, 0)
        assert meter.measure(UUID, Counters(2, 1, disk_read=5), 5, 5) is None
        found = meter.measure(UUID, Counters(2, 2, disk_read=1), 10, 10)
        assert found is not None
        assert found.disk_read == 0
        assert math.isnan(found.sent)
        assert meter.measure(UUID, None, 15, 15) is None
        assert meter.measure(UUID, Counters(2, 3), 20, 20) is None, "it was off in between"


class TestAlarms:
    def look(self, alarms: Alarms, *figures: float) -> list[tuple[bool, int]]:
        return [(change.raised, change.value) for figure in figures for change in alarms.look("cpu", {"": figure})]

    def test_a_figure_that_sways_tells_once(self) -> None:
        alarms = Alarms({"cpu": 90})
        assert self.look(alarms, 89, 90, 95, 89, 91, 86, 84.9, 89, 90) == [(True, 90), (False, 85), (True, 90)]

    def test_without_a_threshold_nothing_sounds(self) -> None:
        assert self.look(Alarms({"cpu": None}), 100) == []

    def test_each_file_system_sounds_alone_and_one_that_is_gone_is_calm(self) -> None:
        alarms = Alarms({"disk": 95})
        assert [change.what for change in alarms.look("disk", {"/": 50, "/vm": 99})] == [("disk", "/vm")]
        assert [(change.what, change.raised) for change in alarms.look("disk", {"/": 50})] == [(("disk", "/vm"), False)]

    @given(st.integers(1, 100), st.lists(st.floats(0, 100), max_size=30))
    def test_alarms_begin_and_end_by_turns(self, threshold: int, figures: list[float]) -> None:
        states = [raised for raised, _value in self.look(Alarms({"cpu": threshold}), *figures)]
        assert states == [number % 2 == 0 for number in range(len(states))]


@pytest.fixture
async def collector(hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """The collector of a hypervisor that is online; it has no samples yet, and a file system of its own making."""
    await go_online(hypervisor)
    found = [FileSystem("/dev/vda1", "/", 1000 * 1024, 900 * 1024, 100 * 1024)]
    monkeypatch.setattr(health_collector, "read_file_systems", lambda: found)
    return capability.collector_of(hypervisor)


class Figures:
    """What libvirt counts, once and again."""

    def __init__(self, *readings: dict[str, Counters]) -> None:
        self._readings = itertools.chain(readings, itertools.repeat({}))

    async def read(self) -> dict[str, Counters]:
        return next(self._readings)


async def versions() -> tuple[LibvirtVersion, LibvirtVersion]:
    return LibvirtVersion(9, 0, 0), LibvirtVersion(7, 2, 11)


class TestCommands:
    async def test_info_has_all_parts_as_founding_clients_read_them(self, hypervisor: Hypervisor, collector: Collector) -> None:
        collector._reader.read = sample
        await collector.sample_host()
        collector.find_versions = versions
        query = await ask(hypervisor, HEALTH, "<archipel action='info'/>", ADMIN)
        parts = {part.tag: part for part in query}
        assert list(parts) == ["memory", "cpu", "disk", "networks", "load", "uptime", "uname", "libvirt", "driver", "info"]
        assert parts["memory"].attrib.keys() == {"date", "free", "used", "total", "swapped", "shared"}
        assert (parts["cpu"].get("id"), parts["memory"].get("used")) == ("97.12", "1000")
        assert parts["disk"].attrib == {"used": str(900 * 1024), "available": str(100 * 1024), "capacity": "90%"}
        [partition] = parts["disk"]
        assert (partition.get("partition"), partition.get("blocks"), partition.get("mount")) == ("/dev/vda1", "1000", "/")
        assert [network.attrib for network in parts["networks"]] == [{"name": "br0", "delta": "5"}, {"name": "eth0", "delta": "1234"}]
        assert (parts["uname"].get("krelease"), parts["uname"].get("os")) == ("Linux", "GNU/Linux")
        assert parts["driver"].attrib == {"major": "7", "minor": "2", "release": "11"}
        assert parts["info"].get("vmx") in {"True", "False"}
        assert [type(part).tag for part in wire.GetHealth.read_answer(query)] == list(parts)

    async def test_nothing_is_told_that_was_not_measured(
        self, hypervisor: Hypervisor, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health_collector, "FIRST_WAIT", 0.01)
        collector.find_versions = versions
        with pytest.raises(CommandError, match="cannot be read") as refusal:
            await ask(hypervisor, HEALTH, "<archipel action='info'/>", ADMIN)
        assert refusal.value.code == -8002

    async def test_the_history_is_newest_first_and_bounded(self, hypervisor: Hypervisor, collector: Collector) -> None:
        for number in range(300):
            collector.host.add(HOST, sample(at=1_700_000_000.0 + 5 * number))
        query = await ask(hypervisor, HEALTH, "<archipel action='history' limit='3'/>", ADMIN)
        assert [[part.tag for part in stat] for stat in query] == [["memory", "cpu", "disk", "load", "networks"]] * 3
        dates = [stat[0].get("date") or "" for stat in query]
        assert dates == sorted(dates, reverse=True)
        assert query[0][2].attrib == {}
        assert len(await ask(hypervisor, HEALTH, "<archipel action='history' limit='100000'/>", ADMIN)) == 200
        assert len(await ask(hypervisor, HEALTH, "<archipel action='history'/>", ADMIN)) == 1

    async def test_an_answer_stays_smaller_than_what_servers_take(self, hypervisor: Hypervisor, collector: Collector) -> None:
        many = {f"a-rather-long-name-{number}": 10**12 for number in range(100)}
        for number in range(200):
            collector.host.add(HOST, sample(at=1_700_000_000.0 + 5 * number, networks=many))
        query = await ask(hypervisor, HEALTH, "<archipel action='history' limit='200'/>", ADMIN)
        assert 0 < len(ET.tostring(query)) < 250_000

    async def test_a_machine_that_is_not_measured_tells_nothing(self, machine: VirtualMachine, collector: Collector) -> None:
        await go_online(machine)
        for action in ("info", "history"):
            assert len(await ask(machine, VM_HEALTH, f"<archipel action='{action}'/>")) == 0

    async def test_a_machine_tells_what_libvirt_counted(self, machine: VirtualMachine, collector: Collector) -> None:
        await go_online(machine)
        read = Counters(1, 0, 65536, disk_read=0, disk_written=0), Counters(1, 10**9, 65536, disk_read=4096, disk_written=1)
        collector._figures = Figures(*({UUID: counters} for counters in read))
        await collector.sample_machines()
        await asyncio.sleep(0.01)
        await collector.sample_machines()
        [stat] = await ask(machine, VM_HEALTH, "<archipel action='info'/>")
        assert {name: stat.get(name) for name in ("memory", "diskRead", "diskWritten", "received", "resident")} == {
            "memory": "65536",
            "diskRead": "4096",
            "diskWritten": "1",
            "received": None,
            "resident": None,
        }
        assert len(await ask(machine, VM_HEALTH, "<archipel action='history' limit='9'/>")) == 1
        await remove_record(machine)
        assert len(await collector.machines.newest(b"x" * 16, capability.Tier.HOUR, 5, 1e12)) == 0
        assert collector.latest_of == {}

    async def test_in_a_conversation(self, machine: VirtualMachine, hypervisor: Hypervisor, collector: Collector) -> None:
        from archipel.agent.chat import reply

        await go_online(machine)
        assert "measured" in await reply(hypervisor, "health", ADMIN)
        collector.host.add(HOST, sample())
        assert "CPU 97.12 % idle" in await reply(hypervisor, "health 5", ADMIN)
        assert "do not run" in await reply(machine, "health", OWNER)
        assert "not measured" in await reply(machine, "health history 3", OWNER)
        assert await reply(hypervisor, "logs 3", ADMIN) == "Nothing was logged yet."


class TestCollector:
    async def test_it_collects_and_leaves_what_it_collected(self, hypervisor: Hypervisor, collector: Collector) -> None:
        collector._figures = Figures({})
        work = asyncio.create_task(collector.run())
        await eventually(lambda: collector.latest)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        again = Collector(hypervisor, hypervisor.services.settings.capabilities["health"])
        await again.host.load(collector.latest.at + 1)
        assert len(await again.host.newest(HOST, capability.Tier.SAMPLE, 5, math.inf)) >= 1

    async def test_figures_that_cannot_be_read_are_not_told(self, collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
        def refuse() -> None:
            raise OSError("no /proc")

        collector.latest = sample()
        collector._reader.read = refuse
        await collector.sample_host()
        assert collector.latest is None
        assert "no /proc" in caplog.text

    async def test_an_alarm_is_pushed_with_its_figures(self, hypervisor: Hypervisor, collector: Collector, xmpp: FakeXmpp) -> None:
        collector._alarms = Alarms({"memory": 20, "disk": 80})
        collector._reader.read = sample
        await collector.sample_host()
        await collector._look_at_disks()
        await finish_work(hypervisor)
        assert [push for push in xmpp.pushes(HYP) if push[0] == "health"] == [("health", "alarm")] * 2
        pushed = [payload for payload, _ in xmpp.nodes[events_node(HYP)].items.values() if payload is not None and len(payload)]
        assert [item[0].attrib for item in pushed] == [
            {"resource": "memory", "state": "raised", "value": "25", "threshold": "20"},
            {"resource": "disk", "state": "raised", "value": "90", "threshold": "80", "mount": "/"},
        ]

    def test_quotes_around_excluded_interfaces_are_none_of_their_names(self, tmp_path: Path) -> None:
        settings = make_settings(tmp_path, '[HEALTH]\nexclude_interfaces = "virbr,ovs-system,ovsbr"\nmax_cached_rows = 200\n')
        assert settings.capabilities["health"].excluded == ("virbr", "ovs-system", "ovsbr")
        assert any("max_cached_rows" in str(warning) for warning in settings.warnings)


class TestLogLines:
    def record(self, level: int, text: str) -> logging.LogRecord:
        return logging.LogRecord("archipel.test", level, "", 0, "%s", (text,), None)

    def test_levels_are_those_that_founding_clients_know(self) -> None:
        keeper = LineKeeper(TextFormatter())
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            keeper.handle(self.record(level, "x"))
        assert [line.level for line in keeper.last(9)] == ["DEBUG", "INFO", "WARN", "ERROR", "ERROR"]
        assert [line.level for line in keeper.last(2)] == ["ERROR", "ERROR"]

    def test_only_the_last_lines_are_kept_and_none_is_endless(self) -> None:
        keeper = LineKeeper(TextFormatter())
        for number in range(MOST_LINES + 5):
            keeper.handle(self.record(logging.INFO, f"{number} " + "x" * 5000))
        lines = keeper.last(10**6)
        assert len(lines) == MOST_LINES
        assert "archipel.test: 5 " in lines[0].text
        assert max(len(line.text) for line in lines) == LONGEST_LINE

    @pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
    def test_what_an_earlier_agent_wrote_into_its_file_is_read_again(self, tmp_path: Path, formatter: logging.Formatter) -> None:
        file, keeper = tmp_path / "agent.log", LineKeeper(formatter)
        records = [self.record(logging.WARNING, "half \u20ac a line"), self.record(logging.ERROR, "done")]
        file.write_text("rest of an older line\n" + "\n".join(map(formatter.format, records)) + "\nnot ours\n")
        found = read_tail(file)
        assert [line.level for line in found] == ["WARN", "ERROR"]
        assert abs(found[0].at.timestamp() - records[0].created) < 1
        keeper.handle(self.record(logging.INFO, "new"))
        keeper.put_before(found)
        assert ["done" in line.text for line in keeper.last(2)] == [True, False]

    @given(st.lists(st.text()))
    def test_whatever_stands_in_a_file_is_read_or_passed_over(self, lines: list[str]) -> None:
        from tempfile import NamedTemporaryFile

        with NamedTemporaryFile() as file:
            file.write(
                "\n".join([*lines, '{"level": 5, "time": 7}', json.dumps({"level": "info", "time": "noon"})]).encode("utf-8", "replace")
            )
            file.flush()
            assert all(line.level in {"DEBUG", "INFO", "WARN", "ERROR"} for line in read_tail(Path(file.name)))

    def test_a_file_that_is_not_there_is_empty(self, tmp_path: Path) -> None:
        assert read_tail(tmp_path / "none.log") == []
