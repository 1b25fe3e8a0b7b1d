# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defining a machine: whose definition it is, what it may use, what it is called, and which secrets stay where they are."""

from __future__ import annotations

from typing import cast
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import definition
from archipel.agent.definition import FOUNDING_DESCRIPTION, change_device, define, describe, read_device, rename
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, ErrorCode, PermissionDenied
from archipel.protocol.vcard import VCard
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, OTHER_UUID, OWNER, UUID, VM, FakeDomain, FakeHost, domain_xml, failure
from tests.unit.protocol.golden import xml

FORBIDDEN_DISK = "<disk type='block'><source dev='/dev/sda'/><target dev='vdb'/></disk>"
NETWORK = "<interface type='network'><source network='default'/></interface>"


@pytest.fixture
def domain(host: FakeHost, machine: VirtualMachine) -> FakeDomain:
    return host.domain(UUID)


def title(text: str) -> str:
    return f"<title>{text}</title>"


async def name_in_store(machine: VirtualMachine) -> str | None:
    record = await machine.services.store.machine(UUID)
    return None if record is None else record.name


# -- identity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uuid", [UUID, UUID.upper()])
async def test_a_definition_with_the_machine_s_uuid_is_applied(machine: VirtualMachine, domain: FakeDomain, uuid: str) -> None:
    await define(machine, xml(domain_xml(uuid=uuid, more=title("new"))), OWNER)
    assert domain.root.findtext("title") == "new"


@pytest.mark.parametrize("uuid,told", [(OTHER_UUID, OTHER_UUID), ("", "missing"), (None, "missing"), ("x", "x")])
async def test_a_definition_of_another_machine_is_refused(machine: VirtualMachine, domain: FakeDomain, uuid: str | None, told: str) -> None:
    before = domain.stored
    with pytest.raises(CommandError, match=f"uuid: the definition's is {told}, it must be {UUID}") as refused:
        await define(machine, xml(domain_xml(uuid=uuid)), OWNER)
    assert (refused.value.code, refused.value.condition) == (ErrorCode.DEFINE, Condition.BAD_REQUEST)
    assert domain.stored == before


