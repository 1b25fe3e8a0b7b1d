# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module run in this process against a wire that is written down: what it may ask, what it hears."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.archipel.platform.plugins.module_utils import execution

from archipel.client import ConnectionSettings, Session
from archipel.protocol import namespaces as ns
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, OWN, Answer, ScriptedStream, command, normal

LOGIN = {"xmpp_jid": OWN, "xmpp_password": "secret-word", "hypervisor": HYPERVISOR_FULL}


def query(namespace: str, content: str = "") -> str:
    """Return the content of a result."""
    return f"<query xmlns='{namespace}'>{content}</query>"


@dataclass
class Wire:
    """The script; :meth:`run` runs a module by it."""

    capsys: pytest.CaptureFixture[str]
    script: list[tuple[str, tuple[Answer, ...]]] = field(default_factory=list)
    streams: list[ScriptedStream] = field(default_factory=list)
    anything: Answer | None = None  # what answers all that is not in the script

    def hypervisor(self, kind: str, request: str, *answers: str) -> None:
        """Expect a command for the hypervisor, and answer it with these contents, one after the other."""
        self._expect(kind, HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, request, answers)

    def machine(self, kind: str, request: str, *answers: str, namespace: str = ns.VM_CONTROL) -> None:
        """Expect a command for the machine."""
        self._expect(kind, MACHINE_FULL, namespace, request, answers)

    def entity(self, jid: str, kind: str, namespace: str, request: str, *answers: str) -> None:
        """Expect a command that every entity takes."""
        self._expect(kind, jid, namespace, request, answers)

    def _expect(self, kind: str, jid: str, namespace: str, request: str, answers: tuple[str, ...]) -> None:
        contents = tuple(answer if answer.startswith("<error") else query(namespace, answer) for answer in answers or ("",))
        self.script.append((command(kind, jid, namespace, request), contents))

    def run(self, module: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Run a module and return what it said."""
        main = importlib.import_module(f"ansible_collections.archipel.platform.plugins.modules.{module}").main
        with patch_module_args({**LOGIN, **arguments, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
            main()
        answer: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return answer

    def open_session(self, settings: ConnectionSettings) -> Session:
        """Stand in for the session's class: the module's login is real up to the stream."""
        stream = ScriptedStream()
        stream.anything = self.anything
        for iq, answers in self.script:
            stream.answer(iq, *answers)
        self.streams.append(stream)
        return Session(settings, stream=cast(Stream, stream))

    @property
    def asked(self) -> list[str]:
        """What was asked in the last run."""
        return self.streams[-1].asked

    def assert_asked(self, *wanted: str) -> None:
        """Exactly these commands changed something, in this order."""
        assert [text for text in self.asked if 'type="set"' in text] == [normal(iq) for iq in wanted]


@pytest.fixture
def wire(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Wire:
    """A script without a line."""
    script = Wire(capsys)
    monkeypatch.setattr(execution, "Session", script.open_session)
    return script
