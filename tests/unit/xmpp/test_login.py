# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in: inside verified TLS, with a mechanism that keeps the password, or not at all."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from pathlib import Path

import pytest

from archipel.xmpp import stanzas
from archipel.xmpp.errors import LoginFailed, LoginRefused, ServerUnreachable, UntrustedServer
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from testbed.certificates import Authority, make_authority
from tests.unit.xmpp.scripted_server import (
    BIND_FEATURE,
    FULL,
    PASSWORD,
    SASL,
    SM,
    STARTTLS,
    Client,
    Script,
    ScriptedServer,
    authenticate,
    be_honest,
    log_in,
    mechanisms,
    start_session,
)

HOST = "127.0.0.1"
SHORT = 0.2  # seconds for logins that are to fail by their deadline


async def login(server: ScriptedServer, tls: ssl.SSLContext | None, *, password: str = PASSWORD, allow_plain: bool = False) -> Stream:
    stream = Stream(FULL, password, tls, allow_plain=allow_plain)
    try:
        await stream.login(HOST, server.port, 30)
    finally:
        if not stream.online:
            stream.abort()
    return stream


async def test_a_login_is_a_session_inside_tls(server: ScriptedServer, stream: Stream) -> None:
    assert await stream.login(HOST, server.port) is False, "nothing was resumed"
    assert stream.online
    assert stream.boundjid.full == FULL
    assert "SCRAM-SHA-256" in server.received
    assert PASSWORD not in server.received


@pytest.mark.parametrize("offered", [("PLAIN",), ("DIGEST-MD5", "PLAIN"), ("SCRAM-SHA-1",), ("ANONYMOUS",), ("X-OAUTH2",)])
async def test_weak_mechanisms_are_not_used_even_inside_tls(
    server: ScriptedServer, client_tls: ssl.SSLContext, offered: tuple[str, ...]
) -> None:
    server.mechanisms = offered
    with pytest.raises(
        LoginRefused, match=rf"offers this account no safe way to log in, only {', '.join(sorted(offered))}: .*SCRAM-SHA-256"
    ):
        await login(server, client_tls)
    assert "<auth" not in server.received


async def test_plain_is_used_inside_tls_by_those_who_allowed_it(server: ScriptedServer, client_tls: ssl.SSLContext) -> None:
    server.mechanisms = ("PLAIN",)
    stream = await login(server, client_tls, allow_plain=True)
    assert stream.online
    stream.abort()


async def test_scram_is_preferred_where_plain_is_allowed(server: ScriptedServer, client_tls: ssl.SSLContext) -> None:
    stream = await login(server, client_tls, allow_plain=True)
    assert "'PLAIN'" not in server.received
    stream.abort()


async def test_a_wrong_password_is_a_refused_login(server: ScriptedServer, client_tls: ssl.SSLContext) -> None:
    with pytest.raises(LoginRefused, match="does not accept this account and password"):
        await login(server, client_tls, password="eraser")


async def test_a_server_that_does_not_know_the_password_either_is_not_believed(server: ScriptedServer, client_tls: ssl.SSLContext) -> None:
    server.verifier = b"thirty-two octets of some other."
    with pytest.raises(LoginFailed):
        await login(server, client_tls)


# -- without encryption -------------------------------------------------------------------------------------------------


def offering(features: str) -> Script:
    """Return the script of somebody on the way who takes STARTTLS out of what the server offers."""

    async def strip(server: ScriptedServer, client: Client) -> None:
        await client.open(features)
        if BIND_FEATURE in features:
            await start_session(server, client)
        else:
            await client.stanza()

    return strip


@pytest.mark.parametrize(
    "features",
    [
        mechanisms("SCRAM-SHA-256"),
        mechanisms("PLAIN"),
        mechanisms("SCRAM-SHA-256") + BIND_FEATURE,
    ],
)
async def test_nothing_is_said_to_a_server_without_tls(client_tls: ssl.SSLContext, features: str) -> None:
    async with ScriptedServer(script=offering(features)) as server:
        with pytest.raises(UntrustedServer, match="offers no encryption"):
            await login(server, client_tls, allow_plain=True)
        assert "<auth" not in server.received


async def test_a_server_that_asks_for_no_authentication_inside_tls_is_not_trusted(
    server: ScriptedServer, client_tls: ssl.SSLContext
) -> None:
    async def ask_for_nothing(server: ScriptedServer, client: Client) -> None:
        assert server.context is not None
        await client.open(STARTTLS)
        await client.start_tls(server.context)
        await client.open(BIND_FEATURE)
        await client.stanza()

    server.script = ask_for_nothing
    with pytest.raises(UntrustedServer, match="asks for no authentication"):
        await login(server, client_tls)


@pytest.mark.parametrize("features", [BIND_FEATURE, BIND_FEATURE + f"<sm xmlns='{SM}'/>"])
async def test_no_session_begins_without_tls_and_authentication(client_tls: ssl.SSLContext, features: str) -> None:
    """Somebody on the way who asks for neither must not be taken for the server: all that he says would be believed."""
    async with ScriptedServer(script=offering(features)) as server:
        with pytest.raises((UntrustedServer, LoginFailed)):
            await login(server, client_tls)


