# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client does beyond one request and one answer: parts put together, ends waited for, what is missing said."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest

from archipel.client import guest as guest_module
from archipel.client.errors import AmbiguousMachine, MachineNotFound, MalformedAnswer, WaitTimedOut
from archipel.client.guest import STDOUT, FileTooLarge, output_of
from archipel.client.hypervisor import Hypervisor
from archipel.client.networks import NetworkNotFound
from archipel.client.screens import NoScreen
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import LibvirtFailed
from archipel.protocol.guest import MOST_BYTES, encode
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, ScriptedStream, command, error, normal, vm_command

NETWORK = "<network autostart='{}'><name>{}</name><uuid>{}</uuid><forward/><bridge name='virbr1'/></network>"
PARKED = "<virtualmachine uuid='{:032x}' parker='bob@example.org' date='2026-11-21 08:00:00.000001' name='{}'/>"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_module, "_LOOK_AGAIN", 0.001)


def query(namespace: str, content: str = "") -> str:
    return f"<query xmlns='{namespace}'>{content}</query>"


def guest(request: str, kind: str = "set") -> str:
    return command(kind, MACHINE_FULL, ns.VM_GUEST, request)


# -- guests -------------------------------------------------------------------------------------------------------------


def running(exited: int, content: str = "") -> str:
    return query(ns.VM_GUEST, f"<exec pid='7' exited='{exited}' exitcode='0'>{content}</exec>")


