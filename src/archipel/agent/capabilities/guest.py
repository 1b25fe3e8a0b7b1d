# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of software in the guest, the QEMU guest agent (namespace ``archipel:vm:guest``)."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from archipel.agent import guest_facts
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.guest_settings import GuestSettings, refuse_path, refuse_program
from archipel.agent.hooks import in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.own_words import tell_answer
from archipel.agent.virt import guest_agent
from archipel.agent.virt.binding import VirDomain
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import GUEST_TIMEOUT
from archipel.agent.virt.errors import DomainNotFound, LibvirtError
from archipel.agent.virt.guest_agent import ProgramState, clean
from archipel.agent.virt.host import Host
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import guest as wire
from archipel.protocol.errors import BadRequest, CommandError, Condition, LibvirtFailed, Unavailable
from archipel.protocol.payload import Request
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

TOKENS = (
    Token("guest_info", "See what the guest says of itself", ON_VIRTUAL_MACHINE),
    Token("guest_exec", "Run programs in the guest, as its administrator", ON_VIRTUAL_MACHINE),
    Token("guest_file_read", "Read files in the guest", ON_VIRTUAL_MACHINE),
    Token("guest_file_write", "Write files in the guest", ON_VIRTUAL_MACHINE),
    Token("guest_password", "Set passwords in the guest", ON_VIRTUAL_MACHINE),
    Token("guest_freeze", "Freeze and thaw the guest's file systems", ON_VIRTUAL_MACHINE),
    Token("guest_time", "Set the guest's clock by the host's", ON_VIRTUAL_MACHINE),
)
SETTINGS = GuestSettings

LONG_TIMEOUT: Final = 40.0  # seconds for several answers of the guest, and for its disks
THREADS: Final = 3  # guests that are asked at once
FIRST_LOOK, LONGEST_LOOK, LONGER = 0.03, 1.0, 1.5  # seconds between looks at a program, and by what they grow

T = TypeVar("T")
_hosts: WeakKeyDictionary[Hypervisor, Host] = WeakKeyDictionary()


def guest_command(request: type[Request[Any]], right: str, chat: Chat | None = None) -> Callable[[Any], Any]:
    """Declare a command of this namespace."""
    return command(request, on=EntityKind.VIRTUAL_MACHINE, right=right, failure=wire.FAILURE, chat=chat)


@in_background
async def connect(hypervisor: Hypervisor) -> None:
    """Keep a connection to libvirt for guests alone: one that does not answer must keep nobody else waiting.

    libvirt before 10.0 now and then sends no further call of a connection as long as it waits for the answer to another.
    """
    async with LibvirtConnection(hypervisor.services.settings.libvirt.uri, threads=THREADS) as connection:
        _hosts[hypervisor] = Host(connection)
        await asyncio.Event().wait()


async def ask(vm: VirtualMachine, call: str, function: Callable[[VirDomain], T], within: float = GUEST_TIMEOUT, *, quote: bool = True) -> T:
    """Have the guest asked; raises in plain words what hinders that, with what the guest said where ``quote`` lets it."""
    host = _hosts.get(vm.hypervisor)
    if host is None:
        raise Unavailable("the agent has only just started: try again in a moment")
    try:
        return await host.domain(vm.uuid).ask_guest(call, function, within)
    except DomainNotFound:
        raise CommandError(f"{vm.name} has no definition: define it first", condition=Condition.ITEM_NOT_FOUND) from None
    except LibvirtError as error:
        raise _explain(vm, error, clean(error.message) if quote else "what it said is not repeated") from None


def _explain(vm: VirtualMachine, error: LibvirtError, text: str) -> CommandError:
    """Return what libvirt's refusal means; ``text`` is what may be told of its words."""
    if error.code == guest_agent.NOT_RUNNING:
        return CommandError(f"{vm.name} does not run: start it first ({text})", condition=Condition.UNEXPECTED_REQUEST)
    if error.code == guest_agent.NO_CHANNEL:
        advice = "give it <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
        return CommandError(f"{vm.name} has no channel to a guest agent: {advice} ({text})", condition=Condition.NOT_ACCEPTABLE)
    if error.code in guest_agent.SILENT:
        advice = "install qemu-guest-agent in the guest, and see that it runs"
        return Unavailable(f"the guest agent of {vm.name} does not answer: {advice} ({text})", wire.FAILURE)
    if error.code in guest_agent.REFUSED:
        return CommandError(f"the guest refused: {text}{guest_agent.advise(error.message)}", condition=Condition.NOT_ACCEPTABLE)
    return LibvirtFailed(text, error.code)


