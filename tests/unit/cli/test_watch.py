# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import json
import signal

import pytest

from archipel.cli.invocation import INTERRUPTED
from archipel.cli.watch import in_words
from archipel.client.events import Event, PresenceChanged, Pushed, Reason, Resynced, Said, SubscriptionRefused
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError
from archipel.protocol.events import Push, events_node
from archipel.protocol.presence import Status
from tests.unit.cli.conftest import OTHER, CommandLine, query, script_machines, script_vcard
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, OWN, PUBSUB, error, normal

SETTLED = 0.05  # seconds until what came in is printed; then the person presses Ctrl-C


def subscription(jid: str) -> str:
    return f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscribe node='{events_node(jid)}' jid='{OWN}'/></pubsub></iq>"


def script_node(archipel: CommandLine, jid: str, answer: str = "") -> None:
    node = events_node(jid)
    owner = f"<x xmlns='{ns.DATA_FORMS}'><field var='pubsub#owner'><value>{jid}</value></field></x>"
    ask = f"<iq type='get' to='{PUBSUB}'>"
    archipel.wire.answer(f"{ask}<query xmlns='{ns.DISCO_INFO}' node='{node}'/></iq>", query(ns.DISCO_INFO, owner))
    archipel.wire.answer(f"{ask}<pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{node}'/></pubsub></iq>", "")
    archipel.wire.answer(subscription(jid), answer)


def push(jid: str, topic: str, change: str, sequence: int) -> str:
    attributes = f"date='2026-01-02 03:04:05.000006' change='{change}' sequence='{sequence}' epoch='e1'"
    items = f"<items node='{events_node(jid)}'><item><push xmlns='{ns.PUSH_PREFIX}{topic}' {attributes}/></item></items>"
    return f"<message type='headline' from='{PUBSUB}'><event xmlns='{ns.PUBSUB_EVENT}'>{items}</event></message>"


def after_subscription(archipel: CommandLine, jid: str, *stanzas: str, press_ctrl_c: bool = True) -> None:
    """Let stanzas come in when the events of ``jid`` are subscribed to."""
    before = archipel.wire.when_asked

    def follow(text: str) -> None:
        before(text)
        if text == normal(subscription(jid)):
            for stanza in stanzas:
                archipel.wire.deliver_soon(stanza)
            if press_ctrl_c:
                asyncio.get_running_loop().call_later(SETTLED, signal.raise_signal, signal.SIGINT)

    archipel.wire.when_asked = follow


def test_one_machine_is_watched_by_its_name(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    script_node(archipel, MACHINE)
    changes = (
        push(MACHINE, "virtualmachine:control", "suspended", 7),
        f"<presence from='{MACHINE_FULL}'><status>Paused</status></presence>",
    )
    after_subscription(archipel, MACHINE, *changes)
    lines = archipel.run("watch", "web", code=INTERRUPTED).stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines] == ["web  suspended (virtualmachine:control)", "web  is Paused"]


def test_scripts_get_a_line_of_json_for_each_event(archipel: CommandLine) -> None:
    script_vcard(archipel.wire)
    script_node(archipel, MACHINE)
    gone = f"<presence type='unavailable' from='{MACHINE_FULL}'/>"
    shown = f"<presence from='{MACHINE_FULL}'><show>xa</show><status>Off</status></presence>"
    said = f"<message type='headline' from='{MACHINE_FULL}'><body>hello</body></message>"
    after_subscription(archipel, MACHINE, push(MACHINE, "virtualmachine:control", "shutdown", 7), shown, gone, said)
    result = archipel.run("--json", "watch", MACHINE, code=INTERRUPTED)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {(line.pop("entity"), line.pop("name")) for line in lines} == {(MACHINE, "web")}
    first = {"event": "push", "topic": "virtualmachine:control", "change": "shutdown", "sequence": 7, "epoch": "e1"}
    assert lines == [
        {**first, "date": "2026-01-02T03:04:05.000006"},
        {"event": "presence", "online": True, "show": "xa", "status": "Off"},
        {"event": "presence", "online": False},
        {"event": "message", "text": "hello"},
        {"event": "resync", "reason": "begin"},
    ]


def test_everything_is_watched_and_machines_that_are_made_later_too(archipel: CommandLine) -> None:
    web, mail = f"<item managed='True' name='web'>{MACHINE_FULL}</item>", f"<item managed='True' name='mail'>{OTHER}/hyp</item>"
    script_machines(archipel.wire, web)
    script_machines(archipel.wire, web, mail)
    for jid in (HYPERVISOR, MACHINE, OTHER):
        script_node(archipel, jid)
    after_subscription(archipel, MACHINE, push(HYPERVISOR, "hypervisor", "alloc", 1), press_ctrl_c=False)
    after_subscription(archipel, OTHER, push(OTHER, "virtualmachine:control", "created", 1))
    output = archipel.run("watch", code=INTERRUPTED).stdout
    assert f"{HYPERVISOR}  alloc (hypervisor)" in output
    assert "mail  created (virtualmachine:control)" in output


def test_an_entity_that_shows_no_pushes_is_told_and_the_others_are_watched(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    script_node(archipel, HYPERVISOR, error("not-allowed"))
    script_node(archipel, MACHINE)
    after_subscription(archipel, MACHINE, push(MACHINE, "virtualmachine:control", "created", 1))
    output = archipel.run("watch", code=INTERRUPTED).stdout
    assert f"{HYPERVISOR}  does not show its pushes: not-allowed" in output
    assert "web  created" in output


def test_the_session_of_a_watcher_reconnects(archipel: CommandLine) -> None:
    script_vcard(archipel.wire)
    script_node(archipel, MACHINE)
    broken: list[str] = []

    def break_once(text: str) -> None:
        if text == normal(subscription(MACHINE)):
            loop = asyncio.get_running_loop()
            loop.call_later(SETTLED, signal.raise_signal, signal.SIGINT) if broken else loop.call_soon(archipel.wire.break_off)
            broken.append(text)

    archipel.wire.when_asked = break_once
    output = archipel.run("watch", MACHINE, code=INTERRUPTED).stdout
    assert "web  may have changed unseen (reconnected)" in output


@pytest.mark.parametrize(
    "event, words",
    [
        (Pushed(MACHINE, Push("virtualmachine:control", "created")), "created (virtualmachine:control)"),
        (Pushed(MACHINE, Push("permissions", "bob@example.org")), "rights of bob@example.org changed"),
        (PresenceChanged(MACHINE, None), "is offline"),
        (PresenceChanged(MACHINE, Status("away", "")), "is away"),
        (PresenceChanged(MACHINE, Status(None, "")), "is online"),
        (Resynced(MACHINE, Reason.BEGIN), ""),
        (Resynced(MACHINE, Reason.GAP), "may have changed unseen (gap)"),
        (SubscriptionRefused(MACHINE, CommandError("no")), "does not show its pushes: no"),
        (Said(MACHINE, "hello"), "says: hello"),
    ],
)
def test_events_have_words(event: Event, words: str) -> None:
    assert in_words(event) == words


def test_a_hypervisor_can_be_watched_alone(archipel: CommandLine) -> None:
    script_node(archipel, HYPERVISOR)
    after_subscription(archipel, HYPERVISOR, f"<presence from='{HYPERVISOR_FULL}'><status>Online (2)</status></presence>")
    assert f"{HYPERVISOR}  is Online (2)" in archipel.run("watch", HYPERVISOR, code=INTERRUPTED).stdout
