# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor: its machines by whatever name, the accounts it makes for them, the tags it publishes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import hypervisor as module
from archipel.agent.hypervisor import REGISTRATIONS_AT_ONCE, Hypervisor, has_hardware_virtualisation, parse_machine_uuid
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase
from archipel.agent.virt.connection import ConnectionState
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent, UnknownDetail
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol import presence
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import TAGS_NODE
from archipel.protocol.every_entity import Tag
from archipel.protocol.vcard import VCard
from archipel.xmpp.errors import NoAnswer
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp, Node
from tests.unit.agent.fakes import HYP, OTHER_UUID, UUID, VM, FakeLibvirt

PASSWORD = Secret("machine")


async def test_a_hypervisor_is_called_as_configured_and_lives_on_its_host(xmpp: FakeXmpp, online: Hypervisor) -> None:
    assert (online.name, online.full, online.node) == ("Host", f"{HYP}/host1", "hyp")
    card = VCard.read(xmpp.vcards[HYP])
    assert (card.role, card.title, card.name, card.organisation.orgname) == ("hypervisor", "Hypervisor (TEST)", "Host", "Lab")


# -- machines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [UUID, UUID.upper(), VM, f"{VM}/hyp", f" {UUID} ", "web", "WEB", " web\t"])
async def test_a_machine_is_found_by_uuid_address_and_name(hypervisor: Hypervisor, machine: VirtualMachine, reference: str) -> None:
    assert hypervisor.find(reference) is machine


@pytest.mark.parametrize(
    "reference",
    ["", " ", "we", OTHER_UUID, "/", "@", f"{OTHER_UUID}@lab.example", "web@lab.example", f"{UUID}@lab", f"{UUID}@", f"web/{UUID}"],
)
async def test_what_is_no_machine_here_is_not_found(hypervisor: Hypervisor, machine: VirtualMachine, reference: str) -> None:
    with pytest.raises(CommandError, match="no managed machine") as missing:
        hypervisor.find(reference)
    assert missing.value.condition == Condition.ITEM_NOT_FOUND


def adopt(hypervisor: Hypervisor, name: str) -> VirtualMachine:
    """Have another machine, of a name that nobody could give it here."""
    return hypervisor.adopt_record(MachineRecord(uuid=OTHER_UUID, name=name, password=PASSWORD, phase=Phase.ACTIVE, adopted=True))


async def test_a_name_that_looks_like_another_s_address_means_the_machine_of_that_name(
    hypervisor: Hypervisor, machine: VirtualMachine
) -> None:
    """To free the one destroyed the other."""
    other = adopt(hypervisor, f"{UUID}@lab")
    assert [hypervisor.find(reference) for reference in (other.name, other.name.upper(), OTHER_UUID, other.bare)] == [other] * 4
    assert [hypervisor.find(reference) for reference in (UUID, VM, "web")] == [machine] * 3


@pytest.mark.parametrize("name", [UUID, VM, UUID.upper(), f"{VM}/hyp", f"{UUID}/x"])
async def test_what_can_mean_two_machines_means_none(hypervisor: Hypervisor, machine: VirtualMachine, name: str) -> None:
    other = adopt(hypervisor, name)
    with pytest.raises(CommandError, match="can mean") as conflict:
        hypervisor.find(name)
    assert conflict.value.condition == Condition.CONFLICT
    assert hypervisor.find("web") is machine
    assert hypervisor.find(OTHER_UUID) is other


