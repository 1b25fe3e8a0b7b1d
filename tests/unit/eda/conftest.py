# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source as ansible-rulebook runs it, on a scripted wire: a hypervisor with two machines."""

from __future__ import annotations

import asyncio
import contextlib
import runpy
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from archipel.client import session as session_module
from archipel.protocol import namespaces as ns
from archipel.protocol.events import TAGS_NODE, events_node
from tests.unit.client.conftest import stream
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, OWN, PUBSUB, UUID, ScriptedStream, command

__all__ = ["stream"]

OTHER = UUID[:-1] + "2"
OTHER_MACHINE = f"{OTHER}@example.org"
LIST = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>")
TAGS = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'/></pubsub></iq>"
SECONDS = 10  # for what takes a moment


def item(uuid: str, name: str) -> str:
    return f"<item name='{name}' managed='True'>{uuid}@example.org/hyp</item>"


def listing(*items: str) -> str:
    return f"<query xmlns='{ns.HYPERVISOR_CONTROL}'>{''.join(items)}</query>"


def tags(words: Mapping[str, str] | None = None) -> str:
    """Return the tags node: what each account has."""
    items = "".join(f"<item id='{jid}'><tag jid='{jid}' tags='{value}'/></item>" for jid, value in (words or {}).items())
    return f"<pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'>{items}</items></pubsub>"


def push(
    entity: str, sequence: int, change: str = "created", topic: str = "virtualmachine:control", epoch: str = "e1", by: str = ""
) -> str:
    """Return a push as the service delivers it."""
    attributes = f"date='2026-01-02 03:04:05.000006' change='{change}' sequence='{sequence}' epoch='{epoch}'" + (
        f" by='{by}'" if by else ""
    )
    item = f"<item id='x'><push xmlns='{ns.PUSH_PREFIX}{topic}' {attributes}/></item>"
    return notification(entity, item)


def notification(entity: str, item: str) -> str:
    event = f"<event xmlns='{ns.PUBSUB_EVENT}'><items node='{events_node(entity)}'>{item}</items></event>"
    return f"<message type='headline' from='{PUBSUB}'>{event}</message>"


def let_listen(stream: ScriptedStream, entity: str) -> None:
    """Let this account hear an entity's pushes."""
    node = events_node(entity)
    owner = f"<x xmlns='{ns.DATA_FORMS}'><field var='pubsub#owner'><value>{entity}</value></field></x>"
    stream.answer(
        f"<iq type='get' to='{PUBSUB}'><query xmlns='{ns.DISCO_INFO}' node='{node}'/></iq>",
        f"<query xmlns='{ns.DISCO_INFO}'>{owner}</query>",
    )
    stream.answer(
        f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{node}'/></pubsub></iq>",
        f"<pubsub xmlns='{ns.PUBSUB}'><subscriptions node='{node}'/></pubsub>",
    )
    stream.answer(f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><subscribe node='{node}' jid='{OWN}'/></pubsub></iq>", "")


@pytest.fixture
def platform(stream: ScriptedStream, monkeypatch: pytest.MonkeyPatch) -> ScriptedStream:
    """The wire: who logs in meets a hypervisor that is online, and its machines, which run."""
    monkeypatch.setattr(session_module, "_open_stream", lambda _settings, **_options: stream)
    monkeypatch.setenv("ARCHIPEL_PASSWORD", "secret-word")
    for name in ("JID", "HYPERVISOR", "PROFILE", "HOST", "PORT", "PASSWORD_FILE", "CA_FILE", "PUBSUB_SERVICE"):
        monkeypatch.delenv(f"ARCHIPEL_{name}", raising=False)
    for entity in (HYPERVISOR, MACHINE, OTHER_MACHINE):
        let_listen(stream, entity)
    stream.answer(LIST, listing(item(UUID, "web"), item(OTHER, "db")))
    stream.answer(TAGS, tags())
    online = {HYPERVISOR: HYPERVISOR_FULL, MACHINE: MACHINE_FULL, OTHER_MACHINE: f"{OTHER_MACHINE}/hyp"}

    def greet_back(text: str) -> None:
        for bare, full in online.items():
            if f'to="{bare}"' in text and "probe" not in text:
                words = "Online (2)" if bare == HYPERVISOR else "Running"
                stream.deliver_soon(f"<presence from='{full}'><status>{words}</status></presence>")

    stream.answers_to = greet_back
    return stream


class Listener:
    """A rulebook's side: takes events out of the queue, when it likes."""

    def __init__(self, queue: asyncio.Queue[dict[str, Any]], task: asyncio.Task[None]) -> None:
        self.queue = queue
        self.task = task

    async def take(self) -> dict[str, Any]:
        """Return the next event."""
        async with asyncio.timeout(SECONDS):
            getting = asyncio.ensure_future(self.queue.get())
            done, _ = await asyncio.wait({getting, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if getting not in done:
                getting.cancel()
                await self.task
            return getting.result()

    async def take_until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first event for which the condition holds."""
        while True:
            event = await self.take()
            if condition(event):
                return event

    async def settle(self, hosts: int = 3) -> None:
        """Take the events of the beginning: of each host one that it is listened to."""
        begun: set[str] = set()
        while len(begun) < hosts:
            event = await self.take()
            if event["type"] == "resync":
                begun.add(event["host"]["jid"])
        while not self.queue.empty():
            self.queue.get_nowait()
            await asyncio.sleep(0)


Start = Callable[..., Any]


@pytest.fixture
def main(root: Path) -> Callable[..., Any]:
    """The plugin's entry point, loaded as ansible-rulebook loads it."""
    return runpy.run_path(str(root / "extensions" / "eda" / "plugins" / "event_source" / "xmpp.py"))["main"]


@pytest.fixture
async def listen(main: Callable[..., Any], platform: ScriptedStream) -> AsyncIterator[Start]:
    """Start the source with some options; ``size`` is the queue's."""
    async with contextlib.AsyncExitStack() as stack:

        async def end(task: asyncio.Task[None]) -> None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

        def start(size: int = 0, **options: Any) -> Listener:
            queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(size)
            given = {"xmpp_jid": OWN, "xmpp_host": "192.0.2.1", "hypervisors": [HYPERVISOR], **options}
            task = asyncio.create_task(main(queue, {name: value for name, value in given.items() if value is not None}))
            stack.push_async_callback(end, task)
            return Listener(queue, task)

        yield start
