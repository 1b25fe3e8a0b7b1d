# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as its roster sees it: what libvirt says, when it says it, and nothing that was not read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from archipel.agent.config import parse_settings
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.rights import Rights
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase
from archipel.agent.virt.connection import ConnectionState
from archipel.agent.virt.errors import LibvirtTimeout, LibvirtUnavailable
from archipel.agent.virt.lifecycle import (
    DomainEvent,
    DomainState,
    LifecycleEvent,
    StartedDetail,
    StoppedDetail,
    UndefinedDetail,
    UnknownDetail,
)
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import presence
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.presence import Status
from archipel.protocol.vcard import VCard
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import (
    OTHER_UUID,
    OWNER,
    SETTINGS,
    STUDENT,
    UUID,
    VM,
    FakeDomain,
    FakeHost,
    FakeLibvirt,
    declared_settings,
    failure,
)


@pytest.fixture
def domain(host: FakeHost, machine: VirtualMachine) -> FakeDomain:
    return host.domain(UUID)


async def tell(machine: VirtualMachine, event: LifecycleEvent, detail: object = UnknownDetail.UNKNOWN, name: str = "web") -> None:
    """Have libvirt tell something, and wait until all of it is followed."""
    machine.take_event(DomainEvent(UUID, name, event, detail))
    await finish_work(machine)


def test_the_address_is_made_of_uuid_and_hypervisor(machine: VirtualMachine) -> None:
    assert machine.full == f"{VM}/hyp"
    assert machine.folder == machine.services.settings.machines.base_path / UUID


async def test_rights_stay_with_the_domain_that_they_were_given_on(hypervisor: Hypervisor, machine: VirtualMachine, tmp_path: Path) -> None:
    """Whoever has an account of the same name on another domain is somebody else; root administrators are who the configuration says."""
    await machine.services.rights.grant(VM, STUDENT.bare, "info", granted_by=OWNER.bare)
    assert machine.decide(STUDENT.bare, "info").allowed
    text = SETTINGS.format(folder=tmp_path, more="").replace("lab.example", "new.example")
    settings = parse_settings(text, hostname="host1", capabilities=declared_settings())
    services = hypervisor.services
    rights = await Rights.load(services.store, services.rights.catalogue, settings.xmpp.root_admins)
    moved = Hypervisor(dataclasses.replace(services, settings=settings, rights=rights))
    [record] = await services.store.machines(Phase.ACTIVE)
    there = moved.adopt_record(record)
    assert there.bare == f"{UUID}@new.example"
    assert not any(there.decide(f"student@{domain}", "info").allowed for domain in ("new.example", "lab.example"))
    assert there.decide("admin@new.example", "info").allowed


# -- the state that is shown --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in DomainState if state is not DomainState.NOSTATE])
async def test_an_entity_comes_online_with_the_state_of_its_domain(machine: VirtualMachine, domain: FakeDomain, state: DomainState) -> None:
    domain.state_now = state
    await go_online(machine)
    assert machine.status == presence.status_of_state(int(state))


