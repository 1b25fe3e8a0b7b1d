# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large contents on their way into a guest and out of it: packed where that helps, in parts, several of them at once."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from archipel.client.errors import MalformedAnswer
from archipel.client.guest_scripts import PACKED, PLAIN, STAGED, STAGED_PACKED
from archipel.protocol.guest import MOST_BYTES, ReadFile, WriteFile, decode, encode

if TYPE_CHECKING:
    from archipel.client.guest import Guest

AT_ONCE: Final = 4  # parts that are on their way
SAMPLE: Final = 1 << 18  # bytes by which is judged whether packing helps
LEAST_PACKED: Final = 4096  # bytes; what is less is sent as it is
GAIN: Final = 0.9  # what becomes that much smaller is packed
QUICK: Final = 1  # of gzip's levels
IN_MEMORY: Final = 1 << 24  # bytes of a packed copy; a larger one is on the disk

Tell = Callable[[int, int], None]


def say_nothing(_done: int, _total: int) -> None:
    """Stand in for whoever wants to know how far a content has come."""


@dataclass(frozen=True)
class Cargo:
    """A content as it is sent: ``size`` bytes of ``file``; ``digest`` (SHA-256) is that of what comes out of it."""

    file: IO[bytes]
    size: int
    digest: str
    packed: bool
    owned: bool

    @classmethod
    async def load(cls, source: IO[bytes]) -> Cargo:
        """Look at a content, which is at its beginning, and pack it where that helps."""
        return await asyncio.to_thread(cls._load, source)

    @classmethod
    def _load(cls, source: IO[bytes]) -> Cargo:
        digest = _digest(source)
        size = source.tell()
        source.seek(0)
        if not _is_worth_packing(source, size):
            return cls(source, size, digest, packed=False, owned=False)
        packed = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the cargo
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=QUICK, mtime=0) as packing:
            shutil.copyfileobj(source, packing)
        return cls(packed, packed.tell(), digest, packed=True, owned=True)

    @property
    def name_inline(self) -> str:
        """What scripts call this where it follows the values."""
        return PACKED if self.packed else PLAIN

    @property
    def name_staged(self) -> str:
        """What scripts call this where it is in a file of the guest."""
        return STAGED_PACKED if self.packed else STAGED

    def read(self, offset: int = 0, count: int = -1) -> bytes:
        """Return a part."""
        self.file.seek(offset)
        return self.file.read(count)

    def close(self) -> None:
        """Drop the packed copy, if there is one."""
        if self.owned:
            self.file.close()


def _is_worth_packing(source: IO[bytes], size: int) -> bool:
    if size < LEAST_PACKED:
        return False
    sample = source.read(SAMPLE)
    source.seek(0)
    return len(gzip.compress(sample, QUICK)) < GAIN * len(sample)


async def upload(guest: Guest, cargo: Cargo, path: str, tell: Tell = say_nothing) -> None:
    """Write a content to a file that is there, and empty."""

    async def send(offset: int) -> int:
        part = cargo.read(offset, MOST_BYTES)
        await guest.ask(WriteFile(path=path, offset=offset, private_content=encode(part)))
        return len(part)

    await _at_once(send, cargo.size, tell)


async def download(guest: Guest, path: str, size: int, sink: IO[bytes], tell: Tell = say_nothing) -> str:
    """Write so many bytes of a file of the guest to ``sink``, and return their digest (SHA-256)."""
    start = sink.tell()

    async def receive(offset: int) -> int:
        wanted = min(MOST_BYTES, size - offset)
        part = decode((await guest.ask(ReadFile(path=path, offset=offset, count=wanted))).data, "data")
        if len(part) != wanted:
            raise MalformedAnswer(guest.entity.bare, ReadFile.action, f"{len(part)} bytes in place of {wanted}")
        sink.seek(start + offset)
        sink.write(part)
        return wanted

    await _at_once(receive, size, tell)
    sink.seek(start)
    digest = await asyncio.to_thread(_digest, sink)
    sink.seek(0, os.SEEK_END)
    return digest


def _digest(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    while part := file.read(1 << 20):
        found.update(part)
    return found.hexdigest()


async def _at_once(move: Callable[[int], Awaitable[int]], size: int, tell: Tell) -> None:
    """Move all parts, some of them at once; the first failure ends it."""
    offsets: Iterator[int] = iter(range(0, size, MOST_BYTES))
    done = 0

    async def work() -> None:
        nonlocal done
        for offset in offsets:
            done += await move(offset)
            tell(done, size)

    workers = [asyncio.ensure_future(work()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
