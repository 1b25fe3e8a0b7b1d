# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that moves again, and back: what is left of one attempt, or comes late, touches no other; what is said twice is done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archipel.agent import arrival, departure, luggage, migrating, migration_store, virtual_machine
from archipel.agent.capabilities.notices import teller_of
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.migration_tables import Leaving
from archipel.agent.notices.preferences import Wish
from archipel.agent.store import Phase, StoreError
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.migration import Situation
from archipel.protocol.errors import BadRequest, CommandError, Unavailable
from archipel.protocol.every_entity import SetRights
from archipel.protocol.migration import Forget, GetArrival, Standing
from archipel.protocol.payload import Request
from archipel.protocol.preferences import Verbosity
from archipel.xmpp.connection import Connection
from archipel.xmpp.errors import NoAnswer
from tests.unit.agent.conftest import finish_work
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, OWNER, UUID, VM, failure
from tests.unit.agent.two_houses import House, Houses, Loaded, open_houses, qemu_xml
from tests.wire.waiting import eventually

AT_FIRST, AT_SECOND = ("hyp",), ("second",)


@pytest.fixture
async def houses(
    agent_folder: Path, empty_database: Path, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch, capabilities: Loaded
) -> AsyncIterator[Houses]:
    async with open_houses(agent_folder / "both", empty_database, xmpp, monkeypatch, capabilities) as houses:
        yield houses


