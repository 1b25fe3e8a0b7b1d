# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that is taken up again after a cut (XEP-0198): nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import pytest

from archipel.protocol.xml import local_name
from archipel.xmpp import direct, stanzas
from archipel.xmpp import stream as module
from archipel.xmpp.errors import Disconnected, LoginFailed
from archipel.xmpp.stream import Stream
from tests.unit.xmpp.scripted_server import (
    BIND_FEATURE,
    FULL,
    PASSWORD,
    SM,
    STARTTLS,
    Client,
    ScriptedServer,
    authenticate,
    be_honest,
    mechanisms,
    start_session,
)

PEER = "web@lab.example/hyp"


@pytest.fixture
async def stream(client_tls: ssl.SSLContext) -> AsyncIterator[Stream]:
    stream = Stream(FULL, PASSWORD, client_tls, resume=True)
    yield stream
    stream.abort()


@pytest.fixture
async def client(server: ScriptedServer, stream: Stream) -> Client:
    server.resumable = True
    await stream.login("127.0.0.1", server.port)
    return await server.client()


async def come_back(server: ScriptedServer, stream: Stream) -> tuple[bool, Client]:
    await stream.lost
    resumed = await stream.login("127.0.0.1", server.port)
    return resumed, await server.client()


async def next_stanza(client: Client) -> ET.Element:
    """Return the next stanza, book-keeping aside."""
    while (element := await client.stanza()).tag.startswith(f"{{{SM}}}"):
        pass
    return element


async def test_a_cut_session_is_resumed_and_the_answer_that_was_on_its_way_arrives(
    server: ScriptedServer, stream: Stream, client: Client
) -> None:
    pending = asyncio.ensure_future(stream.request(stanzas.iq("get", PEER)))
    asked = await next_stanza(client)
    server.handled = 1
    client.cut()
    resumed, client = await come_back(server, stream)
    assert resumed
    assert not pending.done()
    client.answer(asked, from_=PEER)
    await pending


async def test_what_the_server_did_not_get_is_sent_again(server: ScriptedServer, stream: Stream, client: Client) -> None:
    for number in range(3):
        stream.transmit(stanzas.chat(PEER, str(number)))
    await next_stanza(client)
    server.handled = 1
    client.cut()
    await stream.lost
    stream.transmit(stanzas.chat(PEER, "3"))
    _, client = await come_back(server, stream)
    assert [(await next_stanza(client))[0].text for _ in range(3)] == ["1", "2", "3"]


async def test_a_request_made_during_the_cut_waits_for_the_resumption(server: ScriptedServer, stream: Stream, client: Client) -> None:
    client.cut()
    await stream.lost
    pending = asyncio.ensure_future(stream.request(stanzas.iq("get", PEER)))
    _, client = await come_back(server, stream)
    client.answer(await next_stanza(client), from_=PEER)
    assert (await pending).get("type") == "result"


async def test_a_server_that_forgot_the_session_fails_what_waits(server: ScriptedServer, stream: Stream, client: Client) -> None:
    pending = asyncio.ensure_future(stream.request(stanzas.iq("get", PEER)))
    await next_stanza(client)
    server.resumable = False
    client.cut()
    resumed, client = await come_back(server, stream)
    assert not resumed
    with pytest.raises(Disconnected):
        await pending
    again = asyncio.ensure_future(stream.request(stanzas.iq("get", PEER)))
    client.answer(await next_stanza(client), from_=PEER)
    await again


async def test_a_request_that_failed_is_not_sent_in_the_next_session_but_an_answer_is(
    server: ScriptedServer, stream: Stream, client: Client
) -> None:
    client.cut()
    await stream.lost
    pending = asyncio.ensure_future(stream.request(stanzas.iq("set", PEER)))
    await asyncio.sleep(0)
    stream.transmit(stanzas.result_of(stanzas.iq("set", PEER)))
    server.resumable = False
    _, client = await come_back(server, stream)
    with pytest.raises(Disconnected):
        await pending
    assert (await next_stanza(client)).get("type") == "result"


async def test_who_was_replaced_by_another_login_does_not_wait_for_answers(stream: Stream, client: Client) -> None:
    pending = asyncio.ensure_future(stream.request(stanzas.iq("get", PEER)))
    await next_stanza(client)
    condition = "<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    client.send(f"<stream:error xmlns:stream='http://etherx.jabber.org/streams'>{condition}</stream:error></stream:stream>")
    with pytest.raises(Disconnected):
        await pending
    assert (await stream.lost).conflict


async def test_the_server_is_told_how_much_arrived(stream: Stream, client: Client) -> None:
    stream.on_request = lambda iq: stream.transmit(stanzas.result_of(iq))
    client.send(f"<message/><presence/><r xmlns='{SM}'/><iq type='get' id='1' from='{PEER}'/>")
    told = [await client.stanza(), await client.stanza()]
    assert sorted(local_name(element.tag) for element in told) == ["a", "iq"]
    assert next(element.get("h") for element in told if local_name(element.tag) == "a") == "3"


async def test_the_server_is_asked_now_and_then_what_arrived(stream: Stream, client: Client) -> None:
    for number in range(40):
        stream.transmit(stanzas.chat(PEER, str(number)))
    seen = [local_name((await client.stanza()).tag) for _ in range(42)]
    assert seen.count("message") == 40
    assert seen.count("r") == 2


