# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell in a Linux guest, by way of its guest agent: commands with all of their output, and whole files, however large.

A request of the agent's takes 128 KiB. What is more goes through files in the guest, part by part, several at once, and is compared
in the end. Needs the rights ``guest_exec``, and ``guest_file_write`` and ``guest_file_read`` for what is larger than a request.
"""

from __future__ import annotations

import contextlib
import io
import secrets
import shlex
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from archipel.client import guest_scripts as scripts
from archipel.client.errors import ClientError, MalformedAnswer, WaitTimedOut
from archipel.client.guest import STDERR, STDOUT, output_of
from archipel.client.guest_transfer import Cargo, Tell, download, say_nothing, upload
from archipel.protocol.guest import MOST_BYTES, Execute
from archipel.xmpp.errors import WireError

if TYPE_CHECKING:
    from archipel.client.guest import Guest
    from archipel.protocol.guest import Execution

ROOM: Final = MOST_BYTES - 512  # bytes of output that need no file: the line of the summary comes before them
FOLDER: Final = "/var/tmp"  # noqa: S108 - of the guest; names of files in it cannot be guessed
PRIVATE: Final = 0o600
MOST_OUTPUT: Final = 64 << 20  # bytes of a command's output, which is held in memory
ENDING: Final = 30.0  # seconds for what only tidies up
NO_LIMIT: Final = ""  # for what goes to a file
FOREVER: Final = float("inf")


class GuestShellFailed(ClientError):
    """The guest's shell could not do what was asked of it; the text is what it said."""


class OutputTooLong(GuestShellFailed):
    """A command wrote more than it may; it has been ended."""

    def __init__(self, most: int) -> None:
        much = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most} bytes"
        super().__init__(f"the command wrote more than {much} (output_limit), and was ended; have it write to a file")


@dataclass(frozen=True)
class Completed:
    """How a command ended, and all that it wrote."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class PasswordPrompt:
    """A ``password`` for which a command asks with a text that matches ``prompt`` (an extended regular expression of POSIX).

    When it took it, it writes ``success``, and gets its input then.
    """

    password: str
    prompt: str
    success: str


NO_PROMPT: Final = PasswordPrompt("", "", "")


@dataclass(frozen=True)
class _Ended:
    """A run's summary, and where the output is if it did not fit in."""

    code: int
    sizes: tuple[int, int]
    digests: tuple[str, str] | None
    output: bytes
    at: str


