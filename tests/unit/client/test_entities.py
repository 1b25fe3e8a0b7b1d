# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from archipel.client.entity import Entity
from archipel.client.errors import AmbiguousMachine, MachineNotFound, MalformedAddress, MalformedAnswer
from archipel.client.hypervisor import Hypervisor, MachineEntry
from archipel.client.session import Session
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.domain.domain import parse
from archipel.protocol.every_entity import Permission
from archipel.protocol.vcard import Organisation
from archipel.protocol.virtual_machine import Interface
from tests.unit.client.scripted_stream import (
    HYPERVISOR,
    HYPERVISOR_FULL,
    MACHINE,
    MACHINE_FULL,
    OWN,
    UUID,
    ScriptedStream,
    command,
    normal,
    vm_command,
)

OTHER_UUID = "6f0c0000-0000-4000-8000-000000000002"


def hypervisor_command(kind: str, request: str) -> str:
    return command(kind, HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, request)


def rights_command(kind: str, request: str) -> str:
    return command(kind, MACHINE_FULL, ns.PERMISSIONS, request)


def definition_command(kind: str, request: str) -> str:
    return command(kind, MACHINE_FULL, ns.VM_DEFINITION, request)


def query(namespace: str, content: str = "") -> str:
    return f"<query xmlns='{namespace}'>{content}</query>"


def permission(target: str, name: str, value: int) -> str:
    return f"<permission permission_target='{target}' permission_name='{name}' permission_value='{value}' permission_type='user'/>"


# -- every entity -------------------------------------------------------------------------------------------------------


async def test_rights_are_granted_in_one_command(machine: VirtualMachine, stream: ScriptedStream) -> None:
    grants = permission("bob@example.org", "create", 1) + permission("bob@example.org", "info", 1)
    request = rights_command("set", f"<archipel action='set'>{grants}</archipel>")
    stream.answer(request, query(ns.PERMISSIONS))
    await machine.grant("Bob@example.org/laptop", "create", "info")
    assert stream.asked == [normal(request)]


async def test_rights_are_revoked(machine: VirtualMachine, stream: ScriptedStream) -> None:
    request = rights_command("set", f"<archipel action='set'>{permission('bob@example.org', 'create', 0)}</archipel>")
    stream.answer(request, query(ns.PERMISSIONS))
    await machine.revoke("bob@example.org", "create")
    assert stream.asked == [normal(request)]


async def test_no_change_of_rights_sends_nothing(machine: VirtualMachine, stream: ScriptedStream) -> None:
    await machine.change_rights([])
    assert stream.asked == []


async def test_own_rights_are_asked_as_such(machine: VirtualMachine, stream: ScriptedStream) -> None:
    for action, jid in (("getown", OWN), ("get", "bob@example.org")):
        request = rights_command("get", f"<archipel permission_type='user' permission_target='{jid}' action='{action}'/>")
        stream.answer(request, query(ns.PERMISSIONS, f"<permission name='{action}'/>"))
    assert await machine.rights_of(OWN) == {"getown"}
    assert await machine.rights_of("bob@example.org") == {"get"}


async def test_the_rights_that_exist_come_with_meaning_and_default(machine: VirtualMachine, stream: ScriptedStream) -> None:
    answer = query(ns.PERMISSIONS, "<permission name='info' default='0' description='See the state'/>")
    stream.answer(rights_command("get", "<archipel action='list'/>"), answer)
    assert await machine.list_rights() == (Permission(name="info", description="See the state", default=False),)


@pytest.mark.parametrize("action", ["add", "remove"])
async def test_contacts_come_and_go(machine: VirtualMachine, stream: ScriptedStream, action: str) -> None:
    request = command("set", MACHINE_FULL, ns.SUBSCRIPTION, f"<archipel jid='bob@example.org' action='{action}'/>")
    stream.answer(request, query(ns.SUBSCRIPTION))
    await (machine.add_subscription if action == "add" else machine.remove_subscription)("bob@example.org")
    assert stream.asked == [normal(request)]