async def log_in_slowly(server: ScriptedServer, client: Client) -> None:
    """Take longer for the login than an answer to the server's wish for an acknowledgement may wait."""
    assert server.context is not None
    await client.open(STARTTLS)
    await client.start_tls(server.context)
    await asyncio.sleep(2 * direct.ACK_DELAY)
    await client.open(mechanisms(*server.mechanisms))
    await authenticate(server, client)
    await client.open(f"{BIND_FEATURE}<sm xmlns='{SM}'/>")
    await start_session(server, client)


async def test_what_the_server_wanted_to_know_before_the_cut_is_not_told_during_the_next_login(
    server: ScriptedServer, stream: Stream, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "ACK_DELAY", 0.2)
    arrived = asyncio.Event()
    stream.on_message = lambda _message: arrived.set()
    client.send(f"<r xmlns='{SM}'/><message/>")
    await arrived.wait()
    client.cut()
    server.script = log_in_slowly
    resumed, client = await come_back(server, stream)
    assert resumed
    assert f"<a xmlns='{SM}'" not in client.received


async def cut_at_resume(server: ScriptedServer, client: Client) -> None:
    """Take the login as far as the wish to resume, and break the connection instead of an answer."""
    assert server.context is not None
    await client.open(STARTTLS)
    await client.start_tls(server.context)
    await client.open(mechanisms(*server.mechanisms))
    await authenticate(server, client)
    await client.open(f"{BIND_FEATURE}<sm xmlns='{SM}'/>")
    await client.stanza()
    raise ConnectionResetError("cut")


@pytest.fixture
async def twice_cut(server: ScriptedServer, stream: Stream, client: Client) -> Stream:
    """A stream whose connection was cut again while its session was being resumed; something waits to be sent once more."""
    stream.transmit(stanzas.chat(PEER, "0"))
    await next_stanza(client)
    client.cut()
    await stream.lost
    server.script = cut_at_resume
    with pytest.raises(LoginFailed):
        await stream.login("127.0.0.1", server.port)
    server.script = be_honest
    return stream


async def test_a_session_survives_a_second_cut_while_it_is_being_resumed(server: ScriptedServer, twice_cut: Stream) -> None:
    assert await twice_cut.login("127.0.0.1", server.port)
    client = await server.client()
    assert (await next_stanza(client))[0].text == "0"
    twice_cut.transmit(stanzas.chat(PEER, "1"))
    assert (await next_stanza(client))[0].text == "1"


async def test_the_login_that_was_cut_while_it_resumed_does_nothing_in_the_next(server: ScriptedServer, twice_cut: Stream) -> None:
    server.resumable = False
    assert not await twice_cut.login("127.0.0.1", server.port)
    client = await server.client()
    twice_cut.transmit(stanzas.chat(PEER, "1"))
    while local_name((element := await client.stanza()).tag) != "message":
        assert local_name(element.tag) == "r", "the login before binds the resource, too"
    assert client.received.count("<bind ") == client.received.count("<enable ") == 1


async def read_all(client: Client) -> None:
    while True:
        await client.stanza()


async def end_of_stream(client: Client) -> None:
    with pytest.raises(ConnectionResetError, match="ended its stream"):
        await read_all(client)


async def test_a_logout_lets_the_server_read_the_farewell_before_the_connection_goes(stream: Stream, client: Client) -> None:
    """With something unread the connection would be reset, and the server keep the session as one that was cut."""
    for _ in range(200):
        client.send(f"<message><body>{'x' * 5000}</body></message>")
    leaving = asyncio.ensure_future(stream.logout())
    await asyncio.sleep(0.05)
    assert not leaving.done()
    await end_of_stream(client)
    await leaving
    assert not stream.online


async def test_a_server_that_says_no_goodbye_is_left_all_the_same(stream: Stream, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAREWELL_DEADLINE", 0.05)
    await stream.logout()
    assert not stream.online
    await end_of_stream(client)


async def test_what_comes_before_the_logout_is_left_to_the_server(stream: Stream, client: Client) -> None:
    taken: list[ET.Element] = []
    stream.on_request = taken.append
    stream.take_no_more()
    client.send(f"<iq type='set' id='1' from='{PEER}'/><r xmlns='{SM}'/>")
    leaving = asyncio.ensure_future(stream.logout())
    await end_of_stream(client)
    await leaving
    assert taken == []
    assert client.received.count("<a ") == client.received.count("h='0'") == 1


async def test_what_was_taken_is_acknowledged_before_the_farewell(stream: Stream, client: Client) -> None:
    """The server returns all else to the senders, and who got an answer would get an error after it."""
    taken = asyncio.Event()
    stream.on_request = lambda _iq: taken.set()
    client.send(f"<iq type='set' id='1' from='{PEER}'/>")
    await taken.wait()
    leaving = asyncio.ensure_future(stream.logout())
    await end_of_stream(client)
    await leaving
    assert client.received.endswith(f"<a xmlns='{SM}' h='1'/></stream:stream>")


async def test_who_takes_no_more_still_hears_the_answers_that_he_waits_for(stream: Stream, client: Client) -> None:
    """Work that is undone before the logout asks the server for it."""
    pending = asyncio.ensure_future(stream.request(stanzas.iq("set", PEER)))
    asked = await next_stanza(client)
    stream.take_no_more()
    client.answer(asked, from_=PEER)
    assert (await pending).get("type") == "result"


async def test_a_server_without_stream_management_hears_nothing_of_it(server: ScriptedServer, stream: Stream) -> None:
    await stream.login("127.0.0.1", server.port)
    client = await server.client()
    stream.take_no_more()
    leaving = asyncio.ensure_future(stream.logout())
    await end_of_stream(client)
    await leaving
    assert SM not in client.received
