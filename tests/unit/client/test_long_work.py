# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that an entity goes on with after its answer, followed to its end."""

from __future__ import annotations

import pytest

from archipel.client import long_work
from archipel.client.errors import WaitTimedOut
from archipel.client.hypervisor import Hypervisor
from archipel.client.long_work import WorkFailed, follow_to_end
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, OWN, PUBSUB, ScriptedStream, command, error

COPY = "6f0c0000-0000-4000-8000-000000000009@example.org"
LIST = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>")
INFO = "<info state='5' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='h' autostart='0'/>"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "LOOK_AGAIN", 0.001)


def script_events(stream: ScriptedStream, entity: str, *, refused: bool = False) -> str:
    """An events node that this account may read, or may not; returns its name."""
    node = f"/archipel/{entity}/events"
    owner = f"<x xmlns='{ns.DATA_FORMS}'><field var='pubsub#owner'><value>{entity}</value></field></x>"
    stream.answer(f"<iq type='get' to='{PUBSUB}'><query xmlns='{ns.DISCO_INFO}' node='{node}'/></iq>", query(ns.DISCO_INFO, owner))
    asked = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{node}'/></pubsub></iq>"
    stream.answer(asked, f"<pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{node}'/></pubsub>")
    subscribing = f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscribe node='{node}' jid='{OWN}'/></pubsub></iq>"
    stream.answer(subscribing, error("not-authorized") if refused else "")
    return node


def query(namespace: str, content: str = "") -> str:
    return f"<query xmlns='{namespace}'>{content}</query>"


def push(node: str, change: str) -> str:
    content = f"<push xmlns='{ns.PUSH_PREFIX}vmparking' date='2026-01-02 03:04:05.000006' change='{change}'/>"
    items = f"<items node='{node}'><item id='x'>{content}</item></items>"
    return f"<message type='headline' from='{PUBSUB}'><event xmlns='{ns.PUBSUB_EVENT}'>{items}</event></message>"


async def begun() -> str:
    return "answer"


def looks(*states: bool | None) -> tuple[list[str], long_work.Look[str]]:
    """States that are seen one after the other, the last one for ever, and what was looked at."""
    seen: list[str] = []

    async def look(answer: str) -> bool | None:
        seen.append(answer)
        return states[min(len(seen), len(states)) - 1]

    return seen, look


async def test_the_answer_is_returned_when_the_work_is_done(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script_events(stream, MACHINE)
    seen, look = looks(None, None, None, True)
    assert await follow_to_end(machine, begun, look, 30) == "answer"
    assert seen == ["answer"] * 4


async def test_a_failure_is_told_with_what_the_entity_said(machine: VirtualMachine, stream: ScriptedStream) -> None:
    node = script_events(stream, MACHINE)
    _seen, look = looks(None)

    async def begin() -> str:
        stream.deliver(f"<message type='headline' from='{MACHINE}/hyp'><body>the disk is full</body></message>")
        stream.deliver(push(node, "cannot-unpark"))
        return "answer"

    with pytest.raises(WorkFailed, match="tells of a failure: the disk is full"):
        await follow_to_end(machine, begin, look, 30, failures={"cannot-unpark"})


async def test_a_state_that_is_a_failure_needs_no_push(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script_events(stream, MACHINE)
    with pytest.raises(WorkFailed, match="its headlines and the agent's log say why"):
        await follow_to_end(machine, begun, looks(None, False)[1], 30)


async def test_work_that_is_not_done_in_time_goes_on(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script_events(stream, MACHINE)
    with pytest.raises(WaitTimedOut, match=f"{MACHINE}: not done within 0 s; it goes on"):
        await follow_to_end(machine, begun, looks(None)[1], 0)


async def test_who_may_not_listen_is_told(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script_events(stream, MACHINE, refused=True)
    with pytest.raises(CommandError):
        await follow_to_end(machine, begun, looks(None)[1], 30)


# -- copies -------------------------------------------------------------------------------------------------------------


def script_clone(stream: ScriptedStream, *lists: bool) -> None:
    request = f"<archipel jid='{MACHINE}' name='copy' linked='0' action='clone'/>"
    answer = query(ns.HYPERVISOR_CONTROL, f"<virtualmachine jid='{COPY}'/>")
    stream.answer(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, request), answer)
    item = f"<item managed='True' name='copy'>{COPY}/hyp</item>"
    stream.answer(LIST, *(query(ns.HYPERVISOR_CONTROL, item if there else "") for there in lists))


async def test_a_copy_is_whole_when_it_answers(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    script_events(stream, HYPERVISOR)
    script_clone(stream, True)
    asked = command("get", f"{COPY}/hyp", ns.VM_CONTROL, "<archipel action='info'/>")
    stream.answer(asked, error("service-unavailable"), query(ns.VM_CONTROL), query(ns.VM_CONTROL, INFO))
    copy = await hypervisor.clone(MACHINE, "copy", wait=30)
    assert (copy.bare, copy.name) == (COPY, "copy")


async def test_a_copy_that_is_gone_failed(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    script_events(stream, HYPERVISOR)
    script_clone(stream, True, False)
    stream.answer(command("get", f"{COPY}/hyp", ns.VM_CONTROL, "<archipel action='info'/>"), error("service-unavailable"))
    with pytest.raises(WorkFailed):
        await hypervisor.clone(MACHINE, "copy", wait=30)
