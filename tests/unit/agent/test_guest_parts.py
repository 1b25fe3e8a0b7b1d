# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and systems of many guests in one answer: who is asked, who may see it, and that no guest holds up the others."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import libvirt
import pytest

from archipel.agent import guest_round
from archipel.agent.capabilities import guest as capability
from archipel.agent.description_pages import LARGEST_PART
from archipel.agent.guest_facts import LONGEST
from archipel.agent.guest_round import Question, Word, ask_guests
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt import guest_agent
from archipel.agent.virt.errors import LibvirtError, LibvirtTimeout
from archipel.agent.virt.interfaces import Address, AddressSource, HostsWord, InterfaceAddresses
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.declaration import Part
from archipel.protocol.errors import Unavailable
from archipel.xmpp.serial import serialize
from tests.unit.agent.fakes import HYP, STUDENT, VM, FakeHost
from tests.unit.agent.test_descriptions import add_machines, describe, only, parts_of

GUEST = (Part.ADDRESSES, Part.SYSTEM)
LEASED = InterfaceAddresses("vnet0", "52:54:00:0a:0b:0c", (Address("192.0.2.7", 24),), AddressSource.LEASE)
TOLD = InterfaceAddresses("eth0", "52:54:00:0a:0b:0c", (Address("192.0.2.8", 24), Address("2001:db8::8", 64)), AddressSource.AGENT)
FACTS = {"os.id": "debian", "hostname": "web", "if.count": 1, "user.count": 1, "user.0.name": "root"}