async def test_a_machine_without_a_domain_gets_one(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = None
    await define(machine, xml(domain_xml()), OWNER)
    assert domain.called == "web"


@pytest.mark.parametrize("name", ["", "  "])
async def test_a_definition_without_a_name_keeps_that_of_the_machine(machine: VirtualMachine, domain: FakeDomain, name: str) -> None:
    await define(machine, xml(domain_xml(name)), OWNER)
    assert domain.called == "web"


@pytest.mark.parametrize("text", ["<network/>", "<domain><uuid/></domain>", f"<domain>{'<x>' * 200}{'</x>' * 200}</domain>"])
async def test_what_is_no_definition_is_told(machine: VirtualMachine, text: str) -> None:
    with pytest.raises(CommandError) as refused:
        await define(machine, xml(text), OWNER)
    assert refused.value.condition == Condition.BAD_REQUEST


async def test_libvirt_gets_no_namespace_of_the_stanza_and_no_remark(machine: VirtualMachine, domain: FakeDomain) -> None:
    element = xml(domain_xml(more=title("new")).replace("<domain ", f"<domain xmlns='{ns.VM_DEFINITION}' "))
    element.append(cast(ET.Element, ET.Comment("--><emulator>/bin/sh</emulator><!--")))
    await define(machine, element, OWNER)
    assert domain.stored is not None
    assert "xmlns" not in domain.stored
    assert "/bin/sh" not in domain.stored


async def test_what_libvirt_refuses_is_told_and_changes_nothing(machine: VirtualMachine, domain: FakeDomain) -> None:
    before = domain.stored
    domain.refuse["define"] = failure("unsupported configuration")
    with pytest.raises(VirtError, match="unsupported configuration"):
        await define(machine, xml(domain_xml()), OWNER)
    assert domain.stored == before


async def test_what_the_policy_forbids_never_reaches_libvirt(machine: VirtualMachine, domain: FakeDomain) -> None:
    with pytest.raises(PermissionDenied):
        await define(machine, xml(domain_xml(devices=FORBIDDEN_DISK)), OWNER)
    assert "define" not in domain.calls


async def test_who_may_pass_the_policy_defines_what_he_likes(machine: VirtualMachine, domain: FakeDomain) -> None:
    await define(machine, xml(domain_xml(devices=FORBIDDEN_DISK)), ADMIN)
    assert domain.root.find("devices/disk") is not None


# -- names --------------------------------------------------------------------------------------------------------------


async def test_another_name_renames_the_machine_everywhere(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain) -> None:
    await go_online(machine)
    await define(machine, xml(domain_xml("db", more=title("new"))), OWNER)
    assert (domain.called, domain.root.findtext("title")) == ("db", "new")
    assert (machine.name, await name_in_store(machine), VCard.read(xmpp.vcards[VM]).name) == ("db", "db", "db")


async def test_a_renaming_is_undone_if_the_definition_is_refused(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.refuse["define"] = failure("no")
    with pytest.raises(VirtError):
        await define(machine, xml(domain_xml("db")), OWNER)
    assert domain.calls[-3:] == ["rename", "define", "rename"]
    assert (domain.called, machine.name, await name_in_store(machine)) == ("web", "web", "web")


async def test_a_running_machine_that_cannot_be_renamed_stays_as_it_is(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.refuse["rename"] = failure("cannot rename active domain")
    with pytest.raises(VirtError):
        await define(machine, xml(domain_xml("db")), OWNER)
    assert "define" not in domain.calls
    assert machine.name == "web"


@pytest.mark.parametrize("name", ["old", "DB"])
async def test_a_name_that_is_taken_is_a_conflict(
    hypervisor: Hypervisor, machine: VirtualMachine, domain: FakeDomain, host: FakeHost, name: str
) -> None:
    host.add(OTHER_UUID, name)
    for change in (define(machine, xml(domain_xml(name)), OWNER), rename(machine, name)):
        with pytest.raises(CommandError, match="is taken on Host") as conflict:
            await change
        assert conflict.value.condition == Condition.CONFLICT
    assert "rename" not in domain.calls


@pytest.mark.parametrize("name", ["a/b", "-x", UUID])
async def test_a_name_that_nobody_may_bear_is_refused(machine: VirtualMachine, domain: FakeDomain, name: str) -> None:
    with pytest.raises(CommandError, match="name: "):
        await define(machine, xml(domain_xml(name)), OWNER)
    with pytest.raises(CommandError, match="FN: "):
        await rename(machine, name)
    assert domain.called == "web"


async def test_an_adopted_machine_keeps_a_name_that_nobody_else_would_get(machine: VirtualMachine, domain: FakeDomain) -> None:
    machine.name = "Old/1"
    domain.stored = domain_xml("Old/1")
    await define(machine, xml(domain_xml("Old/1", more=title("new"))), OWNER)
    assert domain.root.findtext("title") == "new"


async def test_a_machine_without_a_domain_is_renamed_too(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = None
    await rename(machine, " db ")
    assert (machine.name, await name_in_store(machine)) == ("db", "db")


async def test_a_domain_of_another_name_is_brought_in_line(machine: VirtualMachine, domain: FakeDomain) -> None:
    """The founders' agent found the machine itself in the way of its own name."""
    domain.stored = domain_xml("leftover")
    await define(machine, xml(domain_xml()), OWNER)
    assert domain.called == "web"


# -- secrets ------------------------------------------------------------------------------------------------------------


def graphics(password: str | None, kind: str = "vnc") -> str:
    secret = "" if password is None else f"passwd='{password}'"
    return f"<graphics type='{kind}' {secret}/>"


@pytest.mark.parametrize(
    "stored,sent,kept",
    [
        (graphics("old"), graphics(None), {"vnc": "old"}),
        (graphics("old"), graphics("new"), {"vnc": "new"}),
        (graphics("old"), graphics(None, "spice"), {"spice": None}),
        (graphics("old") + graphics("s", "spice"), graphics(None, "spice") + graphics(None), {"vnc": "old", "spice": "s"}),
        (graphics("old"), "", {}),
        (graphics(None), graphics(None), {"vnc": None}),
    ],
)
async def test_a_console_s_password_survives_a_definition_that_was_read_without_it(
    machine: VirtualMachine, domain: FakeDomain, stored: str, sent: str, kept: dict[str, str | None]
) -> None:
    domain.stored = domain_xml(devices=stored)
    await define(machine, xml(domain_xml(devices=sent)), ADMIN)
    assert {found.get("type"): found.get("passwd") for found in domain.root.iter("graphics")} == kept


FOUNDING = f"{VM}::::hunter2"


@pytest.mark.parametrize("text", [FOUNDING, f"\n  {FOUNDING}  \n", "a@b::::"])
def test_a_founding_agent_s_description_is_not_told(text: str) -> None:
    described = describe(domain_xml(more=f"<description>{text}</description>"))
    assert described.find("description") is None


@pytest.mark.parametrize("text", ["my machine", "mail me: a@b", "a@b:::c", "see a@b::::c for more"])
def test_any_other_description_is(text: str) -> None:
    assert describe(domain_xml(more=f"<description>{text}</description>")).findtext("description") == text


# -- devices ------------------------------------------------------------------------------------------------------------


def device(content: str) -> ET.Element:
    return xml(f"<device>{content}</device>")


def test_a_device_is_one_element() -> None:
    assert read_device(device("<disk><target dev='vdb'/></disk>")) == '<disk><target dev="vdb" /></disk>'


@pytest.mark.parametrize("content", ["", "text", NETWORK * 2])
def test_none_or_several_are_refused(content: str) -> None:
    with pytest.raises(CommandError, match="device: must hold exactly one device element"):
        read_device(device(content))


async def test_a_device_that_was_changed_is_told(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain) -> None:
    await go_online(machine)
    await change_device(machine, device(NETWORK), OWNER, machine.domain.attach_device)
    await finish_work(machine)
    assert "attach device" in domain.calls
    assert xmpp.pushes(VM) == [("virtualmachine:definition", "defined")]


@pytest.mark.parametrize("content", [FORBIDDEN_DISK, "<hostdev mode='subsystem' type='pci'/>", "<emulator>/bin/sh</emulator>"])
async def test_a_forbidden_device_never_reaches_libvirt(xmpp: FakeXmpp, machine: VirtualMachine, domain: FakeDomain, content: str) -> None:
    await go_online(machine)
    with pytest.raises(PermissionDenied):
        await change_device(machine, device(content), OWNER, machine.domain.attach_device)
    await finish_work(machine)
    assert "attach device" not in domain.calls
    assert xmpp.pushes(VM) == []


async def test_a_device_of_no_machine_is_told(machine: VirtualMachine, domain: FakeDomain) -> None:
    domain.stored = None
    with pytest.raises(CommandError, match="web has no definition: define it first"):
        await change_device(machine, device(NETWORK), OWNER, machine.domain.attach_device)


async def test_what_the_store_cannot_keep_is_an_error(machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(machine.services.store, "rename_machine", fail)
    with pytest.raises(StoreError):
        await definition.rename(machine, "db")
    assert machine.name == "web"


def test_a_description_without_end_is_read_at_once() -> None:
    """A pattern whose parts overlap would take hours for this; the test's own limit is two minutes."""
    assert FOUNDING_DESCRIPTION.fullmatch("@" * 2_000_000) is None
    assert FOUNDING_DESCRIPTION.fullmatch("web@lab.example::::" + "x" * 2_000_000)
