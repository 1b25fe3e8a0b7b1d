# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine in the shared folder is every hypervisor's, and in one place, whoever dies at whichever step."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from archipel.agent import parked_machines, parking, parking_store, rule_store, schedule_book, shelving, unparking
from archipel.agent.allocation import Wish, allocate
from archipel.agent.parking_tables import ParkedState
from archipel.agent.rules import Reach, RuleRecord, Scope
from archipel.agent.schedule_book import JobRecord
from archipel.agent.shelf import Shelf
from archipel.agent.shelf_entry import Shelved
from archipel.agent.store import Phase, StoreError
from archipel.protocol.domain.domain import parse
from archipel.protocol.errors import CommandError, Condition, Unavailable
from archipel.protocol.vcard import Organisation
from tests.unit.agent.conftest import ask, finish_work
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, OTHER_UUID, OWNER, STUDENT, UUID, VM, failure
from tests.unit.agent.two_houses import House, Houses, Killed, Loaded, open_houses, qemu_xml
from tests.unit.protocol.golden import xml

PARKING = "archipel:hypervisor:vmparking"
SHELF, FIRST, SECOND = ["shelf"], ["hyp"], ["second"]
EVERY_HOUR = {"year": "*", "month": "*", "day": "*", "hour": "*", "minute": "0", "second": "0"}
Opener = Callable[[], AbstractAsyncContextManager[Houses]]
OPTIONS = "[VMPARKING]\nshared_folder = {shared}\n[VIRTUALMACHINE]\nvm_base_path = {drives}\n"


@pytest.fixture
def shared(agent_folder: Path) -> Path:
    return agent_folder / "parking"


@pytest.fixture
def opener(
    agent_folder: Path,
    tmp_path: Path,
    empty_database: Path,
    xmpp: FakeXmpp,
    monkeypatch: pytest.MonkeyPatch,
    capabilities: Loaded,
    shared: Path,
) -> Opener:
    numbers = itertools.count()

    def clear() -> str:
        drives = tmp_path / "drives"  # the domain policy takes no disk in /dev
        for folder in (shared, drives):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
        xmpp.accounts.pop(OTHER_UUID, None)
        return OPTIONS.format(shared=shared, drives=drives)

    @contextlib.asynccontextmanager
    async def open_sharing() -> AsyncIterator[Houses]:
        more = clear()
        with monkeypatch.context() as patch:
            async with open_houses(agent_folder / str(next(numbers)), empty_database, xmpp, patch, capabilities, more) as houses:
                let_die(houses, patch)
                give_disk(houses)
                yield houses

    return open_sharing


@pytest.fixture
async def houses(opener: Opener) -> AsyncIterator[Houses]:
    async with opener() as houses:
        yield houses


def let_die(houses: Houses, patch: pytest.MonkeyPatch) -> None:
    """Let an agent die before each of its steps in the shared folder, too."""
    do = Shelf._do

    async def do_or_die(self: Shelf, *arguments: Any, **more: Any) -> Any:
        houses.fate.meet(self.owner.partition("@")[0])
        return await do(self, *arguments, **more)

    patch.setattr(Shelf, "_do", do_or_die)


def give_disk(houses: Houses) -> None:
    """Give the machine a disk in its folder, which both houses see."""
    folder = houses.machine.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "disk.img").write_text("disk")
    disk = f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{folder}/disk.img'/><target dev='vda'/></disk>"
    houses.first.domain.stored = qemu_xml(devices=f"{disk}<graphics type='vnc' passwd='hunter2'/>")


async def park(house: House, *, force: bool = True) -> None:
    machine = house.hypervisor.machines[UUID]
    await parking.take_off(machine, OWNER.bare, force=force)
    await parking.finish(house.hypervisor, machine, OWNER.bare)
    await finish_work(house.hypervisor)


async def unpark(house: House, caller: Any = ADMIN) -> None:
    await unparking.run(house.hypervisor, caller, UUID, start=False)
    await finish_work(house.hypervisor)


async def edit(house: House) -> None:
    parked = await unparking.find_parked(house.hypervisor, UUID)
    changed = xml(parked.definition.replace("65536", "32768"))
    await parked_machines.change_definition(house.hypervisor, ADMIN, UUID, changed)


async def delete(house: House) -> None:
    await parked_machines.run_deletion(house.hypervisor, OWNER.bare, UUID)
    await finish_work(house.hypervisor)


async def create(house: House) -> None:
    await parked_machines.create(house.hypervisor, ADMIN, OTHER_UUID, xml(qemu_xml(name="fresh", uuid=OTHER_UUID)))