def _settings(vm: VirtualMachine) -> GuestSettings:
    settings: GuestSettings = vm.services.settings.capabilities["guest"]
    return settings


# -- info ---------------------------------------------------------------------------------------------------------------


def _say_guest(guest: wire.GuestSystem) -> str:
    addresses = ", ".join(address.address for card in guest.interfaces if card.name != "lo" for address in card.addresses)
    return f"I am {guest.hostname or 'nameless'}, {guest.name or guest.os or 'a system without a name'}, at {addresses or 'no address'}."


@guest_command(wire.GetGuest, "guest_info", Chat(("guest",), _say_guest))
async def get_guest(vm: VirtualMachine, _request: wire.GetGuest, _caller: Caller) -> wire.GuestSystem:
    """What the guest says of its system, addresses and users."""
    facts, told = await ask(vm, "guest info", guest_agent.read_facts, LONG_TIMEOUT)
    return guest_facts.describe(facts, told)


@guest_command(wire.PingGuest, "guest_info", Chat(("guest ping",), lambda _: "My guest agent answers."))
async def ping(vm: VirtualMachine, _request: wire.PingGuest, _caller: Caller) -> None:
    """Whether the guest agent answers."""
    await ask(vm, "guest ping", guest_agent.ping)


# -- programs -----------------------------------------------------------------------------------------------------------


@guest_command(wire.Execute, "guest_exec")
async def execute(vm: VirtualMachine, request: wire.Execute, _caller: Caller) -> wire.Execution:
    """Run a program in the guest."""
    refuse_program(request.path, _settings(vm).programs)
    arguments, data = [argument.arg for argument in request.arguments], wire.decode(request.private_input, "input")
    deadline = asyncio.get_running_loop().time() + request.timeout
    pid = await ask(vm, "guest exec", lambda domain: guest_agent.start_program(domain, request.path, arguments, data))
    pause = FIRST_LOOK
    while True:
        state = await _look(vm, pid)
        left = deadline - asyncio.get_running_loop().time()
        if state.exited or left <= 0:
            return _describe(pid, state)
        await asyncio.sleep(min(pause, left))
        pause = min(pause * LONGER, LONGEST_LOOK)


async def _look(vm: VirtualMachine, pid: int) -> ProgramState:
    """Return how a program is; an error names it, because it was started and may go on."""
    try:
        return await ask(vm, "guest exec status", lambda domain: guest_agent.read_program(domain, pid, wire.MOST_BYTES))
    except CommandError as error:
        error.text = f"the program has the pid {pid} in the guest, and its state cannot be read: {error.text}"
        raise


@guest_command(wire.GetExecution, "guest_exec", Chat(("guest execstatus {pid}",), tell_answer))
async def get_execution(vm: VirtualMachine, request: wire.GetExecution, _caller: Caller) -> wire.Execution:
    """How a program is that was started in the guest."""
    return _describe(request.pid, await _look(vm, request.pid))


def _describe(pid: int, state: ProgramState) -> wire.Execution:
    streams = (("stdout", state.stdout, state.stdout_truncated), ("stderr", state.stderr, state.stderr_truncated))
    outputs = tuple(
        wire.Output(stream=name, truncated=truncated, data=wire.encode(data)) for name, data, truncated in streams if data or truncated
    )
    return wire.Execution(pid=pid, exited=state.exited, exitcode=state.exitcode, signal=state.signal, outputs=outputs)


# -- files --------------------------------------------------------------------------------------------------------------


