# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that moves is at one host or at the other, whoever dies at whichever step; nobody else hands one over."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import libvirt
import pytest

from archipel.agent import arrival, departure, hand_over, luggage, migrating, migration_store
from archipel.agent.hand_over import pack
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.luggage import Luggage
from archipel.agent.rule_changes import RuleChanges, RuleWish
from archipel.agent.store import MachineRecord, Phase
from archipel.agent.virt.errors import LibvirtTimeout
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.migration import Route
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import BadRequest, CommandError, ErrorCode, PermissionDenied
from archipel.protocol.events import events_node
from archipel.protocol.migration import Mode
from archipel.protocol.payload import Request
from archipel.protocol.roles import Role
from tests.unit.agent.conftest import ask, finish_work
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, OWNER, STRANGER, UUID, VM, failure
from tests.unit.agent.two_houses import Houses, Loaded, open_houses, qemu_xml

CONTROL, HOST, BETWEEN, OWN = "archipel:vm:control", "archipel:hypervisor:control", "archipel:hypervisor:migration", "archipel:vm:migration"
Opener = Callable[[], AbstractAsyncContextManager[Houses]]
AT_FIRST, AT_SECOND = ("hyp",), ("second",)


@pytest.fixture
def opener(agent_folder: Path, empty_database: Path, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch, capabilities: Loaded) -> Opener:
    numbers = itertools.count()
    return lambda: open_houses(agent_folder / str(next(numbers)), empty_database, xmpp, monkeypatch, capabilities)


@pytest.fixture
async def houses(opener: Opener) -> AsyncIterator[Houses]:
    async with opener() as houses:
        yield houses


async def run_home(houses: Houses) -> tuple[str, ...]:
    """Let housekeeping work on both sides until nothing changes."""
    for house in (*houses.both, *houses.both):
        await house.settle()
    return await houses.where()


# -- it moves -------------------------------------------------------------------------------------------------------------


async def test_one_that_is_off_moves_by_its_definition_with_all_rights(houses: Houses) -> None:
    rights = await houses.first.rights()
    houses.first.domain.autostart = True
    await houses.migrate()
    assert await run_home(houses) == AT_SECOND
    assert houses.said == ["expect", "soft_alloc", "serve"]
    assert (await houses.second.rights(), await houses.first.rights()) == (rights, set())
    assert houses.second.domain.autostart
    assert "migrate" not in houses.first.domain.calls
    machine = houses.second.hypervisor.machines[UUID]
    assert machine.decide(OWNER.bare, "create").allowed
    assert machine.full == f"{VM}/second"
    assert ("hypervisor", "migrate") in houses.xmpp.pushes(houses.second.hypervisor.bare)
    assert await migration_store.all_outgoing(houses.first.services.store) == ()


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED])
async def test_one_that_runs_is_moved_by_libvirt_and_goes_on(houses: Houses, state: DomainState) -> None:
    houses.first.domain.state_now = state
    await houses.migrate()
    assert await run_home(houses) == AT_SECOND
    assert houses.second.domain.state_now is state
    told = [push for push, _who in houses.xmpp.nodes[events_node(houses.second.hypervisor.bare)].items.values() if push is not None]
    [[journey]] = [push for push in told if push.get("change") == "migrate"]
    assert journey.attrib == {"machine": VM, "source": houses.first.hypervisor.bare, "downtime": "231"}
    assert (houses.first.domain.stored, "undefine, NVRAM kept" in houses.first.domain.calls) == (None, True)


async def test_one_that_is_off_and_not_on_shared_storage_moves_without_running(houses: Houses) -> None:
    folder = houses.machine.folder
    disk = f"<disk type='file' device='disk'><driver type='raw'/><source file='{folder}/a.raw'/><target dev='vda'/></disk>"
    houses.first.domain.stored = qemu_xml(devices=disk + "<tpm model='tpm-crb'><backend type='emulator'/></tpm>")
    await migrating.begin(houses.machine, ADMIN.bare, houses.second.hypervisor.full)
    outgoing = await migration_store.all_outgoing(houses.first.services.store)
    assert [found.mode for found in outgoing] == [Mode.PAUSED]
    assert await finish(houses) == AT_SECOND
    assert (houses.second.domain.state_now, "destroy" in houses.second.domain.calls) == (DomainState.SHUTOFF, True)
    assert "create" not in houses.first.domain.calls


