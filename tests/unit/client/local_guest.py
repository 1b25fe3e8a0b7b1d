# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that is this host's shell in a folder: what an agent would have a guest agent do is done here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from archipel.client.guest import STDERR, STDOUT
from archipel.protocol import guest as wire
from archipel.protocol.errors import CommandError
from archipel.xmpp.errors import WireError
from tests.unit.client.scripted_stream import MACHINE

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass
class LocalGuest:
    """Stands for the machine's entity. ``shell`` is the guest's; ``trouble`` is raised for actions of that name, ``cut`` bytes are lost,
    and ``answers`` are those to actions that no shell does."""

    shell: tuple[str, ...] = ("/bin/sh",)
    trouble: dict[str, CommandError | WireError] = field(default_factory=dict)
    answers: dict[str, list[Any]] = field(default_factory=dict)
    cut: int = 0
    slow: bool = False
    bare: str = MACHINE
    session: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(settings=SimpleNamespace(timeout=30.0)))
    environment: dict[str, str] = field(default_factory=ENVIRONMENT.copy)
    asked: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    running: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)

    async def ask(self, request: Any, _timeout: float | None = None) -> Any:
        self.asked.append(request.action)
        if request.action in self.trouble:
            raise self.trouble[request.action]
        if request.action in self.answers:
            return self.answers[request.action].pop(0)
        return await getattr(self, f"_{request.action}")(request)

    async def _exec(self, request: wire.Execute) -> wire.Execution:
        self.arguments += [argument.arg for argument in request.arguments]
        words = [*self.shell, *(argument.arg for argument in request.arguments)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment)
        if self.slow:
            assert process.stdin is not None
            process.stdin.write(wire.decode(request.private_input, "input"))
            process.stdin.close()
            self.running[process.pid] = process
            self.slow = False
            return wire.Execution(pid=process.pid, exited=False)
        stdout, stderr = await process.communicate(wire.decode(request.private_input, "input"))
        assert len(stdout) + len(stderr) <= wire.MOST_BYTES
        found = wire.Execution(pid=process.pid, exited=True, exitcode=process.returncode)
        outputs = ((STDOUT, stdout[: len(stdout) - self.cut]), (STDERR, stderr))
        return replace(found, outputs=tuple(wire.Output(stream=name, data=wire.encode(data)) for name, data in outputs if data))

    async def _execstatus(self, request: wire.GetExecution) -> wire.Execution:
        return wire.Execution(pid=request.pid, exited=self.running[request.pid].returncode is not None, exitcode=0)

    async def _fileread(self, request: wire.ReadFile) -> wire.FilePart:
        data = read_part(Path(request.path), request.offset, request.count)
        data = data[: len(data) - self.cut]
        return wire.FilePart(path=request.path, size=len(data), data=wire.encode(data))

    async def _filewrite(self, request: wire.WriteFile) -> wire.WrittenFile:
        assert request.offset is not None
        data = wire.decode(request.private_content, "content")
        write_part(Path(request.path), request.offset, data[: len(data) - self.cut])
        return wire.WrittenFile(path=request.path, size=len(data))


def read_part(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(count)


def write_part(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
