# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A serial console in a chat: what is written is typed, what is printed comes back, readable and not too much, until something ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.audit import summarise
from archipel.agent.capabilities import text_console as capability
from archipel.agent.chat import reply
from archipel.agent.console import chat_session, relay, sessions
from archipel.agent.console.chat_session import LONGEST_LINE, MOST_LINES, ChatSession, keys_of
from archipel.agent.console.consoles import NoConsole
from archipel.agent.console.output import MOST, MOST_RAW, Output, plain
from archipel.agent.dispatch import Caller
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, PermissionDenied
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fake_xmpp import FakeStream, FakeXmpp, parse_stanza
from tests.unit.agent.fakes import HYP, OWNER, STUDENT, VM, FakeAudit
from tests.wire.waiting import eventually

CONSOLE = "archipel:vm:console"
OPEN, CLOSE = "<archipel action='chat'/>", "<archipel action='endchat'/>"


class Guest:
    """A console whose guest does what a test says; ``typed`` is what came."""

    def __init__(self) -> None:
        self.typed = ""
        self.closed = False
        self.takes = asyncio.Event()
        self.takes.set()
        self._printed: asyncio.Queue[bytes] = asyncio.Queue()

    def print(self, data: bytes) -> None:
        self._printed.put_nowait(data)

    async def read(self) -> bytes:
        return await self._printed.get()

    async def write(self, data: bytes) -> None:
        await self.takes.wait()
        self.typed += data.decode()

    async def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "WATCH_INTERVAL", 0.02)
    monkeypatch.setattr(chat_session, "GATHER", 0.01)
    monkeypatch.setattr(chat_session, "SLOWEST", 0.05)


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    guest = Guest()

    async def open_console(_machine: VirtualMachine, _kind: object) -> Guest:
        return guest

    monkeypatch.setattr(sessions, "open_console", open_console)
    return guest


@pytest.fixture
async def vm(machine: VirtualMachine) -> VirtualMachine:
    await go_online(machine)
    await machine.services.rights.grant(VM, STUDENT.bare, "vnc_display", "message", granted_by=HYP)
    return machine


@pytest.fixture
def stream(vm: VirtualMachine, xmpp: FakeXmpp) -> FakeStream:
    return xmpp.streams[VM]


def say(stream: FakeStream, text: str, who: Caller = STUDENT, kind: str = "chat") -> None:
    stream.deliver(f"<message type='{kind}' from='{who.full}'><body>{text}</body></message>")


def heard(stream: FakeStream, who: Caller = STUDENT) -> list[str]:
    stanzas = [parse_stanza(text) for text in stream.took("<message", who.full)]
    return [stanza.findtext("{jabber:client}body") or "" for stanza in stanzas]


@pytest.fixture
async def session(vm: VirtualMachine, stream: FakeStream, guest: Guest) -> Guest:
    """A session that the student opened in the chat."""
    say(stream, "open console")
    await eventually(lambda: heard(stream))
    assert "serial console" in heard(stream)[0]
    stream.sent.clear()
    return guest


async def test_what_is_written_is_typed_and_what_is_printed_comes_back(session: Guest, stream: FakeStream):
    say(stream, "ls -l")
    await eventually(lambda: session.typed == "ls -l\r")
    session.print(b"ls -l\r\n\x1b[01;34mbin\x1b[0m\r\n")
    session.print(b"$ ")
    await eventually(lambda: heard(stream))
    assert heard(stream) == ["ls -l\nbin\n$"]


async def test_lines_keep_their_order(session: Guest, stream: FakeStream):
    for number in range(20):
        say(stream, f"{number}")
    await eventually(lambda: session.typed == "".join(f"{number}\r" for number in range(20)))


async def test_what_is_printed_is_kept_by_no_server_and_copied_to_no_other_client(session: Guest, stream: FakeStream):
    session.print(b"secret\r\n")
    await eventually(lambda: stream.took("secret", "no-store", "no-copy", "urn:xmpp:hints"))


async def test_only_the_client_that_opened_it_types(session: Guest, vm: VirtualMachine, stream: FakeStream):
    other = Caller(f"{STUDENT.bare}/phone", STUDENT.bare)
    say(stream, "hello", other)
    await eventually(lambda: heard(stream, other))
    assert heard(stream, other)[0].startswith("Hello!")
    assert session.typed == ""


