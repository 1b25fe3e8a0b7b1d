# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is declared of a guest's inside: files, passwords, clock, freezing; that check mode changes nothing, and no secret is shown."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.execution import PartlyFailed, Run
from ansible_collections.archipel.platform.plugins.module_utils.guest import accounts, changing
from ansible_collections.archipel.platform.plugins.module_utils.guest.files import replace_file
from ansible_collections.archipel.platform.plugins.modules import vm_guest

from archipel.client.entity import Entity
from archipel.client.guest import Guest
from archipel.client.guest_shell import GuestShell, GuestShellFailed
from archipel.protocol import guest as commands
from archipel.protocol.errors import PermissionDenied
from tests.unit.client.local_guest import LocalGuest
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

WORD = "top-secret-word"
HASH = "$6$saltsalt$J9LsKLFpy52pJG1yO78sZiIQLI7v/iv4DBABz7nYPgCqhDba7ry7NVGgajxT1KSAGQGdpbEoahnDroRMcIQYU/"  # of it


class Door:
    """Runs the module's work in a guest that is this host's shell."""

    def __init__(self, local: LocalGuest, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.local = local
        self.warnings: list[str] = []
        guest = Guest(cast(Entity, local))
        shell = lambda *arguments, **more: GuestShell(*arguments, folder=str(folder), **more)  # noqa: E731 - one line, twice
        monkeypatch.setattr(changing, "GuestShell", shell)
        found = SimpleNamespace(machine=lambda _name: SimpleNamespace(guest=guest))

        async def load(*_: object) -> Any:
            return found

        monkeypatch.setattr(Directory, "load", load)
        monkeypatch.setattr(Run, "hypervisor", None)

    async def change(self, *, check: bool = False, **declared: Any) -> dict[str, Any]:
        arguments = {name: option.get("default") for name, option in vm_guest.ARGUMENTS.items()} | {"machine": "web"} | declared
        vm_guest.refuse(arguments)
        run = Run(arguments, cast(Any, None), check, True, warn=self.warnings.append, tell=lambda _text: None)
        return dict(await vm_guest.change(run))


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    (tmp_path / "staging").mkdir()
    return Door(LocalGuest(), monkeypatch, tmp_path / "staging")


def file(dest: Path | str, content: str | None = None, **more: Any) -> list[dict[str, Any]]:
    return [{"dest": str(dest), "content": content, "src": None, "mode": None, **more}]


# -- files ----------------------------------------------------------------------------------------------------------------


async def test_a_text_is_shown_as_it_was_and_will_be(door: Door, tmp_path: Path) -> None:
    path = tmp_path / "motd"
    path.write_text("one\ntwo\n")
    path.chmod(0o640)
    wanted = file(path, "one\nthree\n")
    predicted = await door.change(check=True, files=wanted)
    assert path.read_text() == "one\ntwo\n"
    done = await door.change(files=wanted)
    assert path.read_text() == "one\nthree\n"
    assert path.stat().st_mode & 0o777 == 0o640
    [shown] = done["diff"]
    assert ("two" in shown["before"], "three" in shown["after"]) == (True, True)
    assert (predicted["diff"], predicted["changed"]) == (done["diff"], True)
    assert not (await door.change(files=wanted))["changed"]


async def test_a_mode_alone_is_changed_without_the_content(door: Door, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))
    path.chmod(0o600)
    done = await door.change(files=file(path, src=str(path), mode="0755"))
    assert (done["changed"], done["files"][0]["mode"]) == (True, "0755")
    assert "filewrite" not in door.local.asked


async def test_what_is_no_text_is_shown_by_its_digest(door: Door, tmp_path: Path) -> None:
    source = tmp_path / "from"
    source.write_bytes(b"\0\xff" * 10)
    done = await door.change(files=file(tmp_path / "to", src=str(source)))
    assert (tmp_path / "to").read_bytes() == source.read_bytes()
    assert "content" not in done["diff"][0]["after"]


async def test_files_come_back_when_they_differ(door: Door, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x" * 200_000)
    wanted = [{"src": str(tmp_path / "there"), "dest": str(tmp_path / "here")}]
    assert (await door.change(check=True, fetch=wanted))["changed"]
    assert not (tmp_path / "here").exists()
    assert (await door.change(fetch=wanted))["changed"]
    assert (tmp_path / "here").read_bytes() == b"x" * 200_000
    assert not (await door.change(fetch=wanted))["changed"]
    with pytest.raises(GuestShellFailed, match="No such file"):
        await door.change(fetch=[{"src": str(tmp_path / "nowhere"), "dest": str(tmp_path / "here")}])


def test_a_file_that_cannot_be_finished_is_as_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with contextlib.suppress(KeyError), replace_file(tmp_path / "file") as sink:
        sink.write(b"half")
        raise KeyError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "before")]


# -- programs -------------------------------------------------------------------------------------------------------------


async def test_a_program_runs_unless_its_work_is_done(door: Door, tmp_path: Path) -> None:
    made = str(tmp_path / "made here")
    wanted = {"program": "/bin/sh", "arguments": ["-c", 'cat >"$1"; echo "$2"', "sh", made, "$HOME; x"], "stdin": "in", "creates": made}
    assert (await door.change(check=True, **wanted))["changed"]
    assert not (tmp_path / "made here").exists()
    done = await door.change(**wanted)
    assert (done["rc"], done["stdout"], (tmp_path / "made here").read_text()) == (0, "$HOME; x\n", "in")
    assert not (await door.change(**wanted))["changed"]
    assert (await door.change(program="/bin/rm", arguments=[made], removes=made))["changed"]
    assert not (await door.change(program="/bin/rm", arguments=[made], removes=made))["changed"]