async def test_the_exact_spelling_of_a_name_comes_first(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    other = adopt(hypervisor, "WEB")
    assert (hypervisor.find("web"), hypervisor.find("WEB")) == (machine, other)
    with pytest.raises(CommandError, match="can mean"):
        hypervisor.find("Web")


async def test_events_reach_the_machine_they_are_about(xmpp: FakeXmpp, hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    await go_online(machine)
    for uuid in (UUID, OTHER_UUID):
        hypervisor.take_event(DomainEvent(uuid, "web", LifecycleEvent.STARTED, UnknownDetail.UNKNOWN))
    await finish_work(machine)
    assert xmpp.pushes(VM) == [("virtualmachine:control", "created")]


async def test_without_libvirt_a_hypervisor_says_that_whatever_it_does(hypervisor: Hypervisor, libvirt: FakeLibvirt) -> None:
    hypervisor.begin("Allocating vm...")
    libvirt.state = ConnectionState.LOST
    hypervisor.show_machines()
    assert hypervisor.status == presence.LIBVIRT_LOST
    libvirt.state = ConnectionState.CONNECTED
    hypervisor.show_machines()
    assert hypervisor.status == presence.busy_hypervisor("Allocating vm...")


async def test_of_several_things_it_does_the_latest_is_shown(hypervisor: Hypervisor) -> None:
    hypervisor.begin("one")
    hypervisor.begin("two")
    assert hypervisor.status == presence.busy_hypervisor("two")
    hypervisor.end("two")
    assert hypervisor.status == presence.busy_hypervisor("one")


@pytest.mark.parametrize(
    "text,hardware", [("flags : fpu vmx sse", True), ("flags : svm", True), ("flags : fpu xvmx", False), ("", False), (None, False)]
)
def test_hardware_virtualisation_is_read_from_the_cpu_s_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, hardware: bool
) -> None:
    facts = tmp_path / "cpuinfo"
    if text is not None:
        facts.write_text(text)
    monkeypatch.setattr(module, "CPU_FACTS", facts)
    assert has_hardware_virtualisation() is hardware


@pytest.mark.parametrize("reference", [UUID, UUID.upper(), VM, f"{VM}/hyp", f" {UUID} "])
def test_a_uuid_is_read_from_all_that_names_one(reference: str) -> None:
    assert parse_machine_uuid(reference, "uuid") == UUID


@pytest.mark.parametrize(
    "reference", ["", "web", "../../etc", UUID[:-1], f"{UUID}x", UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}", f"x/{UUID}"]
)
def test_what_is_no_uuid_becomes_no_folder(reference: str) -> None:
    with pytest.raises(BadRequest, match=r"uuid: .* is not a UUID like"):
        parse_machine_uuid(reference, "uuid")


# -- accounts -----------------------------------------------------------------------------------------------------------


async def test_accounts_are_made_and_removed(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    await hypervisor.make_account(UUID, PASSWORD)
    assert xmpp.accounts[UUID] == "machine"
    await hypervisor.remove_account(UUID, PASSWORD)
    assert UUID not in xmpp.accounts


async def test_an_account_that_is_gone_already_is_removed(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    await hypervisor.remove_account(UUID, PASSWORD)
    assert xmpp.accounts == {"hyp": "secret"}


async def test_an_account_with_another_password_is_not_ours_and_stays(
    xmpp: FakeXmpp, hypervisor: Hypervisor, caplog: pytest.LogCaptureFixture
) -> None:
    xmpp.accounts[UUID] = "somebody's"
    await hypervisor.remove_account(UUID, PASSWORD)
    assert xmpp.accounts[UUID] == "somebody's"
    assert "is not this agent's" in caplog.text


async def test_an_account_that_exists_is_a_conflict(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    xmpp.accounts[UUID] = "somebody's"
    with pytest.raises(CommandError) as conflict:
        await hypervisor.make_account(UUID, PASSWORD)
    assert conflict.value.condition == Condition.CONFLICT


async def test_an_account_that_cannot_be_removed_is_told(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    xmpp.refuse["unregister"] = CommandError("no", condition=Condition.NOT_ALLOWED)
    with pytest.raises(CommandError):
        await hypervisor.remove_account(UUID, PASSWORD)


async def test_restoring_waits_until_the_hypervisor_is_online_itself(
    xmpp: FakeXmpp, hypervisor: Hypervisor, machine: VirtualMachine
) -> None:
    del xmpp.accounts[UUID]
    machine.start()
    await go_online(hypervisor)
    await machine.online.wait()
    assert xmpp.accounts[UUID] == "machine"


async def test_accounts_are_made_a_few_at_a_time(xmpp: FakeXmpp, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server makes them one after the other: of a thousand asked for at once most would not be answered in time."""
    under_way, most = 0, 0

    async def request(_iq: ET.Element, _timeout: float) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    monkeypatch.setattr(hypervisor.stream, "request", request)
    await asyncio.gather(*(hypervisor.make_account(str(uuid4()), PASSWORD) for _ in range(100)))
    assert most == REGISTRATIONS_AT_ONCE


@pytest.mark.parametrize("error", [CommandError("no"), NoAnswer("late")])
async def test_an_account_that_cannot_be_restored_is_not_tried_in_a_loop(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, error: Exception
) -> None:
    xmpp.refuse["register"] = error
    assert not await online.restore_account(machine)
    assert xmpp.asked("register") == 1


# -- tags ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tags(xmpp: FakeXmpp) -> Node:
    """The platform's node for tags."""
    node = xmpp.nodes[TAGS_NODE] = Node("admin@lab.example")
    return node


async def test_tags_are_one_item_an_entity_named_like_it(tags: Node, hypervisor: Hypervisor) -> None:
    await hypervisor.publish_tags(VM, ("lab", "blue"))
    await hypervisor.keep_tags(("big",))
    await hypervisor.publish_tags(VM, ("green",))
    payloads = {name: payload for name, (payload, _publisher) in tags.items.items() if payload is not None}
    assert {payload.tag for payload in payloads.values()} == {f"{{{ns.TAGS}}}tag"}
    assert {name: Tag.read(payload) for name, payload in payloads.items()} == {VM: Tag(jid=VM, tags="green"), HYP: Tag(jid=HYP, tags="big")}


async def test_an_entity_that_lost_its_tags_says_so_as_those_who_watch_hear_of_no_retraction(tags: Node, hypervisor: Hypervisor) -> None:
    for words in (("lab",), ()):
        await hypervisor.publish_tags(VM, words)
    ((payload, _publisher),) = tags.items.values()
    assert payload is not None
    assert payload.attrib == {"jid": VM, "tags": ""}


async def test_an_entity_that_is_gone_has_no_item(tags: Node, hypervisor: Hypervisor) -> None:
    await hypervisor.publish_tags(VM, ("lab",))
    for _ in range(2):
        await hypervisor.retract_tags(VM)
        assert tags.items == {}


@pytest.mark.parametrize("condition", [Condition.FORBIDDEN, Condition.ITEM_NOT_FOUND])
async def test_an_item_that_could_not_be_retracted_is_told_only_if_it_is_there(
    xmpp: FakeXmpp, tags: Node, hypervisor: Hypervisor, condition: Condition
) -> None:
    xmpp.refuse["retract"] = CommandError("no", condition=condition)
    await hypervisor.retract_tags(VM)
    await hypervisor.publish_tags(VM, ("lab",))
    with pytest.raises(CommandError):
        await hypervisor.retract_tags(VM)
