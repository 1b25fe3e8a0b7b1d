# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kernel's out-of-memory killer sees a machine's process: looked up here, or asked of the service that may do so.

An agent as its own user neither sees nor may change QEMU's process. Where ``archipel-oom.socket`` runs, that is asked: a program of
root's that can do this one thing (:mod:`.oom_service`). A question is a line of JSON on a connection of its own, an answer, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from archipel.agent.virt.qemu_process import ProcessNotFound, QemuProcess

SOCKET: Final = Path("/run/archipel-oom.sock")
LONGEST: Final = 4096  # bytes of a question or an answer
_SECONDS: Final = 15.0
_HINT: Final = "an agent that is a user of its own needs archipel-oom.socket: systemctl enable --now archipel-oom.socket"


class AdjustmentRefused(Exception):
    """Whoever can do it may not, or does not want to; the text says why."""


@dataclass(frozen=True)
class OomState:
    """What the kernel has of a process: what adjusts its choice (-1000, never, to 1000), and its present score."""

    adjust: int
    score: int


@dataclass(frozen=True)
class OomQuestion:
    """Which machine's process is meant, and its new adjustment; ``None`` changes nothing."""

    uuid: str
    name: str
    adjust: int | None = None

    def answer(self) -> OomState:
        """Visit the process; raises :class:`ProcessNotFound` or :class:`OSError`. What is the same is not set again: that takes a right."""
        with QemuProcess.open(self.uuid, self.name) as process:
            if self.adjust not in {None, process.oom_score_adj}:
                process.oom_score_adj = self.adjust
            return OomState(process.oom_score_adj, process.oom_score)

    def write(self) -> bytes:
        """Return the line that asks it."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True)
class OomAnswer:
    """What the service says: a state, or why there is none (``missing``: there is no such process; ``refused``: anything else)."""

    state: OomState | None = None
    missing: str = ""
    refused: str = ""

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Return what a line says; raises :class:`OSError` if that is not understood, such as a line that was not sent."""
        try:
            told = json.loads(line)
            state = told.get("state")
            return cls(
                OomState(int(state["adjust"]), int(state["score"])) if state else None,
                str(told.get("missing", "")),
                str(told.get("refused", "")),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise OSError(f"{SOCKET} gave no answer that can be understood: journalctl -u 'archipel-oom@*' tells why") from error

    def write(self) -> bytes:
        """Return the line that says it."""
        return json.dumps(asdict(self)).encode() + b"\n"

    def settle(self) -> OomState:
        """Return the state, or raise :class:`ProcessNotFound` or :class:`AdjustmentRefused`."""
        if self.state is not None:
            return self.state
        if self.missing:
            raise ProcessNotFound(self.missing)
        raise AdjustmentRefused(self.refused or "no reason was given")


async def settle(question: OomQuestion) -> OomState:
    """Read, or adjust and read, what the kernel has; raises :class:`ProcessNotFound`, :class:`AdjustmentRefused` or :class:`OSError`."""
    if not await asyncio.to_thread(SOCKET.is_socket):
        return await asyncio.to_thread(_settle_here, question)
    async with asyncio.timeout(_SECONDS):
        reader, writer = await asyncio.open_unix_connection(SOCKET, limit=LONGEST)
        try:
            writer.write(question.write())
            return OomAnswer.read(await reader.readline()).settle()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _settle_here(question: OomQuestion) -> OomState:
    try:
        return question.answer()
    except ProcessNotFound as error:
        raise ProcessNotFound(f"{error}; {_HINT}") from error
    except PermissionError as error:
        raise AdjustmentRefused(f"{error.strerror}; {_HINT}") from error
