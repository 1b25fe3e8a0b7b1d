# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making and adopting machines: complete when it is answered, or an error and nothing left of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archipel.agent import allocation
from archipel.agent.allocation import Wish, adopt, allocate
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.names import is_free
from archipel.agent.store import Phase, StoreError
from archipel.agent.virt.errors import LibvirtTimeout, LibvirtUnavailable, VirtError
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition, PermissionDenied
from archipel.protocol.events import events_node
from archipel.protocol.presence import Status
from archipel.protocol.vcard import Organisation, VCard
from archipel.xmpp.errors import Disconnected, NoAnswer, WireError
from tests.unit.agent.conftest import finish_work
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, HYP, OTHER_UUID, OWNER, UUID, VM, FakeHost, domain_xml, failure
from tests.unit.protocol.golden import xml

BAD = (CommandError, VirtError, WireError, StoreError)
FORBIDDEN_DISK = "<disk type='block'><source dev='/dev/sda'/><target dev='vda'/></disk>"


async def left_behind(hypervisor: Hypervisor, xmpp: FakeXmpp, host: FakeHost) -> dict[str, object]:
    """Return what there is of any machine: nothing, if all is well."""
    folder = hypervisor.services.settings.machines.base_path
    found: dict[str, object] = {
        "entities": list(hypervisor.machines),
        "records": await hypervisor.services.store.machines(),
        "grants": await hypervisor.services.store.grants(),
        "accounts": [name for name in xmpp.accounts if name != "hyp"],
        "domains": [domain.uuid for domain in host.known.values() if domain.stored is not None],
        "folders": [path.name for path in folder.iterdir()] if folder.is_dir() else [],
    }
    return {name: value for name, value in found.items() if value}


def text_of(status: Status) -> str:
    return status.text.partition(" \N{EM DASH}")[0]


# -- making -------------------------------------------------------------------------------------------------------------


async def test_a_machine_is_complete_when_it_is_answered(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost) -> None:
    wish = Wish("web", Organisation(orgunit="It"), UUID, xml(domain_xml("whatever", OTHER_UUID)))
    machine = await allocate(online, ADMIN, wish)
    await finish_work(online, machine)
    record = await online.services.store.machine(UUID)
    assert record is not None
    assert (record.phase, record.name, record.organisation) == (Phase.ACTIVE, "web", Organisation("Lab", "It"))
    assert online.machines == {UUID: machine}
    assert machine.folder.is_dir()
    assert (host.domain(UUID).called, host.domain(UUID).root.findtext("uuid")) == ("web", UUID)
    assert xmpp.accounts[UUID] == record.password.reveal()
    assert machine.online.is_set()


async def test_its_maker_has_all_rights_on_it_and_is_in_its_roster(xmpp: FakeXmpp, online: Hypervisor) -> None:
    machine = await allocate(online, OWNER, Wish("web", uuid=UUID))
    await finish_work(online, machine)
    assert online.services.rights.tokens_of(VM, OWNER.bare) == ("all",)
    assert xmpp.rosters[VM] == {OWNER.bare: "none"}
    assert xmpp.nodes[events_node(VM)].affiliations[OWNER.bare] == "member"
    assert VCard.read(xmpp.vcards[VM]).role == "virtualmachine"


async def test_everybody_is_told(xmpp: FakeXmpp, online: Hypervisor) -> None:
    machine = await allocate(online, OWNER, Wish("web", uuid=UUID))
    await finish_work(online, machine)
    assert xmpp.pushes(HYP) == [("hypervisor", "alloc")]
    assert text_of(online.status) == "Online (1)"


async def test_what_nobody_chose_is_chosen_here(online: Hypervisor) -> None:
    first, second = await allocate(online, OWNER, Wish()), await allocate(online, OWNER, Wish())
    assert first.uuid != second.uuid
    assert is_free(first.name, [second.name])
    assert first.password != second.password
    assert len(first.password.reveal()) == 32


async def test_the_name_may_stand_in_the_definition(online: Hypervisor) -> None:
    assert (await allocate(online, ADMIN, Wish(domain=xml(domain_xml("db", None))))).name == "db"


