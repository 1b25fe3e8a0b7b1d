# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one answer: who sees what of which, what fails in one, and how pages follow each other."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Sequence
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import description_pages
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.errors import LibvirtTimeout
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.declaration import USUAL_PARTS, Describe, DescriptionPage, MachineItem, Part, PartItem
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.vcard import Organisation
from archipel.xmpp.serial import serialize
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STRANGER, STUDENT, UUID, VM, Calendar, FakeHost, failure

LIBVIRT = (Part.INFO, Part.DEFINITION, Part.SNAPSHOTS)
SECRET = "<graphics type='vnc' port='-1' passwd='hidden'/>"


async def describe(hypervisor: Hypervisor, *parts: Part, caller: Caller = ADMIN, more: str = "", cursor: str = "") -> DescriptionPage:
    archipel = f"<archipel action='describe' parts='{' '.join(parts)}'>{cursor}{more}</archipel>"
    return Describe.read_answer(await ask(hypervisor, ns.DECLARATION, archipel, caller))


async def describe_all(hypervisor: Hypervisor, *parts: Part, caller: Caller = ADMIN) -> list[MachineItem]:
    """All pages, one after the other; each ends by saying where the next one begins."""
    found: list[MachineItem] = []
    page = await describe(hypervisor, *parts, caller=caller)
    while page.next is not None:
        found += page.machines
        page = await describe(hypervisor, *parts, caller=caller, cursor=ET.tostring(page.next.write(), "unicode"))
    return [*found, *page.machines]


def parts_of(machine: MachineItem) -> dict[str, PartItem]:
    return {part.name: part for part in machine.parts}


async def only(hypervisor: Hypervisor, *parts: Part, caller: Caller = ADMIN) -> dict[str, PartItem]:
    """The parts of the one machine that there is."""
    [machine] = (await describe(hypervisor, *parts, caller=caller)).machines
    return parts_of(machine)


async def add_machines(hypervisor: Hypervisor, host: FakeHost, count: int, devices: str = "") -> list[VirtualMachine]:
    made = []
    for number in range(count):
        record = MachineRecord(uuid=str(uuids.UUID(int=number + 1)), name=f"vm-{number}", password=Secret("x"), phase=Phase.ACTIVE)
        await hypervisor.services.store.add_machine(record)
        host.add(record.uuid, record.name, devices=devices)
        made.append(hypervisor.adopt_record(record))
    return made


# -- parts --------------------------------------------------------------------------------------------------------------


