# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What failed halfway because libvirt, the server or the disk did is tried again until nothing of it is left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from archipel.agent.allocation import Wish, allocate, destroy, finish_free, let_go
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.errors import LibvirtBusy, LibvirtTimeout, LibvirtUnavailable, VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.protocol.vcard import VCard
from archipel.xmpp.errors import Disconnected
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, OTHER_UUID, OWNER, UUID, VM, FakeDomain, FakeHost, domain_xml, failure
from tests.unit.protocol.golden import xml

DEFINED = Wish("web", uuid=UUID, domain=xml(domain_xml()))


async def phase_of(hypervisor: Hypervisor, uuid: str = UUID) -> Phase | None:
    record = await hypervisor.services.store.machine(uuid)
    return None if record is None else record.phase


async def assert_nothing_left(hypervisor: Hypervisor, xmpp: FakeXmpp, host: FakeHost) -> None:
    assert (host.domain(UUID).stored, UUID in xmpp.accounts, await phase_of(hypervisor)) == (None, False, None)
    assert not (hypervisor.services.settings.machines.base_path / UUID).exists()
    assert await hypervisor.services.store.grants() == ()
    assert (hypervisor.unfinished, hypervisor.untidy.is_set()) == ({}, False)


@pytest.fixture
def full_disk(online: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A disk that is full as soon as this is called, and has room again when it is called again."""
    store, run = online.services.store, online.services.store.run
    full = False

    async def fail(work: Callable[..., Any]) -> Any:
        if full and work.__name__ in {"change", "remove", "add"}:
            raise StoreError("database or disk is full")
        return await run(work)

    def turn() -> None:
        nonlocal full
        full = not full

    monkeypatch.setattr(store, "run", fail)
    return turn


# -- a definition that libvirt does not answer --------------------------------------------------------------------------


class SlowDomain(FakeDomain):
    """Its definition times out, and takes effect after a while; what is asked for meanwhile was never begun."""

    hangs = False

    async def define(self, xml: str) -> None:
        self.hangs, self.late = True, xml
        raise LibvirtTimeout("define", 60)

    def come_to_an_end(self) -> None:
        self.hangs, self.stored = False, self.late

    async def undefine(self) -> None:
        if self.hangs:
            raise LibvirtBusy("undefine", "it still works on define")
        await super().undefine()


async def test_a_definition_that_takes_effect_after_all_is_removed_again(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost) -> None:
    domain = host.known[UUID] = SlowDomain(UUID)
    with pytest.raises(LibvirtTimeout, match="it may still take effect"):
        await allocate(online, ADMIN, DEFINED)
    assert (online.machines, await phase_of(online), online.untidy.is_set()) == ({}, Phase.ALLOCATING, True)
    await online.recover()  # a read would say that there is no domain
    assert (await phase_of(online), online.untidy.is_set()) == (Phase.ALLOCATING, True)
    domain.come_to_an_end()
    await online.recover()
    await assert_nothing_left(online, xmpp, host)


async def test_its_turn_is_not_forgotten_until_then(online: Hypervisor, host: FakeHost) -> None:
    """Calls of one domain wait for each other only as long as its proxy lives; :class:`Host` does not keep it."""
    host.known[UUID] = SlowDomain(UUID)
    with pytest.raises(LibvirtTimeout):
        await allocate(online, ADMIN, DEFINED)
    assert online.unfinished[UUID].domain is host.domain(UUID)
    await online.recover()
    assert online.unfinished[UUID].domain is host.domain(UUID)


@pytest.mark.parametrize("error", [LibvirtTimeout("x", 60), LibvirtUnavailable("gone", in_flight=True)])
@pytest.mark.parametrize("call", ["undefine", "is active"])
async def test_a_domain_that_cannot_be_removed_now_is_removed_later(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch, error: Exception, call: str
) -> None:
    domain = host.domain(UUID)
    domain.refuse[call] = error
    if call == "is active":
        domain.refuse["undefine"] = failure("transient")
    with monkeypatch.context() as patch:
        patch.setattr(online.services.store, "set_phase", fail_with(StoreError("disk full")))
        with pytest.raises(StoreError, match="disk full"):
            await allocate(online, ADMIN, DEFINED)
    assert (domain.stored is not None, await phase_of(online)) == (True, Phase.ALLOCATING)
    domain.refuse.clear()
    await online.recover()
    await assert_nothing_left(online, xmpp, host)


async def test_its_name_and_uuid_are_taken_until_then(online: Hypervisor, host: FakeHost) -> None:
    host.known[UUID] = SlowDomain(UUID)
    with pytest.raises(LibvirtTimeout):
        await allocate(online, ADMIN, DEFINED)
    for wish in (Wish("other", uuid=UUID), Wish("web")):
        with pytest.raises(StoreError, match="already"):
            await allocate(online, ADMIN, wish)
    assert await phase_of(online) is Phase.ALLOCATING


def fail_with(error: Exception) -> Any:
    async def fail(*_arguments: object, **_named: object) -> None:
        raise error

    return fail


# -- a full disk --------------------------------------------------------------------------------------------------------


async def test_a_machine_that_the_store_could_not_forget_is_forgotten_later(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, full_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def define(_xml: str) -> None:
        full_disk()
        raise failure("no such machine type")

    monkeypatch.setattr(host.domain(UUID), "define", define)
    with pytest.raises(VirtError, match="no such machine type"):
        await allocate(online, ADMIN, DEFINED)
    assert (online.machines, await phase_of(online)) == ({}, Phase.ALLOCATING)
    await online.recover()
    assert (await phase_of(online), online.untidy.is_set()) == (Phase.ALLOCATING, True)
    full_disk()
    await online.recover()
    await assert_nothing_left(online, xmpp, host)


async def test_so_is_one_that_was_freed(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, host: FakeHost, full_disk: Callable[[], None]
) -> None:
    await destroy(machine, keep_disks=False)
    full_disk()
    await finish_free(online, machine, OWNER.bare)
    assert (await phase_of(online), online.untidy.is_set()) == (Phase.FREEING, True)
    full_disk()
    await online.recover()
    await assert_nothing_left(online, xmpp, host)


async def test_a_machine_that_could_not_be_let_go_is_as_it_was(
    online: Hypervisor, machine: VirtualMachine, full_disk: Callable[[], None]
) -> None:
    full_disk()
    with pytest.raises(CommandError, match="disk is full"):
        await let_go(online, [UUID])
    assert (online.machines, machine.freeing) == ({UUID: machine}, False)


async def test_a_machine_that_could_not_be_freed_is_not_freed_by_the_next_start(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, full_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    await finish_work(online)  # recovery at the login asks whether the domain is active, too

    async def is_active() -> bool:
        full_disk()
        raise failure("it hangs")

    monkeypatch.setattr(host.domain(UUID), "is_active", is_active)
    with pytest.raises(VirtError, match="it hangs"):
        await destroy(machine, keep_disks=False)
    assert (machine.freeing, await phase_of(online), online.untidy.is_set()) == (False, Phase.FREEING, True)
    full_disk()
    await online.recover()
    assert (await phase_of(online), online.machines) == (Phase.ACTIVE, {UUID: machine})


async def test_a_store_that_cannot_be_read_is_no_end_of_it(online: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(online.services.store, "machines", fail_with(StoreError("locked")))
        await online.recover()
    assert online.untidy.is_set()
    await online.recover()
    assert not online.untidy.is_set()


# -- how often ----------------------------------------------------------------------------------------------------------


async def test_what_cannot_be_cleaned_up_is_told_once(
    online: Hypervisor, host: FakeHost, xmpp: FakeXmpp, caplog: pytest.LogCaptureFixture
) -> None:
    await online.services.store.add_machine(MachineRecord(uuid=UUID, name="web", password=Secret("x"), phase=Phase.FREEING))
    host.add(UUID, "web").refuse["undefine"] = failure("snapshots")
    for _ in range(3):
        await online.recover()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["snapshots" in record.getMessage() for record in told] == [True]


async def test_without_the_server_it_waits_for_that(hypervisor: Hypervisor, host: FakeHost) -> None:
    await hypervisor.services.store.add_machine(MachineRecord(uuid=UUID, name="web", password=Secret("x"), phase=Phase.FREEING))
    host.add(UUID, "web")
    await hypervisor.recover()
    assert host.domain(UUID).stored is not None


async def test_a_machine_that_is_being_made_is_left_alone(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery runs every minute: also in the moment in which the store knows a machine and memory does not yet."""
    store, add = online.services.store, online.services.store.add_machine

    async def add_and_recover(record: MachineRecord) -> None:
        await add(record)
        await online.recover()

    monkeypatch.setattr(store, "add_machine", add_and_recover)
    machine = await allocate(online, OWNER, DEFINED)
    assert await phase_of(online) is Phase.ACTIVE
    assert machine.uuid in online.machines
    assert UUID in xmpp.accounts


async def test_two_at_once_do_it_once(online: Hypervisor, host: FakeHost, xmpp: FakeXmpp) -> None:
    await online.services.store.add_machine(MachineRecord(uuid=UUID, name="web", password=Secret("x"), phase=Phase.FREEING))
    host.add(UUID, "web")
    await asyncio.gather(online.recover(), online.recover())
    assert host.domain(UUID).calls.count("undefine") == 1


async def test_an_account_that_was_made_late_is_removed_too(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server was asked to make it and took its time: asked to remove it, it knew none, and a moment later it did."""
    remove = online._unregister

    async def remove_first(uuid: str, password: Secret) -> None:
        try:
            await remove(uuid, password)
        finally:
            monkeypatch.setattr(online, "_unregister", remove)
            xmpp.accounts[uuid] = password.reveal()

    monkeypatch.setattr(online, "_unregister", remove_first)
    await online.remove_account(UUID, Secret("machine"))
    assert UUID not in xmpp.accounts


# -- names --------------------------------------------------------------------------------------------------------------


async def name_in_store(machine: VirtualMachine) -> str:
    record = await machine.services.store.machine(machine.uuid)
    assert record is not None
    return record.name


async def test_a_machine_bears_the_name_that_its_domain_got_unseen(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, host: FakeHost
) -> None:
    await go_online(machine)
    host.add(UUID, "db")
    await online.recover()
    assert (machine.name, await name_in_store(machine), VCard.read(xmpp.vcards[VM]).name) == ("db", "db", "db")


async def test_a_new_session_of_the_hypervisor_follows_names(hypervisor: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    host.add(UUID, "db")
    await go_online(hypervisor)
    async with asyncio.timeout(30):
        while await name_in_store(machine) != "db":
            await finish_work(hypervisor)
    assert machine.name == "db"


async def test_a_name_is_read_again_when_nobody_changes_it(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is a moment old: a renaming that ended meanwhile must not be undone by it."""
    host.add(UUID, "old")
    listed = await host.domains()

    async def domains() -> object:
        return listed

    monkeypatch.setattr(host, "domains", domains)
    host.add(UUID, "web")
    await online.recover()
    assert machine.name == "web"


@pytest.mark.parametrize("call", ["list", "name"])
async def test_a_name_that_cannot_be_read_is_no_name(online: Hypervisor, machine: VirtualMachine, host: FakeHost, call: str) -> None:
    host.add(UUID, "db").refuse["name"] = LibvirtTimeout("name", 10)
    if call == "list":
        host.refuse["list"] = LibvirtUnavailable("gone")
    await online.recover()
    assert machine.name == "web"


async def test_a_name_that_cannot_be_followed_is_told_once(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    await online.services.store.add_machine(MachineRecord(uuid=OTHER_UUID, name="DB", password=Secret("x"), phase=Phase.ACTIVE))
    host.add(UUID, "db")
    for _ in range(3):
        await online.recover()
    assert machine.name == "web"
    assert sum(record.levelno == logging.ERROR and "cannot be followed" in record.getMessage() for record in caplog.records) == 1


async def test_domains_that_are_not_managed_have_no_name_to_follow(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    host.add(OTHER_UUID, "other")
    await online.recover()
    assert host.domain(OTHER_UUID).calls.count("name") == 0
    assert host.domain(UUID).calls.count("name") == 0


async def test_a_machine_that_is_freed_takes_no_name(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    host.add(UUID, "db")
    machine.freeing = True
    await online.recover()
    assert await name_in_store(machine) == "web"


async def test_a_server_that_is_away_keeps_no_name_from_the_store(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, host: FakeHost
) -> None:
    await go_online(machine)
    xmpp.refuse["read vcard"] = xmpp.refuse["change vcard"] = Disconnected("gone")
    host.add(UUID, "db")
    await online.recover()
    await finish_work(online)
    assert await name_in_store(machine) == "db"
