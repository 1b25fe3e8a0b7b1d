# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of logins are their owner's alone, whatever the umask lets others do."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from archipel.client import password as passwords
from archipel.client.errors import LoginMissing
from archipel.client.profile import Profile, ProfileFile

PROFILE = Profile(name="work", jid="alice@example.org", host="192.0.2.1")


@pytest.fixture(autouse=True, params=[0o000, 0o022, 0o077], ids=["umask 000", "umask 022", "umask 077"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any configuration."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def remember(text: str = "secret") -> None:
    """Do what a login does in the end."""
    assert passwords.store(PROFILE, text, in_keyring=False) == "file"
    ProfileFile().save(PROFILE)


def modes_in(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_everything_that_a_login_makes_is_its_owners_alone(home: Path) -> None:
    remember()
    assert modes_in(home) == {
        ".config": 0o700,
        ".config/archipel": 0o700,
        ".config/archipel/passwords": 0o700,
        ".config/archipel/passwords/work": 0o600,
        ".config/archipel/profiles.ini": 0o600,
    }
    assert (passwords.load(PROFILE), ProfileFile().load("work")) == ("secret", PROFILE)


def test_the_profiles_alone_make_the_folder_private_too(home: Path) -> None:
    ProfileFile().save(PROFILE)
    assert modes_in(home / ".config") == {"archipel": 0o700, "archipel/profiles.ini": 0o600}


def test_a_file_that_was_too_open_is_private_when_written_again(home: Path) -> None:
    remember()
    passwords.password_file("work").chmod(0o644)
    ProfileFile().path.chmod(0o644)
    remember("other")
    assert {mode for name, mode in modes_in(home).items() if name.endswith(("work", "profiles.ini"))} == {0o600}


def test_no_draft_is_ever_wider_or_left_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember()
    seen: list[int] = []

    def refuse(draft: Path, _target: Path) -> None:
        seen.append(stat.S_IMODE(draft.stat().st_mode))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    for write in (lambda: ProfileFile().save(PROFILE), lambda: passwords.store(PROFILE, "other", in_keyring=False)):
        with pytest.raises(OSError, match="No space"):
            write()
    assert seen == [0o600, 0o600]
    assert len(modes_in(home)) == 5
    assert passwords.load(PROFILE) == "secret"


def test_drafts_are_made_private_from_the_first_moment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = tempfile.mkstemp

    def watch(*arguments: object, **options: object) -> tuple[int, str]:
        handle, name = make(*arguments, **options)
        made.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", watch)
    remember()
    assert made == [0o600, 0o600]


def test_a_profile_named_like_a_draft_keeps_its_password(home: Path) -> None:
    other = Profile(name="work.new", jid="bob@example.org")
    passwords.store(other, "bobs", in_keyring=False)
    remember()
    assert passwords.load(other) == "bobs"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
@pytest.mark.parametrize("name", [".config/archipel", ".config/archipel/passwords"])
def test_a_folder_that_others_can_write_is_refused(home: Path, name: str, mode: int) -> None:
    remember()
    folder = home / name
    folder.chmod(mode)
    words = f"others can change {folder} .mode 0{mode:o}.*chmod go-w {folder}"
    with pytest.raises(LoginMissing, match=words):
        passwords.store(PROFILE, "other", in_keyring=False)
    with pytest.raises(LoginMissing, match=words):
        passwords.load(PROFILE)
    if name == ".config/archipel":
        with pytest.raises(LoginMissing, match=words):
            ProfileFile().save(PROFILE)
        with pytest.raises(LoginMissing, match=words):
            ProfileFile().load("work")
    folder.chmod(0o755)
    assert (passwords.load(PROFILE), ProfileFile().load("work")) == ("secret", PROFILE)


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_profiles_that_others_can_change_are_refused(home: Path, mode: int) -> None:
    remember()
    ProfileFile().path.chmod(mode)
    for use in (lambda: ProfileFile().load("work"), lambda: ProfileFile().save(PROFILE)):
        with pytest.raises(LoginMissing, match=f"others can change {ProfileFile().path} .mode 0{mode:o}.*chmod go-w"):
            use()


def test_without_any_folder_there_is_no_profile(home: Path) -> None:
    with pytest.raises(LoginMissing, match="there is no profile 'work'"):
        ProfileFile().load("work")
    with pytest.raises(LoginMissing, match="there is no password for profile 'work'"):
        passwords.load(PROFILE)
    assert modes_in(home) == {}
