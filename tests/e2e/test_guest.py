# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest with the guest agent: what it says, programs, files, the clock; without one, and with one that hangs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import pytest_asyncio

from archipel.client import Session, VirtualMachine
from archipel.protocol import guest as wire
from archipel.protocol.errors import CommandError, PermissionDenied
from tests.documentation import is_like, read_blocks, read_steps
from tests.e2e.real_guest import DEFINITION, Place
from tests.integration.collection.platform import DOMAIN
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOOT_DEADLINE = 90  # seconds; under emulation, on a machine that is busy
SHELL = "/bin/sh"
CLOCK = "ln -sf /bin/busybox /sbin/hwclock"  # which the guest agent wants there


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(place: Place, admin: Session) -> VirtualMachine:
    """The guest, booted, its agent running."""
    machine = await place.make_machine(admin, "asked")
    await machine.start()

    async def answers() -> bool:
        try:
            await machine.ask(wire.PingGuest(), 30)
        except CommandError:
            return False
        return True

    await eventually(answers, "the guest agent", BOOT_DEADLINE)
    return machine


def program(script: str, *, timeout: int = 60, data: bytes = b"") -> wire.Execute:
    arguments = (wire.Argument(arg="-c"), wire.Argument(arg=script))
    return wire.Execute(path=SHELL, arguments=arguments, timeout=timeout, private_input=wire.encode(data))


def output(found: wire.Execution, stream: str = "stdout") -> bytes:
    return b"".join(wire.decode(item.data, "output") for item in found.outputs if item.stream == stream)


async def test_a_guest_tells_about_itself(guest: VirtualMachine) -> None:
    found = await guest.ask(wire.GetGuest(), 60)
    assert found.hostname == "guest"
    assert found.kernel
    assert "lo" in {card.name for card in found.interfaces}
    assert found.time is not None
    assert abs(found.time - time.time()) < 3600


async def test_what_the_page_says_from_a_shell_is_answered_so(guest: VirtualMachine, root: Path) -> None:
    [channel] = read_blocks(root / "docs" / "guest.md", "xml")
    assert channel.strip() in DEFINITION
    await guest.ask(program(CLOCK), 60)
    for step in read_steps(root / "docs" / "guest.md"):
        reply = await guest.chat(step.command.removeprefix("archipel chat web "), 60)
        assert is_like("\n".join(step.shown), reply.text), f"{step.command}: {reply.text}"


async def test_programs_run_with_arguments_and_input(guest: VirtualMachine) -> None:
    done = await guest.ask(program("read word; echo got $word; echo wrong >&2; exit 3", data=b"this\n"), 90)
    assert (done.exited, done.exitcode) == (True, 3)
    assert output(done) == b"got this\n"
    assert output(done, "stderr") == b"wrong\n"
    literal = wire.Execute(path="/bin/echo", arguments=(wire.Argument(arg="$HOME; reboot"),))
    assert output(await guest.ask(literal, 60)) == b"$HOME; reboot\n"


async def test_a_program_that_takes_longer_is_asked_for_later(guest: VirtualMachine) -> None:
    still = await guest.ask(program("sleep 3; echo done", timeout=0), 60)
    assert not still.exited
    ended: list[wire.Execution] = []

    async def look() -> bool:
        found = await guest.ask(wire.GetExecution(pid=still.pid), 60)
        ended.extend([found] if found.exited else [])
        return found.exited

    await eventually(look, "the end of the program", BOOT_DEADLINE)
    assert output(ended[0]) == b"done\n"


async def test_what_does_not_fit_is_cut(guest: VirtualMachine) -> None:
    done = await guest.ask(program("yes | head -c 200000"), 90)
    assert len(output(done)) == wire.MOST_BYTES
    assert done.outputs[0].truncated


