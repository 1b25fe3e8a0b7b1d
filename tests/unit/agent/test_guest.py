# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking guests: what is told where there is none, which paths are taken, that no secret comes back, that lies are bounded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import audit as audit_module
from archipel.agent import guest_facts
from archipel.agent.capabilities import guest as capability
from archipel.agent.guest_settings import GuestSettings, refuse_path, refuse_program
from archipel.agent.virt import guest_agent
from archipel.agent.virt.errors import DomainNotFound, LibvirtError
from archipel.agent.virt.guest_agent import ProgramState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import guest as wire
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, Condition
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import OWNER, FakeAudit

OPEN_PATHS = {"readable": ("*",), "writable": ("*",)}
OPEN = GuestSettings(**OPEN_PATHS, programs=("*",))
SECRET = "verysecretword"


class FakeGuests:
    """Stands for the connection that guests are asked through; ``trouble`` is what libvirt raises."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.calls: list[str] = []

    def domain(self, _uuid: str) -> FakeGuests:
        return self

    async def ask_guest(self, call: str, function: Callable[[Any], Any], _within: float) -> Any:
        self.calls.append(call)
        if self.trouble is not None:
            raise self.trouble
        return function(None)


@pytest.fixture
def guests(machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> FakeGuests:
    guests = FakeGuests()
    monkeypatch.setitem(capability._hosts, machine.hypervisor, guests)
    return guests


async def request(machine: VirtualMachine, archipel: str) -> ET.Element:
    return await ask(machine, ns.VM_GUEST, archipel)


@pytest.mark.parametrize(
    "trouble, says",
    [
        (LibvirtError(libvirt.VIR_ERR_OPERATION_INVALID, 0, "domain is not running"), "start it first"),
        (LibvirtError(libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED, 0, "not configured"), "org.qemu.guest_agent.0"),
        (LibvirtError(libvirt.VIR_ERR_AGENT_UNRESPONSIVE, 0, "not connected"), "install qemu-guest-agent"),
        (
            LibvirtError(libvirt.VIR_ERR_INTERNAL_ERROR, 0, "command disabled\x1b[2J\n"),
            "refused: command disabled\N{REPLACEMENT CHARACTER}",
        ),
        (LibvirtError(libvirt.VIR_ERR_INTERNAL_ERROR, 0, "The command guest-exec has been disabled for this instance"), "BLOCK_RPCS"),
        (LibvirtError(libvirt.VIR_ERR_NO_SUPPORT, 0, "not supported"), "not supported"),
        (DomainNotFound(libvirt.VIR_ERR_NO_DOMAIN, 0, "gone"), "define it first"),
    ],
)
async def test_what_hinders_is_told_in_plain_words(machine: VirtualMachine, guests: FakeGuests, trouble: Exception, says: str) -> None:
    guests.trouble = trouble
    with pytest.raises(CommandError) as error:
        await request(machine, "<archipel action='ping'/>")
    assert says in error.value.text


async def test_an_agent_that_has_just_started_says_so(machine: VirtualMachine) -> None:
    with pytest.raises(CommandError, match="just started"):
        await request(machine, "<archipel action='ping'/>")


async def test_a_password_comes_back_nowhere(machine: VirtualMachine, guests: FakeGuests, audit: FakeAudit) -> None:
    guests.trouble = LibvirtError(libvirt.VIR_ERR_INTERNAL_ERROR, 0, f"I will not have {SECRET} or {wire.encode(SECRET.encode())}")
    with pytest.raises(CommandError) as error:
        await request(machine, f"<archipel action='setpassword' user='root'><password>{SECRET}</password></archipel>")
    with pytest.raises(CommandError) as malformed:
        await request(machine, f"<archipel action='setpassword' user=''><password>{SECRET}</password></archipel>")
    written = json.dumps([audit_module.summarise(entry["arguments"]) for entry in audit.entries])
    told = str(error.value) + str(malformed.value) + written + "".join(str(entry["outcome"]) for entry in audit.entries)
    assert SECRET not in told
    assert wire.encode(SECRET.encode()) not in told
    assert '"user": "root"' in written


@pytest.mark.parametrize(
    "asked",
    [
        f"<archipel action='exec' path='/bin/sh'><arg>-s</arg><input>{wire.encode(SECRET.encode())}</input></archipel>",
        f"<archipel action='filewrite' path='/root/key'><content>{wire.encode(SECRET.encode())}</content></archipel>",
    ],
)
async def test_what_goes_into_a_guest_is_not_written_down(
    machine: VirtualMachine, guests: FakeGuests, audit: FakeAudit, asked: str
) -> None:
    guests.trouble = LibvirtError(libvirt.VIR_ERR_INTERNAL_ERROR, 0, "no")
    with pytest.raises(CommandError):
        await request(machine, asked)
    written = json.dumps(audit_module.summarise(audit.entries[-1]["arguments"]))
    assert wire.encode(SECRET.encode())[:10] not in written
    assert "/bin/sh" in written or "/root/key" in written


# -- programs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> list[ProgramState]:
    """What a program is at each look; the last one stays."""
    states: list[ProgramState] = []
    monkeypatch.setattr(guest_agent, "start_program", lambda *_: 42)
    monkeypatch.setattr(guest_agent, "read_program", lambda *_: states.pop(0) if len(states) > 1 else states[0])
    monkeypatch.setattr(capability, "FIRST_LOOK", 0.001)
    return states


async def test_a_program_is_looked_at_until_it_ends(machine: VirtualMachine, guests: FakeGuests, program: list[ProgramState]) -> None:
    program += [ProgramState(exited=False)] * 3 + [ProgramState(exited=True, exitcode=1, stdout=b"out", stderr_truncated=True)]
    answer = await request(machine, "<archipel action='exec' path='/bin/x'/>")
    found = wire.Execution.read(answer[0])
    assert (found.pid, found.exited, found.exitcode) == (42, True, 1)
    assert [(item.stream, item.data, item.truncated) for item in found.outputs] == [("stdout", "b3V0", False), ("stderr", "", True)]
    assert guests.calls.count("guest exec status") == 4


async def test_a_program_that_goes_on_is_answered_with_its_number(
    machine: VirtualMachine, guests: FakeGuests, program: list[ProgramState]
) -> None:
    program.append(ProgramState(exited=False))
    answer = await request(machine, "<archipel action='exec' path='/bin/x' timeout='0'/>")
    assert answer[0].attrib == {"pid": "42", "exited": "0"}


async def test_a_program_that_is_lost_sight_of_is_named(
    machine: VirtualMachine, guests: FakeGuests, program: list[ProgramState], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> ProgramState:
        raise LibvirtError(libvirt.VIR_ERR_AGENT_UNRESPONSIVE, 0, "gone")

    monkeypatch.setattr(guest_agent, "read_program", fail)
    with pytest.raises(CommandError, match="pid 42"):
        await request(machine, "<archipel action='exec' path='/bin/x'/>")


async def test_a_program_that_the_host_s_administrator_does_not_list_is_not_started(
    machine: VirtualMachine, guests: FakeGuests, program: list[ProgramState], monkeypatch: pytest.MonkeyPatch
) -> None:
    program.append(ProgramState(exited=True, exitcode=0))
    monkeypatch.setitem(machine.services.settings.capabilities, "guest", GuestSettings(**OPEN_PATHS, programs=("/opt/course/*", "/bin/ls")))
    for path in ("/bin/sh", "/bin/lsblk", "/opt/course"):
        with pytest.raises(CommandError, match="matches nothing of guest_programs") as refused:
            await request(machine, f"<archipel action='exec' path='{path}'/>")
        assert refused.value.condition == Condition.NOT_ALLOWED
    for path in ("ls", "/opt/course/../../bin/sh", "/bin/ls\x01"):
        with pytest.raises(BadRequest, match="path"):
            await ask_directly(machine, path)
    assert guests.calls == []
    await request(machine, "<archipel action='exec' path='/opt/course/check'/>")
    assert "guest exec" in guests.calls


async def ask_directly(machine: VirtualMachine, path: str) -> wire.Execution:
    """Ask for what XML could not hold, too."""
    return await capability.execute(machine, wire.Execute(path=path), OWNER)


@pytest.mark.parametrize("path", ["ls", "/bin/sh", "C:\\Windows\\System32\\whoami.exe"])
def test_unless_something_else_is_said_all_programs_are_taken(path: str) -> None:
    refuse_program(path, OPEN.programs)


async def test_what_is_put_behind_a_file_has_no_other_place(machine: VirtualMachine, guests: FakeGuests) -> None:
    with pytest.raises(CommandError, match="offset: what is put behind"):
        await request(machine, "<archipel action='filewrite' path='/x' append='1' offset='3'><content/></archipel>")
    assert guests.calls == []


# -- paths --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/etc/passwd", "/a..b", "C:\\Windows\\x.ini", "d:/x", "/with blank"])
def test_a_path_is_taken(path: str) -> None:
    refuse_path(path, OPEN.readable, "guest_readable_paths")


@pytest.mark.parametrize("path", ["", "etc/passwd", "../x", "/etc/../root", "/..", "C:\\a\\..\\b", "C:x", "/a\nb", "/a\x00"])
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    with pytest.raises(BadRequest, match="path"):
        refuse_path(path, OPEN.readable, "guest_readable_paths")


@pytest.mark.parametrize("path, taken", [("/srv/x/y", True), ("/srv", False), ("/etc/hosts", True), ("/etc/hosts2", False)])
def test_the_settings_confine_paths(path: str, taken: bool) -> None:
    patterns = ("/srv/*", "/etc/hosts")
    if taken:
        refuse_path(path, patterns, "guest_writable_paths")
    else:
        with pytest.raises(CommandError, match="guest_writable_paths"):
            refuse_path(path, patterns, "guest_writable_paths")


# -- facts --------------------------------------------------------------------------------------------------------------

FACTS = {
    "hostname": "web",
    "os.id": "debian",
    "os.pretty-name": "Debian",
    "timezone.offset": 3600,
    "if.count": 1,
    "if.0.name": "eth0",
    "if.0.hwaddr": "52:54:00:00:00:01",
    "if.0.addr.count": 2,
    "if.0.addr.0.addr": "192.0.2.7",
    "if.0.addr.0.prefix": 24,
    "if.0.addr.1.addr": "not an address",
    "user.count": 1,
    "user.0.name": "root",
    "user.0.login-time": 1500,
    "fs.count": 1,
    "fs.0.mountpoint": "/",
    "fs.0.total-bytes": 10,
}


def test_facts_become_an_answer() -> None:
    found = guest_facts.describe(FACTS, 12.3456)
    assert (found.hostname, found.os, found.name, found.offset, found.time) == ("web", "debian", "Debian", 3600, 12.346)
    assert found.interfaces[0].addresses == (wire.InterfaceAddress(address="192.0.2.7", prefix=24),)
    assert found.users == (wire.GuestUser(name="root", login_time=1.5),)
    assert found.filesystems == (wire.GuestFilesystem(mountpoint="/", total=10),)


VALUES = st.text(max_size=500) | st.integers() | st.floats() | st.booleans()


@given(st.dictionaries(st.sampled_from([*FACTS, "if.0.addr.0.type", "os.machine"]), VALUES))
def test_whatever_a_guest_says_fits_in_an_answer(facts: dict[str, Any]) -> None:
    found = guest_facts.describe(facts, None)
    written = ET.tostring(found.write(), "unicode", "xml")
    assert len(found.interfaces) <= guest_facts.MOST
    assert len(written) < 150_000


def test_the_most_that_a_guest_can_say_fits_in_a_stanza() -> None:
    word = "&" * 1000
    facts: dict[str, Any] = {"if.count": 10**9, "user.count": 10**9, "fs.count": 10**9, "hostname": word}
    for number in range(100):
        facts |= {f"if.{number}.name": word, f"if.{number}.hwaddr": word, f"if.{number}.addr.count": 10**9}
        facts |= {f"user.{number}.name": word, f"user.{number}.domain": word, f"fs.{number}.mountpoint": word, f"fs.{number}.fstype": word}
        facts |= {f"if.{number}.addr.{item}.addr": "2001:db8:1111:2222:3333:4444:5555:6666" for item in range(100)}
    assert len(ET.tostring(guest_facts.describe(facts, None).write())) < 200_000
