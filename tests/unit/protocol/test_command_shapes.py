# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command and every answer, as they are on the wire, in both directions."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import every_entity, hypervisor, virtual_machine
from archipel.protocol import namespaces as ns
from archipel.protocol.every_entity import Contact, Grant, Permission, SetTags
from archipel.protocol.hypervisor import Address, Alloc, MachineAddress, MachineReference, NodeInfo, RosterItem
from archipel.protocol.payload import Request, write_answer
from archipel.protocol.virtual_machine import GetInfo, GuestAddress, Info, Interface, Started
from tests.unit.protocol.golden import Shape, archipel_of, canonical, normal, query, rewritten, xml

UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
VM = f"{UUID}@d.example"
HYP = "hyp@d.example/host1"
DOMAIN = f"<domain type='kvm'><name>web</name><uuid>{UUID}</uuid><memory unit='MiB'>64</memory></domain>"
DISK = "<disk type='file'><target dev='vdb'/></disk>"
ORGANISATION = "orgname='' orgunit='' locality='' userid='' categories=''"
NODE = "model='x86_64' memory='7950' nrCPU='4' mHzCPU='2400' nrNumaNodes='1' nrSockets='1' nrCoreperSocket='2' nrThreadperCore='2'"
FULL_INFO = Info(
    state=1,
    max_memory=1048576,
    memory=524288,
    vcpus=2,
    cpu_percent=3,
    hypervisor=HYP,
    autostart=True,
    sequence=7,
    epoch="0a1b",
)
INFO = f"<info state='1' maxMem='1048576' memory='524288' nrVirtCpu='2' cpuPrct='3' hypervisor='{HYP}' autostart='1' {{}}/>"
COUNTERS = "rx_bytes='1' rx_packets='2' rx_errs='3' rx_drop='4' tx_bytes='5' tx_packets='6' tx_errs='7' tx_drop='8'"
CARD = Interface(
    name="net0",
    rx_bytes=1,
    rx_packets=2,
    rx_errs=3,
    rx_drop=4,
    tx_bytes=5,
    tx_packets=6,
    tx_errs=7,
    tx_drop=8,
)


def grant(token: str, value: str) -> str:
    return f"<permission permission_target='eve@d.example' permission_name='{token}' permission_value='{value}' permission_type='user'/>"


EVERY_ENTITY = [
    Shape(
        every_entity.ListRights(),
        "<archipel action='list'/>",
        (
            Permission(name="create", description="Start it", default=False),
            Permission(name="permission_get", description="See", default=True),
        ),
        "<permission name='create' description='Start it' default='0'/><permission name='permission_get' description='See' default='1'/>",
    ),
    Shape(
        every_entity.GetRights(permission_target="eve@d.example"),
        "<archipel action='get' permission_type='user' permission_target='eve@d.example'/>",
        (Permission(name="create"), Permission(name="info")),
        "<permission name='create'/><permission name='info'/>",
    ),
    Shape(
        every_entity.GetOwnRights(permission_target="eve@d.example"),
        "<archipel action='getown' permission_type='user' permission_target='eve@d.example'/>",
        (),
        "",
    ),
    Shape(
        every_entity.SetRights(
            grants=(Grant(target="eve@d.example", name="create", value="1"), Grant(target="eve@d.example", name="free", value="0"))
        ),
        f"<archipel action='set'>{grant('create', '1')}{grant('free', '0')}</archipel>",
        None,
        "",
    ),
    Shape(
        every_entity.SetOwnRights(grants=(Grant(target="eve@d.example", name="create", value="0"),)),
        f"<archipel action='setown'>{grant('create', '0')}</archipel>",
        None,
        "",
    ),
    Shape(every_entity.AddSubscription(jid="eve@d.example"), "<archipel action='add' jid='eve@d.example'/>", None, ""),
    Shape(every_entity.RemoveSubscription(jid="eve@d.example"), "<archipel action='remove' jid='eve@d.example'/>", None, ""),
    Shape(SetTags.of(("lab", "blue")), "<archipel action='settags' tags='lab;;blue'/>", None, ""),
    Shape(
        every_entity.GetRoster(),
        "<archipel action='getroster'/>",
        (Contact(jid="eve@d.example", subscription="both"),),
        "<item jid='eve@d.example' subscription='both'/>",
    ),
]

