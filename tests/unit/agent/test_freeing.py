# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of machines: freed, let go, and what a crash or an absent server left half done."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from archipel.agent.allocation import KEEP_DISKS, Wish, allocate, destroy, finish_free, keeps_disks, let_go
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.recovery import recover
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.connection import ConnectionState
from archipel.agent.virt.errors import LibvirtTimeout, LibvirtUnavailable, VirtError
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import TAGS_NODE, events_node
from archipel.xmpp.errors import Disconnected, NoAnswer
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp, Node
from tests.unit.agent.fakes import HYP, OTHER_UUID, OWNER, UUID, VM, FakeDomain, FakeHost, FakeLibvirt, failure

FRIEND = "friend@lab.example"


@pytest.fixture
async def vm(xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine) -> VirtualMachine:
    """The machine: it runs, has a disk, a contact and tags, and is online."""
    machine.folder.mkdir(parents=True)
    (machine.folder / "root.img").write_text("disk")
    xmpp.rosters[VM] = {FRIEND: "both"}
    xmpp.nodes[TAGS_NODE] = Node("admin@lab.example")
    await online.publish_tags(VM, ("lab",))
    await go_online(machine)
    return machine


@pytest.fixture
def domain(host: FakeHost, machine: VirtualMachine) -> FakeDomain:
    domain = host.domain(UUID)
    domain.state_now = DomainState.RUNNING
    return domain


async def free(hypervisor: Hypervisor, machine: VirtualMachine, *, keep_disks: bool = False) -> None:
    await destroy(machine, keep_disks=keep_disks)
    await finish_free(hypervisor, machine, OWNER.bare)
    await finish_work(hypervisor)


async def phase_of(machine: VirtualMachine) -> Phase | None:
    record = await machine.services.store.machine(machine.uuid)
    return None if record is None else record.phase


# -- freeing ------------------------------------------------------------------------------------------------------------