async def test_tags_are_set_as_one_text(machine: VirtualMachine, stream: ScriptedStream) -> None:
    request = command("set", MACHINE_FULL, ns.TAGS, "<archipel tags='web;;red' action='settags'/>")
    stream.answer(request, query(ns.TAGS))
    await machine.set_tags(["web", "red"])
    assert stream.asked == [normal(request)]


async def test_an_entity_known_by_its_account_is_looked_for(session: Session, stream: ScriptedStream) -> None:
    stream.answers_to = lambda text: stream.deliver_soon(f"<presence from='{MACHINE_FULL}'/>") if "probe" in text else None
    stream.answer(vm_command("set", "<archipel action='suspend'/>"), query(ns.VM_CONTROL))
    await session.machine(MACHINE).suspend()
    assert len(stream.asked) == 1


def test_what_is_no_address_makes_no_entity(session: Session) -> None:
    with pytest.raises(MalformedAddress):
        Entity(session, "not an address")


# -- hypervisor ---------------------------------------------------------------------------------------------------------

MACHINES = (
    f"<item managed='True' name='web'>{MACHINE_FULL}</item>"
    f"<item managed='False' name='db'>{OTHER_UUID}@example.org</item>"
    f"<item managed='True' name='twin'>6f0c0000-0000-4000-8000-000000000003@example.org/hyp</item>"
    f"<item managed='True' name='twin'>6f0c0000-0000-4000-8000-000000000004@example.org/hyp</item>"
)


@pytest.fixture
def listed(stream: ScriptedStream) -> ScriptedStream:
    stream.answer(hypervisor_command("get", "<archipel action='rostervm'/>"), query(ns.HYPERVISOR_CONTROL, MACHINES))
    return stream


async def test_machines_are_listed_managed_or_not(hypervisor: Hypervisor, listed: ScriptedStream) -> None:
    web, db, *_ = await hypervisor.machines()
    assert web == MachineEntry("web", UUID, MACHINE_FULL, managed=True)
    assert db == MachineEntry("db", OTHER_UUID, f"{OTHER_UUID}@example.org", managed=False)


@pytest.mark.parametrize("reference", ["web", UUID, UUID.upper(), MACHINE, MACHINE_FULL])
async def test_a_machine_is_found_by_whatever_names_it(hypervisor: Hypervisor, listed: ScriptedStream, reference: str) -> None:
    found = await hypervisor.machine(reference)
    assert (str(found.jid), found.name, found.uuid) == (MACHINE_FULL, "web", UUID)


