# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a guest as Ansible uses it: its options, commands, files, other users, and which error says what."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader
from ansible_collections.archipel.platform.plugins.module_utils import execution
from ansible_collections.archipel.platform.plugins.plugin_utils import guest_door

from archipel.client.entity import Entity
from archipel.client.errors import NotOnline
from archipel.client.guest import Guest
from archipel.protocol.errors import PermissionDenied
from archipel.xmpp.errors import NoAnswer
from tests.unit.client.local_guest import LocalGuest
from tests.unit.client.scripted_stream import MACHINE, OWN, UUID

LOGIN = {"ansible_archipel_xmpp_jid": OWN, "ansible_archipel_xmpp_password": "secret-word", "inventory_hostname": "web"}


class FakeSession:
    """Stands for a session whose machines are all the same guest."""

    ended = False

    def __init__(self, local: LocalGuest) -> None:
        self.local = local
        self.settings = SimpleNamespace(domain="example.org")
        self.opened: list[str] = []
        self.logins = 0

    async def __aenter__(self) -> Self:
        self.logins += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""

    def machine(self, jid: str) -> SimpleNamespace:
        self.opened.append(jid)
        return SimpleNamespace(guest=Guest(cast(Entity, self.local)))


@pytest.fixture
def local() -> LocalGuest:
    return LocalGuest()


@pytest.fixture
def session(local: LocalGuest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSession]:
    session = FakeSession(local)
    monkeypatch.setattr(execution, "Session", lambda _settings: session)
    for name in [name for name in os.environ if name.startswith("ARCHIPEL_")]:
        monkeypatch.delenv(name)
    yield session
    guest_door.session_of_this_process().close()


def connect(tmp_path: Path, **variables: object) -> Any:
    connection = connection_loader.get("archipel.platform.guest", PlayContext(), task_uuid="", ansible_playbook_pid="")
    own = {**LOGIN, "archipel_jid": MACHINE, "ansible_archipel_staging_folder": str(tmp_path), **variables}
    connection.set_options(var_options=own)
    return connection


def test_a_command_gets_its_input_and_comes_back_whole(session: FakeSession, tmp_path: Path) -> None:
    connection = connect(tmp_path)
    assert connection.exec_command("cat; echo wrong >&2; exit 3", b"in\n") == (3, b"in\n", b"wrong\n")
    assert connection.exec_command("seq 50000")[1].endswith(b"\n50000\n")
    assert session.logins == 1


