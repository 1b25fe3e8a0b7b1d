# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.archipel.platform.plugins.module_utils.connection import (
    connection_arguments,
    connection_settings,
    find_hypervisor,
)

from archipel.client import Session
from archipel.client.errors import LoginMissing
from archipel.client.login import add_environment, read_password_file
from archipel.client.password import store
from archipel.client.profile import Profile, ProfileFile

JID = "teacher@example.org"


def given(**arguments: Any) -> dict[str, Any]:
    return {**dict.fromkeys(connection_arguments()), **arguments}


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("ARCHIPEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def profile() -> Profile:
    """A stored login with one hypervisor."""
    school = Profile(name="school", jid=JID, host="192.0.2.1", timeout=7.0, hypervisors=("hyp@example.org",))
    ProfileFile().save(school)
    store(school, "of-the-profile", in_keyring=False)
    return school


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("of-the-file\nsecond line\n")
    return file


def test_arguments_are_settings(tmp_path: Path) -> None:
    ca_file = str(tmp_path / "ca.pem")
    settings = connection_settings(
        given(
            xmpp_jid=JID, xmpp_password="x", xmpp_host="192.0.2.1", xmpp_port=5223, xmpp_ca_file=ca_file, xmpp_allow_plain=True, timeout=2.5
        )
    )
    assert (settings.jid, settings.address, settings.ca_file) == (JID, ("192.0.2.1", 5223), Path(ca_file))
    assert (settings.allow_plain, settings.insecure_plaintext, settings.timeout) == (True, False, 2.5)


def test_only_the_password_is_secret() -> None:
    assert {name for name, argument in connection_arguments().items() if argument.get("no_log")} == {"xmpp_password"}


def test_a_password_file_rules_over_the_environment(password_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIPEL_PASSWORD", "of-the-environment")
    assert connection_settings(given(xmpp_jid=JID, xmpp_password_file=str(password_file))).password == "of-the-file"
    assert connection_settings(given(xmpp_jid=JID)).password == "of-the-environment"


def test_a_password_rules_over_everything(password_file: Path, profile: Profile) -> None:
    arguments = given(xmpp_password="given", xmpp_password_file=str(password_file), profile=profile.name)
    assert connection_settings(arguments).password == "given"


def test_a_profile_says_what_is_not_given(profile: Profile) -> None:
    settings = connection_settings(given(profile=profile.name, timeout=1.5))
    assert (settings.jid, settings.host, settings.timeout, settings.password) == (JID, "192.0.2.1", 1.5, "of-the-profile")


def test_the_password_of_a_profile_is_that_of_its_account(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIPEL_PASSWORD", "of-the-environment")
    assert connection_settings(given(profile=profile.name)).password == "of-the-profile"
    assert connection_settings(given(profile=profile.name, xmpp_jid="admin@example.org")).password == "of-the-environment"


def test_a_profile_that_is_not_there_is_named() -> None:
    with pytest.raises(LoginMissing, match="there is no profile 'none'"):
        connection_settings(given(profile="none"))


@pytest.mark.parametrize("name", ["JID", "HOST", "PORT", "CA_FILE", "PUBSUB_SERVICE", "HYPERVISOR", "PROFILE"])
def test_an_empty_variable_of_the_environment_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"ARCHIPEL_{name}", "")
    checked = ArgumentSpecValidator(connection_arguments()).validate({})
    assert not checked.error_messages
    assert set(checked.validated_parameters.values()) == {None}
    assert add_environment({}) == {}


def test_an_empty_password_of_the_environment_is_none(password_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIPEL_PASSWORD", "")
    monkeypatch.setenv("ARCHIPEL_PASSWORD_FILE", str(password_file))
    assert connection_settings(given(xmpp_jid=JID)).password == "of-the-file"
    monkeypatch.setenv("ARCHIPEL_PASSWORD_FILE", "")
    with pytest.raises(ValueError, match="xmpp_password: give it"):
        connection_settings(given(xmpp_jid=JID))


@pytest.mark.parametrize(
    "arguments, message",
    [({}, "xmpp_jid: say who logs in"), ({"xmpp_jid": JID}, "xmpp_password: give it"), ({"xmpp_jid": "x"}, "xmpp_password")],
)
def test_a_missing_login_names_the_argument(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        connection_settings(given(**arguments))


def test_a_password_file_is_its_owners_alone(password_file: Path) -> None:
    password_file.chmod(0o640)
    with pytest.raises(ValueError, match=r"others can read .* \(mode 0640\); correct it with chmod 600"):
        read_password_file(password_file)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff"])
def test_a_password_file_holds_a_password(content: bytes, password_file: Path) -> None:
    password_file.write_bytes(content)
    with pytest.raises(ValueError, match="xmpp_password_file: "):
        read_password_file(password_file)


def test_the_hypervisor_is_that_of_the_arguments_or_the_profile(session: Session, profile: Profile) -> None:
    assert find_hypervisor(session, given(hypervisor="one@example.org", profile=profile.name)).bare == "one@example.org"
    assert find_hypervisor(session, given(profile=profile.name)).bare == "hyp@example.org"


def test_one_of_several_hypervisors_must_be_named(session: Session, profile: Profile) -> None:
    ProfileFile().save(Profile(name="two", jid=JID, hypervisors=("one@example.org", "two@example.org")))
    for arguments in (given(), given(profile="two")):
        with pytest.raises(ValueError, match="hypervisor: name its account"):
            find_hypervisor(session, arguments)
