# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine and its hypervisor are asked to do: what reaches libvirt, what is answered, what is told."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from archipel.agent.events import EPOCH
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.errors import TooManyVcpus
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol import presence
from archipel.protocol.errors import CommandError, Condition, ErrorCode, LibvirtFailed
from archipel.protocol.presence import Status
from archipel.protocol.vcard import VCard
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, HYP, OTHER_UUID, UUID, VM, FakeDomain, FakeHost, domain_xml, failure

NETWORK = "<interface type='network'><source network='default'/></interface>"


@pytest.fixture
def domain(host: FakeHost, machine: VirtualMachine) -> FakeDomain:
    return host.domain(UUID)


async def control(machine: VirtualMachine, action: str, more: str = "") -> ET.Element:
    return await ask(machine, ns.VM_CONTROL, f"<archipel action='{action}' {more}/>")


# -- a machine ----------------------------------------------------------------------------------------------------------


async def test_info_is_what_libvirt_says_and_which_pushes_it_includes(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.state_now, domain.autostart = DomainState.RUNNING, True
    machine.events.sequence = 7
    (info,) = await control(machine, "info")
    assert info.attrib == {
        "state": "1",
        "maxMem": "65536",
        "memory": "65536",
        "nrVirtCpu": "1",
        "cpuPrct": "0",
        "hypervisor": f"{HYP}/host1",
        "autostart": "1",
        "sequence": "7",
        "epoch": EPOCH,
    }


@pytest.mark.parametrize("action", ["info", "networkinfo"])
async def test_a_machine_without_a_domain_answers_an_empty_result(machine: VirtualMachine, domain: FakeDomain, action: str) -> None:
    """The founders sent an IQ of a type that does not exist, which the server bounced as a request."""
    domain.stored = None
    assert list(await control(machine, action)) == []


@pytest.mark.parametrize(
    "action,before,call,after",
    [
        ("create", DomainState.SHUTOFF, "create", DomainState.RUNNING),
        ("suspend", DomainState.RUNNING, "suspend", DomainState.PAUSED),
        ("resume", DomainState.PAUSED, "resume", DomainState.RUNNING),
        ("destroy", DomainState.RUNNING, "destroy", DomainState.SHUTOFF),
        ("reboot", DomainState.RUNNING, "reboot", DomainState.RUNNING),
        ("shutdown", DomainState.RUNNING, "shutdown", DomainState.RUNNING),
    ],
)
async def test_an_order_reaches_libvirt(
    machine: VirtualMachine, domain: FakeDomain, action: str, before: DomainState, call: str, after: DomainState
) -> None:
    domain.state_now = before
    await control(machine, action)
    assert call in domain.calls
    assert domain.state_now is after


async def test_a_started_machine_is_answered_with_libvirt_s_identifier(machine: VirtualMachine) -> None:
    assert [(found.tag, found.get("id")) for found in await control(machine, "create")] == [("domain", "7")]


async def test_a_machine_without_a_definition_cannot_start(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = None
    with pytest.raises(CommandError, match="web has no definition: define it first") as refused:
        await control(machine, "create")
    assert (refused.value.code, refused.value.condition) == (ErrorCode.CREATE, Condition.ITEM_NOT_FOUND)


async def test_a_machine_that_is_off_is_switched_off_already(machine: VirtualMachine, domain: FakeDomain) -> None:
    await control(machine, "destroy")
    assert "destroy" not in domain.calls


async def test_a_machine_that_was_asked_to_shut_down_says_so_as_long_as_it_runs(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.state_now = DomainState.PAUSED
    await go_online(machine)
    await control(machine, "shutdown")
    assert machine.status == Status("away", presence.SHUTTING_DOWN.text)


async def test_what_libvirt_refuses_is_its_own_error(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.refuse["resume"] = failure("domain is not running")
    with pytest.raises(LibvirtFailed, match="domain is not running") as failed:
        await control(machine, "resume")
    assert failed.value.code == 9


async def test_the_definition_is_told_without_passwords(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = domain_xml(devices="<graphics type='vnc' passwd='hunter2'/>")
    (told,) = await control(machine, "xmldesc")
    assert told.find("devices/graphics") is not None
    assert "hunter2" not in ET.tostring(told, "unicode")


async def test_a_machine_without_a_definition_says_not_defined(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = None
    assert [found.tag for found in await control(machine, "xmldesc")] == ["not-defined"]


async def test_memory_and_cpus_are_changed_and_told(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain) -> None:
    await go_online(machine)
    await control(machine, "memory", "value='32768'")
    await control(machine, "setvcpus", "value='2'")
    assert {"set memory", "set vcpus"} <= set(domain.calls)
    assert xmpp.pushes(VM) == [
        ("virtualmachine:control", "memory"),
        ("virtualmachine:control", "nvcpu"),
        ("virtualmachine:definition", "nvcpu"),
    ]


async def test_more_cpus_than_the_definition_allows_are_not_acceptable(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain) -> None:
    await go_online(machine)
    domain.refuse["set vcpus"] = TooManyVcpus(4, 2)
    with pytest.raises(CommandError, match="value: 4 virtual CPUs were asked for, the definition allows 2") as refused:
        await control(machine, "setvcpus", "value='4'")
    assert (refused.value.code, refused.value.condition) == (ErrorCode.MEMORY, Condition.NOT_ACCEPTABLE)
    assert xmpp.pushes(VM) == []


async def test_autostart_is_set(machine: VirtualMachine, domain: FakeDomain) -> None:
    await control(machine, "autostart", "value='1'")
    assert domain.autostart


async def test_a_machine_that_is_off_counts_no_traffic(machine: VirtualMachine) -> None:
    with pytest.raises(CommandError, match="web is not running") as refused:
        await control(machine, "networkinfo")
    assert (refused.value.code, refused.value.condition) == (ErrorCode.NETWORK_INFO, Condition.UNEXPECTED_REQUEST)


async def test_a_machine_can_be_told_to_end_itself(xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, domain: FakeDomain) -> None:
    await go_online(machine)
    assert list(await control(machine, "free")) == []
    await finish_work(online)
    assert (online.machines, domain.stored, UUID in xmpp.accounts) == ({}, None, False)


async def test_an_unknown_word_about_disks_frees_nothing(machine: VirtualMachine, domain: FakeDomain) -> None:
    with pytest.raises(CommandError, match="keep: must be 'disks' or left out") as refused:
        await control(machine, "free", "keep='disk'")
    assert refused.value.code == ErrorCode.VM_FREE
    assert domain.stored is not None


async def definition(machine: VirtualMachine, action: str, content: str = "") -> ET.Element:
    return await ask(machine, ns.VM_DEFINITION, f"<archipel action='{action}'>{content}</archipel>")


async def test_a_definition_is_made_and_removed(machine: VirtualMachine, domain: FakeDomain) -> None:
    await definition(machine, "define", domain_xml(more="<title>new</title>"))
    assert domain.root.findtext("title") == "new"
    for _ in range(2):
        await definition(machine, "undefine")
        assert domain.stored is None


@pytest.mark.parametrize("action", ["attach", "detach", "update"])
async def test_a_device_is_changed(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain, action: str) -> None:
    await go_online(machine)
    await definition(machine, f"{action}device", f"<device>{NETWORK}</device>")
    assert f"{action} device" in domain.calls
    assert xmpp.pushes(VM) == [("virtualmachine:definition", "defined")]


async def test_capabilities_are_libvirt_s(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    assert [found.tag for found in await definition(machine, "capabilities")] == ["capabilities"]
    assert [found.tag for found in await order(hypervisor, "<archipel action='capabilities'/>")] == ["capabilities"]


# -- a hypervisor -------------------------------------------------------------------------------------------------------


async def order(hypervisor: Hypervisor, archipel: str) -> ET.Element:
    return await ask(hypervisor, ns.HYPERVISOR_CONTROL, archipel, ADMIN)


async def test_all_machines_are_listed_managed_or_not(hypervisor: Hypervisor, machine: VirtualMachine, host: FakeHost) -> None:
    host.add(OTHER_UUID, "old")
    host.add("00000000-0000-4000-8000-000000000001", "gone soon").persistent = False
    listed = await order(hypervisor, "<archipel action='rostervm'/>")
    assert [(found.get("managed"), found.get("name"), found.text) for found in listed] == [
        ("True", "web", f"{VM}/hyp"),
        ("False", "old", f"{OTHER_UUID}@lab.example"),
    ]


async def test_what_the_host_is_made_of(hypervisor: Hypervisor) -> None:
    (node,) = await order(hypervisor, "<archipel action='nodeinfo'/>")
    assert (node.get("model"), node.get("memory"), node.get("nrCPU")) == ("x86_64", "7950", "4")
    (address,) = await order(hypervisor, "<archipel action='ip'/>")
    assert address.text == "192.0.2.7"


async def test_a_machine_is_made_and_freed_by_name(xmpp: FakeXmpp, online: Hypervisor) -> None:
    (made,) = await order(online, f"<archipel action='alloc' name=' db ' uuid='{OTHER_UUID}'/>")
    assert (made.tag, made.get("jid")) == ("virtualmachine", f"{OTHER_UUID}@lab.example")
    (gone,) = await order(online, "<archipel action='free' jid='DB'/>")
    assert (gone.get("jid"), online.machines) == ("DB", {})
    with pytest.raises(CommandError, match="no managed machine 'DB'") as missing:
        await order(online, "<archipel action='free' jid='DB'/>")
    assert missing.value.code == ErrorCode.FREE


async def test_domains_are_taken_in_and_let_go(online: Hypervisor, host: FakeHost) -> None:
    host.add(OTHER_UUID, "old", state=DomainState.RUNNING)
    await order(online, f"<archipel action='manage'><item jid='{OTHER_UUID}@lab.example'/></archipel>")
    assert [vm.name for vm in online.machines.values()] == ["old"]
    await order(online, f"<archipel action='unmanage'><item jid='{OTHER_UUID}'/></archipel>")
    assert online.machines == {}
    assert host.domain(OTHER_UUID).state_now is DomainState.RUNNING


async def test_name_and_organisation_are_changed_as_far_as_they_are_given(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, domain: FakeDomain
) -> None:
    await go_online(machine)
    fields = "<FN>db</FN><ORGNAME>Other</ORGNAME><ORGUNIT/>"
    (changed,) = await order(online, f"<archipel action='setorginfo' target='{UUID}'>{fields}</archipel>")
    card = VCard.read(xmpp.vcards[VM])
    assert changed.get("jid") == f"{VM}/hyp"
    assert (card.name, card.organisation.orgname, card.organisation.orgunit, domain.called) == ("db", "Other", "", "db")
    record = await machine.services.store.machine(UUID)
    assert record is not None
    assert (record.name, record.organisation) == ("db", card.organisation)


@pytest.mark.parametrize("state", [DomainState.RUNNING, DomainState.PAUSED])
async def test_a_running_machine_s_card_is_not_changed(
    online: Hypervisor, machine: VirtualMachine, domain: FakeDomain, state: DomainState
) -> None:
    domain.state_now = state
    with pytest.raises(CommandError, match="web is running: shut it down first") as refused:
        await order(online, f"<archipel action='setorginfo' target='{UUID}'><FN>db</FN></archipel>")
    assert (refused.value.code, refused.value.condition) == (ErrorCode.SET_ORGANISATION, Condition.UNEXPECTED_REQUEST)
    assert machine.name == "web"