@pytest.mark.parametrize("words", ["~.", " ~. ", "Close console"])
async def test_a_word_ends_it_and_then_the_machine_listens_again(session: Guest, stream: FakeStream, words: str):
    say(stream, words)
    await eventually(lambda: session.closed and heard(stream))
    assert heard(stream) == ["[The console is closed: you closed it.]"]
    say(stream, "hello")
    await eventually(lambda: len(heard(stream)) == 2)
    assert (heard(stream)[1][:6], session.typed) == ("Hello!", "")


async def revoke(vm: VirtualMachine, _stream: FakeStream, _guest: Guest) -> None:
    await vm.services.rights.revoke(VM, STUDENT.bare, "vnc_display")


async def stop(_vm: VirtualMachine, _stream: FakeStream, guest: Guest) -> None:
    guest.print(b"")


async def leave(_vm: VirtualMachine, stream: FakeStream, _guest: Guest) -> None:
    stream.deliver(f"<presence type='unavailable' from='{STUDENT.full}'/>")


async def bounce(_vm: VirtualMachine, stream: FakeStream, _guest: Guest) -> None:
    stream.deliver(f"<message type='error' from='{STUDENT.full}'/>")


async def free(vm: VirtualMachine, _stream: FakeStream, _guest: Guest) -> None:
    vm.freeing = True


async def wait_long(_vm: VirtualMachine, _stream: FakeStream, _guest: Guest) -> None:
    chat_session.TYPING_TIMEOUT = -1.0


