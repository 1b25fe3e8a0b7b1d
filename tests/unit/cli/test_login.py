# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import stat
from typing import ClassVar

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from archipel.xmpp.errors import LoginFailed, LoginRefused, ServerUnreachable, UntrustedServer, WireError
from tests.unit.cli.conftest import SECRET, CommandLine
from tests.unit.client.scripted_stream import HYPERVISOR, OWN


class MemoryKeyring(KeyringBackend):
    """A keyring that remembers while the test lasts; ``locked`` refuses everything."""

    priority: ClassVar[float] = 5
    locked = False

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringError("it is locked")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringError("it is locked")
        self.entries[service, username] = password


@pytest.fixture
def desktop(stranger: CommandLine) -> MemoryKeyring:
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    return backend


def test_without_a_keyring_the_password_is_in_a_file_for_its_owner_only(stranger: CommandLine) -> None:
    result = stranger.run("--hypervisor", f"{HYPERVISOR}/host", "login", OWN, "--password-file", "-", input=f"{SECRET}\n")
    file = stranger.configuration / "passwords" / "default"
    assert file.read_text() == SECRET
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert f"Logged in as {OWN}" in result.stdout
    assert f"{file} (only you can read it)" in result.stdout


def test_the_profile_holds_everything_but_the_password(stranger: CommandLine) -> None:
    stranger.log_in("--port", "15222", "--timeout", "5", "--allow-plain", "--pubsub-service", "events.example.org")
    text = (stranger.configuration / "profiles.ini").read_text()
    assert SECRET not in text
    assert "host = 192.0.2.1\nport = 15222\n" in text
    assert "allow_plain = yes" in text
    assert f"hypervisors = {HYPERVISOR}" in text
    settings = stranger.settings[0]
    assert (settings.host, settings.port, settings.timeout, settings.allow_plain) == ("192.0.2.1", 15222, 5.0, True)
    assert settings.service == "events.example.org"


def test_a_desktops_keyring_is_preferred(stranger: CommandLine, desktop: MemoryKeyring) -> None:
    stranger.run("--profile", "work", "login", OWN, "--password-file", "-", input=f"{SECRET}\n")
    assert desktop.entries == {("archipel", f"work {OWN}"): SECRET}
    assert not (stranger.configuration / "passwords").exists()
    assert "password_in = keyring" in (stranger.configuration / "profiles.ini").read_text()


def test_a_keyring_can_be_declined(stranger: CommandLine, desktop: MemoryKeyring) -> None:
    stranger.log_in("--no-keyring")
    assert desktop.entries == {}
    assert (stranger.configuration / "passwords" / "default").read_text() == SECRET


def test_a_keyring_that_refuses_is_no_reason_to_fail(stranger: CommandLine, desktop: MemoryKeyring) -> None:
    desktop.locked = True
    stranger.log_in()
    assert (stranger.configuration / "passwords" / "default").read_text() == SECRET


@pytest.mark.parametrize("locked, words", [(True, "does not give the password"), (False, "has no password")])
def test_a_keyring_without_the_password_says_what_to_do(stranger: CommandLine, desktop: MemoryKeyring, locked: bool, words: str) -> None:
    stranger.log_in()
    desktop.locked, desktop.entries = locked, {}
    result = stranger.run("ls", code=6)
    assert words in result.stderr
    assert f"Log in again: archipel --profile default login {OWN}" in result.stderr


def test_the_password_is_asked_without_echo(stranger: CommandLine) -> None:
    result = stranger.run("login", OWN, input=f"{SECRET}\n")
    assert f"Password of {OWN}" in result.stderr
    assert (stranger.configuration / "passwords" / "default").read_text() == SECRET


def test_an_empty_password_is_none(stranger: CommandLine) -> None:
    assert "the password is empty" in stranger.run("login", OWN, "--password-file", "-", input="\n", code=6).stderr