@pytest.mark.parametrize(
    "reference, error, words",
    [
        ("mail", MachineNotFound, "has no machine 'mail'"),
        ("db", MachineNotFound, "not managed"),
        ("twin", AmbiguousMachine, "000000000003.*000000000004"),
    ],
)
async def test_a_machine_that_is_not_there_or_not_alone_is_an_error(
    hypervisor: Hypervisor, listed: ScriptedStream, reference: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await hypervisor.machine(reference)


@pytest.mark.parametrize("jid", ["", "   ", "example.org", "a b@c", "@"])
async def test_a_list_with_an_impossible_jid_is_a_malformed_answer(hypervisor: Hypervisor, stream: ScriptedStream, jid: str) -> None:
    answer = query(ns.HYPERVISOR_CONTROL, f"<item managed='True' name='web'>{jid}</item>")
    stream.answer(hypervisor_command("get", "<archipel action='rostervm'/>"), answer)
    with pytest.raises(MalformedAnswer, match="rostervm"):
        await hypervisor.machines()


async def test_a_machine_is_made_with_definition_and_organisation(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    fields = f"name='web' orgname='' orgunit='' locality='' userid='bob' categories='' uuid='{UUID}' action='alloc'"
    request = hypervisor_command("set", f"<archipel {fields}><domain type='test'><name>web</name></domain></archipel>")
    stream.answer(request, query(ns.HYPERVISOR_CONTROL, f"<virtualmachine jid='{MACHINE}'/>"))
    domain = parse("<domain type='test'><name>web</name></domain>")
    made = await hypervisor.alloc("web", uuid=UUID, organisation=Organisation(userid="bob"), domain=domain)
    assert (str(made.jid), made.name) == (MACHINE_FULL, "web")


@pytest.mark.parametrize("keep, word", [(False, ""), (True, "disks")])
async def test_a_machine_is_freed_with_its_disks_or_without(hypervisor: Hypervisor, stream: ScriptedStream, keep: bool, word: str) -> None:
    request = hypervisor_command("set", f"<archipel jid='{MACHINE}' keep='{word}' action='free'/>")
    stream.answer(request, query(ns.HYPERVISOR_CONTROL, f"<virtualmachine jid='{MACHINE}'/>"))
    await hypervisor.free(UUID, keep_disks=keep)
    await hypervisor.free(MACHINE_FULL, keep_disks=keep)
    assert stream.asked == [normal(request)] * 2


@pytest.mark.parametrize("action", ["manage", "unmanage"])
async def test_domains_are_taken_in_and_let_go(hypervisor: Hypervisor, stream: ScriptedStream, action: str) -> None:
    items = f"<item jid='{OTHER_UUID}@example.org'/><item jid='{MACHINE}'/>"
    request = hypervisor_command("set", f"<archipel action='{action}'>{items}</archipel>")
    stream.answer(request, query(ns.HYPERVISOR_CONTROL))
    await getattr(hypervisor, action)(OTHER_UUID, MACHINE_FULL)
    assert stream.asked == [normal(request)]


async def test_to_manage_nothing_is_a_mistake(hypervisor: Hypervisor) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await hypervisor.manage()


async def test_only_the_organisation_fields_given_are_sent(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    request = hypervisor_command("set", f"<archipel target='{UUID}' action='setorginfo'><FN>mail</FN><USERID /></archipel>")
    stream.answer(request, query(ns.HYPERVISOR_CONTROL, f"<virtualmachine jid='{MACHINE_FULL}'/>"))
    await hypervisor.set_organisation(MACHINE, name="mail", userid="")
    assert stream.asked == [normal(request)]


async def test_the_host_tells_what_it_is(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    topology = "nrNumaNodes='1' nrSockets='1' nrCoreperSocket='4' nrThreadperCore='1'"
    info = f"<nodeinfo model='x86_64' memory='2048' nrCPU='4' mHzCPU='2400' {topology}/>"
    stream.answer(hypervisor_command("get", "<archipel action='nodeinfo'/>"), query(ns.HYPERVISOR_CONTROL, info))
    stream.answer(hypervisor_command("get", "<archipel action='ip'/>"), query(ns.HYPERVISOR_CONTROL, "<ip>192.0.2.7</ip>"))
    capabilities = query(ns.HYPERVISOR_CONTROL, "<capabilities><host/></capabilities>")
    stream.answer(hypervisor_command("get", "<archipel action='capabilities'/>"), capabilities)
    assert (await hypervisor.node_info()).memory == 2048
    assert await hypervisor.ip_address() == "192.0.2.7"
    assert ET.tostring(await hypervisor.capabilities()) == b"<capabilities><host /></capabilities>"


async def test_a_hypervisor_is_known_by_its_account(hypervisor: Hypervisor) -> None:
    assert hypervisor.bare == HYPERVISOR
    assert repr(hypervisor) == f"<Hypervisor {HYPERVISOR_FULL}>"


# -- virtual machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, action",
    [("shutdown", "shutdown"), ("destroy", "destroy"), ("reboot", "reboot"), ("suspend", "suspend"), ("resume", "resume")],
)
async def test_a_machine_takes_simple_commands(machine: VirtualMachine, stream: ScriptedStream, method: str, action: str) -> None:
    request = vm_command("set", f"<archipel action='{action}'/>")
    stream.answer(request, query(ns.VM_CONTROL))
    await getattr(machine, method)()
    assert stream.asked == [normal(request)]


async def test_starting_tells_libvirts_identifier(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(vm_command("set", "<archipel action='create'/>"), query(ns.VM_CONTROL, "<domain id='12'/>"))
    assert await machine.start() == 12


@pytest.mark.parametrize(
    "call, request_",
    [
        (lambda machine: machine.set_memory(524288), "<archipel value='524288' action='memory'/>"),
        (lambda machine: machine.set_vcpus(2), "<archipel value='2' action='setvcpus'/>"),
        (lambda machine: machine.set_autostart(True), "<archipel value='1' action='autostart'/>"),
        (lambda machine: machine.free(keep_disks=True), "<archipel keep='disks' action='free'/>"),
    ],
)
async def test_a_machine_takes_figures(machine: VirtualMachine, stream: ScriptedStream, call: object, request_: str) -> None:
    stream.answer(vm_command("set", request_), query(ns.VM_CONTROL))
    await call(machine)
    assert stream.asked == [normal(vm_command("set", request_))]


DISK = "<disk type='file' device='disk'><source file='/vm/a.img'/></disk>"


@pytest.mark.parametrize("action", ["attachdevice", "detachdevice", "updatedevice"])
async def test_devices_are_changed_in_place(machine: VirtualMachine, stream: ScriptedStream, action: str) -> None:
    request = definition_command("set", f"<archipel live='0' action='{action}'><device>{DISK}</device></archipel>")
    stream.answer(request, query(ns.VM_DEFINITION))
    method = action.replace("device", "_device")
    await getattr(machine, method)(ET.fromstring(DISK))
    await getattr(machine, method)(parse(f"<domain><devices>{DISK}</devices></domain>").disks[0])
    assert stream.asked == [normal(request)] * 2


async def test_a_definition_is_read_and_written_as_one_object(machine: VirtualMachine, stream: ScriptedStream) -> None:
    xml = f"<domain type='test'><name>web</name><uuid>{UUID}</uuid><memory unit='MiB'>64</memory></domain>"
    stream.answer(vm_command("get", "<archipel inactive='0' action='xmldesc'/>"), query(ns.VM_CONTROL, xml))
    write = definition_command("set", f"<archipel action='define'>{xml}</archipel>")
    stream.answer(write, query(ns.VM_DEFINITION))
    domain = await machine.definition()
    assert domain is not None
    assert (domain.name, domain.memory) == ("web", 65536)
    await machine.define(domain)
    assert stream.asked[-1] == normal(write)


async def test_a_machine_may_have_no_definition(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(vm_command("get", "<archipel inactive='1' action='xmldesc'/>"), query(ns.VM_CONTROL, "<not-defined/>"))
    assert await machine.definition(inactive=True) is None


@pytest.mark.parametrize("answer", ["<network/>", "<domain>" * 120 + "</domain>" * 120])
async def test_a_definition_that_is_none_is_a_malformed_answer(machine: VirtualMachine, stream: ScriptedStream, answer: str) -> None:
    stream.answer(vm_command("get", "<archipel inactive='0' action='xmldesc'/>"), query(ns.VM_CONTROL, answer))
    with pytest.raises(MalformedAnswer, match="xmldesc"):
        await machine.definition()


async def test_counters_of_interfaces_are_figures(machine: VirtualMachine, stream: ScriptedStream) -> None:
    answer = query(ns.VM_CONTROL, "<network name='vnet0' rx_bytes='10' tx_bytes='20'/>")
    stream.answer(vm_command("get", "<archipel action='networkinfo'/>"), answer)
    assert await machine.network_info() == (Interface(name="vnet0", rx_bytes=10, tx_bytes=20),)


async def test_a_guests_addresses_say_who_told_them(machine: VirtualMachine, stream: ScriptedStream) -> None:
    answer = query(ns.VM_CONTROL, "<address interface='vnet0' mac='52:54:00:00:00:01' address='192.0.2.9' prefix='24' source='lease'/>")
    stream.answer(vm_command("get", "<archipel action='addresses'/>"), answer)
    (found,) = await machine.addresses()
    assert (found.address, found.prefix, found.source) == ("192.0.2.9", 24, "lease")


async def test_a_definition_can_be_removed(machine: VirtualMachine, stream: ScriptedStream) -> None:
    request = definition_command("set", "<archipel action='undefine'/>")
    stream.answer(request, query(ns.VM_DEFINITION))
    await machine.undefine()
    assert stream.asked == [normal(request)]
