# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell in a guest: all of the output, whole files, any name; passwords where they are asked for, and nothing left behind."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archipel.client import guest as guest_module
from archipel.client import guest_scripts as scripts
from archipel.client.entity import Entity
from archipel.client.errors import MalformedAnswer, WaitTimedOut
from archipel.client.guest import Guest
from archipel.client.guest_shell import NO_PROMPT, GuestShell, GuestShellFailed, OutputTooLong, PasswordPrompt
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.guest import MOST_BYTES, Execution, Output, encode
from archipel.xmpp.errors import Disconnected
from tests.unit.client.local_guest import LocalGuest
from tests.wire.waiting import eventually

SHELLS = [("/bin/sh",), *([("busybox", "sh")] if shutil.which("busybox") else []), *([("bash",)] if shutil.which("bash") else [])]
LARGE = 3 * MOST_BYTES + 17
PROMPT = PasswordPrompt("se cr't", scripts.escape("[x] word:"), "TAKEN")
ASKS = "printf '[x] word:' >&2; read -r word; "


@pytest.fixture
def local() -> LocalGuest:
    return LocalGuest()


@pytest.fixture
def shell(local: LocalGuest, tmp_path: Path) -> GuestShell:
    return open_shell(local, tmp_path)


def open_shell(local: LocalGuest, folder: Path) -> GuestShell:
    return GuestShell(Guest(cast(Entity, local)), folder=str(folder))


def everything_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def is_gone(pid: int) -> bool:
    """Whether there is no such process any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def contents(folder: Path) -> set[str]:
    """Return what is in a folder, but for what is just being removed in the background."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".archipel-")}


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
async def test_a_command_gets_its_input_and_all_it_writes_comes_back(words: tuple[str, ...], tmp_path: Path) -> None:
    shell = open_shell(LocalGuest(words), tmp_path)
    done = await shell.run("cat; echo wrong >&2; exit 3", b"in\x00\xff\n")
    assert (done.code, done.stdout, done.stderr) == (3, b"in\x00\xff\n", b"wrong\n")


@pytest.mark.parametrize("data", [os.urandom(LARGE), b"abc" * LARGE])
async def test_more_than_a_request_takes_goes_through_files(data: bytes, local: LocalGuest, shell: GuestShell, tmp_path: Path) -> None:
    done = await shell.run("cat; seq 3 >&2", data)
    assert (done.stdout == data, done.stderr) == (True, b"1\n2\n3\n")
    assert "fileread" in local.asked
    assert everything_in(tmp_path) == set()


@pytest.mark.parametrize("prompt", [NO_PROMPT, PROMPT], ids=["without a password", "with a password"])
@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
async def test_endless_output_ends(words: tuple[str, ...], prompt: PasswordPrompt, tmp_path: Path) -> None:
    shell = GuestShell(Guest(cast(Entity, LocalGuest(words))), folder=str(tmp_path), most_output=1 << 20)
    mark = tmp_path / "mark"
    write = f"echo $$ >{mark}; while :; do echo more; done | (trap '' TERM HUP; while read -r line; do echo $line$line$line$line; done)"
    with pytest.raises(OutputTooLong, match=r"wrote more than 1 MiB \(output_limit\), and was ended"):
        await shell.run(f"head -c 2000000 /dev/zero; {write}", b"", prompt)
    await eventually(lambda: is_gone(int(mark.read_text())), "the end of the program")
    assert everything_in(tmp_path) == {"mark"}


async def test_too_much_at_once_is_refused_too(shell: GuestShell, tmp_path: Path) -> None:
    shell.most_output = 1 << 20
    assert len((await shell.run("head -c 1048576 /dev/zero")).stdout) == 1 << 20
    with pytest.raises(OutputTooLong):
        await shell.run("head -c 1048577 /dev/zero")
    assert everything_in(tmp_path) == set()


async def test_a_guest_that_claims_too_much_is_not_listened_to(local: LocalGuest, shell: GuestShell) -> None:
    line = f"archipel 0 {1 << 40} 0 {'0' * 64} - {'0' * 64} -\n".encode()
    local.answers["exec"] = [Execution(pid=1, exited=True, exitcode=0, outputs=(Output(stream="stdout", data=encode(line)),))]
    with pytest.raises(OutputTooLong):
        await shell.run("true")
    assert local.asked == ["exec"]


async def test_a_fetched_file_has_no_such_limit(shell: GuestShell, tmp_path: Path) -> None:
    shell.most_output = 1000
    (tmp_path / "file").write_bytes(b"x" * LARGE)
    sink = io.BytesIO()
    await shell.fetch(str(tmp_path / "file"), sink)
    assert sink.getvalue() == b"x" * LARGE


async def test_what_is_small_is_one_request(local: LocalGuest, shell: GuestShell) -> None:
    await shell.run("cat", b"x" * 1000)
    assert local.asked == ["exec"]


async def test_nothing_of_a_command_is_an_argument_of_a_program(local: LocalGuest, shell: GuestShell) -> None:
    await shell.run("true top-secret-word")
    assert "top-secret-word" not in str(local.arguments)


