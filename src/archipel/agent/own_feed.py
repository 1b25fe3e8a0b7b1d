# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own feed: a file that lists its packages, and, where the configuration says so, a port where both are read."""

from __future__ import annotations

import asyncio
import contextlib
import http
import os
import re
import stat
import uuid as uuids
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote, unquote, urlsplit

from archipel.agent.appliance_settings import ApplianceSettings
from archipel.agent.http_port import HttpPort
from archipel.agent.virt.unfinished_files import put_in_place, unfinished_file
from archipel.protocol.feeds import Feed, Item, write_feed

ENDING: Final = ".xvm2"
ENDINGS: Final = (ENDING, ".ova", ".qcow2")  # of what is offered: packages, and what others made
DIGEST_ENDING: Final = ".sha256"  # of the file beside a package that holds its digest
BODY_SECONDS: Final = 12 * 3600.0
MOST_AT_ONCE: Final = 20
PIECE: Final = 1 << 18  # bytes that are read at once
_RANGE: Final = re.compile(rb"(?im)^range:[ \t]*bytes=([0-9]{1,18})-[ \t]*\r?$")


def describe_own_feed(settings: ApplianceSettings, uuid: str, hostname: str) -> Feed:
    """Return what the folder of packages holds now. Reads files: it blocks."""
    items = tuple(_describe(file, settings.own_url, uuid) for file in list_packages(settings.own_folder))
    return Feed(
        uuid=uuid,
        name=settings.own_name.replace("$HOSTNAME", hostname),
        description=settings.own_description.replace("$HOSTNAME", hostname),
        link=f"{settings.own_url}/{quote(settings.own_file)}",
        language=settings.own_language,
        items=items,
    )


def list_packages(folder: Path) -> list[Path]:
    """Return the packages, OVA files and images in a folder, in the order of their names."""
    if not folder.is_dir():
        return []
    found = (Path(entry.path) for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    return sorted(file for file in found if file.suffix in ENDINGS and not file.name.startswith("."))


def _describe(file: Path, base: str, feed: str) -> Item:
    facts = file.stat()
    return Item(
        uuid=str(uuids.uuid5(uuids.UUID(feed), file.name)),
        name=file.stem,
        url=f"{base}/{quote(file.name)}",
        size=facts.st_size,
        date=formatdate(facts.st_mtime),
        sha256=_digest_beside(file, facts.st_mtime),
    )


def _digest_beside(file: Path, changed: float) -> str:
    """Return the digest that was noted when the package was made; empty if the package was changed since."""
    note = file.with_name(file.name + DIGEST_ENDING)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if note.stat().st_mtime >= changed and re.fullmatch(r"[0-9a-f]{64}", told := note.read_text().strip()):
            return told
    return ""


def write_own_feed(settings: ApplianceSettings, uuid: str, hostname: str) -> None:
    """Write the feed's file, if it is not as it should be. Raises :class:`OSError`."""
    settings.own_folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    file, content = settings.own_folder / settings.own_file, write_feed(describe_own_feed(settings, uuid, hostname))
    if file.is_file() and file.read_bytes() == content:
        return
    with unfinished_file(settings.own_folder, hostname) as made:
        made.write_bytes(content)
        made.chmod(0o644)
        put_in_place(made, file)


@dataclass(frozen=True)
class _Answer:
    """What is answered: a status with a line of text, or a part of an open file."""

    status: http.HTTPStatus
    file: BinaryIO | None = None
    start: int = 0
    size: int = 0

    def head(self) -> bytes:
        left = self.size - self.start if self.file else len(self.text)
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", f"Content-Length: {left}", "Connection: close"]
        if self.file is not None:
            facts = os.fstat(self.file.fileno())
            lines += ["Accept-Ranges: bytes", f'ETag: "{facts.st_mtime_ns:x}-{facts.st_ino:x}-{self.size:x}"']
            lines += ["Content-Type: application/octet-stream", "X-Content-Type-Options: nosniff"]
        if self.status is http.HTTPStatus.PARTIAL_CONTENT:
            lines.append(f"Content-Range: bytes {self.start}-{self.size - 1}/{self.size}")
        return "\r\n".join((*lines, "", "")).encode()

    @property
    def text(self) -> bytes:
        return f"{self.status.phrase}\n".encode()


class FeedServer(HttpPort):
    """Gives the own feed and the packages, and nothing else, to whoever connects."""

    def __init__(self, settings: ApplianceSettings) -> None:
        super().__init__("the own feed", MOST_AT_ONCE)
        self._settings = settings
        self._prefix = unquote(urlsplit(settings.own_url).path).rstrip("/") + "/"

    async def answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        """Send a file of the folder, or say that there is none."""
        answer = await asyncio.to_thread(self._find, head)
        async with asyncio.timeout(BODY_SECONDS):
            await _send(writer, answer, body=not head.startswith(b"HEAD "))

    def _find(self, head: bytes) -> _Answer:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3:
            return _Answer(http.HTTPStatus.BAD_REQUEST)
        if words[0] not in (b"GET", b"HEAD"):
            return _Answer(http.HTTPStatus.METHOD_NOT_ALLOWED)
        path = unquote(words[1].partition(b"?")[0].decode("ascii", "replace"))
        name = path.removeprefix(self._prefix)
        if name == path or name not in self._names():
            return _Answer(http.HTTPStatus.NOT_FOUND)
        return self._open(name, head)

    def _names(self) -> set[str]:
        return {self._settings.own_file, *(file.name for file in list_packages(self._settings.own_folder))}

    def _open(self, name: str, head: bytes) -> _Answer:
        try:
            descriptor = os.open(self._settings.own_folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return _Answer(http.HTTPStatus.NOT_FOUND)
        file = os.fdopen(descriptor, "rb")
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            file.close()
            return _Answer(http.HTTPStatus.NOT_FOUND)
        wanted = _RANGE.search(head)
        start = int(wanted[1]) if wanted and _same_version(head, facts) else 0
        if start and start >= facts.st_size:
            file.close()
            return _Answer(http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        status = http.HTTPStatus.PARTIAL_CONTENT if start else http.HTTPStatus.OK
        return _Answer(status, file, start, facts.st_size)


def _same_version(head: bytes, facts: os.stat_result) -> bool:
    wanted = re.search(rb'(?im)^if-range:[ \t]*"([^"]*)"', head)
    return wanted is None or wanted[1] == f"{facts.st_mtime_ns:x}-{facts.st_ino:x}-{facts.st_size:x}".encode()


async def _send_part(writer: asyncio.StreamWriter, file: BinaryIO, start: int, end: int) -> None:
    """Send a part of a file, piece by piece: the agent's loop has no sendfile."""
    await asyncio.to_thread(file.seek, start)
    while start < end and (piece := await asyncio.to_thread(file.read, min(PIECE, end - start))):
        start += len(piece)
        writer.write(piece)
        await writer.drain()


async def _send(writer: asyncio.StreamWriter, answer: _Answer, *, body: bool) -> None:
    try:
        writer.write(answer.head())
        await writer.drain()
        if body and answer.file is None:
            writer.write(answer.text)
            await writer.drain()
        elif body and answer.file is not None and answer.size > answer.start:
            await _send_part(writer, answer.file, answer.start, answer.size)
    finally:
        if answer.file is not None:
            answer.file.close()