class Deaf:
    """Lets some of what one hypervisor asks another get no answer."""

    def __init__(self, houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
        self.actions: set[str] = set()
        self._ask = houses.ask
        for module in (departure, migrating):
            monkeypatch.setattr(module, "ask", self.ask)

    async def ask(self, hypervisor: Hypervisor, to: str, request: Request[Any]) -> Any:
        if request.action in self.actions:
            raise NoAnswer(f"{to} did not answer")
        return await self._ask(hypervisor, to, request)


@pytest.fixture
def deaf(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> Deaf:
    return Deaf(houses, monkeypatch)


async def settle_all(houses: Houses) -> tuple[str, ...]:
    for house in (*houses.both, *houses.both):
        await house.settle()
    return await houses.where()


async def outgoing_of(house: House) -> list[Leaving]:
    return [found.state for found in await migration_store.all_outgoing(house.services.store)]


# -- attempts ---------------------------------------------------------------------------------------------------------------


async def test_an_attempt_that_is_still_to_be_forgotten_does_not_let_go_of_a_machine_that_moves_again(houses: Houses, deaf: Deaf) -> None:
    deaf.actions = {"expect", "forget"}
    with pytest.raises(CommandError, match="cannot be asked now"):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    assert await outgoing_of(houses.first) == [Leaving.STAYING]
    deaf.actions = {"soft_alloc"}
    await houses.migrate()
    await houses.first.settle()  # the other one forgets the first attempt now
    assert await outgoing_of(houses.first) == [Leaving.HANDING]
    assert (houses.machine.migrating, houses.machine.packed, await houses.first.phase()) == (True, True, Phase.MIGRATING)
    deaf.actions = set()
    assert await settle_all(houses) == AT_SECOND


async def test_an_attempt_is_forgotten_while_the_machine_moves_again(houses: Houses, deaf: Deaf) -> None:
    deaf.actions = {"expect", "forget"}
    with pytest.raises(CommandError):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    deaf.actions = set()
    with houses.first.hypervisor.hold(UUID):
        await houses.first.settle()
    assert await outgoing_of(houses.first) == []


async def test_what_is_left_of_a_journey_does_not_end_a_machine_that_came_back(houses: Houses, deaf: Deaf) -> None:
    deaf.actions = {"serve"}
    await houses.migrate()
    [leaving] = await migration_store.all_outgoing(houses.first.services.store)
    deaf.actions = set()
    assert await settle_all(houses) == AT_SECOND
    await migrating.begin(houses.second.hypervisor.machines[UUID], ADMIN.bare, houses.first.hypervisor.full)
    await finish_work(houses.second.hypervisor, houses.first.hypervisor)
    await migration_store.keep(houses.first.services.store, leaving)  # as a crash might have left it
    assert await settle_all(houses) == AT_FIRST
    assert houses.first.domain.stored is not None
    assert await outgoing_of(houses.first) == []


async def test_why_it_stays_is_told_by_the_agent_that_finds_out_that_it_does(
    houses: Houses, deaf: Deaf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(*_arguments: object) -> None:
        houses.first.domain.state_now = DomainState.SHUTOFF
        raise failure("the guest is gone")

    monkeypatch.setattr(migrating, "migrate", crash)
    houses.first.domain.state_now = DomainState.RUNNING
    deaf.actions = {"arrival"}
    await houses.migrate()
    assert await outgoing_of(houses.first) == [Leaving.MOVING]
    await houses.first.begin_again()
    deaf.actions = set()
    assert await settle_all(houses) == AT_FIRST
    assert "its migration to second@lab.example/host1 failed: the guest is gone" in caplog.text
    assert houses.machine.status.text == "Can't migrate."


# -- what comes late, or twice -------------------------------------------------------------------------------------------------


async def test_what_is_forgotten_while_it_is_being_expected_is_forgotten(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    host, asked, go_on = houses.second.host, asyncio.Event(), asyncio.Event()
    domains = host.domains

    async def list_slowly() -> Any:
        asked.set()
        await go_on.wait()
        return await domains()

    monkeypatch.setattr(host, "domains", list_slowly)
    beginning = asyncio.create_task(migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full))
    # Who asks first may be the second agent itself, which looks now and then at what it has: the attempt need not have begun yet.
    [outgoing] = await eventually(lambda: migration_store.all_outgoing(houses.first.services.store), "the attempt")
    await asked.wait()
    forget = Forget(attempt=outgoing.attempt, uuid=UUID)
    forgetting = asyncio.create_task(arrival.forget(houses.second.hypervisor, houses.first.hypervisor.bare, forget))
    await asyncio.sleep(0.1)
    go_on.set()
    await forgetting
    await asyncio.gather(beginning, return_exceptions=True)
    assert await houses.second.phase() in {None, Phase.ACTIVE}
    assert await settle_all(houses) in {AT_FIRST, AT_SECOND}


async def test_a_machine_that_cannot_be_served_just_now_is_held_until_it_can(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = houses.second.services.registry.hooks
    arrive = hooks.arrive

    async def fail(_machine: object) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(hooks, "arrive", fail)
    await houses.migrate()
    incoming = await migration_store.find_incoming(houses.second.services.store, UUID)
    assert incoming is not None
    assert (incoming.state, UUID in houses.second.hypervisor.machines) == (Standing.HELD, False)
    monkeypatch.setattr(hooks, "arrive", arrive)
    assert await settle_all(houses) == AT_SECOND


async def test_the_session_of_an_agent_that_died_ends_before_the_other_one_serves_the_machine(
    houses: Houses, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[str, Phase | None]] = []

    async def end_former(connection: Connection) -> None:
        ended.append((str(connection.stream.boundjid.full), await houses.second.phase()))

    deaf.actions = {"serve"}
    await houses.migrate()
    await houses.first.begin_again()
    monkeypatch.setattr(Connection, "end_former", end_former)
    deaf.actions = set()
    assert await settle_all(houses) == AT_SECOND
    assert ended == [(f"{VM}/hyp", Phase.ARRIVING)]


ON_ITS_WAY = Situation(active=True, persistent=False, paused=True, stopped_midway=True, busy=False)


@pytest.mark.parametrize(
    "situation, come",
    [
        (None, False),
        (ON_ITS_WAY, False),
        (replace(ON_ITS_WAY, stopped_midway=False, busy=True), False),
        (replace(ON_ITS_WAY, persistent=True), True),
        (replace(ON_ITS_WAY, paused=False, stopped_midway=False), True),
    ],
)
async def test_a_domain_that_is_only_on_its_way_has_not_come(
    houses: Houses, deaf: Deaf, monkeypatch: pytest.MonkeyPatch, situation: Situation | None, come: bool
) -> None:
    """libvirt tells of no job where a domain comes to: what it tells is that the domain was stopped by a migration."""

    async def read(_domain: object) -> Situation | None:
        return situation

    deaf.actions = {"soft_alloc"}
    await houses.migrate()
    [outgoing] = await migration_store.all_outgoing(houses.first.services.store)
    monkeypatch.setattr(arrival, "read_situation", read)
    asked = GetArrival(attempt=outgoing.attempt, uuid=UUID)
    assert (await arrival.tell(houses.second.hypervisor, houses.first.hypervisor.bare, asked)).domain is come


# -- what is packed --------------------------------------------------------------------------------------------------------------


async def test_what_is_too_much_is_named_and_needs_room_to_grow(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    rights = houses.first.services.rights
    for number in range(30):
        await rights.grant(VM, f"student{number}@lab.example", "info", granted_by=OWNER.bare)
    record = await houses.first.services.store.machine(UUID)
    assert record is not None
    packed = await migrating.pack(houses.machine, record, autostart=False)
    monkeypatch.setattr(luggage, "LONGEST_PACKAGE", int(len(packed.pack()) * 1.2))
    assert packed.pack()
    with pytest.raises(BadRequest, match=r"above all its 31 rights: remove some of them first"):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    assert (houses.machine.migrating, houses.said, await houses.first.phase()) == (False, [], Phase.ACTIVE)


async def test_rights_that_are_being_changed_without_end_are_not_waited_for_without_end(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = next(command for command in houses.machine.services.registry.commands(houses.machine.kind) if command.request is SetRights)
    monkeypatch.setattr(virtual_machine, "CHANGES_WAIT", 0.0)
    with houses.machine.count(command), pytest.raises(Unavailable, match="its rights are being changed"):
        await houses.machine.close_luggage()
    await houses.machine.close_luggage()


async def test_a_definition_that_no_message_carries_is_told_before_anything_moves(houses: Houses) -> None:
    houses.first.domain.stored = qemu_xml(devices=f"<hub type='{'usb' * 50}'/>" * 2_000)
    with pytest.raises(BadRequest, match="the definition of web and the list of its files have"):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    assert (houses.machine.migrating, houses.said, await houses.first.phase()) == (False, [], Phase.ACTIVE)


async def test_what_contacts_want_to_be_told_goes_along(houses: Houses) -> None:
    here, there = (teller_of(house.hypervisor).preferences for house in houses.both)
    wish = Wish(verbosity=Verbosity.ALARMS, quiet="22:00-07:00", zone="Europe/Berlin", alarms=False)
    await here.change(VM, OWNER.bare, wish)
    await here.change(VM, ADMIN.bare, Wish(verbosity=Verbosity.ALL))
    await houses.migrate()
    assert await settle_all(houses) == AT_SECOND
    found = there.of(VM, OWNER.bare)
    assert (found.verbosity, found.quiet, found.zone, found.alarms) == (wish.verbosity, wish.quiet, wish.zone, wish.alarms)
    assert (there.of(VM, ADMIN.bare).verbosity, here.of(VM, OWNER.bare).own) == (Verbosity.ALL, False)


@pytest.mark.parametrize(
    "wrong", [{"verbosity": "loud"}, {"quiet": "always"}, {"zone": "../../etc"}, {"alarms": "yes"}, {"verbosity": []}, {"zone": 7}]
)
async def test_wishes_that_nobody_can_have_are_refused(houses: Houses, wrong: dict[str, Any]) -> None:
    record = await houses.first.services.store.machine(UUID)
    assert record is not None
    packed = await migrating.pack(houses.machine, record, autostart=False)
    forged = replace(packed, wishes={OWNER.bare: replace(Wish(), **wrong)})
    with pytest.raises(BadRequest, match="package"):
        luggage.Luggage.unpack(forged.pack(), VM)