async def test_no_session_is_resumed_without_tls_and_authentication(client_tls: ssl.SSLContext) -> None:
    async def pretend(_server: ScriptedServer, client: Client) -> None:
        await client.open("")
        client.send(f"<resumed xmlns='{SM}' previd='x' h='0'/><iq type='set' id='1' from='admin@lab.example/x'><query xmlns='urn:x'/></iq>")
        await client.stanza()

    async with ScriptedServer(script=pretend) as server:
        stream = Stream(FULL, PASSWORD, client_tls, resume=True)
        taken: list[str | None] = []
        stream.on_request = lambda iq: taken.append(iq.get("from"))
        with pytest.raises((UntrustedServer, LoginFailed)):
            await stream.login(HOST, server.port, SHORT)
        assert taken == []


async def test_nothing_that_came_before_encryption_is_believed_after_it(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    """Somebody on the way who lets the login pass untouched can still put something in front of it."""
    forged = "<iq type='set' id='1' from='admin@lab.example/x'><query xmlns='urn:x'/></iq>"

    async def inject(server: ScriptedServer, client: Client) -> None:
        assert server.context is not None
        await client.open(STARTTLS)
        client.send(forged)
        await client.start_tls(server.context)
        await log_in(server, client)

    async with ScriptedServer(server_tls, inject) as server:
        stream = Stream(FULL, PASSWORD, client_tls)
        taken: list[str | None] = []
        stream.on_request = lambda iq: taken.append(iq.get("from"))
        await stream.login(HOST, server.port)
        stream.abort()
        assert taken == []


async def test_tls_is_verified_against_the_authority(server: ScriptedServer, tmp_path: Path) -> None:
    stranger = client_context(make_authority(tmp_path).certificate)
    with pytest.raises(UntrustedServer, match=r"certificate is not trusted: .*name the authority that vouches for it \(ca_file\)"):
        await login(server, stranger)
    assert "<auth" not in server.received


async def test_tls_is_verified_against_the_name_of_the_server(authority: Authority, client_tls: ssl.SSLContext, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("other.example", tmp_path))
    async with ScriptedServer(context) as server:
        with pytest.raises(UntrustedServer, match="certificate is not trusted"):
            await login(server, client_tls)


async def test_whoever_wants_no_encryption_by_name_logs_in_without() -> None:
    async with ScriptedServer() as server:
        stream = await login(server, None)
        assert stream.online
        assert PASSWORD not in server.received
        stream.abort()


async def test_plain_is_not_used_without_encryption_even_if_allowed() -> None:
    async with ScriptedServer(mechanisms=("PLAIN",)) as server:
        with pytest.raises(LoginRefused):
            await login(server, None, allow_plain=True)
        assert base64.b64encode(f"\0hyp\0{PASSWORD}".encode()).decode() not in server.received


# -- trouble on the way -------------------------------------------------------------------------------------------------


async def test_a_port_where_nobody_listens_is_an_unreachable_server(client_tls: ssl.SSLContext) -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        with pytest.raises(ServerUnreachable, match="cannot connect to the XMPP server"):
            await Stream(FULL, PASSWORD, client_tls).login(HOST, holder.getsockname()[1])


async def test_a_server_that_says_nothing_is_given_up_at_the_deadline(client_tls: ssl.SSLContext) -> None:
    async def be_silent(_server: ScriptedServer, client: Client) -> None:
        await client.stanza()

    async with ScriptedServer(script=be_silent) as server:
        stream = Stream(FULL, PASSWORD, client_tls)
        with pytest.raises(LoginFailed, match=r"did not end within 0\.2 s"):
            await stream.login(HOST, server.port, SHORT)
        assert not stream.is_connected()


async def test_a_connection_that_breaks_during_the_login_says_so(client_tls: ssl.SSLContext) -> None:
    async def hang_up(_server: ScriptedServer, client: Client) -> None:
        await client.open(STARTTLS)
        client.cut()

    async with ScriptedServer(script=hang_up) as server:
        with pytest.raises(LoginFailed, match="broke during the login"):
            await login(server, client_tls)


async def test_a_connection_that_breaks_while_it_is_encrypted_says_so_at_once(client_tls: ssl.SSLContext) -> None:
    async def hang_up(_server: ScriptedServer, client: Client) -> None:
        await client.open(STARTTLS)
        await client.stanza()
        client.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await asyncio.sleep(SHORT)
        client.cut()

    async with ScriptedServer(script=hang_up) as server:
        with pytest.raises(LoginFailed, match="broke during the login"):
            await login(server, client_tls)


async def test_a_handshake_that_breaks_says_nothing_about_the_certificate(client_tls: ssl.SSLContext) -> None:
    """Who is not trusted is tried again after minutes, who was cut off at once."""
    alert = bytes.fromhex("15030100020246")  # fatal, protocol version (RFC 8446, 6)

    async def end_handshake(_server: ScriptedServer, client: Client) -> None:
        await client.open(STARTTLS)
        await client.stanza()
        client.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await asyncio.sleep(SHORT)
        client._writer.write(alert)
        await asyncio.sleep(SHORT)
        client.cut()

    async with ScriptedServer(script=end_handshake) as server:
        with pytest.raises(LoginFailed):
            await login(server, client_tls)


async def test_whoever_accepts_and_hangs_up_without_a_word_is_no_server(client_tls: ssl.SSLContext) -> None:
    async def hang_up(_server: ScriptedServer, client: Client) -> None:
        client.cut()

    async with ScriptedServer(script=hang_up) as server:
        with pytest.raises(ServerUnreachable, match="broke during the login"):
            await login(server, client_tls)


async def test_a_refused_resource_ends_the_login_at_once(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async def refuse_resource(server: ScriptedServer, client: Client) -> None:
        assert server.context is not None
        await client.open(STARTTLS)
        await client.start_tls(server.context)
        await client.open(mechanisms("SCRAM-SHA-256"))
        await authenticate(server, client)
        await client.open(BIND_FEATURE)
        condition = "<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        client.answer(await client.stanza(), f"<error type='wait'>{condition}</error>", "error")
        await client.stanza()

    async with ScriptedServer(server_tls, refuse_resource) as server:
        with pytest.raises(LoginFailed, match="refused this account the resource"):
            await login(server, client_tls)


async def test_a_server_that_demands_encryption_tells_whoever_goes_without(server_tls: ssl.SSLContext) -> None:
    async with ScriptedServer(server_tls) as server:
        with pytest.raises(UntrustedServer, match="demands encryption"):
            await login(server, None)


async def test_an_error_that_ends_the_stream_is_the_reason(client_tls: ssl.SSLContext) -> None:
    async def refuse(_server: ScriptedServer, client: Client) -> None:
        await client.open("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        condition = "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        client.send(f"<stream:error xmlns:stream='http://etherx.jabber.org/streams'>{condition}</stream:error></stream:stream>")
        client.cut()

    async with ScriptedServer(script=refuse) as server:
        with pytest.raises(LoginFailed, match=r"ended the stream|broke during"):
            await login(server, client_tls)


async def test_a_login_that_failed_leaves_nothing_in_the_way_of_the_next(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    calls = 0

    async def fail_once(server: ScriptedServer, client: Client) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await client.open(STARTTLS)
            client.cut()
        else:
            await be_honest(server, client)

    async with ScriptedServer(server_tls, fail_once) as server:
        stream = Stream(FULL, PASSWORD, client_tls)
        with pytest.raises(LoginFailed):
            await stream.login(HOST, server.port)
        await stream.login(HOST, server.port)
        assert stream.online
        assert not stream.lost.done()
        stream.abort()


async def test_a_cancelled_login_drops_its_connection(client_tls: ssl.SSLContext) -> None:
    async def be_silent(_server: ScriptedServer, client: Client) -> None:
        await client.stanza()

    async with ScriptedServer(script=be_silent) as server:
        stream = Stream(FULL, PASSWORD, client_tls)
        attempt = asyncio.ensure_future(stream.login(HOST, server.port))
        await server.arrived.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert not stream.is_connected()


FORGED = "<iq type='set' id='1' from='admin@lab.example/x'><query xmlns='urn:x'/></iq>"


async def claim_success(server: ScriptedServer, client: Client) -> None:
    """slixmpp still has the mechanism of the last login, and PLAIN takes any success for one."""
    await client.open("")
    client.send(f"<success xmlns='{SASL}'/>")
    await client.open(BIND_FEATURE)
    client.send(FORGED)
    await start_session(server, client)
    await client.stanza()


async def claim_resumption(_server: ScriptedServer, client: Client) -> None:
    await client.open("")
    client.send(f"<resumed xmlns='{SM}' previd='sm1' h='0'/>{FORGED}")
    await client.stanza()


async def claim_both(_server: ScriptedServer, client: Client) -> None:
    await client.open("")
    client.send(f"<success xmlns='{SASL}'/>")
    await client.open("")
    client.send(f"<resumed xmlns='{SM}' previd='sm1' h='0'/>{FORGED}")
    await client.stanza()


@pytest.mark.parametrize("claim", [claim_success, claim_resumption, claim_both])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_whoever_takes_the_server_s_place_gets_nothing_and_is_not_believed(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, claim: Script, mechanism: str
) -> None:
    """What waits for the connection may hold the password of a machine's account."""

    async def honest_once(server: ScriptedServer, client: Client) -> None:
        await (be_honest if len(server.everybody) == 1 else claim)(server, client)

    async with ScriptedServer(server_tls, honest_once, (mechanism,), resumable=True) as server:
        stream = Stream(FULL, PASSWORD, client_tls, resume=True, allow_plain=True)
        await stream.login(HOST, server.port)
        (await server.client()).cut()
        await stream.lost
        taken: list[str | None] = []
        stream.on_request = lambda iq: taken.append(iq.get("from"))
        stream.transmit(stanzas.chat("a@lab.example", "a secret"))
        with pytest.raises((UntrustedServer, LoginFailed)):
            await stream.login(HOST, server.port, SHORT)
        assert taken == []
        assert "a secret" not in server.received
