# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever others send: a typed answer or a typed error, never anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.client.errors import ClientError, MalformedAnswer
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings
from archipel.protocol import every_entity, hypervisor, virtual_machine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError
from archipel.protocol.payload import Payload, Request
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE, MACHINE_FULL, OWN, PUBSUB, ScriptedStream, on_the_wire

TAGS = ("info", "item", "domain", "network", "permission", "virtualmachine", "ip", "nodeinfo", "tag", "not-defined", "query", "error", "x")
NAMES = (
    "state", "maxMem", "memory", "nrVirtCpu", "hypervisor", "autostart", "id", "name", "jid", "managed", "tags", "default", "type", "code",
    "sequence", "epoch", "date", "change", "node", "var", "from", "subscription", "model", "mHzCPU",
)  # fmt: skip
HOSTILE = st.sampled_from(
    ["", " ", "-1", "1e9", "9" * 30, "True", "oui", "\u0661", MACHINE_FULL, "a@b@c", "@", "/", "x" * 5000, "\u202e", "None", "0x10", "1_0"]
) | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
NAMESPACES = st.sampled_from(
    ["", *(f"{{{space}}}" for space in (ns.CLIENT, ns.VM_CONTROL, ns.PERMISSIONS, ns.PUBSUB, ns.PUBSUB_EVENT, ns.DATA_FORMS, ns.VCARD))]
)


@st.composite
def elements(draw: st.DrawFn, tags: tuple[str, ...] = TAGS, depth: int = 3) -> ET.Element:
    attributes = draw(st.dictionaries(st.sampled_from(NAMES), HOSTILE, max_size=6))
    element = ET.Element(draw(NAMESPACES) + draw(st.sampled_from(tags)), attributes)
    element.text = draw(HOSTILE)
    if depth:
        element.extend(draw(st.lists(elements(tags, depth - 1), max_size=3)))
    return element


async def with_session(work: Callable[[Session, ScriptedStream], Coroutine[Any, Any, None]]) -> None:
    stream = ScriptedStream()
    async with Session(ConnectionSettings(jid=OWN, password="secret-word"), stream=cast(Stream, stream)) as session:
        await work(session, stream)


async def assert_read_or_refused(asking: Awaitable[object]) -> object:
    """Return what was read, None if it could not be; any other error fails the test."""
    try:
        return await asking
    except MalformedAnswer as error:
        assert error.jid in {MACHINE, MACHINE_FULL, HYPERVISOR_FULL}  # noqa: PT017 - no error is right too
        return None


REQUESTS: list[Request[Any]] = [
    every_entity.ListRights(),
    every_entity.GetRights(permission_target="bob@example.org"),
    every_entity.GetRoster(),
    every_entity.SetTags(tags="a"),
    hypervisor.Alloc(name="web"),
    hypervisor.RosterVM(),
    hypervisor.GetAddress(),
    hypervisor.GetHostCapabilities(),
    hypervisor.GetNodeInfo(),
    virtual_machine.GetInfo(),
    virtual_machine.Create(),
    virtual_machine.GetDescription(),
    virtual_machine.GetNetworkInfo(),
]


@settings(max_examples=200)
@given(request_=st.sampled_from(REQUESTS), answer=elements())
def test_any_answer_is_typed_or_a_malformed_answer(request_: Request[Any], answer: ET.Element) -> None:
    answer.tag = f"{{{request_.namespace}}}query"

    async def work(session: Session, stream: ScriptedStream) -> None:
        stream.anything = answer
        read = await assert_read_or_refused(session.ask(MACHINE_FULL, request_))
        assert read is None or isinstance(read, tuple | ET.Element | Payload)

    asyncio.run(with_session(work))


@given(answer=elements())
def test_any_list_of_machines_is_read_or_refused(answer: ET.Element) -> None:
    async def work(session: Session, stream: ScriptedStream) -> None:
        stream.anything = answer
        host, machine = session.hypervisor(HYPERVISOR_FULL), session.machine(MACHINE_FULL)
        for asking in (host.machines(), host.alloc("web"), machine.definition(), machine.state()):
            await assert_read_or_refused(asking)

    answer.tag = "query"
    asyncio.run(with_session(work))


@given(answer=elements())
def test_any_vcard_roster_and_tags_node_is_read_or_refused(answer: ET.Element) -> None:
    async def work(session: Session, stream: ScriptedStream) -> None:
        stream.anything = answer
        for asking in (session.vcard(MACHINE), session.contacts(), session.tags()):
            await assert_read_or_refused(asking)

    asyncio.run(with_session(work))


@given(errors=st.lists(elements(), max_size=2), condition=st.sampled_from(["forbidden", "conflict", "nonsense"]))
def test_any_error_is_a_typed_one(errors: list[ET.Element], condition: str) -> None:
    error = ET.Element(f"{{{ns.CLIENT}}}error", {"code": "x"})
    error.append(ET.Element(f"{{{ns.STANZAS}}}{condition}"))
    error.extend(errors)

    async def work(session: Session, stream: ScriptedStream) -> None:
        stream.anything = f"<error>{''.join(on_the_wire(child) for child in error)}</error>"
        with pytest.raises((CommandError, ClientError)):
            await session.ask(MACHINE_FULL, virtual_machine.Create())

    asyncio.run(with_session(work))


@given(
    kind=st.sampled_from(["message", "presence", "iq"]),
    sender=st.sampled_from([MACHINE_FULL, MACHINE, PUBSUB, "", "eve@example.org/x", "a b@c", "example.org"]),
    type_=st.sampled_from([None, "chat", "headline", "error", "unavailable", "subscribe", "get", "set"]),
    children=st.lists(elements((*TAGS, "event", "items", "push", "body", "show", "status", "retract", "thread")), max_size=3),
)
def test_anything_that_comes_in_leaves_the_session_usable(kind: str, sender: str, type_: str | None, children: list[ET.Element]) -> None:
    element = ET.Element(f"{{{ns.CLIENT}}}{kind}", {"from": sender} | ({"type": type_} if type_ else {}))
    element.extend(children)

    async def work(session: Session, stream: ScriptedStream) -> None:
        async with session.events([MACHINE], pushes=False) as events:
            stream.take(element)
            assert await events.wait(0) is None or kind != "iq"

    asyncio.run(with_session(work))