HYPERVISOR = [
    Shape(
        Alloc(name="web"),
        f"<archipel action='alloc' name='web' {ORGANISATION}/>",
        MachineAddress(jid=VM),
        f"<virtualmachine jid='{VM}'/>",
    ),
    Shape(
        Alloc(orgname="Lab", orgunit="It", locality="Here", userid="bob", categories="test", uuid=UUID, domain=xml(DOMAIN)),
        "<archipel action='alloc' name='' orgname='Lab' orgunit='It' locality='Here' userid='bob' categories='test' "
        f"uuid='{UUID}'>{DOMAIN}</archipel>",
        MachineAddress(jid=VM),
        f"<virtualmachine jid='{VM}'/>",
    ),
    Shape(
        hypervisor.Free(jid=VM, keep="disks"),
        f"<archipel action='free' jid='{VM}' keep='disks'/>",
        MachineAddress(jid=VM),
        f"<virtualmachine jid='{VM}'/>",
    ),
    Shape(
        hypervisor.RosterVM(),
        "<archipel action='rostervm'/>",
        (RosterItem(managed=True, name="web", jid=f"{VM}/hyp"), RosterItem(managed=False, name="old", jid=VM)),
        f"<item managed='True' name='web'>{VM}/hyp</item><item managed='False' name='old'>{VM}</item>",
    ),
    Shape(hypervisor.GetAddress(), "<archipel action='ip'/>", Address(address="192.0.2.7"), "<ip>192.0.2.7</ip>"),
    Shape(
        hypervisor.GetHostCapabilities(),
        "<archipel action='capabilities'/>",
        xml("<capabilities><host><uuid>1</uuid></host></capabilities>"),
        "<capabilities><host><uuid>1</uuid></host></capabilities>",
    ),
    Shape(
        hypervisor.GetNodeInfo(),
        "<archipel action='nodeinfo'/>",
        NodeInfo(model="x86_64", memory=7950, cpus=4, mhz=2400, nodes=1, sockets=1, cores=2, threads=2),
        f"<nodeinfo {NODE}/>",
    ),
    Shape(
        hypervisor.Clone(jid=VM, name="seat 7", linked=True),
        f"<archipel action='clone' jid='{VM}' name='seat 7' linked='1'/>",
        hypervisor.MachineAddress(jid=VM),
        f"<virtualmachine jid='{VM}'/>",
    ),
    Shape(
        hypervisor.Manage(machines=(MachineReference(jid=VM), MachineReference(jid=UUID))),
        f"<archipel action='manage'><item jid='{VM}'/><item jid='{UUID}'/></archipel>",
        None,
        "",
    ),
    Shape(
        hypervisor.Unmanage(machines=(MachineReference(jid=VM),)),
        f"<archipel action='unmanage'><item jid='{VM}'/></archipel>",
        None,
        "",
    ),
    Shape(
        hypervisor.SetOrganisation(target=UUID, name="web", orgname="Lab", orgunit="", locality="Here", userid="bob", categories="x"),
        f"<archipel action='setorginfo' target='{UUID}'><FN>web</FN><ORGNAME>Lab</ORGNAME><ORGUNIT></ORGUNIT>"
        "<LOCALITY>Here</LOCALITY><USERID>bob</USERID><CATEGORIES>x</CATEGORIES></archipel>",
        MachineAddress(jid=f"{VM}/hyp"),
        f"<virtualmachine jid='{VM}/hyp'/>",
    ),
]