async def test_what_is_not_there_is_told(guest: VirtualMachine) -> None:
    with pytest.raises(CommandError, match="refused"):
        await guest.ask(wire.Execute(path="/no/such/program"), 60)
    with pytest.raises(CommandError, match="refused"):
        await guest.ask(wire.ReadFile(path="/no/such/file"), 60)
    with pytest.raises(CommandError, match="pid 99999"):
        await guest.ask(wire.GetExecution(pid=99999), 60)


async def test_files_are_written_and_read(guest: VirtualMachine) -> None:
    content = bytes(range(256)) * 100
    assert (await guest.ask(wire.WriteFile(path="/tmp/file", private_content=wire.encode(content)), 60)).size == len(content)
    await guest.ask(wire.WriteFile(path="/tmp/file", append=True, private_content=wire.encode(b"more")), 60)
    part = await guest.ask(wire.ReadFile(path="/tmp/file", offset=len(content) - 2), 60)
    assert wire.decode(part.data, "data") == content[-2:] + b"more"
    assert part.eof
    first = await guest.ask(wire.ReadFile(path="/tmp/file", count=10), 60)
    assert (wire.decode(first.data, "data"), first.eof) == (content[:10], False)


async def test_the_clock_follows_the_hosts(guest: VirtualMachine) -> None:
    await guest.ask(program(f"date -s 2001-01-01; {CLOCK}"), 60)
    clock = await guest.ask(wire.SetTime(), 60)
    assert abs(clock.offset) < 60
    now = await guest.ask(program("date +%Y"), 60)
    assert int(output(now)) == time.gmtime().tm_year


async def test_a_password_is_never_given_back(place: Place, guest: VirtualMachine) -> None:
    """This guest has no chpasswd: its agent refuses, and what it says is not repeated."""
    with pytest.raises(CommandError) as refused:
        await guest.ask(wire.SetPassword(user="root", password="top-secret-word"), 60)
    told = refused.value.text + place.platform.agent.audit_file.read_text() + place.platform.agent.read_log(10000)
    assert "top-secret-word" not in told
    assert wire.encode(b"top-secret-word") not in told


async def test_file_systems_are_frozen_and_thawed(guest: VirtualMachine) -> None:
    assert (await guest.ask(wire.Freeze(), 60)).count >= 0
    assert (await guest.ask(wire.Thaw(), 60)).count >= 0
    await guest.ask(wire.PingGuest(), 60)


async def test_each_right_is_asked_for(place: Place, guest: VirtualMachine) -> None:
    await guest.grant(f"student@{DOMAIN}", "guest_info")
    async with place.log_in("student") as session:
        student = session.machine(str(guest.jid))
        await student.ask(wire.PingGuest(), 60)
        for request in (program("true"), wire.ReadFile(path="/etc/passwd"), wire.Freeze(), wire.SetTime()):
            with pytest.raises(PermissionDenied):
                await student.ask(request, 60)


async def test_a_guest_agent_that_hangs_delays_nobody(guest: VirtualMachine) -> None:
    await guest.ask(program("(sleep 1; kill -STOP $(pidof qemu-ga)) & exec >/dev/null 2>&1", timeout=0), 60)
    await asyncio.sleep(3)
    hanging = asyncio.create_task(guest.ask(wire.PingGuest(), 60))
    for _ in range(200):
        assert (await guest.info()) is not None
    assert not hanging.done()
    with pytest.raises(CommandError, match="does not answer"):
        await hanging


async def test_without_a_guest_there_are_plain_words(place: Place, admin: Session) -> None:
    machine = await place.make_machine(admin, "silent")
    with pytest.raises(CommandError, match="start it first"):
        await machine.ask(wire.PingGuest(), 60)
    await machine.start()  # it does not get as far as its guest agent here
    started = time.monotonic()
    with pytest.raises(CommandError, match="install qemu-guest-agent"):
        await machine.ask(wire.PingGuest(), 60)
    assert time.monotonic() - started < 30
    await machine.destroy()