async def test_a_machine_is_described_in_all_its_parts(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    await go_online(machine)
    await machine.services.store.set_tags(machine.uuid, ["red", "blue"])
    host.domain(UUID).state_now = DomainState.RUNNING
    machine.organisation = Organisation(orgname="Lab")
    [found] = (await describe(online)).machines
    assert (found.uuid, found.name, found.jid, found.online) == (UUID, "web", machine.full, True)
    parts = parts_of(found)
    assert list(parts) == list(USUAL_PARTS)
    assert all(part.denied is None and part.failed is None for part in found.parts)
    info = parts[Part.INFO].info
    assert info is not None
    assert (info.state, info.vcpus, info.hypervisor) == (1, 1, online.full)
    assert [tag.word for tag in parts[Part.TAGS].tags] == ["red", "blue"]
    organisation = parts[Part.ORGANISATION].organisation
    assert organisation is not None
    assert organisation.orgname == "Lab"
    assert [(rule.subject, rule.right) for rule in parts[Part.RIGHTS].rights] == [(OWNER.bare, "all")]
    definition = parts[Part.DEFINITION]
    assert definition.stored is not None
    assert definition.running is not None
    assert definition.stored.domain.findtext("name") == "web"


async def test_only_what_is_asked_for_is_read(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    assert list(await only(online, Part.TAGS, Part.ORGANISATION)) == [Part.TAGS, Part.ORGANISATION]
    assert host.visits == []
    await only(online, Part.INFO)
    assert host.domain(machine.uuid).calls == ["info"]


async def test_a_machine_that_is_off_has_no_running_definition(online: Hypervisor, machine: VirtualMachine) -> None:
    assert (await only(online, Part.DEFINITION))[Part.DEFINITION].running is None


async def test_a_machine_without_a_domain_has_nothing_of_libvirts(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    host.domain(machine.uuid).stored = None
    parts = await only(online, *LIBVIRT)
    assert list(parts.values()) == [PartItem.of(part) for part in LIBVIRT]


async def test_a_definition_comes_without_secrets(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    host.add(machine.uuid, "web", devices=SECRET, more=f"<description>{VM}::::hidden</description>")
    [found] = (await describe(online, Part.DEFINITION)).machines
    text = ET.tostring(found.write(), "unicode")
    assert "vnc" in text
    assert "hidden" not in text


async def test_rights_tell_reason_and_end_but_not_those_of_the_hypervisor(
    online: Hypervisor, machine: VirtualMachine, calendar: Calendar
) -> None:
    rule = f"<rule subject='{STUDENT.bare}' role='student' expires='2030-01-01T01:00:00Z' reason='exam'/>"
    await ask(machine, ns.RIGHTS, f"<archipel action='grant'>{rule}</archipel>")
    wide = f"<rule subject='{STUDENT.bare}' right='info' scope='hypervisor'/>"
    await ask(online, ns.RIGHTS, f"<archipel action='grant'>{wide}</archipel>", ADMIN)
    rights = (await only(online, Part.RIGHTS))[Part.RIGHTS].rights
    assert [(found.subject, found.role, found.expires, found.reason) for found in rights if found.role] == [
        (STUDENT.bare, "student", "2030-01-01T01:00:00Z", "exam")
    ]
    assert {found.entity for found in rights} == {VM}
    calendar.pass_time(timedelta(hours=2))
    assert not any(found.role for found in (await only(online, Part.RIGHTS))[Part.RIGHTS].rights)


# -- who sees what ------------------------------------------------------------------------------------------------------


async def test_a_student_sees_his_machine_alone_and_of_it_what_he_may(online: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    await add_machines(online, host, 2)
    rights = online.services.rights
    await rights.grant(HYP, STUDENT.bare, "message", granted_by=HYP)
    await rights.grant(VM, STUDENT.bare, "info", granted_by=HYP)
    named = "".join(f"<machine uuid='{uuid}'/>" for uuid in online.machines)
    for more in ("", named):
        [found] = (await describe(online, caller=STUDENT, more=more)).machines
        assert found.uuid == UUID
        denied = {part.name: part.denied for part in found.parts if part.denied is not None}
        assert denied == {
            "definition": "xmldesc",
            "roster": "getroster",
            "snapshots": "snapshot_get",
            "schedule": "scheduler_jobs",
        }
        assert parts_of(found)[Part.INFO].info is not None
    assert host.domain(UUID).calls == ["info", "info"]  # what is denied is not even read


async def test_a_denial_counts_for_a_part(online: Hypervisor, machine: VirtualMachine) -> None:
    await online.services.rights.grant(HYP, OWNER.bare, "message", granted_by=HYP)
    denial = f"<rule subject='{OWNER.bare}' right='info'/>"
    await ask(machine, ns.RIGHTS, f"<archipel action='deny'>{denial}</archipel>", ADMIN)
    parts = await only(online, Part.INFO, Part.DEFINITION, caller=OWNER)
    assert (parts[Part.INFO].denied, parts[Part.DEFINITION].denied) == ("info", None)


async def test_a_stranger_to_the_hypervisor_is_refused(online: Hypervisor, machine: VirtualMachine) -> None:
    for caller in (STRANGER, OWNER):  # the owner is known to his machine alone: it answers him itself
        with pytest.raises(PermissionDenied):
            await describe(online, caller=caller)


async def test_who_knows_no_machine_learns_of_none(online: Hypervisor, machine: VirtualMachine) -> None:
    await online.services.rights.grant(HYP, STUDENT.bare, "message", granted_by=HYP)
    no_such = f"<machine uuid='{uuids.uuid4()}'/>"
    for more in ("", f"<machine uuid='{UUID}'/>", no_such):
        assert await describe(online, caller=STUDENT, more=more) == DescriptionPage(machines=(), next=None)


# -- trouble ------------------------------------------------------------------------------------------------------------


async def test_trouble_of_one_machine_does_not_hide_the_others(online: Hypervisor, host: FakeHost) -> None:
    first, second, third = await add_machines(online, host, 3)
    host.domain(second.uuid).refuse["info"] = failure("disk on fire")
    host.domain(third.uuid).refuse["info"] = LibvirtTimeout("look", 10)
    fine, broken, hanging = map(parts_of, (await describe(online, Part.INFO, Part.DEFINITION, Part.TAGS)).machines)
    assert fine[Part.INFO].info is not None
    for part in (Part.INFO, Part.DEFINITION):
        assert (broken[part].failed, broken[part].code) == ("disk on fire", 9)
        assert "did not answer" in (hanging[part].failed or "")
        assert hanging[part].code is None
    assert broken[Part.TAGS].failed is None
    assert first.uuid < second.uuid < third.uuid


async def test_a_machine_that_is_being_freed_says_so(online: Hypervisor, machine: VirtualMachine) -> None:
    machine.freeing = True
    assert "is being freed" in ((await only(online, Part.INFO))[Part.INFO].failed or "")


async def test_a_database_that_fails_costs_the_tags_alone(
    online: Hypervisor, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_uuids: object) -> None:
        raise StoreError("no room")

    monkeypatch.setattr(online.services.store, "tags_of", fail)
    parts = await only(online, Part.TAGS, Part.INFO)
    assert (parts[Part.TAGS].failed, parts[Part.INFO].failed) == ("no room", None)


async def test_a_capability_that_is_switched_off_is_said_to_be(
    online: Hypervisor, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = online.services.registry
    found = {key: value for key, value in registry._commands.items() if key[1] != ns.SCHEDULER}
    monkeypatch.setattr(registry, "_commands", found)
    assert "switched off" in ((await only(online, Part.SCHEDULE))[Part.SCHEDULE].failed or "")


# -- pages --------------------------------------------------------------------------------------------------------------


async def test_pages_are_small_and_leave_nobody_out(online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description_pages, "FULL_PAGE", 4000)
    machines = await add_machines(online, host, 25)
    sizes: list[int] = []
    page, found = await describe(online, Part.INFO, Part.DEFINITION), list[MachineItem]()
    while True:
        sizes.append(len(serialize(page.write())))
        found += page.machines
        if page.next is None:
            break
        page = await describe(online, Part.INFO, Part.DEFINITION, cursor=ET.tostring(page.next.write(), "unicode"))
    assert len(sizes) > 2
    assert max(sizes) < 5000
    whole: dict[str, list[str]] = {}
    for item in found:
        whole.setdefault(item.uuid, []).extend(part.name for part in item.parts)
    assert whole == {machine.uuid: ["info", "definition"] for machine in machines}


async def test_three_hundred_machines_come_whole_and_once(online: Hypervisor, host: FakeHost) -> None:
    machines = await add_machines(online, host, 300)
    found = await describe_all(online, Part.INFO, Part.DEFINITION)
    assert [machine.uuid for machine in found] == [machine.uuid for machine in machines]
    assert len(host.visits) > 300 / 8 - 1


async def test_a_machine_whose_parts_fill_a_page_stands_in_several(
    online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(description_pages, "FULL_PAGE", 300)
    await add_machines(online, host, 2)
    found = await describe_all(online, Part.INFO, Part.DEFINITION, Part.TAGS)
    told = [(item.uuid[-1], part.name) for item in found for part in item.parts]
    assert told == [(number, part) for number in "12" for part in ("info", "definition", "tags")]
    assert len(found) > 2


async def test_a_part_that_fits_in_no_answer_is_left_to_the_machine(
    online: Hypervisor, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(description_pages, "LARGEST_PART", 200)
    parts = await only(online, Part.INFO, Part.DEFINITION)
    assert "ask the machine itself" in (parts[Part.DEFINITION].failed or "")


async def test_who_could_not_be_reached_comes_on_the_next_page(online: Hypervisor, host: FakeHost) -> None:
    """A machine that hangs ends the page behind it."""
    first, second, third = await add_machines(online, host, 3)
    host.not_reached = {second.uuid, third.uuid}
    page = await describe(online, Part.INFO)
    assert [machine.uuid for machine in page.machines] == [first.uuid]
    assert page.next is not None
    assert (str(page.next.uuid), page.next.part) == (second.uuid, None)
    host.not_reached.clear()
    rest = await describe(online, Part.INFO, cursor=ET.tostring(page.next.write(), "unicode"))
    assert [machine.uuid for machine in rest.machines] == [second.uuid, third.uuid]


async def test_a_page_that_takes_long_ends(online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description_pages, "LONG_PAGE", 0)
    monkeypatch.setattr(description_pages, "MOST_AT_ONCE", 2)
    await add_machines(online, host, 5)
    page = await describe(online, Part.INFO)
    assert (len(page.machines), page.next is None) == (2, False)
    assert [uuid for visit in host.visits for uuid in visit] == [machine.uuid for machine in page.machines]


async def test_a_cursor_at_a_machine_that_is_gone_goes_on_behind_it(online: Hypervisor, host: FakeHost) -> None:
    machines: Sequence[VirtualMachine] = await add_machines(online, host, 3)
    online.forget(machines[1])
    page = await describe(online, Part.INFO, Part.TAGS, cursor=f"<next uuid='{machines[1].uuid}' part='tags'/>")
    assert [(machine.uuid, len(machine.parts)) for machine in page.machines] == [(machines[2].uuid, 2)]
    await machines[1].close()