CONTROL = [
    Shape(GetInfo(), "<archipel action='info'/>", FULL_INFO, INFO.format("sequence='7' epoch='0a1b'")),
    Shape(GetInfo(), "<archipel action='info'/>", None, ""),
    Shape(virtual_machine.Create(), "<archipel action='create'/>", Started(id=42), "<domain id='42'/>"),
    *(
        Shape(request, f"<archipel action='{request.action}'/>", None, "")
        for request in (
            virtual_machine.Shutdown(),
            virtual_machine.Destroy(),
            virtual_machine.Reboot(),
            virtual_machine.Suspend(),
            virtual_machine.Resume(),
            virtual_machine.Undefine(),
        )
    ),
    Shape(
        virtual_machine.GetDescription(inactive=True),
        "<archipel action='xmldesc' inactive='1'/>",
        xml(DOMAIN),
        DOMAIN,
    ),
    Shape(virtual_machine.GetDescription(), "<archipel action='xmldesc' inactive='0'/>", xml("<not-defined/>"), "<not-defined/>"),
    Shape(virtual_machine.SetAutostart(value=True), "<archipel action='autostart' value='1'/>", None, ""),
    Shape(virtual_machine.SetMemory(value=524288), "<archipel action='memory' value='524288'/>", None, ""),
    Shape(virtual_machine.SetVcpus(value=2), "<archipel action='setvcpus' value='2'/>", None, ""),
    Shape(virtual_machine.GetNetworkInfo(), "<archipel action='networkinfo'/>", (CARD,), f"<network name='net0' {COUNTERS}/>"),
    Shape(
        virtual_machine.GetAddresses(),
        "<archipel action='addresses'/>",
        (GuestAddress(interface="vnet0", mac="52:54:00:00:00:01", address="192.0.2.9", prefix=24, source="lease"),),
        "<address interface='vnet0' mac='52:54:00:00:00:01' address='192.0.2.9' prefix='24' source='lease'/>",
    ),
    Shape(virtual_machine.FreeMachine(keep="disks"), "<archipel action='free' keep='disks'/>", None, ""),
]

DEFINITION = [
    Shape(virtual_machine.Define(domain=xml(DOMAIN)), f"<archipel action='define'>{DOMAIN}</archipel>", None, ""),
    Shape(
        virtual_machine.GetDomainCapabilities(),
        "<archipel action='capabilities'/>",
        xml("<capabilities><guest/></capabilities>"),
        "<capabilities><guest/></capabilities>",
    ),
    *(
        Shape(
            kind(live=True, device=xml(f"<device>{DISK}</device>")),
            f"<archipel action='{kind.action}' live='1'><device>{DISK}</device></archipel>",
            None,
            "",
        )
        for kind in (virtual_machine.AttachDevice, virtual_machine.DetachDevice, virtual_machine.UpdateDevice)
    ),
]

SHAPES = EVERY_ENTITY + HYPERVISOR + CONTROL + DEFINITION
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


@every_shape
def test_a_request_is_written_as_the_founders_wrote_it(shape: Shape) -> None:
    assert canonical(shape.request.write()) == normal(shape.asked)


@every_shape
@pytest.mark.parametrize("namespace", [None, "", "jabber:client", ns.UNDECLARED], ids=["inherited", "none", "client", "undeclared"])
def test_a_request_is_read_in_whatever_namespace_its_element_is(shape: Shape, namespace: str | None) -> None:
    declared = "" if namespace is None else f"xmlns='{namespace}' "
    element = archipel_of(shape.request.namespace, shape.asked.replace("<archipel ", f"<archipel {declared}", 1))
    assert canonical(type(shape.request).read(element).write()) == normal(shape.asked)


@every_shape
def test_a_request_is_read_with_the_query_s_namespace_spelt_out(shape: Shape) -> None:
    asked = shape.asked.replace("<archipel ", f"<archipel xmlns='{shape.request.namespace}' ", 1)
    element = archipel_of(shape.request.namespace, asked)
    assert canonical(type(shape.request).read(element).write()) == normal(shape.asked)


@every_shape
def test_what_a_later_version_adds_to_a_request_is_ignored(shape: Shape) -> None:
    element = archipel_of(shape.request.namespace, shape.asked)
    element.set("later", "1")
    element.append(xml("<later><even/></later>"))
    assert canonical(type(shape.request).read(element).write()) == normal(shape.asked)