async def test_a_freed_machine_is_gone_everywhere(xmpp: FakeXmpp, online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    await free(online, vm)
    assert (domain.stored, vm.folder.exists(), await phase_of(vm)) == (None, False, None)
    assert UUID not in xmpp.accounts
    assert events_node(VM) not in xmpp.nodes
    assert xmpp.nodes[TAGS_NODE].items == {}
    assert xmpp.rosters[VM] == {}
    assert await online.services.store.grants(VM) == ()
    assert online.machines == {}
    assert xmpp.pushes(HYP)[-1] == ("hypervisor", "free")


async def test_disks_are_kept_for_whoever_asks(online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    await free(online, vm, keep_disks=True)
    assert (vm.folder / "root.img").read_text() == "disk"
    assert (domain.stored, await phase_of(vm)) == (None, None)


@pytest.mark.parametrize("word,keep", [("", False), (KEEP_DISKS, True)])
def test_the_word_for_it_is_disks(word: str, keep: bool) -> None:
    assert keeps_disks(word) is keep


@pytest.mark.parametrize("word", ["disk", "all", "Disks", "yes", "0"])
def test_a_word_that_nobody_knows_costs_no_disks(word: str) -> None:
    with pytest.raises(BadRequest, match="keep: must be 'disks' or left out"):
        keeps_disks(word)


async def test_an_adopted_machine_s_files_were_never_ours(online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    vm.adopted = True
    await free(online, vm)
    assert vm.folder.exists()
    assert domain.stored is None


@pytest.mark.parametrize("state", [DomainState.SHUTOFF, DomainState.PAUSED, DomainState.CRASHED])
async def test_a_machine_is_freed_in_any_state(online: Hypervisor, vm: VirtualMachine, domain: FakeDomain, state: DomainState) -> None:
    domain.state_now = state
    await free(online, vm)
    assert domain.stored is None
    assert ("destroy" in domain.calls) is (state is DomainState.PAUSED)


async def test_a_machine_without_a_domain_is_freed_too(online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = None
    await free(online, vm)
    assert await phase_of(vm) is None


async def test_a_transient_domain_is_only_stopped(online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    domain.persistent = False
    await free(online, vm)
    assert "undefine" not in domain.calls


async def test_a_machine_is_freed_once(vm: VirtualMachine) -> None:
    await destroy(vm, keep_disks=False)
    with pytest.raises(CommandError, match="is being freed already"):
        await destroy(vm, keep_disks=False)


@pytest.mark.parametrize("call", ["is active", "destroy", "is persistent", "undefine"])
@pytest.mark.parametrize("error", [failure("snapshots"), LibvirtTimeout("x", 60), LibvirtUnavailable("gone")])
async def test_what_libvirt_refuses_leaves_the_machine_managed_and_usable(
    online: Hypervisor, vm: VirtualMachine, domain: FakeDomain, call: str, error: Exception
) -> None:
    """At the founders' agent it became a zombie that answered nothing."""
    domain.refuse[call] = error
    with pytest.raises(VirtError):
        await destroy(vm, keep_disks=False)
    assert (vm.freeing, await phase_of(vm), vm.folder.exists()) == (False, Phase.ACTIVE, True)
    assert online.machines == {UUID: vm}
    domain.refuse.clear()
    await free(online, vm)


async def test_an_intent_that_cannot_be_written_leaves_the_machine_usable(vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(vm.services.store, "set_phase", fail)
    with pytest.raises(StoreError):
        await destroy(vm, keep_disks=False)
    assert not vm.freeing
    assert vm.folder.exists()


@pytest.mark.parametrize("step", ["delete node", "change roster", "retract"])
@pytest.mark.parametrize("error", [CommandError("no"), NoAnswer("late")])
async def test_trifles_on_the_server_keep_no_machine_alive(
    xmpp: FakeXmpp, online: Hypervisor, vm: VirtualMachine, domain: FakeDomain, step: str, error: Exception
) -> None:
    xmpp.refuse[step] = error
    await free(online, vm)
    assert UUID not in xmpp.accounts
    assert await phase_of(vm) is None


@pytest.mark.parametrize("error", [CommandError("no", condition=Condition.NOT_ALLOWED), Disconnected("gone")])
async def test_an_account_that_cannot_be_removed_now_is_removed_later(
    xmpp: FakeXmpp, online: Hypervisor, vm: VirtualMachine, domain: FakeDomain, error: Exception
) -> None:
    xmpp.refuse["unregister"] = error
    await free(online, vm)
    assert (await phase_of(vm), UUID in xmpp.accounts) == (Phase.FREEING, True)
    assert online.machines == {}
    xmpp.refuse.clear()
    await recover(online)
    assert (await phase_of(vm), UUID in xmpp.accounts) == (None, False)


# -- letting go ---------------------------------------------------------------------------------------------------------


async def test_what_is_let_go_runs_on_untouched(xmpp: FakeXmpp, online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    await finish_work(online, vm)
    before = domain.stored
    domain.calls.clear()
    await let_go(online, ["web"])
    await finish_work(online)
    touched = [call for call in domain.calls if call != "is active"]  # what the hypervisor asks of its own accord when it comes online
    assert (domain.stored, domain.state_now, touched) == (before, DomainState.RUNNING, [])
    assert (vm.folder / "root.img").exists()
    assert (await phase_of(vm), UUID in xmpp.accounts, online.machines) == (None, False, {})
    assert xmpp.pushes(HYP)[-1] == ("hypervisor", "unmanage")


async def test_each_is_let_go_and_those_that_are_not_managed_are_named(online: Hypervisor, vm: VirtualMachine) -> None:
    with pytest.raises(CommandError, match="unmanage failed for nobody: no managed machine 'nobody' on Host"):
        await let_go(online, ["nobody", UUID])
    assert online.machines == {}


async def test_a_machine_that_is_being_freed_is_not_let_go(online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    """What was begun is finished: its domain is gone already, its folder too."""
    await destroy(vm, keep_disks=False)
    with pytest.raises(CommandError, match="is being freed already"):
        await let_go(online, [UUID])
    assert await phase_of(vm) is Phase.FREEING


# -- after a crash ------------------------------------------------------------------------------------------------------


async def leave_half(hypervisor: Hypervisor, host: FakeHost, xmpp: FakeXmpp, record: MachineRecord) -> Path:
    """Leave everything of a machine behind, as a crash would; return its folder."""
    await hypervisor.services.store.add_machine(record)
    host.add(record.uuid, record.name, state=DomainState.RUNNING)
    xmpp.accounts[record.uuid] = record.password.reveal()
    folder = hypervisor.services.settings.machines.base_path / record.uuid
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "phase,adopted,keep_disks,domain_stays,folder_stays",
    [
        (Phase.ALLOCATING, False, False, False, False),
        (Phase.ALLOCATING, False, True, False, True),
        (Phase.ALLOCATING, True, False, True, True),
        (Phase.FREEING, False, False, False, False),
        (Phase.FREEING, False, True, False, True),
        (Phase.FREEING, True, False, False, True),
        (Phase.UNMANAGING, False, False, True, True),
        (Phase.UNMANAGING, True, False, True, True),
    ],
)
async def test_what_was_half_made_is_undone_and_what_was_half_removed_is_finished(
    xmpp: FakeXmpp,
    online: Hypervisor,
    host: FakeHost,
    phase: Phase,
    adopted: bool,
    keep_disks: bool,
    domain_stays: bool,
    folder_stays: bool,
) -> None:
    record = MachineRecord(uuid=UUID, name="web", password=Secret("half"), phase=phase, adopted=adopted, intent={"keep_disks": keep_disks})
    folder = await leave_half(online, host, xmpp, record)
    await recover(online)
    assert (host.domain(UUID).stored is not None, folder.exists()) == (domain_stays, folder_stays)
    if domain_stays:
        assert host.domain(UUID).state_now is DomainState.RUNNING
    assert await online.services.store.machines() == ()
    assert UUID not in xmpp.accounts
    assert online.machines == {}


async def test_a_folder_that_was_prepared_survives_a_crash_during_the_making(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = online.services.settings.machines.base_path / UUID
    folder.mkdir(parents=True)
    written = []

    async def keep(record: MachineRecord) -> None:
        written.append(record)
        raise StoreError("and then the power was gone")

    with monkeypatch.context() as patch:
        patch.setattr(online.services.store, "add_machine", keep)
        with pytest.raises(StoreError):
            await allocate(online, OWNER, Wish("web", uuid=UUID))
    await online.services.store.add_machine(written[0])
    await recover(online)
    assert folder.exists()
    assert await online.services.store.machines() == ()


async def test_machines_that_are_whole_are_left_alone(xmpp: FakeXmpp, online: Hypervisor, vm: VirtualMachine, domain: FakeDomain) -> None:
    await recover(online)
    assert (await phase_of(vm), domain.state_now) == (Phase.ACTIVE, DomainState.RUNNING)


@pytest.mark.parametrize("phase", [Phase.ALLOCATING, Phase.FREEING])
async def test_what_is_being_made_or_freed_right_now_is_not_recovered(
    online: Hypervisor, vm: VirtualMachine, domain: FakeDomain, phase: Phase
) -> None:
    vm.freeing = phase is Phase.FREEING
    await online.services.store.set_phase(UUID, phase)
    await recover(online)
    assert (domain.state_now, await phase_of(vm)) == (DomainState.RUNNING, phase)
    del online.machines[UUID]
    online.in_hand.add(UUID)
    await recover(online)
    assert domain.state_now is DomainState.RUNNING


async def test_one_that_cannot_be_recovered_now_hinders_no_other(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    for uuid, name in ((UUID, "web"), (OTHER_UUID, "db")):
        await leave_half(online, host, xmpp, MachineRecord(uuid=uuid, name=name, password=Secret("half"), phase=Phase.FREEING))
    host.domain(UUID).refuse["destroy"] = failure("it hangs")
    await recover(online)
    assert [record.name for record in await online.services.store.machines()] == ["web"]
    assert "web" in next(record.message for record in caplog.records if record.levelno == logging.ERROR)
    host.domain(UUID).refuse.clear()
    await recover(online)
    assert await online.services.store.machines() == ()


async def test_recovering_waits_for_libvirt(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, libvirt: FakeLibvirt) -> None:
    await leave_half(online, host, xmpp, MachineRecord(uuid=UUID, name="web", password=Secret("half"), phase=Phase.FREEING))
    libvirt.state = ConnectionState.LOST
    await online.recover()
    assert len(await online.services.store.machines()) == 1
    libvirt.state = ConnectionState.CONNECTED
    await online.recover()
    assert await online.services.store.machines() == ()


async def test_a_new_session_of_the_hypervisor_recovers(xmpp: FakeXmpp, hypervisor: Hypervisor, host: FakeHost) -> None:
    await leave_half(hypervisor, host, xmpp, MachineRecord(uuid=UUID, name="web", password=Secret("half"), phase=Phase.ALLOCATING))
    await go_online(hypervisor)
    async with asyncio.timeout(30):
        while await hypervisor.services.store.machines():
            await finish_work(hypervisor)
    assert UUID not in xmpp.accounts
