# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A standing session: each request gets the answer of whom it asked, or an error, and never somebody else's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import pytest

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, PermissionDenied
from archipel.xmpp import stanzas
from archipel.xmpp.errors import Disconnected, NoAnswer
from archipel.xmpp.stream import Stream
from tests.unit.xmpp.scripted_server import BARE, DOMAIN, FULL, Client, ScriptedServer

PEER = "web@lab.example/hyp"
SOON = 0.1  # seconds for answers that do not come


@pytest.fixture
async def client(server: ScriptedServer, stream: Stream) -> Client:
    """The server's end of the session of ``stream``."""
    await stream.login("127.0.0.1", server.port)
    return await server.client()


def ask(stream: Stream, to: str | None = PEER, timeout: float = 30) -> asyncio.Task[ET.Element]:
    iq = stanzas.iq("get", to, stanzas.query("urn:x"))
    return asyncio.ensure_future(stream.request(iq, timeout))


@contextlib.asynccontextmanager
async def still_waiting(pending: asyncio.Task[ET.Element], client: Client, stream: Stream) -> AsyncIterator[None]:
    """Check that what the body makes the server send ends neither ``pending`` nor the session."""
    yield
    await take_message(client, stream)
    assert not pending.done()


async def take_message(client: Client, stream: Stream) -> None:
    """Have a message come in, after which all that was sent before it has been dealt with."""
    arrived = asyncio.get_running_loop().create_future()
    stream.on_message = arrived.set_result
    client.send("<message/>")
    await asyncio.wait({arrived, stream.lost}, return_when=asyncio.FIRST_COMPLETED)
    assert arrived.done(), await stream.lost


async def test_a_request_gets_its_answer(stream: Stream, client: Client) -> None:
    pending = ask(stream)
    asked = await client.stanza()
    assert (asked.get("type"), asked.get("to")) == ("get", PEER)
    client.answer(asked, "<query xmlns='urn:x'><item/></query>", from_=PEER)
    assert (await pending)[0][0].tag == "{urn:x}item"


async def test_requests_have_different_ids_and_answers_may_come_in_any_order(stream: Stream, client: Client) -> None:
    first, second = ask(stream), ask(stream)
    asked = [await client.stanza(), await client.stanza()]
    assert asked[0].get("id") != asked[1].get("id")
    for number in (1, 0):
        client.answer(asked[number], f"<query xmlns='urn:{number}'/>", from_=PEER)
    assert (await first)[0].tag == "{urn:0}query"
    assert (await second)[0].tag == "{urn:1}query"


async def test_an_error_is_raised_as_what_it_is(stream: Stream, client: Client) -> None:
    pending = ask(stream)
    application = f"<archipel-error-permission xmlns='{ns.ERROR_PERMISSION}' right='info'/>"
    error = f"<error code='-1' type='cancel'><forbidden xmlns='{ns.STANZAS}'/>{application}</error>"
    client.answer(await client.stanza(), error, "error", from_=PEER)
    with pytest.raises(PermissionDenied) as refused:
        await pending
    assert refused.value.right == "info"


async def test_an_error_of_the_server_in_the_name_of_whom_was_asked_counts(stream: Stream, client: Client) -> None:
    pending = ask(stream)
    error = f"<error type='cancel'><service-unavailable xmlns='{ns.STANZAS}'/></error>"
    client.answer(await client.stanza(), error, "error", from_=PEER)
    with pytest.raises(CommandError) as failed:
        await pending
    assert failed.value.condition == Condition.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("sender", ["eve@lab.example/x", "web@lab.example", "web@lab.example/other", DOMAIN, BARE, None])
async def test_an_answer_from_somebody_else_is_ignored(stream: Stream, client: Client, sender: str | None) -> None:
    pending = ask(stream)
    asked = await client.stanza()
    async with still_waiting(pending, client, stream):
        client.answer(asked, "<forged/>", **({} if sender is None else {"from_": sender}))
    client.answer(asked, "<true/>", from_=PEER)
    assert (await pending)[0].tag.endswith("true")


@pytest.mark.parametrize(
    "to,sender", [(None, None), (None, BARE), (None, FULL), (None, DOMAIN), (BARE, None), (BARE, BARE), (DOMAIN, None), (DOMAIN, DOMAIN)]
)
async def test_the_own_server_answers_for_account_and_domain(stream: Stream, client: Client, to: str | None, sender: str | None) -> None:
    pending = ask(stream, to)
    client.answer(await client.stanza(), "<own/>", **({} if sender is None else {"from_": sender}))
    assert (await pending)[0].tag.endswith("own")


async def test_addresses_are_compared_as_addresses(stream: Stream, client: Client) -> None:
    pending = ask(stream, "Web@LAB.example/hyp")
    client.answer(await client.stanza(), "<own/>", from_=PEER)
    assert (await pending).get("from") == PEER


async def test_an_address_that_is_none_answers_nothing(stream: Stream, client: Client) -> None:
    pending = ask(stream)
    asked = await client.stanza()
    async with still_waiting(pending, client, stream):
        client.answer(asked, "<forged/>", from_="@@//")
    client.answer(asked, "<true/>", from_=PEER)
    assert (await pending)[0].tag.endswith("true")