async def test_its_owner_moves_it_with_disks_in_its_own_folder(
    tmp_path: Path, empty_database: Path, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch, capabilities: Loaded
) -> None:
    async with open_houses(tmp_path / "agents", empty_database, xmpp, monkeypatch, capabilities) as houses:
        folder = houses.machine.folder
        folder.mkdir(parents=True)
        (folder / "a.raw").touch()
        source = f"<driver name='qemu' type='raw'/><source file='{folder}/a.raw'/><target dev='vda' bus='virtio'/>"
        houses.first.domain.stored = qemu_xml(devices=f"<disk type='file' device='disk'>{source}</disk>")
        houses.first.domain.state_now = DomainState.RUNNING
        await houses.migrate()
        assert await run_home(houses) == AT_SECOND
        assert os.listdir(folder) == ["a.raw"]


async def finish(houses: Houses) -> tuple[str, ...]:
    await finish_work(houses.first.hypervisor, houses.second.hypervisor)
    return await run_home(houses)


async def test_progress_is_shown_beside_the_state(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    houses.first.domain.state_now = DomainState.RUNNING
    await houses.machine.refresh()
    shown: list[tuple[str | None, str]] = []
    show = houses.machine.show
    monkeypatch.setattr(houses.machine, "show", lambda status: (shown.append((status.show, status.text)), show(status)))
    await houses.migrate()
    assert {show for show, _text in shown} == {None}
    assert next(text for _show, text in shown if text.startswith("Migrating - ")) == "Migrating - 0%"
    assert "Migrating - 100%" in {text for _show, text in shown}


def test_what_is_sent_unencrypted_or_unsafely_must_have_been_asked_for() -> None:
    careful, careless = Route("qemu+tls://b/system").flags, Route("u", "b", ["vda"], trusts_sharing=True, encrypted=False).flags
    assert careful & libvirt.VIR_MIGRATE_TLS
    assert not careful & (libvirt.VIR_MIGRATE_UNSAFE | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE | libvirt.VIR_MIGRATE_NON_SHARED_DISK)
    assert careless & libvirt.VIR_MIGRATE_UNSAFE
    assert careless & libvirt.VIR_MIGRATE_NON_SHARED_DISK
    assert not careless & (libvirt.VIR_MIGRATE_TLS | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE)
    assert Route("u", "b", ["vda"], bandwidth=5).parameters == {"migrate_uri": "tcp://b", "migrate_disks": ["vda"], "bandwidth": 5}


# -- it fails -------------------------------------------------------------------------------------------------------------


async def test_what_libvirt_refuses_leaves_it_where_it_was(houses: Houses) -> None:
    domain = houses.first.domain
    domain.state_now, domain.autostart, domain.breaks = DomainState.RUNNING, True, failure("Unsafe migration")
    await houses.migrate()
    assert houses.machine.status.text == "Can't migrate."
    assert ("virtualmachine:control", "migrateerror") in houses.xmpp.pushes(VM)
    assert await run_home(houses) == AT_FIRST
    assert (domain.autostart, domain.state_now, await houses.second.phase()) == (True, DomainState.RUNNING, None)
    assert not houses.machine.migrating


@pytest.mark.parametrize("lies", [False, True])
async def test_where_libvirt_does_not_answer_it_is_found_out_where_the_machine_is(houses: Houses, lies: bool) -> None:
    domain = houses.first.domain
    domain.state_now, domain.breaks, domain.lies = DomainState.RUNNING, LibvirtTimeout("migrate", 1), lies
    await houses.migrate()
    assert await run_home(houses) == (AT_SECOND if lies else AT_FIRST)


async def test_what_the_other_host_refuses_is_the_answer_and_nothing_is_left(houses: Houses) -> None:
    houses.second.host.add("7a1d3b4f-2c8e-4d66-8b1f-4e3c2d5a6b70", "web")
    with pytest.raises(CommandError, match="does not take web: name: 'web' is taken"):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    assert (await houses.first.phase(), await houses.second.phase()) == (Phase.ACTIVE, None)
    assert not houses.machine.migrating
    assert not list(houses.machine.folder.parent.glob("**/.archipel-migration-*"))


async def test_rights_that_fit_in_no_message_are_told_before_anything_moves(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luggage, "LONGEST_PACKAGE", 10)
    with pytest.raises(CommandError, match="more than one message carries"):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    assert (houses.machine.migrating, houses.said, await houses.first.phase()) == (False, [], Phase.ACTIVE)


async def test_a_definition_that_the_other_host_forbids_does_not_come_unless_an_administrator_sends_it(houses: Houses) -> None:
    disk = "<disk type='block' device='disk'><source dev='/dev/sda'/><target dev='vda'/></disk>"
    houses.first.domain.stored = qemu_xml(devices=f"<hostdev mode='subsystem' type='usb'/>{disk}")
    with pytest.raises(CommandError, match="only files and network disks move"):
        await migrating.begin(houses.machine, ADMIN.bare, houses.second.hypervisor.full)
    houses.first.domain.stored = qemu_xml(devices="<filesystem type='mount'><source dir='/'/><target dir='root'/></filesystem>")
    with pytest.raises(CommandError, match="the domain policy forbids"):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    await migrating.begin(houses.machine, ADMIN.bare, houses.second.hypervisor.full)
    assert await finish(houses) == AT_SECOND


async def test_what_changes_the_machine_is_refused_with_the_founders_code(houses: Houses) -> None:
    houses.machine.migrating = True
    for request in ("action='destroy'", "action='create'", "action='migrate' hypervisorjid='second@lab.example/host1'"):
        with pytest.raises(CommandError) as refused:
            await ask(houses.machine, CONTROL, f"<archipel {request}/>", OWNER)
        assert refused.value.code == ErrorCode.MIGRATING
    assert (await ask(houses.machine, CONTROL, "<archipel action='info'/>", OWNER)) is not None
    with pytest.raises(CommandError, match="is migrating"):
        await ask(houses.first.hypervisor, HOST, f"<archipel action='free' jid='{VM}'/>", ADMIN)
    houses.machine.migrating = False


async def test_a_cancelled_migration_says_so(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = houses.first.domain
    domain.state_now, domain.breaks = DomainState.RUNNING, failure("operation aborted")
    real = migrating.migrate

    async def cancel_first(*arguments: object) -> None:
        await ask_cancel(houses)
        await real(*arguments)

    monkeypatch.setattr(migrating, "migrate", cancel_first)
    await houses.migrate()
    assert (domain.aborted, houses.machine.status.text) == (1, "Migration aborted")
    assert await run_home(houses) == AT_FIRST


async def ask_cancel(houses: Houses) -> None:
    await migrating.cancel(houses.machine)


# -- somebody dies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("victim", ["hyp", "second"])
@pytest.mark.parametrize("state", [DomainState.SHUTOFF, DomainState.RUNNING])
async def test_whoever_dies_at_whichever_step_it_is_at_one_host_and_keeps_its_rights(
    opener: Opener, xmpp: FakeXmpp, victim: str, state: DomainState
) -> None:
    seen = set()
    for moment in itertools.count(1):
        async with opener() as houses:
            houses.first.domain.state_now = state
            rights = await houses.first.rights()
            houses.fate.victim, houses.fate.moment = victim, moment
            with contextlib.suppress(CommandError):
                await houses.migrate()
            if not houses.fate.struck:
                break
            [dead] = [house for house in houses.both if house.name == victim]
            await dead.begin_again()
            place = await run_home(houses)
            assert place in (AT_FIRST, AT_SECOND), (moment, houses.said)
            there = houses.first if place == AT_FIRST else houses.second
            assert (await there.rights(), there.domain.state_now) == (rights, state), moment
            assert await migration_store.all_outgoing(houses.first.services.store) == ()
            assert xmpp.accounts[UUID] == "machine"
            seen.add(place)
        shutil.rmtree(houses.first.services.settings.machines.base_path, ignore_errors=True)
    assert moment > 5
    assert seen == {AT_FIRST, AT_SECOND}


async def test_an_administrator_settles_it_when_the_former_host_burnt_down(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    async def burn(*_arguments: object) -> None:
        raise CommandError("fire")

    monkeypatch.setattr(departure, "_let_go", burn)
    await houses.migrate()
    incoming = await migration_store.find_incoming(houses.second.services.store, UUID)
    assert incoming is not None
    words = f"attempt='{incoming.attempt}' uuid='{UUID}'"
    with pytest.raises(CommandError, match="is held here"):
        await ask(houses.second.hypervisor, BETWEEN, f"<archipel action='forget' {words}/>", ADMIN)
    await ask(houses.second.hypervisor, BETWEEN, f"<archipel action='serve' {words}/>", ADMIN)
    assert (await houses.second.phase(), UUID in houses.second.hypervisor.machines) == (Phase.ACTIVE, True)


# -- what is acknowledged meanwhile -----------------------------------------------------------------------------------------------


async def allow(houses: Houses, who: str, right: str = "info") -> bool:
    """Have the owner give somebody a right on the machine; return whether that was acknowledged."""
    wish = f"<permission permission_type='user' permission_target='{who}' permission_name='{right}' permission_value='true'/>"
    try:
        await ask(houses.machine, "archipel:permissions", f"<archipel action='set'>{wish}</archipel>", OWNER)
    except CommandError as error:
        if error.code != ErrorCode.MIGRATING:
            raise
        return False
    return True


async def test_no_right_is_given_and_acknowledged_that_does_not_go_along(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged: dict[str, bool] = {}
    real, packing = houses.ask, departure.pack

    async def give(moment: str) -> None:
        if UUID in houses.first.hypervisor.machines:
            acknowledged[moment] = await allow(houses, f"{moment.replace(' ', '-')}@lab.example")

    async def ask_between(hypervisor: Hypervisor, to: str, request: Request[Any]) -> Any:
        await give(f"before {request.action}")
        try:
            return await real(hypervisor, to, request)
        finally:
            await give(f"after {request.action}")

    async def pack_between(machine: VirtualMachine, record: MachineRecord, *, autostart: bool) -> Luggage:
        packed = await packing(machine, record, autostart=autostart)
        await give("packed")
        return packed

    monkeypatch.setattr(departure, "ask", ask_between)
    monkeypatch.setattr(migrating, "ask", ask_between)
    monkeypatch.setattr(departure, "pack", pack_between)
    await houses.migrate()
    assert await run_home(houses) == AT_SECOND
    assert acknowledged == {
        "before expect": True,
        "after expect": True,
        "packed": False,
        "before soft_alloc": False,
        "after soft_alloc": False,
    }
    there = {subject.partition("@")[0] for subject, _token in await houses.second.rights()}
    assert {moment.replace(" ", "-") for moment, done in acknowledged.items() if done} <= there


async def test_a_right_that_is_being_given_when_the_luggage_is_packed_goes_along(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    store, going = houses.first.services.store, asyncio.Event()
    real, announce, announced = store.change_grants, houses.ask, asyncio.Event()

    async def ask_and_tell(hypervisor: Hypervisor, to: str, request: Request[Any]) -> Any:
        announced.set()
        return await announce(hypervisor, to, request)

    async def write_slowly(*arguments: Any) -> None:
        going.set()
        await announced.wait()
        await asyncio.sleep(0.5)
        await real(*arguments)

    monkeypatch.setattr(store, "change_grants", write_slowly)
    monkeypatch.setattr(migrating, "ask", ask_and_tell)
    giving = asyncio.create_task(allow(houses, "late@lab.example"))
    await going.wait()
    await houses.migrate()
    assert await giving
    assert await run_home(houses) == AT_SECOND
    assert ("late@lab.example", "info") in await houses.second.rights()


async def test_rights_change_again_when_the_machine_stays_and_not_before_that_is_known(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_text: str) -> None:
        raise failure("no room")

    monkeypatch.setattr(houses.second.domain, "define", refuse)  # it cannot be held there
    await houses.migrate()
    assert await run_home(houses) == AT_FIRST
    assert await allow(houses, "late@lab.example")
    await houses.first.services.store.set_phase(UUID, Phase.MIGRATING)
    await houses.first.begin_again()  # whether the other host holds it is not known now
    assert not await allow(houses, "later@lab.example")


# -- what is packed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "eJw=", "not base64!", "eJyrVkpUslIqLi3KSy1WqgUAIAIEWg==", "QUFBQQ==", "eJyrrgUAAXUA+Q=="])
def test_luggage_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="package"):
        Luggage.unpack(text, VM)


async def test_luggage_of_another_machine_is_refused_and_its_own_is_what_was_packed(houses: Houses) -> None:
    record = await houses.first.services.store.machine(UUID)
    assert record is not None
    packed = await pack(houses.machine, record, autostart=True)
    text = packed.pack()
    assert Luggage.unpack(text, VM) == packed
    with pytest.raises(BadRequest):
        Luggage.unpack(text, "7a1d3b4f-2c8e-4d66-8b1f-4e3c2d5a6b70@lab.example")
    assert "machine" not in repr(packed.grants)


async def test_power_over_the_other_host_does_not_go_along_unless_its_administrator_gave_it(houses: Houses) -> None:
    rights = houses.first.services.rights
    await rights.grant(VM, OWNER.bare, "domain_policy_bypass", granted_by=OWNER.bare)
    await rights.grant(VM, STRANGER.bare, "domain_policy_bypass", granted_by=ADMIN.bare)
    await houses.migrate()
    assert await run_home(houses) == AT_SECOND
    held = {subject for subject, token in await houses.second.rights() if token == "domain_policy_bypass"}
    assert held == {STRANGER.bare}


async def test_a_role_that_is_power_over_the_other_host_does_not_go_along_either(houses: Houses) -> None:
    here, there = RuleChanges(houses.first.services.rights), RuleChanges(houses.second.services.rights)
    await here.set_role(Role("helpers", "", frozenset({"info"})), caller=ADMIN.bare)
    await there.set_role(Role("helpers", "", frozenset({"info", "domain_policy_bypass"})), caller=ADMIN.bare)
    for subject, giver in ((STRANGER.bare, OWNER.bare), ("friend@lab.example", ADMIN.bare)):
        wish = RuleWish(subject=subject, is_group=False, right="helpers", is_role=True)
        await here.set(VM, [wish], caller=giver)
    await houses.migrate()
    assert await run_home(houses) == AT_SECOND
    may = houses.second.services.rights.check
    assert not may(VM, STRANGER.bare, "domain_policy_bypass").allowed
    assert may(VM, "friend@lab.example", "domain_policy_bypass").allowed


async def test_a_role_that_is_none_at_the_other_host_is_not_one_that_is_made_there_later(houses: Houses) -> None:
    here, there = RuleChanges(houses.first.services.rights), RuleChanges(houses.second.services.rights)
    await here.set_role(Role("helpers", "", frozenset({"info"})), caller=ADMIN.bare)
    await here.set(VM, [RuleWish(subject=STRANGER.bare, is_group=False, right="helpers", is_role=True)], caller=OWNER.bare)
    await houses.migrate()
    assert await run_home(houses) == AT_SECOND
    await there.set_role(Role("helpers", "", frozenset({"info", "domain_policy_bypass"})), caller=ADMIN.bare)
    assert not houses.second.services.rights.check(VM, STRANGER.bare, "info").allowed
    assert not houses.second.services.rights.check(VM, STRANGER.bare, "domain_policy_bypass").allowed


@pytest.mark.parametrize(
    "uri",
    ["qemu+ext:///system?command=/tmp/mine", "qemu+ssh://second/system?x=1&COMMAND=/tmp/mine", "test:///default", "qemu:///system", "x"],
)
async def test_no_address_of_the_other_host_makes_this_one_run_something(houses: Houses, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    houses.first.domain.state_now = DomainState.RUNNING
    monkeypatch.setattr(arrival, "migration_uri", AsyncMock(return_value=uri))
    with pytest.raises(CommandError, match="libvirt"):
        await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    assert await run_home(houses) == AT_FIRST


# -- forged hand-overs ----------------------------------------------------------------------------------------------------------


ATTEMPT = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
WORDS = f"attempt='{ATTEMPT}' uuid='{UUID}'"
REQUESTS = (
    (
        BETWEEN,
        f"<archipel action='expect' {WORDS} name='web' base_folder='/vm' folder='0' mover='{ADMIN.bare}'>{qemu_xml()}</archipel>",
    ),
    (HOST, f"<archipel action='soft_alloc' {WORDS} mode='plain'><password>x</password><package>eJw=</package></archipel>"),
    *((BETWEEN, f"<archipel action='{action}' {WORDS}/>") for action in ("serve", "forget", "arrival")),
)


@pytest.mark.parametrize("namespace, request_text", REQUESTS)
async def test_a_stranger_and_a_holder_of_the_right_hand_nothing_over(houses: Houses, namespace: str, request_text: str) -> None:
    hypervisor = houses.second.hypervisor
    with pytest.raises(PermissionDenied):
        await ask(hypervisor, namespace, request_text, STRANGER)
    await houses.second.services.rights.grant(hypervisor.bare, STRANGER.bare, "soft_alloc", "all", granted_by=ADMIN.bare)
    with pytest.raises(CommandError, match="migration_peers"):
        await ask(hypervisor, namespace, request_text, STRANGER)
    assert (await houses.second.phase(), houses.second.domain.stored) == (None, None)


async def test_one_trusted_hypervisor_has_no_say_about_anothers_machine(houses: Houses) -> None:
    await migrating.begin(houses.machine, OWNER.bare, houses.second.hypervisor.full)
    [outgoing] = await migration_store.all_outgoing(houses.first.services.store)
    incoming = await migration_store.find_incoming(houses.second.services.store, UUID)
    assert incoming is not None
    await migration_store.keep_incoming(houses.second.services.store, replace(incoming, source="third@lab.example"))
    for _namespace, action in REQUESTS[1:4]:
        text = action.replace(ATTEMPT, outgoing.attempt)
        namespace = HOST if "soft_alloc" in text else BETWEEN
        caller = type(OWNER)(houses.first.hypervisor.full, houses.first.hypervisor.bare)
        with contextlib.suppress(CommandError):
            await ask(houses.second.hypervisor, namespace, text, caller)
    found = await migration_store.find_incoming(houses.second.services.store, UUID)
    assert found is not None
    assert found.source == "third@lab.example"


async def test_who_is_no_peer_any_more_loses_the_rights(houses: Houses, monkeypatch: pytest.MonkeyPatch) -> None:
    rights, bare = houses.second.services.rights, houses.second.hypervisor.bare
    assert rights.check(bare, "hyp@lab.example", "soft_alloc").allowed
    monkeypatch.setattr(hand_over, "peers_of", lambda _hypervisor: frozenset())
    await hand_over.let_peers_in(houses.second.hypervisor)
    assert not rights.check(bare, "hyp@lab.example", "soft_alloc").allowed
