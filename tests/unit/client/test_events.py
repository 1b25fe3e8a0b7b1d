# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest

from archipel.client import events as events_module
from archipel.client.errors import WaitTimedOut
from archipel.client.events import Event, Events, PresenceChanged, Pushed, Reason, Resynced, Said, SubscriptionRefused
from archipel.client.machine_state import MachineState
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.presence import Status
from archipel.xmpp.errors import Disconnected, NoAnswer
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import (
    MACHINE,
    MACHINE_FULL,
    OWN,
    PUBSUB,
    ScriptedStream,
    error,
    normal,
    vm_command,
)

NODE = f"/archipel/{MACHINE}/events"
META = f"<iq type='get' to='{PUBSUB}'><query xmlns='{ns.DISCO_INFO}' node='{NODE}'/></iq>"
SUBSCRIPTIONS = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{NODE}'/></pubsub></iq>"
SUBSCRIBE = f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscribe node='{NODE}' jid='{OWN}'/></pubsub></iq>"
BEGIN = Resynced(MACHINE, Reason.BEGIN)


def owned_by(*jids: str) -> str:
    values = "".join(f"<value>{jid}</value>" for jid in jids)
    return f"<query xmlns='{ns.DISCO_INFO}'><x xmlns='{ns.DATA_FORMS}'><field var='pubsub#owner'>{values}</field></x></query>"


def push(sequence: int, epoch: str = "e1", change: str = "created", sender: str = PUBSUB, node: str = NODE) -> str:
    attributes = f"date='2026-01-02 03:04:05.000006' change='{change}' sequence='{sequence}' epoch='{epoch}'"
    item = f"<item id='x'><push xmlns='{ns.PUSH_PREFIX}virtualmachine:control' {attributes}/></item>"
    return (
        f"<message type='headline' from='{sender}'><event xmlns='{ns.PUBSUB_EVENT}'><items node='{node}'>{item}</items></event></message>"
    )


@pytest.fixture
def node(stream: ScriptedStream) -> ScriptedStream:
    """The platform's side: an events node that this account may read."""
    stream.answer(META, owned_by(MACHINE))
    stream.answer(SUBSCRIPTIONS, f"<pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{NODE}'/></pubsub>")
    stream.answer(SUBSCRIBE, "")
    return stream


@pytest.fixture
async def events(session: Session, node: ScriptedStream) -> AsyncIterator[Events]:
    async with session.events([MACHINE_FULL]) as events:
        yield events


async def read(events: Events) -> list[Event]:
    """Return the events that wait."""
    found = []
    while (event := await events.wait(0.001)) is not None:
        found.append(event)
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the script sets no event
            await asyncio.sleep(0)


def summary(events: list[Event]) -> list[object]:
    return [event.push.sequence if isinstance(event, Pushed) else event.reason for event in events if isinstance(event, Pushed | Resynced)]


async def test_listening_subscribes_the_account_and_asks_for_presence(events: Events, stream: ScriptedStream) -> None:
    assert [normal(META), normal(SUBSCRIPTIONS), normal(SUBSCRIBE)] == stream.asked
    assert normal("<presence><priority>0</priority></presence>") in stream.sent
    assert normal(f"<presence to='{MACHINE}'/>") in stream.sent
    assert await read(events) == [BEGIN]


async def test_presences_alone_need_no_subscription_and_take_nobodys_messages(session: Session, stream: ScriptedStream) -> None:
    async with session.events([MACHINE], pushes=False):
        assert stream.asked == []
        assert normal("<presence><priority>-1</priority></presence>") in stream.sent


async def test_who_wants_pushes_later_gets_a_session_that_hears_them(session: Session, stream: ScriptedStream) -> None:
    session.become_available(hear_pushes=False)
    session.become_available(hear_pushes=True)
    session.become_available(hear_pushes=False)
    assert stream.sent == [normal(f"<presence><priority>{priority}</priority></presence>") for priority in (-1, 0)]


async def test_pushes_in_order_are_passed_on(events: Events, stream: ScriptedStream) -> None:
    for sequence in (4, 5, 6):
        stream.deliver(push(sequence))
    assert summary(await read(events)) == [Reason.BEGIN, 4, 5, 6]


async def test_a_gap_is_told_before_the_push_after_it(events: Events, stream: ScriptedStream) -> None:
    for sequence in (1, 3, 4):
        stream.deliver(push(sequence))
    assert summary(await read(events)) == [Reason.BEGIN, 1, Reason.GAP, 3, 4]


async def test_a_new_epoch_is_told_before_its_first_push(events: Events, stream: ScriptedStream) -> None:
    stream.deliver(push(9))
    stream.deliver(push(1, "e2"))
    assert summary(await read(events)) == [Reason.BEGIN, 9, Reason.RESTARTED, 1]


