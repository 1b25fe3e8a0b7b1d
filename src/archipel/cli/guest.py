# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel guest``: software inside a guest."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from archipel.cli.exit_codes import ExitCode
from archipel.cli.parameters import argument, flag, option, size_of
from archipel.cli.subcommands import Answer, Subcommand, make_group, show_facts
from archipel.client.guest import STDERR, STDOUT, Guest, output_of
from archipel.protocol.guest import Execution, GuestSystem

STANDARD = "-"
RUN_TIMEOUT = 60.0


def _lines(found: GuestSystem) -> Iterator[tuple[str, str]]:
    """Yield what a guest says of itself, for people."""
    yield "host name", found.hostname or ""
    yield "system", found.name or found.os or ""
    yield "kernel", " ".join(word for word in (found.kernel, found.machine) if word)
    yield "time zone", found.timezone or ""
    for interface in found.interfaces:
        yield interface.name, " ".join((interface.mac, *(f"{one.address}/{one.prefix}" for one in interface.addresses)))
    for user in found.users:
        yield "user", user.name
    for system in found.filesystems:
        yield system.mountpoint, f"{system.type} {size_of(system.used)} of {size_of(system.total)}"


async def _run(guest: Guest, words: tuple[str, ...], timeout: float, stdin: bool) -> Execution:
    content = await asyncio.to_thread(sys.stdin.buffer.read) if stdin else b""
    return await guest.run(words[0], words[1:], input=content, timeout=timeout)


def _show_run(answer: Answer) -> None:
    """Write what the program wrote, and end as it ended."""
    found: Execution = answer.value
    out, err = output_of(found, STDOUT), output_of(found, STDERR)
    if answer.run.output.as_json:
        texts = {STDOUT: out.decode(errors="replace"), STDERR: err.decode(errors="replace")}
        answer.run.output.json({"on": answer.entity.bare, "pid": found.pid, "exitcode": found.exitcode, "signal": found.signal} | texts)
    else:
        for stream, content in ((sys.stdout, out), (sys.stderr, err)):
            stream.buffer.write(content)
            stream.flush()
    if any(output.truncated for output in found.outputs):
        answer.run.output.warn("the program wrote more: only the beginning was kept")
    if found.signal is not None:
        answer.run.output.warn(f"the program was ended by signal {found.signal}")
    code = ExitCode.FAILED if found.exitcode is None else found.exitcode
    if code:
        raise click.exceptions.Exit(code)


async def _read(guest: Guest, path: str, file: str) -> int:
    content = await guest.read(path)
    await asyncio.to_thread(_store, file, content)
    return len(content)


def _store(file: str, content: bytes) -> None:
    if file == STANDARD:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    else:
        Path(file).write_bytes(content)


def _show_read(answer: Answer) -> None:
    file, output = answer.options["file"], answer.run.output
    if file == STANDARD:
        return
    if output.as_json:
        output.json({"on": answer.entity.bare, "path": answer.options["path"], "file": file, "bytes": answer.value})
    else:
        output.line(f"{answer.options['path']}: {answer.value} bytes in {file}")


async def _write(guest: Guest, file: IO[bytes], path: str, append: bool) -> int:
    return await guest.write(path, await asyncio.to_thread(file.read), append=append)


def _guest(name: str, help: str, call: Any, *parameters: click.Parameter, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, concern=Guest, **more)


guest = make_group(
    "guest",
    "Reach into a guest through its guest agent: programs, files, what it says of itself.",
    (
        _guest("info", "Show system, addresses, users and file systems of a guest.", Guest.info, show=show_facts(_lines)),
        _guest(
            "exec",
            "Run a program in a guest, print what it writes, and end as it ends.\n\n"
            "Options come before MACHINE; all behind it is the program and its arguments, which no shell reads.",
            _run,
            argument("words", metavar="PROGRAM [ARGUMENT]...", nargs=-1, required=True, kind=click.UNPROCESSED),
            option("--timeout", "Seconds to wait for its end.", kind=click.FloatRange(0), default=RUN_TIMEOUT, show_default=True),
            flag("--stdin", "Give it what stands on standard input."),
            show=_show_run,
            settings={"allow_interspersed_args": False},
        ),
        _guest(
            "read",
            "Copy the file PATH of a guest to FILE; - is standard output.",
            _read,
            argument("path"),
            argument("file", default=STANDARD, metavar="[FILE]"),
            show=_show_read,
        ),
        _guest(
            "write",
            "Copy FILE into a guest, as PATH; - is standard input.",
            _write,
            argument("file", kind=click.File("rb")),
            argument("path"),
            flag("--append", "Behind what stands in it."),
            says="{on}: {answer} bytes in {path}",
        ),
        _guest("ping", "Ask whether the guest agent answers.", Guest.ping, says="{on}: the guest agent answers"),
        _guest(
            "freeze",
            "Let nothing in the guest write, as for a backup, until thaw.",
            Guest.freeze,
            says="{on}: {answer} file systems frozen",
        ),
        _guest("thaw", "Let the guest write again.", Guest.thaw, says="{on}: {answer} file systems thawed"),
        _guest(
            "set-clock",
            "Set the guest's clock by the host's.",
            Guest.set_clock,
            says="{on}: the clock is {answer.offset:+.1f} s off the host's",
        ),
    ),
)