async def places(houses: Houses, shared: Path, uuid: str = UUID) -> list[str]:
    """All places where anything of a machine is."""
    found = [name.replace(f"{uuid}.parked", "shelf") for name in sorted(os.listdir(shared))]
    for house in houses.both:
        record = await house.services.store.machine(uuid)
        state = (await parking_store.states(house.services.store)).get(uuid)
        whole = (record is not None and record.phase, house.host.domain(uuid).stored is not None, state) == (Phase.ACTIVE, True, None)
        if whole and uuid in house.hypervisor.machines:
            found.append(house.name)
        elif record is not None or state is not None or house.host.domain(uuid).stored is not None or uuid in house.hypervisor.machines:
            found.append(f"{house.name}: {record and record.phase} {state}")
    return found


async def settle(houses: Houses) -> None:
    for house in houses.both:
        await house.settle()


async def listed(house: House) -> list[str]:
    return [parked.name for parked in await shelving.all_parked(house.hypervisor)]


# -- what goes along ------------------------------------------------------------------------------------------------------


async def test_what_one_parks_the_other_has_with_all_that_is_known_of_it(houses: Houses, shared: Path, xmpp: FakeXmpp) -> None:
    first, second = houses.both
    store = first.services.store
    await store.set_organisation(UUID, Organisation("Lab", "Physics", "Basel", "u", "exam"))
    await store.set_tags(UUID, ["red"])
    await first.services.rights.grant(VM, STUDENT.bare, "info", granted_by=ADMIN.bare)
    rule = RuleRecord(entity=VM, subject=STUDENT.bare, right="create", scope=Scope(Reach.ENTITY), granted_by=ADMIN.bare)
    await rule_store.write(store, rule_store.RuleChange(add=[rule]))
    job = JobRecord(
        entity=VM, uid="1", action="create", parameter="", fields=MappingProxyType(EVERY_HOUR), zone="UTC", moment=None,
        comment="", creator=OWNER.bare, due=datetime(2031, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    await schedule_book.keep_job(store, job)
    first.domain.autostart = True
    rights, definition = await first.rights(), parse(first.domain.stored or "").to_text()
    before = await store.machine(UUID)

    await park(first)
    assert await places(houses, shared) == SHELF
    assert (await listed(first), await listed(second)) == (["web"], ["web"])
    assert (await store.grants(VM), await schedule_book.read_jobs(store), (await rule_store.load(store)).rules) == ((), (), ())

    await unpark(second)
    assert await places(houses, shared) == SECOND
    assert (await second.rights(), second.domain.stored, second.domain.autostart) == (rights, definition, True)
    assert await second.services.store.machine(UUID) == before
    assert [kept.right for kept in (await rule_store.load(second.services.store)).rules] == ["create"]
    assert [kept.key for kept in await schedule_book.read_jobs(second.services.store)] == [(VM, "1")]
    assert second.hypervisor.machines[UUID].decide(STUDENT.bare, "info").allowed
    assert (xmpp.accounts[UUID], await listed(first)) == ("machine", [])
    assert [path.name for path in second.hypervisor.machines[UUID].folder.iterdir()] == ["disk.img"]


async def test_it_goes_to_and_fro_and_rights_that_were_taken_meanwhile_stay_away(houses: Houses, shared: Path) -> None:
    first, second = houses.both
    await first.services.rights.grant(VM, STUDENT.bare, "info", granted_by=ADMIN.bare)
    await park(first)
    await unpark(second)
    await second.services.rights.revoke(VM, STUDENT.bare, "info")
    await park(second)
    await unpark(first)
    assert await places(houses, shared) == FIRST
    assert not first.hypervisor.machines[UUID].decide(STUDENT.bare, "info").allowed


async def test_a_right_over_this_host_counts_only_from_an_administrator_of_this_host(houses: Houses, shared: Path) -> None:
    await houses.first.services.rights.grant(VM, STUDENT.bare, "domain_policy_bypass", granted_by="boss@lab.example")
    await park(houses.first)
    await unpark(houses.second)
    assert (await houses.second.rights()) == {("owner@lab.example", "all")}


async def test_the_other_edits_it_by_the_rights_on_it_and_its_passwords_stay(houses: Houses, shared: Path) -> None:
    await houses.first.services.rights.grant(VM, STUDENT.bare, "domain_policy_bypass", granted_by=ADMIN.bare)
    await park(houses.first)
    [shown] = parked_machines.show_page(await shelving.all_parked(houses.second.hypervisor), 0, "")
    assert shown.domain is not None
    source = shown.domain.find("devices")
    assert source is not None
    source.append(xml("<disk type='file' device='cdrom'><source file='/etc/hostname'/><target dev='sda'/><readonly/></disk>"))
    with pytest.raises(CommandError, match="the domain policy forbids"):
        await parked_machines.change_definition(houses.second.hypervisor, OWNER, UUID, shown.domain)
    await parked_machines.change_definition(houses.second.hypervisor, STUDENT, UUID, shown.domain)
    assert (await places(houses, shared), await houses.second.rights()) == (SHELF, set())
    found = await unparking.find_parked(houses.first.hypervisor, UUID)
    assert isinstance(found, Shelved)
    assert ("/etc/hostname" in found.definition, "hunter2" in found.definition) == (True, True)
    assert ("/etc/hostname", os.stat("/etc/hostname").st_size) in [(file.path, file.size) for file in found.files]
    assert {(grant.subject, grant.token) for grant in found.luggage.grants} >= {(STUDENT.bare, "domain_policy_bypass")}


async def test_the_other_deletes_it_and_nothing_is_left(houses: Houses, shared: Path, xmpp: FakeXmpp) -> None:
    folder = houses.machine.folder
    await park(houses.first)
    await delete(houses.second)
    assert (await places(houses, shared), folder.exists(), UUID in xmpp.accounts) == ([], False, False)


async def test_one_that_is_made_parked_is_for_all(houses: Houses, shared: Path) -> None:
    await create(houses.first)
    assert await listed(houses.second) == ["fresh"]
    assert (await parking_store.states(houses.first.services.store)) == {}


async def test_what_was_parked_before_there_was_a_shared_folder_gets_into_it(houses: Houses, shared: Path) -> None:
    parked = parking_store.ParkedRecord(
        machine=replace((await houses.first.services.store.machines())[0], uuid=OTHER_UUID, name="old"),
        definition=qemu_xml(name="old", uuid=OTHER_UUID),
        parker=OWNER.bare,
    )
    await parking_store.add(houses.first.services.store, parked)
    await settle(houses)
    assert await listed(houses.second) == ["old"]


async def test_a_uuid_in_the_shared_folder_is_nobodys_to_take(houses: Houses, shared: Path) -> None:
    await park(houses.first)
    for work in (
        allocate(houses.second.hypervisor, ADMIN, Wish("other", uuid=UUID)),
        parked_machines.create(houses.second.hypervisor, ADMIN, UUID, xml(qemu_xml())),
    ):
        with pytest.raises(CommandError, match=r"is parked in .*: unpark or delete it"):
            await work
    assert await places(houses, shared) == SHELF


# -- what stays, and what cannot come -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "devices, system, told",
    [
        (
            "<disk type='file' device='disk'><source file='/srv/own.img'/><target dev='vda'/></disk>",
            "",
            "its disk vda is not in its own folder",
        ),
        ("<disk type='file'><source file='{folder}/../x/a.img'/><target dev='vda'/></disk>", "", "its disk vda is not in its own folder"),
        (
            "<disk type='block' device='disk'><source dev='/dev/vg/a'/><target dev='vdb'/></disk>",
            "",
            "its disk vdb is not in its own folder",
        ),
        ("<tpm model='tpm-crb'><backend type='emulator'/></tpm>", "", "this host keeps its firmware's variables, or its TPM"),
        ("", "<nvram>/var/lib/libvirt/qemu/nvram/web.fd</nvram>", "this host keeps its firmware's variables"),
    ],
)
async def test_what_other_hosts_could_not_have_stays_parked_where_it_is_and_that_is_said(
    houses: Houses, shared: Path, xmpp: FakeXmpp, devices: str, system: str, told: str
) -> None:
    houses.first.domain.stored = qemu_xml(devices=devices.format(folder=houses.machine.folder)).replace("</os>", f"{system}</os>")
    xmpp.rosters["hyp@lab.example"] = {OWNER.bare: "both"}
    await park(houses.first)
    assert await places(houses, shared) == ["hyp: None parked"]
    assert (await listed(houses.first), await listed(houses.second)) == (["web"], [])
    reason = await shelving.try_shelve(houses.first.hypervisor, UUID)
    assert (told in reason, "it stays on" in reason) == (True, True)
    await unpark(houses.first)
    assert await places(houses, shared) == FIRST


async def test_an_edit_that_would_bind_it_to_a_host_is_refused(houses: Houses, shared: Path) -> None:
    await park(houses.first)
    bound = qemu_xml(devices="<disk type='file' device='disk'><source file='/srv/own.img'/><target dev='vda'/></disk>")
    with pytest.raises(CommandError, match="its disk vda is not in its own folder"):
        await parked_machines.change_definition(houses.second.hypervisor, ADMIN, UUID, xml(bound))
    assert await places(houses, shared) == SHELF


async def test_who_does_not_see_its_files_does_not_get_it(houses: Houses, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archipel.agent.arrival_files.PAUSE", 0)
    await park(houses.first)
    base = houses.second.services.settings.machines.base_path
    requests = [f"<archipel action='{action}'><item identifier='{UUID}'/></archipel>" for action in ("unpark", "delete")]
    os.rename(base / UUID, base / "away")
    for request in requests:
        with pytest.raises(CommandError, match=r"is not as hyp@lab\.example left it"):
            await ask(houses.second.hypervisor, PARKING, request, ADMIN)
    with pytest.raises(CommandError, match=r"is not as hyp@lab\.example left it"):
        await edit(houses.second)
    os.rename(base / "away", base / UUID)
    settings = houses.second.services.settings
    elsewhere = replace(settings, machines=replace(settings.machines, base_path=base.parent / "other"))
    houses.second.hypervisor.services = replace(houses.second.hypervisor.services, settings=elsewhere)
    with pytest.raises(CommandError, match="vm_base_path must be the same") as refused:
        await ask(houses.second.hypervisor, PARKING, requests[0], ADMIN)
    assert refused.value.condition == Condition.NOT_ACCEPTABLE
    assert await places(houses, shared) == SHELF


async def test_an_entry_of_yesterday_gets_nobody_a_second_machine(houses: Houses, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archipel.agent.arrival_files.PAUSE", 0)
    await park(houses.first)
    copy = shutil.copy(shared / f"{UUID}.parked", shared / ".copy")
    await unpark(houses.second)
    os.rename(copy, shared / f"{UUID}.parked")
    with pytest.raises(CommandError, match="or the machine was unparked since"):
        await ask(houses.first.hypervisor, PARKING, f"<archipel action='unpark'><item identifier='{UUID}'/></archipel>", ADMIN)
    assert await listed(houses.second) == []  # who has it does not show what says that it is parked
    assert await places(houses, shared) == ["shelf", "second"]


async def test_an_entry_of_yesterday_deletes_nothing_of_a_machine_that_had_no_folder_then(
    houses: Houses, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archipel.agent.arrival_files.PAUSE", 0)
    folder = houses.machine.folder
    shutil.rmtree(folder)
    houses.first.domain.stored = qemu_xml()
    await park(houses.first)
    copy = shutil.copy(shared / f"{UUID}.parked", shared / ".copy")
    await unpark(houses.second)
    drive = folder / "disk.img"
    drive.write_text("disk")
    os.rename(copy, shared / f"{UUID}.parked")
    await delete(houses.first)
    assert (drive.read_text(), await places(houses, shared)) == ("disk", ["shelf", "second"])


async def test_the_domain_policy_of_the_host_where_it_comes_back_counts(houses: Houses, shared: Path) -> None:
    await park(houses.first)
    changed = (await unparking.find_parked(houses.first.hypervisor, UUID)).definition.replace("</devices>", "{}</devices>")
    medium = "<disk type='file' device='cdrom'><source file='/etc/hostname'/><target dev='sda'/><readonly/></disk>"
    await parked_machines.change_definition(houses.first.hypervisor, ADMIN, UUID, xml(changed.format(medium)))
    await unpark(houses.second, STUDENT)
    assert await places(houses, shared) == SHELF
    await unpark(houses.second, ADMIN)
    assert await places(houses, shared) == SECOND


@pytest.mark.parametrize("call", ["define", "set autostart"])
async def test_what_libvirt_refuses_there_stays_in_the_shared_folder(houses: Houses, shared: Path, call: str) -> None:
    houses.first.domain.autostart = True
    await park(houses.first)
    houses.second.domain.refuse[call] = failure()
    await unpark(houses.second)
    assert (await places(houses, shared), await houses.second.rights()) == (SHELF, set())
    assert await schedule_book.read_jobs(houses.second.services.store) == ()
    await unpark(houses.first)
    assert await places(houses, shared) == FIRST


async def test_a_name_that_is_taken_there_leaves_it_in_the_shared_folder(
    houses: Houses, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: object) -> None:
        raise StoreError("disk full")

    await park(houses.first)
    with monkeypatch.context() as patch:
        patch.setattr(parking_store, "begin_unpark", fail)
        await unpark(houses.second)
    assert await places(houses, shared) == SHELF


async def test_without_the_folder_it_is_parked_here_until_the_folder_is_back(
    houses: Houses, shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.rename(shared, shared.with_name("gone"))
    with caplog.at_level(logging.WARNING):
        await park(houses.first)
        await settle(houses)
    assert [line for line in caplog.messages if "No such file" in line]
    assert houses.first.hypervisor.untidy.is_set()
    with pytest.raises(CommandError, match=r"the shared folder .* cannot be used"):
        await listed(houses.first)
    os.rename(shared.with_name("gone"), shared)
    await settle(houses)
    assert await places(houses, shared) == SHELF


async def test_a_claim_that_was_heard_too_late_is_given_back(houses: Houses, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Shelf.claim

    async def claim_unheard(self: Shelf, uuid: str) -> None:
        await claim(self, uuid)
        raise Unavailable("the shared folder does not answer")

    await park(houses.first)
    houses.second.hypervisor.untidy.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "claim", claim_unheard)
        await unpark(houses.second)
    assert (await places(houses, shared), houses.second.hypervisor.untidy.is_set()) == ([f"{UUID}.held-by-second@lab.example"], True)
    await settle(houses)
    assert await places(houses, shared) == SHELF


async def test_two_who_want_it_at_once_do_not_both_get_it(houses: Houses, shared: Path) -> None:
    await park(houses.first)
    for _ in range(5):
        await asyncio.gather(*(unpark(house) for house in houses.both))
        [there] = [house for house in houses.both if UUID in house.hypervisor.machines]
        assert await places(houses, shared) == [there.name]
        await park(there)


# -- the agent dies -------------------------------------------------------------------------------------------------------

Step = Callable[[House], Awaitable[None]]


async def kill_at_each_step(opener: Opener, shared: Path, step: Step, *, parked: bool, uuid: str = UUID) -> list[tuple[int, list[str]]]:
    """Let an agent die before each of its steps, start it again, and return where the machine was then."""
    found = []
    for moment in itertools.count(1):
        async with opener() as houses:
            rights = await houses.first.rights()
            house = houses.second if parked else houses.first
            if parked:
                await park(houses.first)
            houses.fate.victim, houses.fate.moment, houses.fate.steps = house.name, moment, 0
            with contextlib.suppress(Killed):
                await step(house)
            if not houses.fate.struck:
                return found
            await house.begin_again()
            await settle(houses)
            place = await places(houses, shared, uuid)
            found.append((moment, place))
            if uuid == UUID:
                expected = [rights if house.name in place else set() for house in houses.both]
                assert [await house.rights() for house in houses.both] == expected, moment
                assert ((houses.first.services.settings.machines.base_path / UUID / "disk.img").exists(), UUID in houses.xmpp.accounts) == (
                    (bool(place), bool(place))
                ), moment
                if place == SHELF:
                    await unpark(houses.first)
                    assert await places(houses, shared) == FIRST, moment
    raise AssertionError


async def test_killed_while_it_parks(opener: Opener, shared: Path) -> None:
    found = await kill_at_each_step(opener, shared, park, parked=False)
    assert all(place in (FIRST, SHELF) for _moment, place in found), found
    assert (found[0][1], found[-1][1], len(found) > 10) == (FIRST, SHELF, True), found


async def test_killed_while_it_unparks(opener: Opener, shared: Path) -> None:
    found = await kill_at_each_step(opener, shared, unpark, parked=True)
    assert all(place in (SHELF, SECOND) for _moment, place in found), found
    assert (found[0][1], found[-1][1], len(found) > 10) == (SHELF, SECOND, True), found


async def test_killed_while_it_is_edited(opener: Opener, shared: Path) -> None:
    found = await kill_at_each_step(opener, shared, edit, parked=True)
    assert all(place == SHELF for _moment, place in found), found
    assert len(found) > 10


async def test_killed_while_it_is_deleted(opener: Opener, shared: Path) -> None:
    found = await kill_at_each_step(opener, shared, delete, parked=True)
    assert all(place in (SHELF, []) for _moment, place in found), found
    assert (found[0][1], found[-1][1], len(found) > 5) == (SHELF, [], True), found


async def test_killed_while_it_is_made(opener: Opener, shared: Path) -> None:
    found = await kill_at_each_step(opener, shared, create, parked=False, uuid=OTHER_UUID)
    assert all(place in (SHELF, []) for _moment, place in found), found
    assert (found[0][1], found[-1][1], len(found) > 5) == ([], SHELF, True), found


async def test_what_was_half_put_there_when_the_option_went_is_told(
    houses: Houses, shared: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "shelf_of", lambda _hypervisor: None)
    await park(houses.first)
    await parking_store.set_state(houses.first.services.store, UUID, ParkedState.SHELVING)
    await houses.first.settle()
    assert any("that the configuration names no more" in line for line in caplog.messages)