def content_and_mode(path: Path) -> tuple[bytes, int]:
    return path.read_bytes(), path.stat().st_mode & 0o777


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    name=st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=40), data=st.binary(max_size=99)
)
async def test_a_file_of_any_name_is_written_and_read(name: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shell, path = open_shell(LocalGuest(), Path(folder)), f"{folder}/ {name}"
        await shell.put(io.BytesIO(data), path, mode=0o640)
        assert content_and_mode(Path(path)) == (data, 0o640)
        sink = io.BytesIO()
        await shell.fetch(path, sink)
        assert sink.getvalue() == data


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
@pytest.mark.parametrize("data", [b"", os.urandom(LARGE), bytes(LARGE)], ids=["empty", "random", "zeros"])
async def test_a_file_of_any_size_is_written_and_read(words: tuple[str, ...], data: bytes, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    shell = GuestShell(Guest(cast(Entity, LocalGuest(words))), folder=str(tmp_path), tell=lambda *how: told.append(how))
    path = tmp_path / "file"
    path.write_bytes(b"before")
    await shell.put(io.BytesIO(data), str(path))
    assert path.read_bytes() == data
    sink = io.BytesIO()
    await shell.fetch(str(path), sink)
    assert sink.getvalue() == data
    assert contents(tmp_path) == {"file"}
    assert not data or told[-1] == (LARGE, LARGE)


@pytest.mark.parametrize("data", [b"x" * 100, os.urandom(LARGE)], ids=["small", "large"])
async def test_what_arrives_otherwise_is_told_and_the_file_is_as_before(
    data: bytes, local: LocalGuest, shell: GuestShell, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    if len(data) > MOST_BYTES:
        local.cut = 3
        with pytest.raises(GuestShellFailed, match="not what was sent"):
            await shell.put(io.BytesIO(data), str(path))
    else:
        with pytest.raises(GuestShellFailed, match="is a folder"):
            await shell.put(io.BytesIO(data), str(tmp_path))
    assert path.read_bytes() == b"before"
    assert contents(tmp_path) == {"file"}


@pytest.mark.parametrize("command", ["echo hello", f"head -c {LARGE} /dev/zero"])
async def test_an_output_that_is_cut_on_its_way_is_no_answer(command: str, local: LocalGuest, shell: GuestShell) -> None:
    local.cut = 3
    with pytest.raises(MalformedAnswer):
        await shell.run(command)


async def test_a_file_that_is_not_there_is_told(shell: GuestShell, tmp_path: Path) -> None:
    with pytest.raises(GuestShellFailed, match="No such file"):
        await shell.fetch(f"{tmp_path}/nowhere", io.BytesIO())
    with pytest.raises(GuestShellFailed, match="nowhere"):
        await shell.put(io.BytesIO(b"x"), f"{tmp_path}/nowhere/file")


async def test_a_folder_that_is_not_there_is_told(local: LocalGuest, tmp_path: Path) -> None:
    with pytest.raises(GuestShellFailed, match="nowhere"):
        await open_shell(local, tmp_path / "nowhere").run("true")


async def test_a_command_that_is_too_long_is_told(shell: GuestShell) -> None:
    with pytest.raises(GuestShellFailed, match="too long"):
        await shell.run("x" * MOST_BYTES)
    with pytest.raises(ValueError, match="NUL"):
        await shell.run("a\0b")


@pytest.mark.parametrize("trouble", [PermissionDenied("no", right="guest_file_write"), Disconnected("gone")])
async def test_what_fails_on_the_way_leaves_nothing_in_the_guest(
    trouble: PermissionDenied | Disconnected, local: LocalGuest, shell: GuestShell, tmp_path: Path
) -> None:
    local.trouble["filewrite"] = trouble
    with pytest.raises(type(trouble)):
        await shell.put(io.BytesIO(os.urandom(LARGE)), f"{tmp_path}/file")
    assert everything_in(tmp_path) == set()


async def test_a_command_that_takes_too_long_is_ended(local: LocalGuest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_module, "_LOOK_AGAIN", 0.01)
    local.slow = True
    shell = GuestShell(Guest(cast(Entity, local)), folder=str(tmp_path), timeout=0.3)
    with pytest.raises(WaitTimedOut, match=r"more than 0\.3 s, and was ended"):
        await shell.run("sleep 1000")
    [process] = local.running.values()
    assert await process.wait() is not None


# -- passwords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", SHELLS, ids=" ".join)
async def test_who_asks_for_a_password_gets_it_and_then_the_input(words: tuple[str, ...], tmp_path: Path) -> None:
    done = await open_shell(LocalGuest(words), tmp_path).run(ASKS + 'echo TAKEN; echo "$word"; cat', b"rest", PROMPT)
    assert (done.code, done.stdout) == (0, b"TAKEN\nse cr't\nrest")


async def test_who_does_not_ask_gets_only_the_input(shell: GuestShell) -> None:
    done = await shell.run("echo TAKEN; cat", b"rest", PROMPT)
    assert (done.code, done.stdout) == (0, b"TAKEN\nrest")


async def test_who_asks_again_does_not_get_the_input_for_a_password(shell: GuestShell) -> None:
    done = await shell.run(ASKS + ASKS + 'echo "heard $word"; exit 7', b"rest\n", PROMPT)
    assert (done.code, done.stdout) == (7, b"heard \n")


async def test_who_ends_without_asking_is_not_waited_for(shell: GuestShell) -> None:
    assert (await shell.run("exit 4", b"rest", PROMPT)).code == 4


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_value_is_one_line_of_plain_characters(text: str) -> None:
    [line] = scripts.write_values([text]).splitlines(keepends=True)
    assert line.endswith(b"\n")
    assert line[:-1].decode("ascii").isprintable() or line == b"\n"
