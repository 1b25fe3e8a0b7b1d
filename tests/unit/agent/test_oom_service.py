# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program of root's that adjusts machines' processes: what it can be asked, and how the agent asks it."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.virt import oom_adjustment, oom_service, qemu_process
from archipel.agent.virt.oom_adjustment import AdjustmentRefused, OomAnswer, OomQuestion, OomState, settle
from archipel.agent.virt.oom_service import BadQuestion, read_question
from archipel.agent.virt.qemu_process import ProcessNotFound

UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
WEB = OomQuestion(UUID, "web", 300)


class Service:
    """The socket, behind which the program is run for each connection as systemd runs it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, proc: Path) -> None:
        self.process = proc / "4711"
        self.options: list[str] = []
        self._monkeypatch = monkeypatch

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = io.BytesIO()
        self._monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(await reader.readline())))
        self._monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=told))
        oom_service.main(self.options)
        writer.write(told.getvalue())
        writer.close()

    @property
    def adjust(self) -> str:
        return (self.process / "oom_score_adj").read_text().strip()


@pytest_asyncio.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    notes = tmp_path / "libvirt"
    notes.mkdir()
    service = Service(monkeypatch, tmp_path)
    service.process.mkdir()
    (notes / "web.pid").write_text("4711\n")
    (service.process / "cmdline").write_text("\0".join(["qemu-system-x86_64", "-uuid", UUID, ""]))
    (service.process / "oom_score").write_text("666\n")
    (service.process / "oom_score_adj").write_text("0\n")
    monkeypatch.setattr(qemu_process, "PID_FOLDER", notes)
    monkeypatch.setattr(qemu_process, "PROC", tmp_path)
    monkeypatch.setattr(oom_adjustment, "SOCKET", tmp_path / "oom.sock")
    async with await asyncio.start_unix_server(service.serve, tmp_path / "oom.sock"):
        yield service


async def test_the_agent_asks_and_is_told(service: Service) -> None:
    assert await settle(OomQuestion(UUID, "web")) == OomState(0, 666)
    assert service.adjust == "0"
    assert await settle(WEB) == OomState(300, 666)
    assert service.adjust == "300"


async def test_another_machines_process_is_not_meant(service: Service) -> None:
    with pytest.raises(ProcessNotFound, match="is not the one of"):
        await settle(OomQuestion(UUID.replace("6", "7"), "web", 5))
    with pytest.raises(ProcessNotFound, match=r"mail\.pid"):
        await settle(OomQuestion(UUID, "mail", 5))
    assert service.adjust == "0"


async def test_no_machine_gets_less_than_the_host_says(service: Service) -> None:
    service.options = ["--least=-900"]
    with pytest.raises(AdjustmentRefused, match="no machine less than -900"):
        await settle(OomQuestion(UUID, "web", -1000))
    assert await settle(OomQuestion(UUID, "web", -900)) == OomState(-900, 666)
    (service.process / "oom_score_adj").write_text("-1000\n")
    assert (await settle(OomQuestion(UUID, "web"))).adjust == -1000, "what is there can always be read"


async def test_what_the_kernel_refuses_the_service_is_told(service: Service) -> None:
    (service.process / "oom_score_adj").unlink()
    (service.process / "oom_score_adj").mkdir()
    with pytest.raises(AdjustmentRefused, match="directory"):
        await settle(WEB)


@pytest.mark.parametrize("line", [b"", b"\n", b"[]\n", b'{"state": {"adjust": "much"}}\n', b"\xff\n"])
def test_a_service_that_cannot_start_is_no_answer(line: bytes) -> None:
    with pytest.raises(OSError, match="gave no answer"):
        OomAnswer.read(line)


@pytest.mark.parametrize(
    "asked, told",
    [
        ({"name": "../../../tmp/x"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": ["web"]}, "name"),
        ({"name": "ü" * 126}, "name"),
        ({"uuid": "1"}, "not understood"),
        ({"uuid": 1}, "not understood"),
        ({"uuid": None}, "not understood"),
        ({"adjust": True}, "adjust"),
        ({"adjust": 1.5}, "adjust"),
        ({"adjust": "5"}, "adjust"),
        ({"adjust": -1001}, "adjust"),
        ({"adjust": 1001}, "adjust"),
        ({"adjust": -501}, "no machine less than -500"),
    ],
)
def test_what_is_no_question_is_refused(asked: dict[str, object], told: str) -> None:
    with pytest.raises(BadQuestion, match=told):
        read_question(json.dumps({"uuid": UUID, "name": "web", "adjust": 5, **asked}).encode(), -500)


@pytest.mark.parametrize("line", [b"", b"no json", b"[" * 4096, b'{"uuid": 1', b"[1]", b"null", b"\xff\xfe"])
def test_what_is_no_json_is_refused(line: bytes) -> None:
    with pytest.raises(BadQuestion):
        read_question(line, -1000)


@given(st.binary(max_size=200))
def test_whatever_comes_is_refused_or_a_question(line: bytes) -> None:
    try:
        question = read_question(line, -1000)
    except BadQuestion:
        return
    assert "/" not in question.name


@given(
    st.text(st.characters(exclude_characters="/", exclude_categories=["Z", "C"]), min_size=1, max_size=60),
    st.none() | st.integers(-1000, 1000),
)
def test_what_is_asked_arrives(name: str, adjust: int | None) -> None:
    question = OomQuestion(UUID, name, adjust)
    assert read_question(question.write(), -1000) == question


async def test_a_socket_that_nobody_serves_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oom_adjustment, "SOCKET", tmp_path / "dead.sock")
    server = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), tmp_path / "dead.sock")
    with pytest.raises(OSError, match=r"gave no answer|reset by peer"):
        await settle(WEB)
    server.close()
    await server.wait_closed()
    (tmp_path / "dead.sock").unlink(missing_ok=True)  # Python 3.13 removes it itself
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(ConnectionRefusedError):
        await settle(WEB)