async def test_a_program_that_takes_longer_is_asked_for_until_it_ends(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(guest("<archipel path='sleep' timeout='20' action='exec'><input/><arg>9</arg></archipel>"), running(0))
    ended = running(1, f"<output stream='stdout'>{encode(b'done')}</output><output stream='stderr'>{encode(b'!')}</output>")
    stream.answer(guest("<archipel pid='7' action='execstatus'/>"), running(0), running(0), ended)
    found = await machine.guest.run("sleep", ("9",), timeout=60)
    assert (found.exitcode, output_of(found, STDOUT)) == (0, b"done")


async def test_a_program_that_does_not_end_in_time_is_named(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(guest("<archipel path='sleep' timeout='0' action='exec'><input/></archipel>"), running(0))
    stream.answer(guest("<archipel pid='7' action='execstatus'/>"), running(0))
    with pytest.raises(WaitTimedOut, match="sleep still runs after 0 s, as process 7 of the guest"):
        await machine.guest.run("sleep", timeout=0)


async def test_a_file_is_read_and_written_in_parts(machine: VirtualMachine, stream: ScriptedStream) -> None:
    parts = (b"a" * MOST_BYTES, b"b" * 10)
    for offset, (part, eof) in zip((0, MOST_BYTES), ((parts[0], 0), (parts[1], 1)), strict=True):
        request = guest(f"<archipel path='/f' offset='{offset}' count='{MOST_BYTES}' action='fileread'/>")
        stream.answer(request, query(ns.VM_GUEST, f"<file path='/f' size='{len(part)}' eof='{eof}'>{encode(part)}</file>"))
    assert await machine.guest.read("/f") == b"".join(parts)
    requests = [
        guest(f"<archipel path='/f' append='{append}' action='filewrite'><content>{encode(part)}</content></archipel>")
        for append, part in enumerate(parts)
    ]
    for request in requests:
        stream.answer(request, query(ns.VM_GUEST, "<file path='/f' size='1'/>"))
    stream.asked.clear()
    assert await machine.guest.write("/f", b"".join(parts)) == MOST_BYTES + 10
    assert stream.asked == [normal(request) for request in requests]


async def test_a_file_without_end_is_not_read_for_ever(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.anything = query(ns.VM_GUEST, f"<file path='/dev/zero' size='3'>{encode(b'000')}</file>")
    with pytest.raises(FileTooLarge, match="/dev/zero has more than 10 bytes"):
        await machine.guest.read("/dev/zero", most=10)


async def test_an_empty_file_is_written_too(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(
        guest("<archipel path='/f' append='0' action='filewrite'><content/></archipel>"), query(ns.VM_GUEST, "<file path='/f' size='0'/>")
    )
    assert await machine.guest.write("/f", b"") == 0


# -- screens ------------------------------------------------------------------------------------------------------------


async def test_a_machine_without_picture_says_why(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(vm_command("get", "<archipel size='full' action='screenshot'/>"), query(ns.VM_CONTROL))
    with pytest.raises(NoScreen, match="it is off"):
        await machine.screens.picture()


@pytest.mark.parametrize("data", ["a", "é"])
async def test_a_picture_that_is_none_is_an_unreadable_answer(machine: VirtualMachine, stream: ScriptedStream, data: str) -> None:
    content = f"<screenshot mime='image/png' width='1' height='1'>{data}</screenshot>"
    stream.answer(vm_command("get", "<archipel size='thumbnail' action='screenshot'/>"), query(ns.VM_CONTROL, content))
    with pytest.raises(MalformedAnswer, match="not base64"):
        await machine.screens.picture(thumbnail=True)


# -- hypervisors --------------------------------------------------------------------------------------------------------


async def test_a_network_goes_by_name_or_uuid(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    groups = f"<activedNetworks>{NETWORK.format(1, 'lab', 'u1')}</activedNetworks><unactivedNetworks>{NETWORK.format(0, 'old', 'u2')}</unactivedNetworks>"
    request = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_NETWORK, "<archipel action='get'/>")
    stream.answer(request, query(ns.HYPERVISOR_NETWORK, groups))
    lab, old = await hypervisor.networks.list()
    assert (lab.name, lab.active, lab.autostart, lab.bridge, lab.forward) == ("lab", True, True, "virbr1", "nat")
    assert (await hypervisor.networks.show("u2")).name == old.name == "old"
    assert lab.definition.get("autostart") is None, "that is no libvirt XML"
    with pytest.raises(NetworkNotFound, match="no network 'lab2'"):
        await hypervisor.networks.show("lab2")


DESCRIBED = [
    (lambda hypervisor: hypervisor.networks.describe("lab"), ns.HYPERVISOR_NETWORK, "<archipel uuid='lab' action='describe'/>", 43),
    (lambda hypervisor: hypervisor.network_filters.find("lab"), ns.HYPERVISOR_NETWORK, "<archipel name='lab' action='nwfilterget'/>", 62),
    (
        lambda hypervisor: hypervisor.storage_pools.describe("lab"),
        ns.HYPERVISOR_STORAGE,
        "<archipel name='lab' action='pooldescribe'/>",
        49,
    ),
]


@pytest.mark.parametrize("describe, namespace, request_text, code", DESCRIBED)
async def test_what_libvirt_does_not_know_is_told_as_nothing_and_other_errors_as_errors(
    describe: Callable[[Hypervisor], Awaitable[object]],
    namespace: str,
    request_text: str,
    code: int,
    hypervisor: Hypervisor,
    stream: ScriptedStream,
) -> None:
    libvirts = f"<libvirt-error xmlns='{ns.ERROR_LIBVIRT}'/>"
    stream.answer(
        command("get", HYPERVISOR_FULL, namespace, request_text),
        error("internal-server-error", libvirts, code=code),
        error("internal-server-error", libvirts, code=1),
    )
    assert await describe(hypervisor) is None
    with pytest.raises(LibvirtFailed):
        await describe(hypervisor)


def listing(page: int) -> str:
    return command("get", HYPERVISOR_FULL, ns.HYPERVISOR_PARKING, f"<archipel page='{page}' filter='' action='list'/>")


async def test_all_pages_of_the_parked_machines_are_read(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(listing(0), query(ns.HYPERVISOR_PARKING, "".join(PARKED.format(number, f"m{number}") for number in range(30))))
    stream.answer(listing(1), query(ns.HYPERVISOR_PARKING, PARKED.format(30, "m7")))
    assert len(await hypervisor.parking.list()) == 31
    assert (await hypervisor.parking.find("m8")).name == "m8"
    with pytest.raises(AmbiguousMachine, match="several parked machines are called 'm7'"):
        await hypervisor.parking.find("m7")
    with pytest.raises(MachineNotFound, match="no machine 'm99' is parked"):
        await hypervisor.parking.find("m99")


async def test_a_list_that_repeats_itself_ends(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.anything = query(ns.HYPERVISOR_PARKING, "".join(PARKED.format(number, "m") for number in range(30)))
    assert len(await hypervisor.parking.list()) == 30


async def test_a_job_has_the_identity_that_the_client_gave_it(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.anything = query(ns.SCHEDULER)
    identity = await machine.schedule.add("create", hour="8", comment="early", weekday=None)
    uuid.UUID(identity)
    request = f"<archipel job='create' hour='8' comment='early' param='' uid='{identity}' action='schedule'/>"
    assert stream.asked == [normal(command("set", MACHINE_FULL, ns.SCHEDULER, request))]


async def test_waiting_is_over_when_nothing_more_is_to_be_done(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    """Without any wish to wait, nobody listens to anything."""
    stream.anything = query(ns.HYPERVISOR_VMCASTING)
    async with asyncio.timeout(5):
        await hypervisor.appliances.download(uuid.uuid4())
    assert len(stream.asked) == 1