@every_shape
def test_an_answer_is_written_as_the_founders_wrote_it(shape: Shape) -> None:
    assert shape.written_answer() == normal(shape.answered)


@every_shape
def test_an_answer_is_read_back(shape: Shape) -> None:
    assert rewritten(shape.read_answer()) == normal(shape.answered)


@every_shape
def test_a_typed_answer_is_the_same_object_again(shape: Shape) -> None:
    if type(shape.request).answer_type().__module__ != "xml.etree.ElementTree":
        assert shape.read_answer() == shape.answer


@every_shape
def test_names_are_written_without_namespace_so_that_none_gets_a_prefix(shape: Shape) -> None:
    """Founding clients look names up as they are spelt."""
    for element in (shape.request.write(), *write_answer(shape.answer)):
        assert not any("}" in node.tag for node in element.iter())


def test_every_command_of_the_protocol_has_a_shape_here() -> None:
    declared = {
        found
        for module in (every_entity, hypervisor, virtual_machine)
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Request) and found is not Request
    }
    assert declared == {type(shape.request) for shape in SHAPES}


# -- what founding agents and clients send ------------------------------------------------------------------------------


def read(request: type[Request[Any]], asked: str) -> Any:
    return request.read(archipel_of(request.namespace, asked))


def test_the_info_of_a_founding_agent_has_no_sequence() -> None:
    found = GetInfo.read_answer(query(ns.VM_CONTROL, INFO.format("")))
    assert found is not None
    assert (found.memory, found.sequence, found.epoch) == (524288, 0, "")


def test_a_description_loses_the_namespace_that_founding_agents_gave_it() -> None:
    answer = f"<domain xmlns='{ns.UNDECLARED}' type='kvm'><name>web</name></domain>"
    found = virtual_machine.GetDescription.read_answer(query(ns.VM_CONTROL, answer))
    assert canonical(found) == normal("<domain type='kvm'><name>web</name></domain>")


def test_a_domain_keeps_the_namespaces_that_are_its_own() -> None:
    qemu = "http://libvirt.org/schemas/domain/qemu/1.0"
    asked = f"<archipel action='define'><domain xmlns:q='{qemu}'><q:commandline/></domain></archipel>"
    found = read(virtual_machine.Define, asked)
    assert [child.tag for child in found.domain.iter()] == ["domain", f"{{{qemu}}}commandline"]


@pytest.mark.parametrize("value", ["1", "TRUE", "true", "Yes", "y", "OUI", "o", " 1 "])
def test_the_founders_words_for_yes_grant_a_right(value: str) -> None:
    asked = f"<archipel action='set'><permission permission_target='a@d' permission_name='info' permission_value='{value}'/></archipel>"
    assert read(every_entity.SetRights, asked).grants[0].granted


@pytest.mark.parametrize("value", ["0", "false", "no", "", "2", "on", "whatever"])
def test_every_other_word_revokes_it(value: str) -> None:
    asked = f"<archipel action='set'><permission permission_target='a@d' permission_name='info' permission_value='{value}'/></archipel>"
    assert not read(every_entity.SetRights, asked).grants[0].granted


def test_tags_are_words_without_blanks_each_once() -> None:
    assert SetTags(tags="lab;; blue ;;;;lab;;  ").words == ("lab", "blue")


def test_a_device_is_changed_in_machine_and_definition_unless_told_otherwise() -> None:
    assert not read(virtual_machine.AttachDevice, f"<archipel action='attachdevice'><device>{DISK}</device></archipel>").live


def test_an_alloc_without_attributes_leaves_all_to_the_agent() -> None:
    assert read(Alloc, "<archipel action='alloc'/>") == Alloc()


def test_setorginfo_tells_an_empty_field_from_a_missing_one() -> None:
    found = read(hypervisor.SetOrganisation, f"<archipel action='setorginfo' target='{UUID}'><ORGUNIT/></archipel>")
    assert (found.orgunit, found.orgname) == ("", None)