@pytest.mark.parametrize(
    "wish,text,condition",
    [
        (Wish("web"), "'web' is taken", Condition.CONFLICT),
        (Wish("WEB"), "'WEB' is taken", Condition.CONFLICT),
        (Wish("old"), "'old' is taken", Condition.CONFLICT),
        (Wish("Old"), "'Old' is taken", Condition.CONFLICT),
        (Wish(domain=xml(domain_xml("OLD", None))), "'OLD' is taken", Condition.CONFLICT),
        (Wish(uuid=UUID), "is managed already", Condition.CONFLICT),
        (Wish(uuid=UUID.upper()), "is managed already", Condition.CONFLICT),
        (Wish(uuid=OTHER_UUID), "adopt it with manage", Condition.CONFLICT),
        (Wish(uuid="../../etc"), "is not a UUID", Condition.BAD_REQUEST),
        (Wish("a/b"), "name: ", Condition.BAD_REQUEST),
        (Wish(domain=xml(domain_xml("web", None))), "'web' is taken", Condition.CONFLICT),
    ],
)
async def test_names_and_uuids_are_given_once(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, wish: Wish, text: str, condition: Condition
) -> None:
    host.add(OTHER_UUID, "old")
    with pytest.raises(CommandError, match=text) as refused:
        await allocate(online, OWNER, wish)
    assert refused.value.condition == condition
    assert list(online.machines) == [UUID]


async def test_two_who_want_one_name_at_once_do_not_both_get_it(online: Hypervisor) -> None:
    made = await asyncio.gather(*(allocate(online, OWNER, Wish("web")) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, VirtualMachine) for each in made) == 1
    assert len(online.machines) == 1


# -- each step may fail -------------------------------------------------------------------------------------------------

Fault = Callable[[Hypervisor, FakeXmpp, FakeHost, pytest.MonkeyPatch], None]


def list_fails(_hypervisor: Hypervisor, _xmpp: FakeXmpp, host: FakeHost, _patch: pytest.MonkeyPatch) -> None:
    host.refuse["list"] = LibvirtUnavailable("no connection")


def record_fails(hypervisor: Hypervisor, _xmpp: FakeXmpp, _host: FakeHost, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hypervisor.services.store, "add_machine", fail_with(StoreError("disk full")))


def account_is_refused(_hypervisor: Hypervisor, xmpp: FakeXmpp, _host: FakeHost, _patch: pytest.MonkeyPatch) -> None:
    xmpp.refuse["register"] = CommandError("not allowed", condition=Condition.FORBIDDEN)


def account_is_made_unheard(_hypervisor: Hypervisor, xmpp: FakeXmpp, _host: FakeHost, _patch: pytest.MonkeyPatch) -> None:
    xmpp.lose["register"] = NoAnswer("late")


def folder_fails(hypervisor: Hypervisor, _xmpp: FakeXmpp, _host: FakeHost, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Path, "mkdir", fail_with(PermissionError(13, "Permission denied"), plain=True))


def grant_fails(hypervisor: Hypervisor, _xmpp: FakeXmpp, _host: FakeHost, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hypervisor.services.rights, "make_owner", fail_with(StoreError("disk full")))


def define_fails(_hypervisor: Hypervisor, _xmpp: FakeXmpp, host: FakeHost, _patch: pytest.MonkeyPatch) -> None:
    host.domain(UUID).refuse["define"] = failure("no such machine type")


def define_is_not_heard_of(_hypervisor: Hypervisor, _xmpp: FakeXmpp, host: FakeHost, _patch: pytest.MonkeyPatch) -> None:
    host.domain(UUID).refuse["define"] = LibvirtTimeout("define", 60)
    host.domain(UUID).stored = None


def last_step_fails(hypervisor: Hypervisor, _xmpp: FakeXmpp, _host: FakeHost, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hypervisor.services.store, "set_phase", fail_with(StoreError("disk full")))


