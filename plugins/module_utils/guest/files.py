# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files of a guest: brought there, and fetched from there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client.guest_shell import GuestShellFailed
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client.guest_shell import GuestShell

MOST_SHOWN = 65536  # bytes of a text that a difference shows
PRIVATE = "0600"
ABSENT = 9


class GuestFile(Resource):
    """A file in the guest with a content, and a mode if one is declared."""

    def __init__(self, shell: GuestShell, entry: Mapping[str, Any], *, show: bool) -> None:
        self.title = entry["dest"]
        self._shell = shell
        self._path: str = entry["dest"]
        self._mode = None if entry["mode"] is None else entry["mode"].zfill(4)
        self._source = None if entry["src"] is None else Path(entry["src"])
        self._content: bytes = entry["content"].encode() if self._source is None else b""
        self._show = show
        with self._open() as file:
            self._digest = hash_file(file)

    async def read(self) -> Values:
        path = shlex.quote(self._path)
        done = await self._shell.run(f"[ -e {path} ] || exit {ABSENT}; stat -Lc '%a %s' -- {path} && sha256sum <{path}")
        if done.code == ABSENT:
            return {}
        words = done.stdout.decode(errors="replace").split()
        if done.code or len(words) < 3:
            raise GuestShellFailed(f"{self._path}: {done.stderr.decode(errors='replace').strip()}")
        return {"mode": words[0].zfill(4), **await self._describe(words[2], int(words[1]))}

    async def _describe(self, digest: str, size: int) -> Values:
        """Return the digest of what is there, and the text if it is to be shown."""
        if not self._show or size > MOST_SHOWN or self._own_text() is None:
            return {"sha256": digest}
        if digest == self._digest:
            return {"sha256": digest, "content": self._own_text()}
        sink = io.BytesIO()
        await self._shell.fetch(self._path, sink, most=MOST_SHOWN)
        return {"sha256": digest, "content": sink.getvalue().decode(errors="replace")}

    def _own_text(self) -> str | None:
        """Return the content to be, if it is a text that can be shown."""
        with self._open() as file:
            content = file.read(MOST_SHOWN + 1)
        try:
            return content.decode() if len(content) <= MOST_SHOWN and b"\0" not in content else None
        except UnicodeDecodeError:
            return None

    def desired(self, current: Values) -> Values:
        values: dict[str, Any] = {"mode": self._mode or current.get("mode", PRIVATE), "sha256": self._digest}
        text = self._own_text() if self._show else None
        return values if text is None or (current and "content" not in current) else {**values, "content": text}

    async def apply(self, current: Values, desired: Values) -> None:
        if current.get("sha256") == desired["sha256"]:
            done = await self._shell.run(f"chmod {desired['mode']} {shlex.quote(self._path)}")
            if done.code:
                raise GuestShellFailed(f"{self._path}: {done.stderr.decode(errors='replace').strip()}")
            return
        with self._open() as file:
            await self._shell.put(file, self._path, mode=int(desired["mode"], 8))

    def _open(self) -> IO[bytes]:
        return io.BytesIO(self._content) if self._source is None else self._source.open("rb")

    def report(self, change: Change) -> dict[str, Any]:
        return {"files": [{"dest": self._path, "mode": change.after["mode"], "sha256": change.after["sha256"]}]}


class FetchedFile(Resource):
    """A file of the control node that is like one of the guest."""

    def __init__(self, shell: GuestShell, entry: Mapping[str, Any]) -> None:
        self.title = entry["dest"]
        self._shell = shell
        self._from: str = entry["src"]
        self._to = Path(entry["dest"])
        self._digest: str | None = None

    async def read(self) -> Values:
        if self._digest is None:
            done = await self._shell.run(f"sha256sum <{shlex.quote(self._from)}")
            self._digest = done.stdout.decode(errors="replace").partition(" ")[0] if done.code == 0 else ""
        return self._read_own()

    def _read_own(self) -> Values:
        if not self._to.exists():
            return {}
        with self._to.open("rb") as file:
            return {"sha256": hash_file(file)}

    def desired(self, current: Values) -> Values:
        return {"sha256": self._digest} if self._digest else {"sha256": "unknown: the file is not there yet"}

    async def apply(self, current: Values, desired: Values) -> None:
        with replace_file(self._to) as file:
            await self._shell.fetch(self._from, file)

    def report(self, change: Change) -> dict[str, Any]:
        return {"fetched": [{"dest": str(self._to), "sha256": change.after["sha256"]}]}


def hash_file(file: IO[bytes]) -> str:
    """Return the SHA-256 digest of what is left of a file."""
    found = hashlib.sha256()
    while part := file.read(1 << 20):
        found.update(part)
    return found.hexdigest()


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a new file beside ``path`` that takes its place in the end, unless something fails."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
        Path(name).replace(path)
    except BaseException:  # whatever it was: half a file must not stay
        Path(name).unlink(missing_ok=True)
        raise