async def test_without_an_answer_in_time_there_is_none(stream: Stream, client: Client) -> None:
    pending = ask(stream, timeout=SOON)
    asked = await client.stanza()
    with pytest.raises(NoAnswer, match=f"{PEER} did not answer within 0.1 s"):
        await pending
    other = ask(stream)
    again = await client.stanza()
    async with still_waiting(other, client, stream):
        client.answer(asked, "<late/>", from_=PEER)
    client.answer(again, "<true/>", from_=PEER)
    assert (await other)[0].tag.endswith("true")


async def test_a_second_answer_is_ignored(stream: Stream, client: Client) -> None:
    pending = ask(stream)
    asked = await client.stanza()
    client.answer(asked, "<first/>", from_=PEER)
    client.answer(asked, "<second/>", from_=PEER)
    assert (await pending)[0].tag.endswith("first")


async def test_answers_and_errors_are_never_taken_for_requests(stream: Stream, client: Client) -> None:
    """The founders executed them, and two agents could answer each other's errors for ever."""
    taken: list[str | None] = []
    stream.on_request = lambda iq: taken.append(iq.get("id"))
    query = f"<query xmlns='{ns.HYPERVISOR_CONTROL}'><archipel action='alloc'/></query>"
    for kind in ("get", "set", "result", "error", "ignore", ""):
        client.send(f"<iq type='{kind}' id='{kind}' from='{PEER}'>{query}</iq>")
    await take_message(client, stream)
    assert taken == ["get", "set"]


async def test_messages_and_presences_go_where_they_belong(stream: Stream, client: Client) -> None:
    messages: asyncio.Queue[ET.Element] = asyncio.Queue()
    presences: asyncio.Queue[ET.Element] = asyncio.Queue()
    stream.on_message, stream.on_presence = messages.put_nowait, presences.put_nowait
    client.send("<presence from='a@b'/><message from='c@d'><body>x</body></message>")
    assert (await presences.get()).get("from") == "a@b"
    assert (await messages.get()).findtext(f"{{{ns.CLIENT}}}body") == "x"


async def test_a_handler_that_fails_takes_nothing_from_the_next_stanza(stream: Stream, client: Client) -> None:
    def fail(_iq: ET.Element) -> None:
        raise RuntimeError("a fault of ours")

    stream.on_request = fail
    client.send("<iq type='get' id='1' from='a@b'/>")
    await take_message(client, stream)
    assert stream.online


# -- the end ------------------------------------------------------------------------------------------------------------


async def test_a_cut_connection_fails_what_waits(stream: Stream, client: Client) -> None:
    pending = ask(stream)
    await client.stanza()
    client.cut()
    with pytest.raises(Disconnected):
        await pending
    assert not (await stream.lost).conflict
    assert not stream.online


async def test_nothing_is_asked_without_a_session(stream: Stream) -> None:
    with pytest.raises(Disconnected, match="not connected"):
        await stream.request(stanzas.iq("get", PEER))


async def test_a_login_elsewhere_is_told_as_a_conflict(stream: Stream, client: Client) -> None:
    condition = "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    client.send(f"<stream:error>{condition}</stream:error></stream:stream>")
    lost = await stream.lost
    assert lost.conflict
    assert "conflict" in lost.reason


async def test_a_logout_ends_the_stream_and_what_waits(stream: Stream, client: Client) -> None:
    pending = ask(stream)
    await client.stanza()
    leaving = asyncio.ensure_future(stream.logout())
    with pytest.raises(ConnectionResetError, match="ended its stream"):
        await client.stanza()
    await leaving
    with pytest.raises(Disconnected):
        await pending
    assert not stream.online


async def test_a_session_after_a_lost_one_is_as_good(server: ScriptedServer, stream: Stream, client: Client) -> None:
    client.cut()
    await stream.lost
    assert await stream.login("127.0.0.1", server.port) is False
    client = await server.client()
    pending = ask(stream)
    client.answer(await client.stanza(), from_=PEER)
    await pending
    assert not stream.lost.done()


async def test_what_is_sent_between_two_sessions_goes_out_with_the_next(server: ScriptedServer, stream: Stream, client: Client) -> None:
    client.cut()
    await stream.lost
    for number in range(3):
        stream.transmit(stanzas.chat(PEER, str(number)))
    await stream.login("127.0.0.1", server.port)
    client = await server.client()
    assert [(await client.stanza())[0].text for _ in range(3)] == ["0", "1", "2"]


async def test_a_full_jid_is_bound_as_asked(stream: Stream, client: Client) -> None:
    assert client.received.count(FULL.partition("/")[2]) == 1


async def test_a_stanza_with_a_long_tag_is_taken_when_its_end_is_there(client: Client, stream: Stream) -> None:
    """expat 2.6 and newer would wait for the next stanza."""
    arrived = asyncio.get_running_loop().create_future()
    stream.on_message = arrived.set_result
    client.send(f"<message from='{PEER}' id='{'x' * 50_000}")
    await asyncio.sleep(SOON)
    client.send("'/>")
    async with asyncio.timeout(30):
        assert len((await arrived).get("id", "")) == 50_000


async def test_a_stream_that_is_no_xml_ends_the_session(client: Client, stream: Stream) -> None:
    client.send("<message <>")
    async with asyncio.timeout(30):
        assert not (await stream.lost).conflict
    assert not stream.online