@pytest.mark.parametrize(
    "happens, why",
    [
        (revoke, "you lack the right 'vnc_display' on web"),
        (stop, "the console has ended"),
        (leave, "your client left"),
        (bounce, "your client left"),
        (free, "this machine is not here any more"),
        (wait_long, "nothing was typed"),
    ],
)
async def test_it_ends_by_itself(
    session: Guest,
    vm: VirtualMachine,
    stream: FakeStream,
    audit: FakeAudit,
    happens: Callable[[VirtualMachine, FakeStream, Guest], Awaitable[None]],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(chat_session, "TYPING_TIMEOUT", chat_session.TYPING_TIMEOUT)
    await happens(vm, stream, session)
    await eventually(lambda: session.closed and heard(stream))
    assert why in heard(stream)[-1]
    assert audit.entries[-1]["action"] == "closed"
    assert why in audit.entries[-1]["arguments"]["reason"]
    assert capability.sessions_of(vm.hypervisor)._open == {}


async def test_who_lost_the_right_types_nothing_more(session: Guest, vm: VirtualMachine, stream: FakeStream, monkeypatch: Any):
    monkeypatch.setattr(relay, "WATCH_INTERVAL", 60)
    await vm.services.rights.revoke(VM, STUDENT.bare, "vnc_display")
    say(stream, "rm -rf /")
    await eventually(lambda: session.closed)
    assert session.typed == ""


async def test_what_is_typed_is_written_down_nowhere(
    session: Guest, stream: FakeStream, audit: FakeAudit, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG")
    say(stream, "root")
    say(stream, "hunter2")
    await eventually(lambda: "hunter2" in session.typed)
    say(stream, "~.")
    await eventually(lambda: audit.entries[-1]["action"] == "closed")
    told = json.dumps([{key: summarise(value) for key, value in entry.items()} for entry in audit.entries])
    assert "hunter2" not in told + caplog.text
    assert [(entry["action"], entry["caller"]) for entry in audit.entries[-2:]] == [("chat", STUDENT.full), ("closed", STUDENT.full)]


async def test_it_is_refused_without_the_right(vm: VirtualMachine, guest: Guest):
    await vm.services.rights.revoke(VM, STUDENT.bare, "vnc_display")
    assert "vnc_display" in await reply(vm, "open console", STUDENT)
    with pytest.raises(PermissionDenied):
        await ask(vm, CONSOLE, OPEN, STUDENT)


async def test_a_console_that_somebody_else_holds_is_refused(vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch):
    async def refuse(_machine: VirtualMachine, _kind: object) -> Guest:
        raise NoConsole("the console of web cannot be opened: Active console session exists for this domain")

    monkeypatch.setattr(sessions, "open_console", refuse)
    assert "Active console session exists" in await reply(vm, "open console", STUDENT)
    assert capability.sessions_of(vm.hypervisor)._open == {}


async def test_it_is_opened_once_for_a_client_and_not_for_too_many(session: Guest, vm: VirtualMachine, monkeypatch: Any):
    other = Caller(f"{STUDENT.bare}/phone", STUDENT.bare)
    assert "open to you already" in await reply(vm, "open console", STUDENT)
    monkeypatch.setattr(sessions, "MOST_OF_PERSON", 1)
    assert "as many consoles" in await reply(vm, "open console", other)
    monkeypatch.setattr(sessions, "MOST", 1)
    assert "as many consoles" in await reply(vm, "open console", OWNER)


async def test_a_request_ends_it_too(session: Guest, vm: VirtualMachine, stream: FakeStream):
    await ask(vm, CONSOLE, CLOSE, STUDENT)
    await eventually(lambda: session.closed)
    with pytest.raises(CommandError, match="no console"):
        await ask(vm, CONSOLE, CLOSE, STUDENT)


async def test_the_agents_end_closes_it(session: Guest, vm: VirtualMachine, stream: FakeStream):
    await vm.close()
    assert session.closed
    assert "the agent stops" in heard(stream)[-1]


async def test_a_guest_that_prints_without_end_is_told_in_part(vm: VirtualMachine):
    told: list[str] = []
    guest = Guest()
    session = ChatSession(guest, told.append, lambda: "")
    for _ in range(200):
        guest.print(b"flood\r\n" * 2000)
    task = asyncio.create_task(session.run())
    await eventually(lambda: told and guest._printed.empty())
    session.leave()
    assert await task == "your client left"
    assert all(len(text) <= MOST + 60 for text in told)
    assert any(text.startswith("[... ") and "characters left out]" in text for text in told)
    assert sum(map(len, told)) < 200 * 14000 / 10


async def test_a_guest_that_takes_nothing_does_not_fill_the_memory():
    told: list[str] = []
    guest = Guest()
    guest.takes.clear()
    session = ChatSession(guest, told.append, lambda: "")
    for _ in range(MOST_LINES + 3):
        session.hear("x")
    session.hear("y" * (LONGEST_LINE + 1))
    assert len(told) == 4
    assert all("not typed" in text for text in told)


# -- keys and text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, keys",
    [
        ("ls", "ls\r"),
        ("a\nb", "a\rb\r"),
        ("~", "\r"),
        (" ", " \r"),
        ("~^C", "\x03"),
        ("~^d", "\x04"),
        ("~^[", "\x1b"),
        ("~^?", "\x7f"),
        ("~~.", "~.\r"),
        ("~/bin/x", "~/bin/x\r"),
    ],
)
def test_keys_are_what_a_terminal_would_send(text: str, keys: str):
    assert keys_of(text) == keys


@pytest.mark.parametrize(
    "printed, text",
    [
        ("\x1b[1;32mgreen\x1b[m", "green"),
        ("\x1b]0;title\x07$ ls", "$ ls"),
        ("\x1b]0;title\x1b\\$", "$"),
        ("a\r\nb\r\r\nc", "a\nb\nc"),
        ("10 %\r50 %\r100 %\n", "100 %"),
        ("passs\bword", "password"),
        ("\b\bx", "x"),
        ("\x00\x07a\x9bb\ufffe", "ab"),
        ("\x1bM\x1b(B\x1b=x", "x"),
        ("tab\there", "tab\there"),
    ],
)
def test_a_terminals_movements_are_left_out(printed: str, text: str):
    assert plain(printed) == text


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_whatever_is_printed_becomes_a_message_that_can_be_sent(pieces: list[bytes]):
    output = Output()
    for piece in pieces:
        output.add(piece)
    text = output.take()
    assert len(text) <= MOST + 60
    assert parse_stanza(f"<body>{text.replace('&', '').replace('<', '')}</body>") is not None
    assert "\x1b" not in text


@given(st.integers(0, 30))
def test_a_sequence_that_comes_in_two_pieces_is_left_out_as_well(cut: int):
    data = "\x1b[1;32mgrün\x1b[0m\x1b]0;t\x07.".encode()
    output = Output()
    output.add(data[:cut])
    first = output.take()
    output.add(data[cut:])
    assert first + output.take() == "grün."


def test_of_too_much_the_end_is_told():
    output = Output()
    output.add(b"a" * (MOST_RAW + 5))
    text = output.take()
    assert text.startswith(f"[... {MOST_RAW + 5 - MOST} characters left out]\n")
    assert output.empty