def fail_with(error: Exception, *, plain: bool = False) -> Any:
    def fail(*_arguments: object, **_named: object) -> None:
        raise error

    async def fail_later(*_arguments: object, **_named: object) -> None:
        raise error

    return fail if plain else fail_later


@pytest.mark.parametrize(
    "fault",
    [
        list_fails,
        record_fails,
        account_is_refused,
        account_is_made_unheard,
        folder_fails,
        grant_fails,
        define_fails,
        define_is_not_heard_of,
        last_step_fails,
    ],
)
async def test_an_error_at_any_step_leaves_nothing_behind(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    with monkeypatch.context() as patch:
        fault(online, xmpp, host, patch)
        with pytest.raises(BAD):
            await allocate(online, ADMIN, Wish("web", uuid=UUID, domain=xml(domain_xml())))
    assert await left_behind(online, xmpp, host) == {}
    assert text_of(online.status) == "Online (0)"
    with pytest.raises(LookupError):
        online.services.rights.check(VM, ADMIN.bare, "all")


@pytest.mark.parametrize("definition", [domain_xml(devices=FORBIDDEN_DISK), "<network/>", domain_xml(more="<memory>x</memory>")])
async def test_a_refused_definition_leaves_nothing_behind(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, definition: str) -> None:
    with pytest.raises(CommandError):
        await allocate(online, OWNER, Wish("web", uuid=UUID, domain=xml(definition)))
    assert await left_behind(online, xmpp, host) == {}


async def test_the_policy_s_refusal_is_one_of_rights(online: Hypervisor) -> None:
    with pytest.raises(PermissionDenied):
        await allocate(online, OWNER, Wish("web", domain=xml(domain_xml(devices=FORBIDDEN_DISK))))


async def test_an_account_of_somebody_else_is_not_touched(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost) -> None:
    xmpp.accounts[UUID] = "somebody's"
    with pytest.raises(CommandError, match="exists and is not this agent's") as conflict:
        await allocate(online, OWNER, Wish(uuid=UUID))
    assert conflict.value.condition == Condition.CONFLICT
    assert await left_behind(online, xmpp, host) == {"accounts": [UUID]}


async def test_a_folder_that_was_prepared_is_used_and_stays_after_an_error(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost) -> None:
    folder = online.services.settings.machines.base_path / UUID
    folder.mkdir(parents=True)
    (folder / "root.img").write_text("disk")
    host.domain(UUID).refuse["define"] = failure()
    with pytest.raises(VirtError):
        await allocate(online, ADMIN, Wish("web", uuid=UUID, domain=xml(domain_xml())))
    assert (folder / "root.img").exists()


async def test_what_cannot_be_undone_now_is_kept_as_an_intent(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost) -> None:
    host.domain(UUID).refuse["define"] = failure()
    xmpp.refuse["unregister"] = Disconnected("gone")
    with pytest.raises(VirtError):
        await allocate(online, ADMIN, Wish("web", uuid=UUID, domain=xml(domain_xml())))
    (record,) = await online.services.store.machines()
    assert record.phase is Phase.ALLOCATING
    xmpp.refuse.clear()
    await online.recover()
    assert await left_behind(online, xmpp, host) == {}


@pytest.mark.parametrize("made", [False, True])
async def test_a_server_that_goes_away_during_the_making_is_asked_again_later(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, made: bool
) -> None:
    (xmpp.lose if made else xmpp.refuse)["register"] = Disconnected("gone")
    xmpp.refuse["unregister"] = Disconnected("gone")
    with pytest.raises(Disconnected):
        await allocate(online, OWNER, Wish("web", uuid=UUID))
    assert [record.phase for record in await online.services.store.machines()] == [Phase.ALLOCATING]
    xmpp.refuse.clear()
    xmpp.lose.clear()
    await online.recover()
    assert await left_behind(online, xmpp, host) == {}


# -- after it was made --------------------------------------------------------------------------------------------------


async def test_a_machine_that_does_not_log_in_in_time_is_made_all_the_same(
    xmpp: FakeXmpp, online: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocation, "LOGIN_WAIT", 0.01)
    xmpp.refuse["read roster"] = CommandError("not now")
    machine = await allocate(online, OWNER, Wish("web", uuid=UUID))
    await finish_work(online)
    assert not machine.online.is_set()
    assert xmpp.pushes(HYP) == [("hypervisor", "alloc")]


@pytest.mark.parametrize("step", ["change roster", "change affiliations"])
@pytest.mark.parametrize("error", [CommandError("no"), NoAnswer("late")])
async def test_trouble_with_the_first_contact_does_not_turn_what_was_done_into_an_error(
    xmpp: FakeXmpp, online: Hypervisor, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    monkeypatch.setattr(allocation, "LOGIN_WAIT", 0.05)
    xmpp.refuse[step] = error
    machine = await allocate(online, OWNER, Wish("web", uuid=UUID))
    await finish_work(online)
    assert online.machines == {UUID: machine}
    assert xmpp.pushes(HYP) == [("hypervisor", "alloc")]


# -- adopting -----------------------------------------------------------------------------------------------------------


async def test_a_domain_is_taken_in_while_it_runs_and_stays_as_it_is(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost) -> None:
    domain = host.add(UUID, "Old Machine/1", state=DomainState.RUNNING)
    before = domain.stored
    await adopt(online, OWNER, [VM])
    machine = online.machines[UUID]
    await finish_work(online, machine)
    assert (machine.name, machine.adopted, machine.status.text) == ("Old Machine/1", True, "Running")
    assert (domain.stored, domain.state_now) == (before, DomainState.RUNNING)
    assert not machine.folder.exists()
    assert xmpp.pushes(HYP) == [("hypervisor", "alloc"), ("hypervisor", "manage")]


async def test_a_domain_is_taken_in_whatever_those_are_called_that_are_not_managed(online: Hypervisor, host: FakeHost) -> None:
    """libvirt tells names apart by their letters' case; only managed machines are found by name."""
    host.add(UUID, "Boss")
    host.add(OTHER_UUID, "boss")
    await adopt(online, OWNER, [UUID])
    assert online.machines[UUID].name == "Boss"
    with pytest.raises(CommandError, match="'boss' is taken"):
        await adopt(online, OWNER, [OTHER_UUID])


async def test_each_is_tried_and_those_that_failed_are_named(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    host.add(OTHER_UUID, "old")
    missing = "11111111-1111-4111-8111-111111111111"
    with pytest.raises(CommandError) as failed:
        await adopt(online, OWNER, [UUID, missing, "nonsense", OTHER_UUID])
    assert set(online.machines) == {UUID, OTHER_UUID}
    text = failed.value.text
    assert text.startswith(f"manage failed for {UUID}: a machine with the UUID {UUID} is managed already; {missing}: libvirt has no domain")
    assert "nonsense: jid: " in text


@pytest.mark.parametrize("error", [NoAnswer("late"), Disconnected("gone")])
async def test_a_server_that_is_in_trouble_is_named_too(
    xmpp: FakeXmpp, online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    host.add(UUID, "web")
    host.add(OTHER_UUID, "old")
    xmpp.refuse["register"] = error
    with pytest.raises(CommandError, match=f"manage failed for {UUID}: {error}; {OTHER_UUID}: {error}"):
        await adopt(online, OWNER, [UUID, OTHER_UUID])


async def test_a_domain_that_could_not_be_taken_in_stays_as_it_was(xmpp: FakeXmpp, online: Hypervisor, host: FakeHost) -> None:
    domain = host.add(UUID, "web", state=DomainState.RUNNING)
    xmpp.refuse["register"] = CommandError("no")
    with pytest.raises(CommandError):
        await adopt(online, OWNER, [UUID])
    assert domain.state_now is DomainState.RUNNING
    assert await left_behind(online, xmpp, host) == {"domains": [UUID]}


async def test_nobody_is_told_of_an_adoption_that_did_not_happen(xmpp: FakeXmpp, online: Hypervisor) -> None:
    with pytest.raises(CommandError):
        await adopt(online, OWNER, [UUID])
    await finish_work(online)
    assert xmpp.pushes(HYP) == []
