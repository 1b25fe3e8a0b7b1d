# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures gone by: how they are summed up, kept, written and read again."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from archipel.agent.health_history import HOST, History, Tier, series_of
from archipel.agent.health_samples import HostSample, MachineSample
from archipel.agent.services import Services
from archipel.agent.store import Store, StoreError
from tests.unit.agent.fakes import OTHER_UUID, UUID

DAY = 86_400
START = 1_800_000_000.0 - 1_800_000_000 % DAY
MACHINE, OTHER = series_of(UUID), series_of(OTHER_UUID)


def machine_sample(at: float, cpu: float = 10, read: float = 100, seconds: float = 15) -> MachineSample:
    return MachineSample(at=at, seconds=seconds, cpu=cpu, memory=65536, resident=math.nan, disk_read=read, disk_written=0)


def host_sample(at: float, idle: float = 90, **networks: int) -> HostSample:
    figures = dict.fromkeys(("free", "used", "total", "swapped", "shared", "one", "five", "fifteen"), 1.0)
    return HostSample(at=at, seconds=5, idle=idle, networks=networks, **figures)


@pytest.fixture
def store(services: Services) -> Store:
    return services.store


@pytest.fixture
def history(store: Store) -> History[MachineSample]:
    return History(store, MachineSample, 15)


async def rows(store: Store) -> int:
    def count(session: Session) -> int:
        return int(session.connection().exec_driver_sql("SELECT count(*) FROM health_samples").scalar_one())

    return await store.run(count)


class TestSamples:
    def test_gauges_are_averaged_by_time_and_counts_added_up(self) -> None:
        joined = machine_sample(0, cpu=10, read=5, seconds=10).joined(machine_sample(30, cpu=40, read=7, seconds=30))
        assert (joined.at, joined.seconds, joined.cpu, joined.disk_read) == (30, 40, 32.5, 12)
        assert math.isnan(joined.received)

    def test_traffic_of_an_interface_that_comes_or_goes_is_kept(self) -> None:
        joined = host_sample(0, 80, eth0=1, eth1=2).joined(host_sample(5, 90, eth0=10, eth2=4))
        assert (joined.idle, joined.networks) == (85, {"eth0": 11, "eth1": 2, "eth2": 4})

    @given(st.lists(st.floats(allow_nan=True), min_size=9, max_size=9))
    def test_what_is_packed_is_read_again(self, figures: list[float]) -> None:
        sample = MachineSample(*figures)
        assert repr(MachineSample.unpack(sample.pack())) == repr(sample)

    def test_a_host_is_packed_with_its_networks(self) -> None:
        sample = host_sample(5, eth0=1, br0=2)
        assert HostSample.unpack(sample.pack()) == sample

    @pytest.mark.parametrize("kind", [HostSample, MachineSample])
    @pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"x" * 72 + b"y"])
    def test_what_is_none_is_refused(self, kind: type[HostSample] | type[MachineSample], data: bytes) -> None:
        with pytest.raises(ValueError, match=r"\S"):
            kind.unpack(data)