async def test_a_push_that_comes_twice_counts_once(events: Events, stream: ScriptedStream) -> None:
    for sequence in (1, 2, 2, 1, 3):
        stream.deliver(push(sequence))
    assert summary(await read(events)) == [Reason.BEGIN, 1, 2, 3]


async def test_pushes_of_founding_agents_have_no_numbers_and_pass(events: Events, stream: ScriptedStream) -> None:
    for _ in range(2):
        stream.deliver(push(0, ""))
    assert summary(await read(events)) == [Reason.BEGIN, 0, 0]


async def test_what_a_state_includes_is_not_told_again(events: Events, stream: ScriptedStream) -> None:
    stream.deliver(push(4))
    events.synced(MACHINE_FULL, "e1", 5)
    stream.deliver(push(5))
    stream.deliver(push(6))
    assert summary(await read(events)) == [Reason.BEGIN, 6]


async def test_a_gap_right_after_a_state_that_was_read_is_noticed(events: Events, stream: ScriptedStream) -> None:
    events.synced(MACHINE, "e1", 5)
    stream.deliver(push(8))
    assert summary(await read(events)) == [Reason.BEGIN, Reason.GAP, 8]


@pytest.mark.parametrize(
    "message",
    [
        push(1, sender="eve@example.org/x"),
        push(1, sender="pubsub.evil.example"),
        push(1, node="/archipel/eve@example.org/events"),
        push(1, node="/archipel/tags"),
        push(1).replace("date='2026", "date='x"),
        push(1).replace("sequence='1'", "sequence='many'"),
        push(1).replace("archipel:push:", "archipel:pull:"),
        "<message from='example.org'><body>Maintenance tonight</body></message>",
        "<message/>",
    ],
)
async def test_forged_and_unreadable_pushes_are_not_heard(events: Events, stream: ScriptedStream, message: str) -> None:
    stream.deliver(message)
    assert await read(events) == [BEGIN]


async def test_a_node_that_somebody_else_owns_is_not_trusted(session: Session, stream: ScriptedStream) -> None:
    stream.answer(META, owned_by("eve@example.org"))
    async with session.events([MACHINE]) as events:
        (refused,) = await read(events)
        assert isinstance(refused, SubscriptionRefused)
        assert "belongs to eve@example.org" in str(refused.error)
        stream.deliver(push(1))
        assert await read(events) == []


async def test_a_refused_subscription_is_told_once_and_tried_again_when_the_entity_shows_itself(
    session: Session, node: ScriptedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "LOOK_SOON", 0)
    node.replace(SUBSCRIBE, error("not-allowed"), error("not-allowed"), "")
    async with session.events([MACHINE]) as events:
        (refused,) = await read(events)
        assert isinstance(refused, SubscriptionRefused)
        node.deliver(f"<presence from='{MACHINE_FULL}'/>")
        assert await read(events) == [PresenceChanged(MACHINE, Status(None, ""))]
        node.deliver(f"<presence from='{MACHINE_FULL}'><show>away</show></presence>")
        assert await read(events) == [PresenceChanged(MACHINE, Status("away", "")), BEGIN]


async def test_a_push_of_an_entity_that_seemed_away_lets_it_be_greeted(
    session: Session, node: ScriptedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "LOOK_SOON", 0)
    async with session.events([MACHINE]) as events:
        node.deliver(f"<presence from='{MACHINE_FULL}'/>")
        node.deliver(f"<presence type='unavailable' from='{MACHINE_FULL}'/>")
        await read(events)
        node.sent.clear()
        node.deliver(push(1))
        await read(events)
        assert normal(f"<presence to='{MACHINE}'/>") in node.sent


async def test_presences_are_told_when_they_change(events: Events, stream: ScriptedStream) -> None:
    await read(events)
    for text in ("<show>xa</show><status>Off</status>",) * 2 + ("<status>Running</status>",):
        stream.deliver(f"<presence from='{MACHINE_FULL}'>{text}</presence>")
    stream.deliver("<presence from='bob@example.org/x'/>")
    assert await read(events) == [PresenceChanged(MACHINE, Status("xa", "Off")), PresenceChanged(MACHINE, Status(None, "Running"))]


async def test_an_entity_that_was_away_must_be_asked_anew(events: Events, stream: ScriptedStream) -> None:
    stream.deliver(f"<presence from='{MACHINE_FULL}'/>")
    await read(events)
    stream.deliver(f"<presence type='unavailable' from='{MACHINE_FULL}'/>")
    stream.deliver(f"<presence from='{MACHINE_FULL}'/>")
    assert await read(events) == [
        PresenceChanged(MACHINE, None),
        PresenceChanged(MACHINE, Status(None, "")),
        Resynced(MACHINE, Reason.RETURNED),
    ]