async def test_a_machine_without_a_domain_says_so(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = None
    await go_online(machine)
    assert machine.status == presence.NOT_DEFINED


async def test_a_state_that_libvirt_cannot_tell_is_not_shown(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.state_now = DomainState.NOSTATE
    await go_online(machine)
    assert machine.status == Status(None, "")


@pytest.mark.parametrize("error", [LibvirtTimeout("info", 5), failure("it hangs")])
async def test_a_state_that_was_not_read_is_not_invented(machine: VirtualMachine, domain: FakeDomain, error: Exception) -> None:
    domain.state_now = DomainState.RUNNING
    await go_online(machine)
    domain.refuse["info"] = error
    await machine.refresh()
    assert machine.status == presence.RUNNING


async def test_without_libvirt_a_machine_says_that(machine: VirtualMachine, domain: FakeDomain, libvirt: FakeLibvirt) -> None:
    libvirt.state = ConnectionState.LOST
    domain.refuse["info"] = LibvirtUnavailable("no connection")
    await go_online(machine)
    assert machine.status == presence.LIBVIRT_LOST


# -- what libvirt tells -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event,detail,state,status,pushed",
    [
        (LifecycleEvent.STARTED, StartedDetail.BOOTED, DomainState.RUNNING, presence.RUNNING, ("virtualmachine:control", "created")),
        (LifecycleEvent.SUSPENDED, None, DomainState.PAUSED, presence.PAUSED, ("virtualmachine:control", "suspended")),
        (LifecycleEvent.PMSUSPENDED, None, DomainState.PMSUSPENDED, presence.ASLEEP, ("virtualmachine:control", "suspended")),
        (LifecycleEvent.RESUMED, None, DomainState.RUNNING, presence.RUNNING, ("virtualmachine:control", "resumed")),
        (LifecycleEvent.STOPPED, StoppedDetail.SHUTDOWN, DomainState.SHUTOFF, presence.OFF, ("virtualmachine:control", "shutdown")),
        (LifecycleEvent.STOPPED, StoppedDetail.CRASHED, DomainState.SHUTOFF, presence.CRASHED, ("virtualmachine:control", "crashed")),
        (LifecycleEvent.STOPPED, StoppedDetail.CRASHED, DomainState.RUNNING, presence.RUNNING, ("virtualmachine:control", "crashed")),
        (LifecycleEvent.CRASHED, None, DomainState.CRASHED, presence.CRASHED, ("virtualmachine:control", "crashed")),
        (LifecycleEvent.DEFINED, None, DomainState.SHUTOFF, presence.OFF, ("virtualmachine:definition", "defined")),
    ],
)
async def test_an_event_is_shown_by_the_state_that_is_read_then_and_pushed(
    xmpp: FakeXmpp,
    machine: VirtualMachine,
    domain: FakeDomain,
    event: LifecycleEvent,
    detail: object,
    state: DomainState,
    status: Status,
    pushed: tuple[str, str],
) -> None:
    await go_online(machine)
    domain.state_now = state
    await tell(machine, event, detail)
    assert (machine.status, xmpp.pushes(VM)) == (status, [pushed])


async def test_a_domain_that_is_undefined_is_told(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain) -> None:
    await go_online(machine)
    domain.stored = None
    await tell(machine, LifecycleEvent.UNDEFINED, UndefinedDetail.REMOVED)
    assert (machine.status, xmpp.pushes(VM)) == (presence.NOT_DEFINED, [("virtualmachine:definition", "undefined")])


async def test_a_renaming_is_one_change_and_not_an_end(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    await go_online(machine)
    await tell(machine, LifecycleEvent.UNDEFINED, UndefinedDetail.RENAMED)
    await tell(machine, LifecycleEvent.DEFINED)
    assert xmpp.pushes(VM) == [("virtualmachine:definition", "defined")]


async def test_shutting_down_is_shown_and_only_the_end_of_it_pushed(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain) -> None:
    """The founders' agent showed a guest's shutdown as a crash."""
    await go_online(machine)
    domain.state_now = DomainState.SHUTDOWN
    await tell(machine, LifecycleEvent.SHUTDOWN)
    assert (machine.status, xmpp.pushes(VM)) == (presence.SHUTTING_DOWN, [])


async def test_what_a_newer_libvirt_tells_is_no_reason_to_push(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    await go_online(machine)
    await tell(machine, LifecycleEvent.UNKNOWN)
    assert xmpp.pushes(VM) == []


async def test_events_are_followed_in_their_order(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    await go_online(machine)
    order = [LifecycleEvent.STARTED, LifecycleEvent.SUSPENDED, LifecycleEvent.RESUMED, LifecycleEvent.STOPPED] * 5
    for event in order:
        machine.take_event(DomainEvent(UUID, "web", event, UnknownDetail.UNKNOWN))
    await finish_work(machine)
    assert [change for _topic, change in xmpp.pushes(VM)] == ["created", "suspended", "resumed", "shutdown"] * 5


async def test_an_event_is_pushed_even_if_the_state_cannot_be_read(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain) -> None:
    await go_online(machine)
    domain.refuse["info"] = LibvirtTimeout("info", 5)
    await tell(machine, LifecycleEvent.STARTED)
    assert (machine.status, xmpp.pushes(VM)) == (presence.OFF, [("virtualmachine:control", "created")])


# -- its name -----------------------------------------------------------------------------------------------------------


async def test_a_domain_that_somebody_renamed_names_the_machine(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    await go_online(machine)
    await tell(machine, LifecycleEvent.DEFINED, name="db")
    record = await machine.services.store.machine(UUID)
    assert record is not None
    assert (machine.name, record.name, VCard.read(xmpp.vcards[VM]).name) == ("db", "db", "db")


async def test_a_name_that_another_machine_has_is_not_followed(
    hypervisor: Hypervisor, machine: VirtualMachine, caplog: pytest.LogCaptureFixture
) -> None:
    await machine.services.store.add_machine(MachineRecord(uuid=OTHER_UUID, name="DB", password=Secret("x"), phase=Phase.ACTIVE))
    await go_online(machine)
    await tell(machine, LifecycleEvent.DEFINED, name="db")
    assert machine.name == "web"
    assert "which cannot be followed" in caplog.text


# -- its account --------------------------------------------------------------------------------------------------------


async def test_an_account_that_the_server_lost_is_made_again(xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine) -> None:
    del xmpp.accounts[UUID]
    await go_online(machine)
    assert xmpp.accounts[UUID] == "machine"


async def test_an_account_that_somebody_else_has_is_left_alone(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, caplog: pytest.LogCaptureFixture
) -> None:
    xmpp.accounts[UUID] = "somebody's"
    assert not await machine.mend_refusal()
    assert xmpp.accounts[UUID] == "somebody's"
    assert "the server refuses its password, and the account cannot be made" in caplog.text


async def test_the_account_of_a_freed_machine_is_not_made_again(xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine) -> None:
    del xmpp.accounts[UUID]
    machine.freeing = True
    assert not await machine.mend_refusal()
    assert UUID not in xmpp.accounts


# -- its tags -----------------------------------------------------------------------------------------------------------


async def test_tags_are_not_kept_where_the_platform_has_no_node_for_them(online: Hypervisor, machine: VirtualMachine) -> None:
    """ejabberd would make one that everybody may write to."""
    with pytest.raises(CommandError, match="archipel platform init") as missing:
        await machine.keep_tags(("lab",))
    assert missing.value.condition == Condition.ITEM_NOT_FOUND


async def test_a_new_name_that_cannot_be_published_takes_nothing_from_the_push(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    await go_online(machine)
    xmpp.refuse["change vcard"] = CommandError("too big")
    await tell(machine, LifecycleEvent.DEFINED, name="db")
    assert xmpp.pushes(VM) == [("virtualmachine:definition", "defined")]