class TestTiers:
    async def test_the_newest_come_first_and_so_many_as_were_asked_for(self, history: History[MachineSample]) -> None:
        for number in range(10):
            history.add(MACHINE, machine_sample(START + 15 * number))
        found = await history.newest(MACHINE, Tier.SAMPLE, 3, math.inf)
        assert [sample.at - START for sample in found] == [135, 120, 105]
        assert [sample.at - START for sample in await history.newest(MACHINE, Tier.SAMPLE, 2, START + 30)] == [15, 0]
        assert await history.newest(OTHER, Tier.SAMPLE, 3, math.inf) == []

    async def test_an_hour_of_samples_is_kept(self, history: History[MachineSample]) -> None:
        for number in range(1000):
            history.add(MACHINE, machine_sample(START + 15 * number))
        assert len(await history.newest(MACHINE, Tier.SAMPLE, 1000, math.inf)) == 240

    async def test_minutes_and_hours_are_sums_of_samples(self, history: History[MachineSample]) -> None:
        for number in range(8):
            history.add(MACHINE, machine_sample(START + 15 * number, cpu=number, read=1))
        now = START + 120
        minutes = await history.newest(MACHINE, Tier.MINUTE, 10, now)
        assert [(sample.cpu, sample.disk_read, sample.seconds) for sample in minutes] == [(5.5, 4, 60), (1.5, 4, 60)]
        [hour] = await history.newest(MACHINE, Tier.HOUR, 10, now)
        assert (hour.cpu, hour.disk_read) == (3.5, 8)

    async def test_a_month_takes_no_more_rows_than_a_ring_has(self, history: History[MachineSample], store: Store) -> None:
        for minute in range(0, 40 * DAY // 60, 7):  # each seventh minute: each slot is met in the end
            history.add(MACHINE, machine_sample(START + 60 * minute))
            if minute % 2100 == 0:
                await history.write()
        await history.write(last=True)
        assert await rows(store) <= 1440 + 720 + 1
        end = START + 40 * DAY - 1
        hours = await history.newest(MACHINE, Tier.HOUR, 1000, end)
        assert len(hours) == 720
        assert hours[-1].at >= end - 30 * DAY - 3600
        minutes = await history.newest(MACHINE, Tier.MINUTE, 2000, end)
        assert minutes[-1].at >= end - DAY - 60
        assert len({sample.at for sample in minutes}) == len(minutes)

    async def test_what_is_older_is_asked_for_by_its_end(self, history: History[MachineSample]) -> None:
        for minute in range(100):
            history.add(MACHINE, machine_sample(START + 60 * minute))
        await history.write()
        found = await history.newest(MACHINE, Tier.MINUTE, 2, START + 600)
        assert [(sample.at - START) / 60 for sample in found] == [9, 8]


class TestDatabase:
    async def test_a_normal_stop_keeps_the_newest_samples(self, history: History[MachineSample], store: Store) -> None:
        for number in range(10):
            history.add(MACHINE, machine_sample(START + 15 * number))
        await history.write(last=True)
        again = History(store, MachineSample, 15)
        await again.load(START + 140)
        assert len(await again.newest(MACHINE, Tier.SAMPLE, 100, math.inf)) == 10
        again.add(MACHINE, machine_sample(START + 150))
        minutes = await again.newest(MACHINE, Tier.MINUTE, 10, START + 200)
        assert [sample.seconds for sample in minutes] == [45, 60, 60], "the minute that was begun goes on"

    async def test_after_a_crash_the_minutes_that_were_written_are_there(self, history: History[MachineSample], store: Store) -> None:
        for number in range(10):
            history.add(MACHINE, machine_sample(START + 15 * number))
        await history.write()
        again = History(store, MachineSample, 15)
        await again.load(START + 160)
        assert await again.newest(MACHINE, Tier.SAMPLE, 100, math.inf) == []
        assert len(await again.newest(MACHINE, Tier.MINUTE, 10, START + 160)) == 2
        assert len(await again.newest(MACHINE, Tier.HOUR, 10, START + 160)) == 1

    async def test_samples_of_another_time_are_left_out(self, history: History[MachineSample], store: Store) -> None:
        history.add(MACHINE, machine_sample(START))
        await history.write(last=True)
        for now in (START + 2 * DAY, START - DAY):
            again = History(store, MachineSample, 15)
            await again.load(now)
            assert await again.newest(MACHINE, Tier.SAMPLE, 9, math.inf) == []
            assert await again.newest(MACHINE, Tier.MINUTE, 9, now) == []

    async def test_host_and_machines_share_the_table(self, history: History[MachineSample], store: Store) -> None:
        host = History(store, HostSample, 5)
        host.add(HOST, host_sample(START))
        history.add(MACHINE, machine_sample(START))
        await host.write(last=True)
        await history.write(last=True)
        for again in (History(store, HostSample, 5), History(store, MachineSample, 15)):
            await again.load(START + 1)
        assert [sample.at for sample in await host.newest(HOST, Tier.HOUR, 5, START + 9)] == [START]

    async def test_a_machine_that_leaves_leaves_nothing(self, history: History[MachineSample], store: Store) -> None:
        for series in (MACHINE, OTHER):
            history.add(series, machine_sample(START))
            history.add(series, machine_sample(START + 60))
        await history.write(last=True)
        before = await rows(store)
        await history.forget(MACHINE)
        await history.write(last=True)
        assert await rows(store) == before / 2
        assert await history.newest(MACHINE, Tier.MINUTE, 9, START + 99) == []

    async def test_what_cannot_be_written_now_is_written_later(
        self, history: History[MachineSample], store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def refuse(*_: object) -> None:
            raise StoreError("disk full")

        history.add(MACHINE, machine_sample(START))
        history.add(MACHINE, machine_sample(START + 60))
        with monkeypatch.context() as patch:
            patch.setattr(store, "run", refuse)
            await history.write()
        assert "disk full" in caplog.text
        await history.write(last=True)
        assert len(await history.newest(MACHINE, Tier.MINUTE, 9, START + 99)) == 2

    async def test_rows_of_another_version_are_passed_over(self, history: History[MachineSample], store: Store, agent_folder: Path) -> None:
        history.add(MACHINE, machine_sample(START))
        await history.write(last=True)
        await store.run(lambda session: session.connection().exec_driver_sql("UPDATE health_samples SET data = x'00'").close())
        again = History(store, MachineSample, 15)
        await again.load(START + 1)
        assert await again.newest(MACHINE, Tier.MINUTE, 9, START + 9) == []