class FakeGuests:
    """The connection that guests are asked through: what each tells or raises, or that it waits for an event."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []

    def domain(self, uuid: str) -> FakeGuest:
        return FakeGuest(self, uuid)


@dataclasses.dataclass
class FakeGuest:
    guests: FakeGuests
    uuid: str

    async def ask_guest(self, call: str, function: Callable[[Any], Any], _within: float = 0) -> Any:
        self.guests.asked.append((self.uuid, call))
        answer = self.guests.answers.get(self.uuid, {})
        if isinstance(answer, asyncio.Event):
            function(None)
            await answer.wait()
        if isinstance(answer, Exception):
            raise answer
        function(None)
        return answer[call]


@pytest.fixture
def guests(online: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> FakeGuests:
    guests = FakeGuests()
    monkeypatch.setitem(capability._hosts, online, guests)
    monkeypatch.setattr(guest_agent, "read_addresses", lambda _domain: [])
    monkeypatch.setattr(guest_agent, "read_system", lambda _domain: {})
    monkeypatch.setattr(guest_round, "PATIENCE", 0.05)
    return guests


def answers(addresses: Any = (TOLD,), system: Any = FACTS) -> dict[str, Any]:
    return {"guest addresses": addresses, "guest system": system}


def run(host: FakeHost, machine: VirtualMachine, cards: tuple[InterfaceAddresses, ...] = (), *, guest_knows: bool = False) -> None:
    domain = host.domain(machine.uuid)
    domain.state_now, domain.addresses = DomainState.RUNNING, HostsWord(cards, guest_knows)


def silent(code: int = libvirt.VIR_ERR_AGENT_UNRESPONSIVE) -> LibvirtError:
    return LibvirtError(code, 0, "Guest agent is not responding")


async def test_what_the_host_knows_no_guest_is_asked(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, guests: FakeGuests
) -> None:
    run(host, machine, (LEASED,))
    parts = await only(online, Part.ADDRESSES)
    told = [dataclasses.astuple(address) for address in parts[Part.ADDRESSES].addresses]
    assert told == [("vnet0", "52:54:00:0a:0b:0c", "192.0.2.7", 24, "lease")]
    assert guests.asked == []


async def test_guests_tell_the_rest(online: Hypervisor, machine: VirtualMachine, host: FakeHost, guests: FakeGuests) -> None:
    run(host, machine, guest_knows=True)
    guests.answers[machine.uuid] = answers()
    parts = await only(online, *GUEST)
    assert [address.address for address in parts[Part.ADDRESSES].addresses] == ["192.0.2.8", "2001:db8::8"]
    system = parts[Part.SYSTEM].system
    assert system is not None
    assert (system.os, system.hostname) == ("debian", "web")


async def test_a_machine_that_is_off_is_not_asked(online: Hypervisor, machine: VirtualMachine, host: FakeHost, guests: FakeGuests) -> None:
    for domain in (host.domain(machine.uuid), None):
        if domain is None:
            host.domain(machine.uuid).stored = None
        parts = await only(online, *GUEST)
        assert [(parts[part].failed, parts[part].addresses, parts[part].system) for part in GUEST] == [(None, (), None)] * 2
    assert guests.asked == []


async def test_guests_are_asked_only_for_who_names_that(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, guests: FakeGuests
) -> None:
    run(host, machine, guest_knows=True)
    assert set(await only(online)).isdisjoint(GUEST)
    assert (guests.asked, host.networks.asked) == ([], 0)


async def test_each_part_has_the_right_of_its_own_question(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, guests: FakeGuests
) -> None:
    run(host, machine, guest_knows=True)
    guests.answers[machine.uuid] = answers()
    rights = online.services.rights
    await rights.grant(HYP, STUDENT.bare, "message", granted_by=HYP)
    await rights.grant(VM, STUDENT.bare, "info", granted_by=HYP)
    parts = await only(online, *GUEST, caller=STUDENT)
    assert [parts[part].denied for part in GUEST] == ["networkinfo", "guest_info"]
    assert guests.asked == []
    await rights.grant(VM, STUDENT.bare, "networkinfo", granted_by=HYP)
    parts = await only(online, *GUEST, caller=STUDENT)
    assert [parts[part].denied for part in GUEST] == [None, "guest_info"]
    assert len(parts[Part.ADDRESSES].addresses) == 2
    assert guests.asked == [(machine.uuid, "guest addresses")]


async def test_leases_are_read_once_for_all(online: Hypervisor, host: FakeHost, guests: FakeGuests) -> None:
    for machine in await add_machines(online, host, 20):
        run(host, machine)
    page = await describe(online, Part.ADDRESSES)
    assert (len(page.machines), host.networks.asked) == (20, 1)
    host.networks.refuse = LibvirtTimeout("leases", 10)  # then each domain is asked
    assert all(part.failed is None for found in (await describe(online, Part.ADDRESSES)).machines for part in found.parts)


@pytest.mark.parametrize(
    "trouble, says",
    [
        (silent(), "install qemu-guest-agent"),
        (LibvirtTimeout("guest addresses", 15), "did not answer"),
        (guest_agent.MalformedGuestAnswer("guest-get-osinfo"), "makes no sense"),
        (LibvirtError(libvirt.VIR_ERR_NO_SUPPORT, 0, "not supported"), "not supported"),
    ],
)
async def test_what_could_not_be_read_is_told_as_that_and_not_as_nothing(
    online: Hypervisor, host: FakeHost, guests: FakeGuests, trouble: Exception, says: str
) -> None:
    first, second = await add_machines(online, host, 2)
    for machine in (first, second):
        run(host, machine, guest_knows=True)
    guests.answers = {first.uuid: trouble, second.uuid: answers()}
    broken, fine = map(parts_of, (await describe(online, *GUEST)).machines)
    assert all(says in (broken[part].failed or "") for part in GUEST)
    assert [fine[part].failed for part in GUEST] == [None, None]


async def test_a_guest_that_says_nothing_does_not_hold_up_the_others(online: Hypervisor, host: FakeHost, guests: FakeGuests) -> None:
    first, second = await add_machines(online, host, 2)
    for machine in (first, second):
        run(host, machine, guest_knows=True)
    guests.answers = {first.uuid: asyncio.Event(), second.uuid: answers()}
    hanging, fine = map(parts_of, (await describe(online, Part.INFO, *GUEST)).machines)
    assert hanging[Part.INFO].info is not None
    assert all("did not answer within" in (hanging[part].failed or "") for part in GUEST)
    assert [len(fine[Part.ADDRESSES].addresses), fine[Part.SYSTEM].failed] == [2, None]


async def test_without_the_capability_addresses_are_read_all_the_same(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, guests: FakeGuests, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, own = online.services.registry, FakeGuests()
    monkeypatch.setattr(registry, "_commands", {key: value for key, value in registry._commands.items() if key[1] != ns.VM_GUEST})
    own.answers[machine.uuid] = answers()
    monkeypatch.setattr(type(host.domain(machine.uuid)), "ask_guest", own.domain(machine.uuid).ask_guest, raising=False)
    run(host, machine, guest_knows=True)
    parts = await only(online, *GUEST)
    assert len(parts[Part.ADDRESSES].addresses) == 2
    assert "switched off" in (parts[Part.SYSTEM].failed or "")
    assert guests.asked == []


async def test_of_what_a_guest_tells_only_addresses_are_taken_and_no_more_than_fit(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, guests: FakeGuests
) -> None:
    run(host, machine, guest_knows=True)
    lies = ("192.0.2.1 -oProxyCommand=id", "2001:db8::1%$(id)", "{{ id }}", "", "1" * 10**6)
    odd = InterfaceAddresses(
        "\u202e&" * 10**5, "&" * 10**5, (*(Address(lie, 24) for lie in lies), Address("192.0.2.9", 999)), AddressSource.AGENT
    )
    many = InterfaceAddresses("&" * 10**5, "52:54:00:0a:0b:0c", (Address("192.0.2.8", 24),) * 10**4, AddressSource.AGENT)
    guests.answers[machine.uuid] = answers([odd, many])
    first, *others = (await only(online, Part.ADDRESSES))[Part.ADDRESSES].addresses
    assert (first.mac, first.address, first.prefix, len(first.interface)) == ("", "192.0.2.9", 0, LONGEST)
    assert {address.address for address in others} == {"192.0.2.8"}
    size = sum(len(serialize(address.write()).encode()) for address in (first, *others))
    assert size < LARGEST_PART


# -- a round ------------------------------------------------------------------------------------------------------------


class Threads:
    """As many threads as there are, and which guests were asked in them, in turn."""

    def __init__(self, count: int, silent: set[VirtualMachine]) -> None:
        self.free = asyncio.Semaphore(count)
        self.silent = silent
        self.asked: list[VirtualMachine] = []

    async def ask(self, vm: VirtualMachine, _call: str, read: Callable[[Any], Any]) -> Any:
        async with self.free:
            self.asked.append(vm)
            told = read(None)
            if vm in self.silent:
                await asyncio.Event().wait()
            return told

    async def round(self, machines: list[VirtualMachine]) -> dict[VirtualMachine, Any]:
        questions = [Question(vm, "name", lambda _domain: "word", self.ask) for vm in machines]
        return {question.vm: told for question, told in (await ask_guests(questions)).items()}


async def test_who_was_silent_comes_last_the_next_time(online: Hypervisor, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_round, "PATIENCE", 0.05)
    first, second, third, fourth = await add_machines(online, host, 4)
    threads = Threads(2, {first, second})
    found = await threads.round([first, second, third, fourth])
    assert not any(isinstance(told, Word) for told in found.values())
    for machine, says in ((first, "did not answer within 0.05 s"), (third, "was not asked")):
        with pytest.raises(Unavailable, match=says):
            found[machine].tell()
    threads = Threads(2, {first, second})
    found = await threads.round([first, second, third, fourth])
    assert {machine for machine, told in found.items() if isinstance(told, Word)} == {third, fourth}
    threads = Threads(2, set())
    await threads.round([first, second, third, fourth])
    assert threads.asked == [third, fourth, first, second]
    threads = Threads(2, set())
    await threads.round([first, second, third, fourth])
    assert threads.asked == [first, second, third, fourth]
