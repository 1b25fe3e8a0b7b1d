# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a machine's screen: how they come from libvirt, and when they do not."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import libvirt
import pytest

from archipel.agent.virt import screen
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.screen import ScreenTooLarge, read_screen
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, ErrorCode
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import UUID, FakeHost, make_settings

PIXEL = b"P6\n1 1\n255\nabc"


class Screen:
    """A domain, its connection and a stream in one, which brings ``pieces``."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = list(pieces)
        self.ends: list[str] = []

    def connect(self) -> Screen:
        return self

    def newStream(self, _flags: int) -> Screen:
        return self

    def screenshot(self, _stream: Screen, _screen: int, _flags: int) -> str:
        return "image/x-portable-pixmap"

    def recv(self, _most: int) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def finish(self) -> None:
        self.ends.append("finish")

    def abort(self) -> None:
        self.ends.append("abort")


def test_a_picture_comes_in_pieces() -> None:
    found = Screen(b"P6", b"\n1 1")
    assert read_screen(cast(Any, found)) == b"P6\n1 1"
    assert found.ends == ["finish"]


def test_a_stream_that_breaks_is_given_up() -> None:
    found = Screen(b"P6", libvirt.libvirtError("broken"))
    with pytest.raises(libvirt.libvirtError):
        read_screen(cast(Any, found))
    assert found.ends == ["abort"]


def test_a_stream_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "MOST_BYTES", 10)
    found = Screen(b"12345", b"67890", b"1")
    with pytest.raises(ScreenTooLarge):
        read_screen(cast(Any, found))
    assert found.ends == ["abort"]


def show(machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch, picture: bytes) -> None:
    """Let the machine run and show a picture."""
    domain = host.domain(UUID)
    domain.state_now = DomainState.RUNNING

    async def ask_guest(_call: str, function: Any) -> Any:
        return function(Screen(picture))

    monkeypatch.setattr(domain, "ask_guest", ask_guest, raising=False)


async def order(machine: VirtualMachine) -> list[dict[str, str]]:
    return [found.attrib for found in await ask(machine, ns.VM_CONTROL, "<archipel action='screenshot'/>")]


async def test_a_screen_that_nobody_may_see_is_an_empty_answer(
    machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch, agent_folder: Any
) -> None:
    """As the founders answered, whose clients ask again and again."""
    show(machine, host, monkeypatch, PIXEL)
    assert await order(machine) == [{"mime": "image/png", "width": "1", "height": "1"}]
    settings = make_settings(agent_folder, "[VIRTUALMACHINE]\ndisable_screenshot = True")
    machine.services = dataclasses.replace(machine.services, settings=settings)
    assert await order(machine) == []


async def test_a_screen_that_cannot_be_read_is_an_error(machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    show(machine, host, monkeypatch, b"nonsense")
    with pytest.raises(CommandError, match="cannot be read as a picture") as failed:
        await order(machine)
    assert failed.value.code == ErrorCode.SCREENSHOT