class GuestShell:
    """A shell of ``user`` in the guest; without one, of the guest's administrator.

    ``folder`` is where files are put for a while, ``timeout`` how many seconds a command may take (0: as many as it wants),
    ``most_output`` how many bytes it may write before it is ended, and ``tell`` hears how many bytes of how many of a large file are
    there. Raises :class:`ValueError` for what is no user.
    """

    def __init__(
        self,
        guest: Guest,
        *,
        user: str = "",
        folder: str = FOLDER,
        timeout: float = 0,
        most_output: int = MOST_OUTPUT,
        tell: Tell = say_nothing,
    ) -> None:
        if user.startswith("-"):  # su would take it for an option, and go on as the administrator
            raise ValueError(f"{user!r} is no user: a name does not begin with a hyphen")
        self.guest = guest
        self.user = user
        self.folder = folder
        self.timeout = timeout
        self.most_output = most_output
        self.tell = tell

    # -- what it does ---------------------------------------------------------------------------------------------------

    async def run(self, command: str, data: bytes = b"", prompt: PasswordPrompt = NO_PROMPT) -> Completed:
        """Have the shell run a command that gets ``data`` as its input.

        Raises :class:`~archipel.client.WaitTimedOut` after ``timeout`` seconds, and :class:`OutputTooLong` after ``most_output`` bytes:
        the command has been ended then.
        """
        async with self._run(command, data, prompt, str(self.most_output)) as ended:
            stdout, stderr = [await self._output(ended, number) for number in range(2)]
        return Completed(ended.code, stdout, stderr)

    async def put(self, source: IO[bytes], path: str, *, mode: int = PRIVATE) -> None:
        """Write a file of the guest: beside its place, compared, then moved there.

        Raises :class:`GuestShellFailed` with what hindered it; the file is as before then.
        """
        cargo = await Cargo.load(source)
        with contextlib.closing(cargo):
            mark, digest = secrets.token_hex(8), cargo.digest
            values = (self.user, mark, f"{mode:04o}", digest, path)
            async with self._staging(cargo, values) as given:
                done = await self.guest.run(scripts.SHELL, ("-c", scripts.PUT), input=given, timeout=FOREVER)
        if done.exitcode == scripts.MISMATCH:
            raise GuestShellFailed(f"{path}: what arrived in the guest is not what was sent; the file is as before")
        if done.exitcode:
            raise GuestShellFailed(f"{path}: {_said(done)}")

    async def fetch(self, path: str, sink: IO[bytes], *, most: int | None = None) -> None:
        """Write the content of a file of the guest, of ``most`` bytes if that is given, to ``sink``, which can be read, too.

        Raises :class:`GuestShellFailed`.
        """
        async with self._run(f"exec cat -- {shlex.quote(path)}", b"", NO_PROMPT, NO_LIMIT if most is None else str(most)) as ended:
            if ended.code:
                raise GuestShellFailed(f"{path}: {(await self._output(ended, 1)).decode(errors='replace').strip() or 'cannot be read'}")
            if ended.digests is None:
                sink.write(ended.output[: ended.sizes[0]])
            else:
                await self._download(ended, 0, sink)

    # -- runs -----------------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _run(self, command: str, data: bytes, prompt: PasswordPrompt, most: str) -> AsyncIterator[_Ended]:
        """Run a command, yield how it ended, and remove what is left of it."""
        cargo = await Cargo.load(io.BytesIO(data))
        values = (self.user, str(ROOM), most, prompt.password, prompt.prompt, prompt.success, command)
        with contextlib.closing(cargo):
            async with self._staging(cargo, values) as given:
                at = given.partition(b"\n")[0].decode()
                ended = self._read_summary(await self._wait(given, at), at)
                if most and sum(ended.sizes) > int(most):
                    raise OutputTooLong(int(most))
                self._refuse_cut(ended)
                try:
                    yield ended
                finally:
                    if ended.digests is not None:
                        await self._tidy(scripts.REMOVE, at)

    async def _wait(self, given: bytes, at: str) -> Execution:
        try:
            return await self.guest.run(scripts.SHELL, ("-c", scripts.RUN), input=given, timeout=self.timeout or FOREVER)
        except WaitTimedOut:
            await self._tidy(scripts.KILL, at)
            raise WaitTimedOut(f"the command took more than {self.timeout:g} s, and was ended") from None

    @contextlib.asynccontextmanager
    async def _staging(self, cargo: Cargo, values: tuple[str, ...]) -> AsyncIterator[bytes]:
        """Yield what a script gets as its input; what does not fit in is in the guest already, and is removed if anything fails."""
        at = f"{self.folder.rstrip('/')}/.archipel-{secrets.token_hex(16)}"
        inline = scripts.write_values((at, cargo.name_inline, *values))
        if len(inline) + cargo.size <= MOST_BYTES:
            yield inline + cargo.read()
            return
        given = scripts.write_values((at, cargo.name_staged, *values))
        if len(given) > MOST_BYTES:
            raise GuestShellFailed(f"a command of {len(given)} bytes is too long: at most {MOST_BYTES} are taken")
        try:
            await self._do(scripts.PREPARE, at)
            await upload(self.guest, cargo, f"{at}.i", self.tell)
            yield given
        except BaseException:  # whatever it was, a task that is cancelled too: nothing may stay in the guest
            await self._tidy(scripts.REMOVE, at)
            raise

    def _read_summary(self, done: Execution, at: str) -> _Ended:
        head, _newline, output = output_of(done, STDOUT).partition(b"\n")
        words = head.decode(errors="replace").split()
        if done.exitcode or not words or words[0] != scripts.SUMMARY:
            raise GuestShellFailed(f"the guest's shell ended with {done.exitcode if done.signal is None else done.signal}: {_said(done)}")
        try:
            code, *sizes = (int(word) for word in words[1:4])
            digests = (words[4], words[6]) if len(words) > 4 else None
            ended = _Ended(code, (sizes[0], sizes[1]), digests, output, at)
        except (ValueError, IndexError):
            raise self._nonsense(f"the summary {head[:100]!r}") from None
        return ended

    def _refuse_cut(self, ended: _Ended) -> None:
        if ended.digests is None and len(ended.output) != sum(ended.sizes):
            raise self._nonsense(f"{len(ended.output)} bytes of output in place of {sum(ended.sizes)}")

    def _nonsense(self, text: str) -> MalformedAnswer:
        return MalformedAnswer(self.guest.entity.bare, Execute.action, text)

    # -- what is too much for one answer ----------------------------------------------------------------------------------

    async def _output(self, ended: _Ended, number: int) -> bytes:
        """Return what was written to standard output (0) or error (1)."""
        if ended.digests is None:
            start = number * ended.sizes[0]
            return ended.output[start : start + ended.sizes[number]]
        with tempfile.TemporaryFile() as file:
            await self._download(ended, number, file)
            file.seek(0)
            return file.read()

    async def _download(self, ended: _Ended, number: int, sink: IO[bytes]) -> None:
        digest = await download(self.guest, f"{ended.at}.{'oe'[number]}", ended.sizes[number], sink, self.tell)
        if ended.digests is None or digest != ended.digests[number]:
            raise GuestShellFailed("what arrived from the guest is not what was sent: try again")

    # -- small things -----------------------------------------------------------------------------------------------------

    async def _do(self, script: str, value: str) -> None:
        done = await self.guest.run(scripts.SHELL, ("-c", script), input=scripts.write_values((value,)), timeout=ENDING)
        if done.exitcode:
            raise GuestShellFailed(f"{value}: {_said(done)}")

    async def _tidy(self, script: str, at: str) -> None:
        """Remove what is left; what went wrong before is what is told."""
        with contextlib.suppress(ClientError, WireError):
            await self._do(script, at)


def _said(done: Execution) -> str:
    return output_of(done, STDERR).decode(errors="replace").strip() or f"ended with {done.exitcode}"