async def test_a_program_that_fails_fails_the_task_with_what_it_said(door: Door) -> None:
    with pytest.raises(PartlyFailed, match=r"/bin/sh ended with 3 in the guest: wrong") as failed:
        await door.change(program="/bin/sh", arguments=["-c", "echo wrong >&2; exit 3"])
    assert failed.value.result["rc"] == 3


# -- passwords ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shadow(door: Door, tmp_path: Path) -> SimpleNamespace:
    """What the guest's cat shows for any file."""
    (tmp_path / "cat").write_text(f'#!/bin/sh\n[ "$1" != /etc/shadow ] || exec /bin/cat {tmp_path}/shadow\nexec /bin/cat "$@"\n')
    (tmp_path / "cat").chmod(0o755)
    door.local.environment["PATH"] = f"{tmp_path}:{door.local.environment['PATH']}"
    return SimpleNamespace(write=(tmp_path / "shadow").write_text)


@pytest.mark.parametrize(
    "found, password, crypted, changed",
    [
        (HASH, WORD, False, False),
        (HASH, "another-secret-word", False, True),
        ("*", WORD, False, True),
        (HASH, HASH, True, False),
        ("!", HASH, True, True),
    ],
)
async def test_a_password_is_set_where_it_is_another(
    found: str, password: str, crypted: bool, changed: bool, door: Door, shadow: SimpleNamespace
) -> None:
    shadow.write(f"daemon:*:1::::::\nroot:{found}:20000:0:99999:7:::\n")
    door.local.answers["setpassword"] = [None]
    done = await door.change(user="root", password=password, crypted=crypted)
    assert (done["changed"], "setpassword" in door.local.asked) == (changed, changed)
    assert password not in str(done)
    assert HASH not in str(done)


async def test_a_password_that_nobody_can_compare_is_set_with_a_warning(door: Door) -> None:
    door.local.trouble["exec"] = PermissionDenied("no", right="guest_exec")
    door.local.answers["setpassword"] = [None]
    assert (await door.change(user="root", password="new"))["changed"]
    assert "root" in door.warnings[0]


@pytest.mark.parametrize(
    "setting", ["$6$rounds=999999999$salt$", "$2b$31$abcdefghijklmnopqrstuu", "$y$jZT$salt$", "$7$zzzzzzzzzzz$", "$y$j9zz$s$", "ab"]
)
def test_a_guest_cannot_make_the_control_node_work_for_hours(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def crypt(*_: object) -> bytes:
        raise AssertionError("this takes too long")

    monkeypatch.setattr(accounts, "_load_library", lambda: SimpleNamespace(crypt=crypt))
    assert accounts.is_password_of(WORD, f"{setting}hash") is None


@pytest.mark.parametrize("setting", ["$6$", "$5$", "$y$j9T$", "$2b$05$", "$6$rounds=20000$", "$1$"])
def test_the_hashes_that_systems_make_are_compared(setting: str) -> None:
    library = accounts._load_library()
    assert library is not None
    library.crypt.restype = library.crypt_gensalt.restype = accounts.ctypes.c_char_p
    count = 20000 if "rounds" in setting else 0
    made = library.crypt(WORD.encode(), library.crypt_gensalt(setting[: setting.index("$", 1) + 1].encode(), count, b"x" * 16, 16))
    assert made.decode().startswith(setting)
    assert accounts.is_password_of(WORD, made.decode()) is True
    assert accounts.is_password_of("another", made.decode()) is False


def test_contents_are_not_in_the_systems_log() -> None:
    assert not vm_guest.MODULE.log_arguments


def test_without_libcrypt_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "LIBRARIES", ("libnowhere.so",))
    assert accounts.is_password_of(WORD, HASH) is None


# -- states ---------------------------------------------------------------------------------------------------------------


async def test_a_guest_is_frozen_once(door: Door) -> None:
    thawed, frozen = commands.FreezeState(frozen=False), commands.FreezeState(frozen=True)
    door.local.answers |= {"freezestatus": [thawed, frozen, frozen], "freeze": [commands.Filesystems(count=1)]}
    assert (await door.change(frozen=True))["changed"]
    assert not (await door.change(frozen=True))["changed"]


async def test_a_clock_that_is_off_is_set(door: Door) -> None:
    off, right = commands.Clock(seconds=1.0, offset=-9.5), commands.Clock(seconds=10.5, offset=0.1)
    door.local.answers |= {"clock": [off, off, right, right], "synctime": [right]}
    assert (await door.change(check=True, max_clock_offset=2.0))["changed"]
    done = await door.change(max_clock_offset=2.0)
    assert (done["changed"], done["clock_offset"]) == (True, -9.5)
    assert not (await door.change(max_clock_offset=2.0))["changed"]


# -- what makes no sense ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "one of the following is required: files, fetch, program"),
        ({"program": "uptime"}, "program: 'uptime' is not an absolute path"),
        ({"creates": "/x", "frozen": True}, "program"),
        ({"password": "x"}, "user"),
        ({"files": [{"dest": "etc/x", "content": ""}]}, "files[0].dest: 'etc/x' is not an absolute path"),
        ({"files": [{"dest": "/x"}]}, "one of the following is required: content, src"),
        ({"files": [{"dest": "/x", "content": "", "mode": "u+x"}]}, "files[0].mode: 'u+x' is no octal number"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], message: str, wire: Wire) -> None:
    answer = wire.run("vm_guest", machine="web", **arguments)
    assert answer["failed"]
    assert message in answer["msg"]
