# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parking is all or nothing: whatever fails, and wherever the agent dies, a machine is managed or parked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import parked_machines, parking, parking_store, unparking
from archipel.agent.allocation import Wish, allocate
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.recovery import recover
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.unparking import find_parked
from archipel.agent.virt.errors import LibvirtTimeout, VirtError
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from tests.unit.agent.conftest import ask, finish_work
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, HYP, OTHER_UUID, OWNER, UUID, VM, FakeDomain, FakeHost, domain_xml, failure
from tests.unit.protocol.golden import xml

PARKING, OWN = "archipel:hypervisor:vmparking", "archipel:vm:vmparking"
PASSWORD = "<graphics type='vnc' passwd='hunter2'/>"
FOUNDING = f"<description>{VM}::::hunter2</description>"


class Killed(BaseException):
    """The agent dies here."""


@pytest.fixture
def domain(host: FakeHost, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> FakeDomain:
    """The machine's domain, with secrets; nothing is kept beside its definition."""

    async def read(_self: FakeDomain, _call: str, _function: Callable[[Any], Any]) -> list[str]:
        return []

    monkeypatch.setattr(FakeDomain, "read", read, raising=False)
    domain = host.domain(UUID)
    domain.stored = domain_xml(devices=PASSWORD, more=FOUNDING)
    domain.autostart = True
    machine.folder.mkdir(parents=True)
    return domain


async def state_of(hypervisor: Hypervisor) -> tuple[Phase | None, bool]:
    """The phase as a managed machine, and whether it is parked."""
    record = await hypervisor.services.store.machine(UUID)
    return None if record is None else record.phase, await parking_store.find(hypervisor.services.store, UUID) is not None


MANAGED, PARKED = (Phase.ACTIVE, False), (None, True)


async def park(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    await parking.take_off(machine, OWNER.bare, force=True)
    await parking.finish(hypervisor, machine, OWNER.bare)
    await finish_work(hypervisor)


async def test_who_asks_what_is_parked_waits_for_the_machine_that_said_so(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed, leave = asyncio.Event(), parking.leave

    async def leave_late(hypervisor: Hypervisor, leaving: VirtualMachine) -> None:
        await allowed.wait()
        await leave(hypervisor, leaving)

    monkeypatch.setattr(parking, "leave", leave_late)
    await parking.take_off(machine, OWNER.bare, force=True)
    parking.finish_soon(online, machine, OWNER.bare)
    asked = asyncio.create_task(find_parked(online, UUID))
    await asyncio.sleep(0.01)
    assert not asked.done()
    allowed.set()
    assert (await asked).uuid == UUID


async def start_again(hypervisor: Hypervisor) -> None:
    """Settle what was left, as the next life of the agent does: nothing is in memory."""
    hypervisor.machines.clear()
    hypervisor.unfinished.clear()
    hypervisor.in_hand.clear()
    await recover(hypervisor)
    await finish_work(hypervisor)


async def test_rights_and_definition_are_kept_without_the_founders_description(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, xmpp: FakeXmpp
) -> None:
    await park(online, machine)
    assert (await state_of(online), domain.stored, UUID in xmpp.accounts) == (PARKED, None, True)
    kept = await unparking.find_parked(online, UUID)
    assert ("hunter2" in kept.definition, "::::" in kept.definition, "hunter2" in repr(kept)) == (True, False, False)
    assert [grant.subject for grant in await online.services.store.grants(VM)] == [OWNER.bare]

    await unparking.run(online, ADMIN, UUID, start=True)
    assert (await state_of(online), domain.autostart, domain.state_now) == (MANAGED, True, DomainState.RUNNING)
    assert online.machines[UUID].decide(OWNER.bare, "info").allowed
    assert "passwd" in (domain.stored or "")


@pytest.mark.parametrize("force", [False, True])
async def test_a_running_machine_needs_force(machine: VirtualMachine, domain: FakeDomain, online: Hypervisor, force: bool) -> None:
    domain.state_now = DomainState.RUNNING
    with contextlib.nullcontext() if force else pytest.raises(CommandError, match="is running: shut it down first"):
        await parking.take_off(machine, OWNER.bare, force=force)
    assert (domain.state_now, domain.stored is None) == ((DomainState.SHUTOFF, True) if force else (DomainState.RUNNING, False))


async def test_a_busy_machine_is_refused(online: Hypervisor, machine: VirtualMachine, domain: FakeDomain) -> None:
    machine.copies = 1
    with pytest.raises(CommandError, match="is being cloned"):
        await park(online, machine)
    machine.copies, machine.freeing = 0, True
    with pytest.raises(CommandError, match="is being freed"):
        await park(online, machine)
    machine.freeing = False
    async with machine.changing:
        with pytest.raises(CommandError, match="a snapshot is at work"):
            await park(online, machine)
    assert (await state_of(online), domain.stored is not None) == (MANAGED, True)


# -- what fails -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["info", "xml", "is active", "destroy", "undefine, NVRAM kept"])
async def test_what_libvirt_refuses_leaves_it_managed(online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, call: str) -> None:
    domain.state_now, domain.refuse[call] = DomainState.RUNNING, failure()
    with pytest.raises(VirtError):
        await park(online, machine)
    assert (await state_of(online), machine.freeing, domain.stored is not None) == (MANAGED, False, True)


async def test_where_libvirt_does_not_answer_it_is_parked_later(online: Hypervisor, machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.refuse["undefine, NVRAM kept"] = LibvirtTimeout("undefine", 60)
    with pytest.raises(LibvirtTimeout):
        await park(online, machine)
    await recover(online)
    assert (await state_of(online))[0] is Phase.PARKING
    domain.refuse.clear()
    await recover(online)
    assert (await state_of(online), domain.stored, online.machines, online.unfinished) == (PARKED, None, {}, {})


@pytest.mark.parametrize("error", [failure(), LibvirtTimeout("define", 60)])
@pytest.mark.parametrize("call", ["define", "set autostart"])
async def test_what_cannot_be_unparked_stays_parked(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, call: str, error: Exception
) -> None:
    await park(online, machine)
    domain.refuse[call] = error
    await unparking.run(online, ADMIN, UUID, start=False)
    await recover(online)
    assert (await state_of(online), domain.stored, UUID in online.machines) == (PARKED, None, False)
    domain.refuse.clear()
    await unparking.run(online, ADMIN, UUID, start=False)
    assert await state_of(online) == MANAGED


async def test_what_fails_after_the_answer_is_pushed_and_done_later(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: object) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(parking_store, "finish_park", fail)
        await park(online, machine)
    assert xmpp.pushes(HYP) == [("vmparking", "cannot-park")]
    await recover(online)
    await finish_work(online)
    assert (await state_of(online), xmpp.pushes(HYP)[1:]) == (PARKED, [("vmparking", "parked")])

    with monkeypatch.context() as patch:
        patch.setattr(parking_store, "remove", fail)
        await parked_machines.run_deletion(online, OWNER.bare, UUID)
    await finish_work(online)
    assert xmpp.pushes(HYP)[2:] == [("vmparking", "cannot-delete")]
    await recover(online)
    await finish_work(online)
    assert (xmpp.pushes(HYP)[3:], UUID in xmpp.accounts) == ([("vmparking", "deleted")], False)


# -- the agent dies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["begin_park", "finish_park"])
@pytest.mark.parametrize("after", [False, True])
async def test_killed_while_it_parks(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    with kill_at(monkeypatch, step, after=after), pytest.raises(Killed):
        await park(online, machine)
    await start_again(online)
    managed = step == "begin_park" and not after
    assert (await state_of(online), domain.stored is not None) == ((MANAGED, True) if managed else (PARKED, False))


@pytest.mark.parametrize("step", ["begin_unpark", "finish_unpark"])
@pytest.mark.parametrize("after", [False, True])
async def test_killed_while_it_unparks(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    await park(online, machine)
    with kill_at(monkeypatch, step, after=after), pytest.raises(Killed):
        await unparking.unpark(online, ADMIN, UUID)
    await start_again(online)
    managed = step == "finish_unpark" and after
    assert (await state_of(online), domain.stored is not None) == ((MANAGED, True) if managed else (PARKED, False))
    assert [grant.subject for grant in await online.services.store.grants(VM)] == [OWNER.bare]


@pytest.mark.parametrize("step", ["set_state", "remove"])
@pytest.mark.parametrize("after", [False, True])
async def test_killed_while_it_is_deleted(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    await park(online, machine)
    with kill_at(monkeypatch, step, after=after), pytest.raises(Killed):
        await parked_machines.run_deletion(online, OWNER.bare, UUID)
    await start_again(online)
    whole = step == "set_state" and not after
    assert (await state_of(online), machine.folder.exists(), UUID in xmpp.accounts) == (
        (PARKED, True, True) if whole else ((None, False), False, False)
    )
    assert len(await online.services.store.grants(VM)) == int(whole)


@pytest.mark.parametrize("step, after", [("add", True), ("set_state", False), ("set_state", True)])
async def test_killed_while_it_is_made(
    online: Hypervisor, domain: FakeDomain, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    wanted = xml(domain_xml("fresh", OTHER_UUID))
    with kill_at(monkeypatch, step, after=after), pytest.raises(Killed):
        await parked_machines.create(online, ADMIN, OTHER_UUID, wanted)
    await start_again(online)
    made = await parking_store.find(online.services.store, OTHER_UUID) is not None
    folder = online.services.settings.machines.base_path / OTHER_UUID
    assert (made, OTHER_UUID in xmpp.accounts, folder.exists()) == ((step == "set_state" and after),) * 3


@contextlib.contextmanager
def kill_at(monkeypatch: pytest.MonkeyPatch, step: str, *, after: bool) -> Any:
    """Die before, or right after, a step is written down."""
    done = getattr(parking_store, step)

    async def die(*arguments: Any) -> None:
        if after:
            await done(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(parking_store, step, die)
        yield


# -- what is shown and refused --------------------------------------------------------------------------------------------


def record(name: str, more: str = "", uuid: str = UUID) -> ParkedRecord:
    machine = MachineRecord(uuid=uuid, name=name, password=Secret("x"))
    return ParkedRecord(machine=machine, definition=domain_xml(name, uuid, devices=PASSWORD, more=FOUNDING + more), parker=OWNER.bare)


def test_a_page_has_thirty_machines_and_no_secrets() -> None:
    found = tuple(record(f"web-{number:03}") for number in range(70))
    pages = [parked_machines.show_page(found, page, "WEB") for page in range(4)]
    assert [len(page) for page in pages] == [30, 30, 10, 0]
    assert pages[1][0].name == "web-030"
    shown = "".join(ET.tostring(one.write(), "unicode") for page in pages for one in page)
    assert ("hunter2" in shown, "<domain" in shown) == (False, True)
    assert parked_machines.show_page(found, 0, "db") == ()


def test_a_page_fits_in_a_stanza() -> None:
    found = tuple(record(f"web-{number}", f"<title>{'x' * 20_000}</title>") for number in range(30))
    page = parked_machines.show_page(found, 0, "")
    assert (len(page), sum(one.domain is not None for one in page)) == (30, 9)
    assert sum(len(ET.tostring(one.write())) for one in page) < 250_000


async def test_an_edit_keeps_the_console_password_that_it_was_shown_without(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain
) -> None:
    await park(online, machine)
    [shown] = parked_machines.show_page(await parking_store.all_parked(online.services.store), 0, "")
    assert shown.domain is not None
    await parked_machines.change_definition(online, ADMIN, UUID, shown.domain)
    assert 'passwd="hunter2"' in (await unparking.find_parked(online, UUID)).definition


async def test_a_parked_uuid_is_nobodys_to_take(online: Hypervisor, machine: VirtualMachine, domain: FakeDomain) -> None:
    await park(online, machine)
    with pytest.raises(CommandError, match="is parked: unpark or delete it"):
        await allocate(online, ADMIN, Wish("other", uuid=UUID))
    assert (await state_of(online), len(await online.services.store.grants(VM))) == (PARKED, 1)


async def test_two_at_work_on_one_machine_do_not_meet(online: Hypervisor, machine: VirtualMachine, domain: FakeDomain) -> None:
    await park(online, machine)
    with parking.in_hand(online, UUID):
        await parked_machines.run_deletion(online, OWNER.bare, UUID)
        await unparking.run(online, ADMIN, UUID, start=False)
    assert (await state_of(online), machine.folder.exists()) == (PARKED, True)


async def test_a_domain_behind_our_back_keeps_its_disks(online: Hypervisor, machine: VirtualMachine, domain: FakeDomain) -> None:
    await park(online, machine)
    domain.stored = domain_xml()
    with pytest.raises(CommandError, match="may use its disks"):
        await ask(online, PARKING, f"<archipel action='delete'><item identifier='{UUID}'/></archipel>", ADMIN)
    assert machine.folder.exists()
