# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One download into a file, which goes on where it broke off, also after the agent was started anew. For threads: it blocks.

Beside the unfinished file lies a note with the address and the server's word for the version (RFC 9110, 8.8): what has changed on
the server since is fetched from its beginning.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archipel.agent.virt.unfinished_files import put_in_place
from archipel.agent.web_fetch import CHUNK, FetchFailed, Progress, Reach, open_url, plainly

ATTEMPTS: Final = 5
PAUSE: Final = 1.0  # seconds before the second attempt; twice as long before each further one
RESERVE: Final = 1 << 30  # bytes of the disk that stay free
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be fetched from where to where; ``sha256`` is what it must have, empty: nothing is known. ``most`` in bytes."""

    url: str
    target: Path
    sha256: str
    most: int
    reach: Reach

    @property
    def part(self) -> Path:
        """The unfinished file."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """What is known of the unfinished file."""
        return self.target.with_name(f"{self.target.name}.note")


def download(order: Order, progress: Progress) -> str:
    """Fetch it all, check its digest, and return that; the file is at its place then, whole. Raises :class:`FetchFailed`, OSError."""
    order.target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        try:
            with plainly(order.url):
                _fetch_rest(order, progress)
            break
        except FetchFailed as error:
            if error.lasting or attempt + 1 == ATTEMPTS or progress.stopped():
                raise
            time.sleep(PAUSE * 2**attempt)
    digest = digest_of(order.part, progress)
    if order.sha256 and digest != order.sha256:
        discard(order)
        raise FetchFailed(f"what was read has the SHA-256 digest {digest}, the feed says {order.sha256}: it was thrown away")
    put_in_place(order.part, order.target)
    order.note.unlink(missing_ok=True)
    return digest


def discard(order: Order) -> None:
    """Throw away what is unfinished."""
    order.part.unlink(missing_ok=True)
    order.note.unlink(missing_ok=True)


def digest_of(path: Path, progress: Progress) -> str:
    """Return the SHA-256 digest of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            found.update(piece)
            _go_on(progress)
    return found.hexdigest()


def _go_on(progress: Progress) -> None:
    if progress.stopped():
        raise FetchFailed("it was stopped")


def _fetch_rest(order: Order, progress: Progress) -> None:
    """Read what is not there yet."""
    done, validator = _known(order)
    headers = {"Range": f"bytes={done}-", "If-Range": validator} if done else {}
    with open_url(order.url, order.reach, headers) as answer:
        start = _start_of(order, answer, done)
        length = answer.getheader("Content-Length") or ""
        progress.total = start + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else -1
        progress.done = start
        _refuse_too_large(order, progress)
        if not start:
            _write_note(order, answer)
        with order.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            while piece := answer.read(CHUNK):
                _go_on(progress)
                progress.done += len(piece)
                _refuse_too_large(order, progress)
                file.write(piece)
    if progress.total not in {-1, progress.done}:
        raise FetchFailed(f"it broke off after {progress.done} of {progress.total} bytes", lasting=False)


def _known(order: Order) -> tuple[int, str]:
    """Return how many bytes there are, and which version they are of; none if that cannot be told."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(order.note.read_text())
        if told["url"] == order.url and isinstance(told["validator"], str) and told["validator"]:
            return order.part.stat().st_size, told["validator"]
    return 0, ""


def _write_note(order: Order, answer: http.client.HTTPResponse) -> None:
    tag = answer.getheader("ETag") or ""
    validator = tag if tag.startswith('"') else answer.getheader("Last-Modified") or ""
    order.note.write_text(json.dumps({"url": order.url, "validator": validator}))


def _start_of(order: Order, answer: http.client.HTTPResponse, done: int) -> int:
    """Return where what comes belongs."""
    if answer.status == 200:
        return 0
    if answer.status == 206 and done:
        found = _RANGE.fullmatch(answer.getheader("Content-Range") or "")
        if found and int(found[1]) == done:
            return done
    if answer.status == 416 or answer.status == 206:
        discard(order)
        raise FetchFailed("the server cannot go on where it broke off", lasting=False)
    raise FetchFailed(f"the server answers {answer.status} {answer.reason}"[:200], lasting=answer.status < 500)


def _refuse_too_large(order: Order, progress: Progress) -> None:
    if max(progress.done, progress.total) > order.most:
        discard(order)
        raise FetchFailed(f"it has more than {order.most} bytes, which largest_appliance of [VMCASTING] allows")
    left = max(progress.total - progress.done, 0)
    if shutil.disk_usage(order.target.parent).free < left + RESERVE:
        raise FetchFailed(f"there is too little room in {os.fspath(order.target.parent)}: {left} bytes are missing, 1 GiB must stay free")
