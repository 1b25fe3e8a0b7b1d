# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that writes and answers moves between two hosts: with shared storage and without, running and off, whatever is killed."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.e2e.moving_guest import DEADLINE, Scene, open_scene, pinging
from tests.wire.matching import assert_error, child
from tests.wire.platform import ADMIN, Machine
from tests.wire.two_hypervisors import House
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
SHUTOFF = "5"  # libvirt's
TOLERANCE = 100  # milliseconds between an answer and the moment in which it is read
LONGEST_GAP = 10.0  # seconds; a guest under emulation on a machine that is busy stands still longer than one on KVM


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(root: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with open_scene(root, authority, tmp_path_factory.mktemp("scene")) as scene:
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(scene: Scene) -> Machine:
    """A machine that writes, in a folder that both hosts see."""
    machine = await scene.make_machine("writer", shared=True)
    await scene.start_writing(scene.pair.first, machine)
    return machine


def where(scene: Scene, machine: Machine) -> tuple[House, House]:
    """The host where the machine is, and the other one."""
    first, second = scene.pair.both
    return (first, second) if first.phase(machine.uuid) else (second, first)


async def test_a_running_guest_moves_and_nothing_is_lost(scene: Scene, running: Machine, record_property: Callable[[str, object], None]):
    source, target = where(scene, running)
    before, rights = await scene.count(source, running), source.grants(running)
    async with pinging(scene.hosts[0]) as pings:
        await asyncio.sleep(2)
        await scene.pair.admin.subscribe_to_events(target.hypervisor, target.pubsub)
        await scene.begin(running, source, target)
        await scene.arrived(running, source, target)
        assert await scene.count(target, running) > before
        await asyncio.sleep(2)
    record_property("longest time without an answer, in seconds", pings.longest)
    stood_still = await scene.downtime(target, running)
    push = await scene.arrival(target, running)
    assert push == {"machine": running.bare, "source": source.hypervisor, "downtime": str(stood_still)}
    assert 0 < stood_still <= 1000 * pings.longest + TOLERANCE  # who stands still does not answer
    print(f"shared storage: {len(pings.moments)} answers, longest time without one {pings.longest:.3f} s; libvirt: {stood_still} ms")
    assert pings.longest < LONGEST_GAP
    assert target.grants(running) == rights != []
    assert target.domains[running.uuid]


async def test_its_disk_goes_along_where_storage_is_not_shared(scene: Scene, record_property: Callable[[str, object], None]):
    first, second = scene.pair.both
    machine = await scene.make_machine("carried", shared=False)
    await scene.start_writing(first, machine)
    await scene.begin(machine, first, second)
    await scene.arrived(machine, first, second)
    written = await scene.stop_writing(second, machine)
    await scene.control(second, machine, "action='destroy'")
    assert not (scene.base / "drives").exists()  # seen from outside of both hosts
    records = scene.records(second, machine)
    assert records[:written] == [f"record {number}" for number in range(written)]
    assert written > 0
    record_property("records", written)

    await scene.begin(machine, second, first)  # and back, switched off: its disk goes along all the same
    await scene.arrived(machine, second, first)
    assert first.domains[machine.uuid] is False
    assert scene.records(first, machine) == records
    await scene.control(first, machine, "action='free'")


async def test_one_that_is_off_moves_by_its_definition_where_storage_is_shared(scene: Scene):
    first, second = scene.pair.both
    machine = await scene.make_machine("off", shared=True)
    await scene.begin(machine, first, second)
    await scene.arrived(machine, first, second)
    assert second.domains[machine.uuid] is False
    assert [found.name for found in (scene.images / machine.uuid).iterdir()] == ["data.qcow2"]
    await scene.control(second, machine, "action='free'")


async def begin_slowly(scene: Scene, machine: Machine) -> tuple[House, House, int]:
    source, target = where(scene, machine)
    written = await scene.count(source, machine)
    await scene.slow_down(source, machine)
    await scene.begin(machine, source, target)
    await scene.under_way(source, machine)
    return source, target, written


async def still_writes(scene: Scene, house: House, machine: Machine, before: int) -> None:
    assert house.domains[machine.uuid]
    assert await scene.count(house, machine) > before


async def test_who_cancels_it_keeps_it_where_it_is(scene: Scene, running: Machine):
    source, target, written = await begin_slowly(scene, running)
    refused = await scene.pair.admin.command(source.address_of(running), "archipel:vm:control", "<archipel action='destroy'/>")
    assert_error(refused, code=-43, condition="unexpected-request", action="destroy")
    await scene.control(source, running, "action='cancel'", "archipel:vm:migration")
    await scene.stays(running, source, target)
    await scene.pair.admin.until(lambda: "Migration aborted" in (scene.pair.admin.shown(running.bare) or ("", ""))[1], "the status")
    await still_writes(scene, source, running, written)


async def test_it_stays_when_the_other_libvirt_dies(scene: Scene, running: Machine):
    source, target, written = await begin_slowly(scene, running)
    rights = source.grants(running)
    scene.host_of(target).kill_libvirtd()
    await scene.stays(running, source, target)
    assert source.grants(running) == rights
    await still_writes(scene, source, running, written)


async def test_it_is_at_one_host_when_the_libvirt_that_it_leaves_dies(scene: Scene, running: Machine):
    source, _target, written = await begin_slowly(scene, running)
    rights = source.grants(running)
    scene.host_of(source).kill_libvirtd()
    await eventually(lambda: source.rows("SELECT * FROM migrations_out") == [], "that it is settled", DEADLINE)
    there, other = where(scene, running)
    await scene.stays(running, there, other)
    assert there.grants(running) == rights
    await still_writes(scene, there, running, written)


async def is_off_and_whole(scene: Scene, house: House, machine: Machine, kept: int) -> None:
    """Check that the machine says that it is off, has all that was on its disk, and can be started again."""
    answer = await scene.pair.admin.command(house.address_of(machine), "archipel:vm:control", "<archipel action='info'/>", "get")
    assert child(child(answer, "query"), "info").get("state") == SHUTOFF
    assert scene.pair.admin.shown(machine.bare) == ("xa", "Can't migrate.")
    assert scene.records(house, machine)[:kept] == [f"record {number}" for number in range(kept)]
    assert kept > 0
    await scene.start_writing(house, machine)


async def test_it_is_off_at_its_host_when_its_qemu_dies(scene: Scene, running: Machine):
    source, target, _written = await begin_slowly(scene, running)
    kept, rights = await scene.keep_written(source, running), source.grants(running)
    scene.host_of(source).kill_guest(running.uuid)
    await scene.stays(running, source, target)
    assert await scene.told(source, running) != ""
    assert source.grants(running) == rights
    await is_off_and_whole(scene, source, running, kept)


async def test_it_runs_on_when_the_qemu_dies_that_it_comes_to(scene: Scene, running: Machine):
    source, target, written = await begin_slowly(scene, running)
    scene.host_of(target).kill_guest(running.uuid)
    await scene.stays(running, source, target)
    assert await scene.told(source, running) != ""
    await still_writes(scene, source, running, written)


async def test_it_is_off_at_its_host_when_that_loses_its_power(scene: Scene, running: Machine):
    source, target, _written = await begin_slowly(scene, running)
    kept, rights = await scene.keep_written(source, running), source.grants(running)
    source.agent.kill()
    scene.host_of(source).cut_power()
    await asyncio.to_thread(source.agent.start)
    await scene.stays(running, source, target)
    assert await scene.told(source, running) == "it was broken off"  # more nobody knows who is left
    assert source.grants(running) == rights
    await is_off_and_whole(scene, source, running, kept)


async def test_it_runs_on_when_the_host_loses_its_power_that_it_comes_to(scene: Scene, running: Machine):
    source, target, written = await begin_slowly(scene, running)
    target.agent.kill()
    scene.host_of(target).cut_power()
    await scene.told(source, running)
    await still_writes(scene, source, running, written)
    await asyncio.to_thread(target.agent.start)
    await scene.stays(running, source, target)
    await still_writes(scene, source, running, written)


async def test_it_arrives_when_the_agent_that_it_leaves_is_killed(scene: Scene, running: Machine):
    source, target, written = await begin_slowly(scene, running)
    rights = source.grants(running)
    source.agent.kill()
    await scene.slow_down(source, running, 1000)
    await asyncio.to_thread(source.agent.start)
    await scene.arrived(running, source, target)
    assert target.grants(running) == rights
    await still_writes(scene, target, running, written)


async def test_it_arrives_when_the_agent_that_it_comes_to_is_killed(scene: Scene, running: Machine):
    source, target, written = await begin_slowly(scene, running)
    target.agent.kill()
    await scene.slow_down(source, running, 1000)
    await eventually(lambda: not source.domains[running.uuid], "libvirt's half", DEADLINE)
    assert scene.pair.sessions(running) == [source.name]
    await asyncio.to_thread(target.agent.start)
    await scene.arrived(running, source, target)
    await still_writes(scene, target, running, written)


async def test_it_arrives_when_the_xmpp_server_is_killed(scene: Scene, running: Machine):
    source, target, written = await begin_slowly(scene, running)
    rights = source.grants(running)
    await asyncio.to_thread(source.ejabberd.kill)
    await scene.slow_down(source, running, 1000)
    await eventually(lambda: not source.domains[running.uuid], "libvirt's half", DEADLINE)
    await asyncio.to_thread(source.ejabberd.start)
    await scene.arrived(running, source, target)
    assert target.grants(running) == rights
    await still_writes(scene, target, running, written)


async def test_all_that_it_wrote_on_all_these_ways_is_on_its_disk(scene: Scene, running: Machine):
    admin = await scene.pair.first.enter(ADMIN, resource="later")
    later = dataclasses.replace(scene, pair=dataclasses.replace(scene.pair, admin=admin))
    house, _other = where(scene, running)
    written = await later.stop_writing(house, running)
    await later.control(house, running, "action='destroy'")
    assert later.records(house, running)[:written] == [f"record {number}" for number in range(written)]
    print(f"{written} records, none lost")