def test_files_go_both_ways(session: FakeSession, tmp_path: Path) -> None:
    content = os.urandom(400_000)
    (tmp_path / "from").write_bytes(content)
    connection = connect(tmp_path)
    connection.put_file(str(tmp_path / "from"), str(tmp_path / "there"))
    connection.fetch_file(str(tmp_path / "there"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    connection.reset()
    connection.exec_command("true")
    assert session.logins == 2


@pytest.mark.parametrize(
    "variables, jid",
    [
        ({}, MACHINE),
        ({"ansible_host": "192.0.2.7"}, MACHINE),
        ({"archipel_jid": None, "ansible_host": UUID}, MACHINE),
        ({"ansible_archipel_machine": "other@example.org"}, "other@example.org"),
    ],
)
def test_the_inventory_says_which_machine_it_is(variables: dict[str, Any], jid: str, session: FakeSession, tmp_path: Path) -> None:
    connection = connect(tmp_path, **variables)
    if variables.get("archipel_jid", MACHINE) is None:
        own = {**LOGIN, **{name: value for name, value in variables.items() if value}, "ansible_archipel_staging_folder": str(tmp_path)}
        connection.set_options(var_options=own)
    connection.exec_command("true")
    assert session.opened == [jid]


def test_endless_output_ends_and_names_the_option(session: FakeSession, tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match=r"wrote more than 1 MiB \(output_limit\), and was ended"):
        connect(tmp_path, ansible_archipel_output_limit=1).exec_command("cat /dev/zero")


def test_an_empty_variable_of_the_environment_is_none(session: FakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "CA_FILE", "PUBSUB_SERVICE", "HYPERVISOR", "PROFILE", "GUEST_COMMAND_TIMEOUT"):
        monkeypatch.setenv(f"ARCHIPEL_{name}", "")
    connection = connect(tmp_path)
    assert [connection.get_option(name) for name in ("xmpp_host", "xmpp_port", "xmpp_ca_file", "profile")] == [None] * 4
    assert connection.get_option("command_timeout") == 0
    assert connection.exec_command("echo well")[1] == b"well\n"


def test_a_name_takes_a_hypervisor(session: FakeSession, tmp_path: Path) -> None:
    with pytest.raises(AnsibleConnectionFailure, match="web: hypervisor: name its account"):
        connect(tmp_path, ansible_archipel_machine="web").exec_command("true")


@pytest.mark.parametrize(
    "trouble, kind, says",
    [
        (PermissionDenied("no", right="guest_exec"), AnsibleAuthenticationFailure, "guest_exec"),
        (NoAnswer("no answer within 30 s"), AnsibleConnectionFailure, "no answer"),
        (NotOnline("is not online"), AnsibleConnectionFailure, "not online"),
    ],
)
def test_what_hinders_is_told_with_the_machine(
    trouble: Any, kind: type[AnsibleError], says: str, local: LocalGuest, session: FakeSession, tmp_path: Path
) -> None:
    local.trouble["exec"] = trouble
    with pytest.raises(kind, match=f"{MACHINE}: .*{says}") as raised:
        connect(tmp_path).exec_command("true")
    assert "secret-word" not in str(raised.value)


def test_a_login_that_is_missing_is_told(session: FakeSession, tmp_path: Path) -> None:
    with pytest.raises(AnsibleConnectionFailure, match="xmpp_jid: say who logs in"):
        connect(tmp_path, ansible_archipel_xmpp_jid=None).exec_command("true")


def test_files_that_are_not_there_are_told(session: FakeSession, tmp_path: Path) -> None:
    connection = connect(tmp_path)
    with pytest.raises(AnsibleFileNotFound, match="nowhere"):
        connection.put_file(str(tmp_path / "nowhere"), "/tmp/x")
    with pytest.raises(AnsibleError, match="No such file"):
        connection.fetch_file(str(tmp_path / "nowhere"), str(tmp_path / "back"))
    with pytest.raises(AnsibleError, match="cannot be written"):
        connection.fetch_file("/etc/hostname", str(tmp_path / "nowhere" / "back"))
    assert not (tmp_path / "back").exists()


def test_a_command_that_takes_too_long_is_told(local: LocalGuest, session: FakeSession, tmp_path: Path) -> None:
    local.slow = True
    with pytest.raises(AnsibleConnectionFailure, match=r"more than 0\.2 s"):
        connect(tmp_path, ansible_archipel_command_timeout=0.2).exec_command("sleep 1000")


# -- other users ----------------------------------------------------------------------------------------------------------


def become(method: str, **password: str | None) -> Any:
    plugin = become_loader.get(method)
    plugin.set_options(direct={"become_pass": "se cr't", "become_user": "other", **password})
    return plugin


@pytest.mark.parametrize("method", ["sudo", "su"])
def test_a_password_goes_to_who_asks_for_it_and_the_question_is_not_shown(method: str, session: FakeSession, tmp_path: Path) -> None:
    connection, plugin = connect(tmp_path), become(method)
    connection.set_become_plugin(plugin)
    plugin.build_become_command("true", connection._shell)
    asks = plugin.prompt if isinstance(plugin.prompt, str) else "Password: "
    script = f"printf '%s' '{asks}' >&2; IFS= read -r word; echo {plugin.success}; echo \"$word\"; cat"
    assert connection.exec_command(script, b"rest") == (0, b"se cr't\nrest", b"")
    assert not any("se cr't" in argument for argument in session.local.arguments)


@pytest.mark.parametrize("method, complaint", [("sudo", "Sorry, try again."), ("su", "su: Authentication failure")])
def test_a_wrong_password_is_told(method: str, complaint: str, session: FakeSession, tmp_path: Path) -> None:
    connection, plugin = connect(tmp_path), become(method)
    connection.set_become_plugin(plugin)
    plugin.build_become_command("true", connection._shell)
    with pytest.raises(AnsibleError, match=f"password for become_method {method}"):
        connection.exec_command(f"echo 'Password: {complaint}' >&2; exit 1")


def test_without_a_password_nobody_is_waited_for(session: FakeSession, tmp_path: Path) -> None:
    connection, plugin = connect(tmp_path), become("sudo", become_pass=None)
    connection.set_become_plugin(plugin)
    plugin.build_become_command("true", connection._shell)
    assert connection.exec_command(f"echo {plugin.success}; cat", b"rest") == (0, b"rest", b"")


def test_who_asks_in_a_way_that_nobody_knows_is_refused(session: FakeSession, tmp_path: Path) -> None:
    connection, plugin = connect(tmp_path), become("sudo")
    connection.set_become_plugin(plugin)
    plugin.build_become_command("true", connection._shell)
    plugin.prompt = True
    with pytest.raises(AnsibleError, match="become_method: nobody can tell how sudo asks"):
        connection.exec_command("true")


@pytest.mark.parametrize("user, wanted", [("root", []), ("worker", ["worker"])])
def test_another_user_is_become_by_the_guests_own_means(user: str, wanted: list[str], session: FakeSession, tmp_path: Path) -> None:
    (tmp_path / "su").write_text('#!/bin/sh\necho "$3" >&2\nshift 4\nexec /bin/sh -c "$1"\n')
    (tmp_path / "su").chmod(0o755)
    session.local.environment["PATH"] = f"{tmp_path}:{session.local.environment['PATH']}"
    code, stdout, stderr = connect(tmp_path, ansible_user=user).exec_command("echo done")
    assert (code, stdout, stderr.decode().split()) == (0, b"done\n", wanted)


@pytest.mark.parametrize("user", ["-", "-l", "-cid", "--login"])
def test_nobody_is_administrator_by_a_name_that_su_takes_for_an_option(user: str, session: FakeSession, tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="is no user"):
        connect(tmp_path, ansible_user=user).exec_command("id")
    assert session.local.asked == []


def test_a_large_file_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_door, "QUIET", -1)
    said: list[str] = []
    guest_door.tell_progress(said.append, "PUT /x")(2048, 4096)
    assert said == ["PUT /x: 2 of 4 KiB"]