@guest_command(wire.ReadFile, "guest_file_read", Chat(("guest fileread {path} [offset] [count]",), tell_answer))
async def read_file(vm: VirtualMachine, request: wire.ReadFile, _caller: Caller) -> wire.FilePart:
    """Read a part of a file in the guest."""
    refuse_path(request.path, _settings(vm).readable, "guest_readable_paths")
    read = functools.partial(guest_agent.read_file, path=request.path, offset=request.offset, count=request.count)
    data, ends = await ask(vm, "guest file read", read, LONG_TIMEOUT)
    return wire.FilePart(path=request.path, size=len(data), eof=ends, data=wire.encode(data))


@guest_command(wire.WriteFile, "guest_file_write")
async def write_file(vm: VirtualMachine, request: wire.WriteFile, _caller: Caller) -> wire.WrittenFile:
    """Write a file in the guest."""
    refuse_path(request.path, _settings(vm).writable, "guest_writable_paths")
    data = wire.decode(request.private_content, "content")
    if request.append and request.offset is not None:
        raise BadRequest("offset: what is put behind a file has no other place: leave append or offset out")
    write = functools.partial(guest_agent.write_file, path=request.path, data=data, append=request.append, offset=request.offset)
    return wire.WrittenFile(path=request.path, size=await ask(vm, "guest file write", write, LONG_TIMEOUT))


# -- accounts, file systems, clock --------------------------------------------------------------------------------------


@guest_command(wire.SetPassword, "guest_password")
async def set_password(vm: VirtualMachine, request: wire.SetPassword, _caller: Caller) -> None:
    """Set the password of an account of the guest."""
    change = functools.partial(guest_agent.set_password, user=request.user, password=request.password, crypted=request.crypted)
    await ask(vm, "guest password", change, quote=False)  # a refusal may give the password back


def _say_state(state: wire.FreezeState) -> str:
    return f"My file systems are {'frozen: thaw ends that' if state.frozen else 'not frozen'}."


@guest_command(wire.GetFreezeState, "guest_info", Chat(("guest frozen",), _say_state))
async def get_freeze_state(vm: VirtualMachine, _request: wire.GetFreezeState, _caller: Caller) -> wire.FreezeState:
    """Whether the file systems of the guest are frozen."""
    return wire.FreezeState(frozen=await ask(vm, "guest freeze status", guest_agent.is_frozen))


@guest_command(wire.Freeze, "guest_freeze", Chat(("freeze",), lambda answer: f"{answer.count} file systems are frozen: thaw ends that."))
async def freeze(vm: VirtualMachine, _request: wire.Freeze, _caller: Caller) -> wire.Filesystems:
    """Freeze the file systems of the guest, until thaw."""
    return wire.Filesystems(count=await ask(vm, "guest freeze", guest_agent.freeze, LONG_TIMEOUT))


@guest_command(wire.Thaw, "guest_freeze", Chat(("thaw",), lambda answer: f"{answer.count} file systems are thawed."))
async def thaw(vm: VirtualMachine, _request: wire.Thaw, _caller: Caller) -> wire.Filesystems:
    """Thaw the file systems of the guest."""
    return wire.Filesystems(count=await ask(vm, "guest thaw", guest_agent.thaw, LONG_TIMEOUT))


def _say_clock(clock: wire.Clock) -> str:
    return f"My clock is {clock.offset:+.1f} s off the host's."


@guest_command(wire.GetTime, "guest_info", Chat(("guest clock",), _say_clock))
async def get_time(vm: VirtualMachine, _request: wire.GetTime, _caller: Caller) -> wire.Clock:
    """How far the clock of the guest is from the host's."""
    told, offset = await ask(vm, "guest clock", lambda domain: guest_agent.read_clock(domain, time.time))
    return wire.Clock(seconds=round(told, 3), offset=round(offset, 3))


@guest_command(wire.SetTime, "guest_time", Chat(("synctime",), _say_clock))
async def synchronise(vm: VirtualMachine, _request: wire.SetTime, _caller: Caller) -> wire.Clock:
    """Set the clock of the guest by the host's."""
    told, offset = await ask(vm, "guest time", lambda domain: guest_agent.set_time(domain, time.time), LONG_TIMEOUT)
    return wire.Clock(seconds=round(told, 3), offset=round(offset, 3))
