# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before it becomes a command stands in the audit log, too."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import admission, chat, limits
from archipel.agent.audit import MOST_OF_STRANGER, AuditLog
from archipel.agent.dispatch import Caller
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeStream, parse_stanza
from tests.unit.agent.fakes import HYP, OWNER, STRANGER, STUDENT, VM, FakeAudit, command_iq

CONTROL = "archipel:vm:control"
INFO = "<archipel action='info'/>"
SECRET = "my password is sesame"


def message(body: str, caller: Caller = OWNER) -> str:
    return f"<message type='chat' from='{caller.full}' to='{VM}'><body>{body}</body></message>"


def form(caller: Caller = OWNER) -> str:
    return f"<iq type='set' id='1' from='{caller.full}'><command xmlns='{ns.COMMANDS}' node='{CONTROL}#create'/></iq>"


async def deliver(machine: VirtualMachine, *texts: str) -> FakeStream:
    stream = await go_online(machine)
    for text in texts:
        stream.deliver(text)
    await finish_work(machine)
    return stream


def told(audit: FakeAudit) -> list[tuple[str, str, str, str]]:
    """Who was refused what by which rule; each as an entry of which too many are counted only."""
    assert all(entry["outcome"].startswith("error: ") and entry["stranger"] for entry in audit.entries), audit.entries
    return [(entry["caller"], entry["namespace"], entry["action"], entry["rule"]) for entry in audit.entries]


async def test_who_may_not_talk_is_written_down_with_what_he_said(machine: VirtualMachine, audit: FakeAudit) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "info", granted_by=HYP)
    await deliver(machine, message("destroy", STUDENT), message("destroy", STRANGER))
    assert [entry[:3] for entry in told(audit)] == [(who.full, ns.CLIENT, "message") for who in (STUDENT, STRANGER)]
    assert [entry["phrase"] for entry in audit.entries] == ["destroy"] * 2
    assert "lacks the right 'message'" in audit.entries[0]["outcome"]


async def test_a_stranger_s_form_is_written_down(machine: VirtualMachine, audit: FakeAudit) -> None:
    stream = await deliver(machine, form(STRANGER))
    assert "forbidden" in stream.sent[-1]
    assert [entry[:3] for entry in told(audit)] == [(STRANGER.full, CONTROL, "create")]


@pytest.fixture
def hasty(machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may ask anything for a while."""
    monkeypatch.setattr(machine.services.admission, "delay", lambda _entity, _caller: 3.0)


@pytest.mark.usefixtures("hasty")
async def test_what_comes_too_fast_is_written_down_but_not_what_was_said(machine: VirtualMachine, audit: FakeAudit) -> None:
    await deliver(machine, message(SECRET), form(), command_iq(CONTROL, INFO))
    assert told(audit) == [
        (OWNER.full, ns.CLIENT, "message", "limits"),
        (OWNER.full, CONTROL, "create", "limits"),
        (OWNER.full, CONTROL, "info", "limits"),
    ]
    assert "sesame" not in str(audit.entries)


async def test_what_must_not_even_wait_is_written_down(machine: VirtualMachine, audit: FakeAudit, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_self: limits.Gate, _sender: str) -> None:
        raise limits.TooManyWaiting

    monkeypatch.setattr(limits.Gate, "enter", refuse)
    stream = await deliver(machine, message("info"), form(), command_iq(CONTROL, INFO))
    assert chat.BUSY in (parse_stanza(text).findtext(f"{{{ns.CLIENT}}}body") for text in stream.sent)
    assert {entry[1:] for entry in told(audit)} == {
        (ns.CLIENT, "message", "limits"),
        (CONTROL, "create", "limits"),
        (CONTROL, "info", "limits"),
    }


async def test_of_a_flood_the_end_is_written_down(machine: VirtualMachine, audit: FakeAudit) -> None:
    answer = admission.refuse_flood(machine, OWNER, parse_stanza(form()), ns.COMMANDS, 5)
    assert "5 requests of yours wait here" in ET.tostring(answer, "unicode")
    admission.refuse_chat(machine, OWNER, told=False)
    assert [entry[1:] for entry in told(audit)] == [(CONTROL, "create", "limits"), (ns.CLIENT, "message", "limits")]


async def test_a_flood_does_not_flood_the_log(machine: VirtualMachine, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    machine.services = dataclasses.replace(machine.services, audit=log)
    for _ in range(MOST_OF_STRANGER + 30):
        await chat.reply(machine, "destroy", STUDENT)
        admission.refuse_chat(machine, STUDENT, told=False)
    log.close()
    entries = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert len(entries) == MOST_OF_STRANGER + 1
    assert entries[-1]["outcome"] == f"left out: {MOST_OF_STRANGER + 60} more requests of this sender within a minute"
