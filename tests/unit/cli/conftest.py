# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line on a scripted wire: real commands, a real session, no server."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import keyring
import pytest
from click.testing import CliRunner, Result
from keyring.backends.fail import Keyring as NoKeyring

from archipel.cli.invocation import Invocation
from archipel.cli.main import main
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings
from archipel.protocol import namespaces as ns
from archipel.protocol.events import TAGS_NODE
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import (
    HYPERVISOR,
    HYPERVISOR_FULL,
    MACHINE,
    MACHINE_FULL,
    OWN,
    PUBSUB,
    ScriptedStream,
    command,
    error,
)

SECRET = "correct horse battery staple"
OTHER = "6f0c0000-0000-4000-8000-000000000002@example.org"


class CommandLine:
    """Runs ``archipel`` as a shell would; ``wire`` is the script of the only server there is."""

    def __init__(self, configuration: Path) -> None:
        self.configuration = configuration
        self.wire = ScriptedStream()
        self.settings: list[ConnectionSettings] = []

    def run(self, *arguments: str, input: str | None = None, code: int = 0) -> Result:  # noqa: A002 - click's name for it
        invocation = Invocation(open_session=self._open_session)
        result = CliRunner().invoke(main, arguments, obj=invocation, input=input, catch_exceptions=False)
        assert result.exit_code == code, f"{result.exit_code}: {result.output}"
        assert SECRET not in result.output
        return result

    def json(self, *arguments: str, input: str | None = None, code: int = 0) -> Any:  # noqa: A002 - click's name for it
        return json.loads(self.run("--json", *arguments, input=input, code=code).stdout)

    def log_in(self, *options: str) -> None:
        """Make the default profile, with a hypervisor."""
        self.run(
            "--hypervisor", HYPERVISOR_FULL, "login", OWN, "--host", "192.0.2.1", "--password-file", "-", *options, input=f"{SECRET}\n"
        )

    def _open_session(self, settings: ConnectionSettings, *, reconnect: bool = False) -> Session:
        self.settings.append(settings)
        return Session(settings, reconnect=reconnect, stream=cast(Stream, self.wire))


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Give the level back that the command takes for its own process."""
    logger = logging.getLogger("archipel")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture
def no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_keyring: None) -> CommandLine:
    """A user who never logged in."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "configuration"))
    monkeypatch.delenv("ARCHIPEL_PROFILE", raising=False)
    return CommandLine(tmp_path / "configuration" / "archipel")


@pytest.fixture
def archipel(stranger: CommandLine) -> CommandLine:
    """A user with a profile, and a hypervisor that is online."""
    stranger.log_in()
    stranger.wire.answers_to = lambda text: _show_hypervisor(stranger.wire, text)
    return stranger


def _show_hypervisor(wire: ScriptedStream, text: str) -> None:
    if 'type="probe"' in text and f'"{HYPERVISOR}"' in text:
        wire.deliver_soon(f"<presence from='{HYPERVISOR_FULL}'/>")


# -- scripts ------------------------------------------------------------------------------------------------------------


def query(namespace: str, content: str = "") -> str:
    return f"<query xmlns='{namespace}'>{content}</query>"


def script_machines(wire: ScriptedStream, *items: str) -> None:
    """Script the hypervisor's list; by default one machine, ``web``."""
    listed = items or (f"<item managed='True' name='web'>{MACHINE_FULL}</item>",)
    request = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>")
    wire.answer(request, query(ns.HYPERVISOR_CONTROL, "".join(listed)))


def script_info(wire: ScriptedStream, *states: int, jid: str = MACHINE_FULL) -> None:
    attributes = f"maxMem='65536' memory='32768' nrVirtCpu='2' cpuPrct='7' hypervisor='{HYPERVISOR_FULL}' autostart='1'"
    answers = [query(ns.VM_CONTROL, f"<info state='{state}' {attributes}/>") for state in states]
    wire.answer(command("get", jid, ns.VM_CONTROL, "<archipel action='info'/>"), *answers)


def script_vcard(wire: ScriptedStream, jid: str = MACHINE, name: str = "web", owner: str = "", role: str = "virtualmachine") -> None:
    content = f"<FN>{name}</FN><ROLE>{role}</ROLE><EMAIL><USERID>{owner}</USERID></EMAIL>"
    wire.answer(f"<iq type='get' to='{jid}'><vCard xmlns='vcard-temp'/></iq>", f"<vCard xmlns='vcard-temp'>{content}</vCard>")


def script_tags(wire: ScriptedStream, tags: str | None = None) -> None:
    item = f"<item id='{MACHINE}'><tag jid='{MACHINE}' tags='{tags}'/></item>"
    request = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'/></pubsub></iq>"
    wire.answer(request, error("item-not-found") if tags is None else f"<pubsub xmlns='{ns.PUBSUB}'><items>{item}</items></pubsub>")


def script_rights(wire: ScriptedStream, jid: str, *rights: str, on: str = MACHINE_FULL) -> None:
    action = "getown" if jid == OWN else "get"
    request = f"<archipel permission_type='user' permission_target='{jid}' action='{action}'/>"
    answer = query(ns.PERMISSIONS, "".join(f"<permission name='{right}'/>" for right in rights))
    wire.answer(command("get", on, ns.PERMISSIONS, request), answer)