@pytest.mark.parametrize(
    "refusal, code",
    [
        (LoginRefused("the XMPP server does not accept this account and password"), 6),
        (UntrustedServer("the certificate is not trusted"), 6),
        (ServerUnreachable("nobody listens there"), 4),
        (LoginFailed("the login did not end"), 4),
    ],
)
def test_a_login_that_fails_is_not_remembered(stranger: CommandLine, refusal: WireError, code: int) -> None:
    stranger.wire.refusal = refusal
    result = stranger.run("login", OWN, "--password-file", "-", input=f"{SECRET}\n", code=code)
    assert str(refusal) in result.stderr
    assert not stranger.configuration.exists()


def test_profiles_live_side_by_side(stranger: CommandLine) -> None:
    stranger.log_in()
    stranger.run("--profile", "bob", "login", "bob@example.org", "--password-file", "-", input="other\n")
    stranger.log_in()
    text = (stranger.configuration / "profiles.ini").read_text()
    assert text.count("[default]") == text.count("[bob]") == 1


def test_a_profile_that_is_not_there_is_explained(archipel: CommandLine) -> None:
    result = archipel.run("--profile", "nobody", "ls", code=6)
    assert "there is no profile 'nobody'" in result.stderr
    assert "there are: default" in result.stderr


def test_the_profile_may_come_from_the_environment(archipel: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIPEL_PROFILE", "nobody")
    assert "there is no profile 'nobody'" in archipel.run("ls", code=6).stderr


def test_an_empty_variable_of_the_environment_names_no_profile(archipel: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIPEL_PROFILE", "")
    archipel.wire.refusal = ServerUnreachable("the server of the profile default was asked")
    assert "the server of the profile default was asked" in archipel.run("ls", code=4).stderr


@pytest.mark.parametrize("name", ["../evil", "", "a b", ".hidden", "x" * 65])
def test_a_profiles_name_is_no_path(stranger: CommandLine, name: str) -> None:
    result = stranger.run("--profile", name, "login", OWN, "--password-file", "-", input=f"{SECRET}\n", code=6)
    assert "is no name for a profile" in result.stderr


@pytest.mark.parametrize(
    "text, words",
    [
        ("[default]\nhost = h\n", "jid is missing"),
        ("[default]\njid = a@b\nport = many\n", "profile 'default'"),
        ("[default]\njid = a@b\nport = 77\n", "port: goes with host"),
        ("[default]\njid = nonsense\n", "names no account"),
        ("nonsense", "cannot be read"),
        ("[default]\njid = a@b\njid = c@d\n", "cannot be read"),
    ],
)
def test_a_spoilt_profile_is_explained(archipel: CommandLine, text: str, words: str) -> None:
    (archipel.configuration / "profiles.ini").write_text(text)
    assert words in archipel.run("ls", code=6).stderr


def test_a_password_that_others_can_read_is_not_used(archipel: CommandLine) -> None:
    file = archipel.configuration / "passwords" / "default"
    file.chmod(0o640)
    result = archipel.run("ls", code=6)
    assert "others can read the password" in result.stderr
    assert "chmod 600" in result.stderr


def test_a_missing_password_is_explained(archipel: CommandLine) -> None:
    (archipel.configuration / "passwords" / "default").unlink()
    assert "there is no password for profile 'default'" in archipel.run("ls", code=6).stderr


def test_scripts_learn_where_things_are(stranger: CommandLine) -> None:
    result = stranger.run("--json", "login", OWN, "--password-file", "-", input=f"{SECRET}\n")
    assert json.loads(result.stdout) == {
        "profile": "default",
        "jid": OWN,
        "file": str(stranger.configuration / "profiles.ini"),
        "password_in": "file",
    }


def test_a_jid_with_a_resource_or_without_a_name_is_corrected_or_refused(stranger: CommandLine) -> None:
    stranger.run("login", f"{OWN}/laptop", "--password-file", "-", input=f"{SECRET}\n")
    assert stranger.settings[0].jid == OWN
    assert "names no account" in stranger.run("login", "example.org", "--password-file", "-", input=f"{SECRET}\n", code=2).stderr