async def test_an_entity_that_is_away_is_greeted_again(session: Session, node: ScriptedStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "FIRST_LOOK", 0.001)
    greeting = normal(f"<presence to='{MACHINE}'/>")
    async with session.events([MACHINE]):
        await until(lambda: node.sent.count(greeting) >= 3)
    assert node.asked.count(normal(SUBSCRIBE)) == 1


async def test_what_entities_say_is_an_event(events: Events, stream: ScriptedStream) -> None:
    await read(events)
    stream.deliver(f"<message type='headline' from='{MACHINE_FULL}'><body>I was made</body></message>")
    stream.deliver("<message type='chat' from='bob@example.org/x'><body>hi</body></message>")
    assert await read(events) == [Said(MACHINE, "I was made")]


async def test_entities_can_join_later(session: Session, node: ScriptedStream) -> None:
    async with session.events([]) as events:
        assert await read(events) == []
        await events.add(MACHINE_FULL)
        node.deliver(push(1))
        assert summary(await read(events)) == [Reason.BEGIN, 1]


async def test_a_reader_who_is_too_slow_is_told_to_ask(session: Session, node: ScriptedStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MOST_WAITING", 3)
    async with session.events([MACHINE]) as events:
        for sequence in range(1, 5):
            node.deliver(push(sequence))
        assert summary(await read(events)) == [Reason.OVERFLOW, 4]


async def test_iterating_opens_by_itself(session: Session, node: ScriptedStream) -> None:
    events = session.events([MACHINE])
    async for event in events:
        assert event == BEGIN
        break
    await events.aclose()
    assert session.feeds == set()


async def test_a_lost_session_ends_the_iteration(events: Events, stream: ScriptedStream) -> None:
    await read(events)
    stream.break_off("the server stopped")
    for _ in range(2):
        with pytest.raises(Disconnected, match="the server stopped"):
            await anext(events)


async def test_a_session_that_reconnects_subscribes_again_and_says_so(settings: ConnectionSettings, node: ScriptedStream) -> None:
    async with (
        Session(settings, reconnect=True, stream=cast(Stream, node)) as session,
        session.events([MACHINE]) as events,
    ):
        node.deliver(f"<presence from='{MACHINE_FULL}'/>")
        await read(events)
        node.asked.clear()
        node.sent.clear()
        node.break_off()
        assert await events.wait(10) == Resynced(MACHINE, Reason.RECONNECTED)
        assert len(node.logins) == 2
        assert node.asked == [normal(META), normal(SUBSCRIPTIONS), normal(SUBSCRIBE)]
        assert node.sent[:2] == [normal("<presence><priority>0</priority></presence>"), normal(f"<presence to='{MACHINE}'/>")]


# -- waiting for a state ------------------------------------------------------------------------------------------------

INFO = vm_command("get", "<archipel action='info'/>")


def info(state: int) -> str:
    attributes = f"state='{state}' maxMem='65536' memory='65536' nrVirtCpu='1' hypervisor='hyp@example.org/host' autostart='0'"
    return f"<query xmlns='{ns.VM_CONTROL}'><info {attributes}/></query>"


async def test_a_machine_in_the_wanted_state_is_asked_once(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(INFO, info(1))
    found = await machine.wait_for_state(MachineState.RUNNING, MachineState.PAUSED)
    assert found is not None
    assert found.state == 1
    assert stream.asked == [normal(INFO)]


async def test_a_presence_says_when_to_ask_again(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(INFO, info(1), info(5))
    wait = asyncio.create_task(machine.wait_for_state(MachineState.OFF))
    await until(lambda: bool(stream.sent))
    assert stream.asked == [normal(INFO)]
    stream.deliver(f"<presence from='{MACHINE_FULL}'><show>xa</show><status>Off</status></presence>")
    found = await wait
    assert found is not None
    assert found.state == 5


async def test_without_any_hint_the_machine_is_asked_now_and_then(
    machine: VirtualMachine, stream: ScriptedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archipel.client.virtual_machine.SAFETY_POLL", 0.001)
    stream.answer(INFO, info(1), info(4), NoAnswer("slow"), f"<query xmlns='{ns.VM_CONTROL}'/>")
    assert await machine.wait_for_state(MachineState.NOT_DEFINED) is None
    assert len(stream.asked) == 4


async def test_a_wait_in_vain_says_what_was_seen(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(INFO, info(3))
    with pytest.raises(WaitTimedOut, match=r"was not running or off within 0\.01 s; it was last seen paused"):
        await machine.wait_for_state(MachineState.RUNNING, MachineState.OFF, timeout=0.01)


async def test_a_wait_ends_with_the_session(machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(INFO, info(1))
    wait = asyncio.create_task(machine.wait_for_state(MachineState.OFF))
    await until(lambda: bool(stream.sent))
    stream.break_off()
    with pytest.raises(Disconnected):
        await wait
