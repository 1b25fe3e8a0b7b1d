# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An XMPP server on loopback that says what a test wants: honest by default, anything else by another script."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.xml import local_name

DOMAIN = "lab.example"
USER, PASSWORD = "hyp", "pencil"
BARE = f"{USER}@{DOMAIN}"
FULL = f"{BARE}/host1"

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SM = "urn:xmpp:sm:3"
STARTTLS = f"<starttls xmlns='{TLS}'><required/></starttls>"
BIND_FEATURE = f"<bind xmlns='{BIND}'/>"
ITERATIONS = 64  # few, because these servers are made by the dozen
SALT = b"sixteen or so..."


def mechanisms(*names: str) -> str:
    return f"<mechanisms xmlns='{SASL}'>{''.join(f'<mechanism>{name}</mechanism>' for name in names)}</mechanisms>"


class Client:
    """A client's connection, as the server has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser: ET.XMLPullParser[Any] = ET.XMLPullParser(("start", "end"))
        self._depth = 0
        self._opened = False
        self._arrived: list[ET.Element] = []
        self.received = ""

    async def open(self, features: str) -> None:
        """Wait for the client's stream header, and answer it with a header and ``features``."""
        self._parser, self._depth, self._opened = ET.XMLPullParser(("start", "end")), 0, False
        while not self._depth:
            await self._read()
        self._opened = True
        header = f"<?xml version='1.0'?><stream:stream from='{DOMAIN}' id='s1' version='1.0' xmlns='{ns.CLIENT}'"
        self.send(f"{header} xmlns:stream='http://etherx.jabber.org/streams'><stream:features>{features}</stream:features>")

    async def stanza(self) -> ET.Element:
        """Return the next element of the client's stream."""
        while not self._arrived:
            await self._read()
        return self._arrived.pop(0)

    def put_back(self, stanzas: list[ET.Element]) -> None:
        """Let :meth:`stanza` return these before all others."""
        self._arrived[:0] = stanzas

    async def _read(self) -> None:
        data = await self._reader.read(65536)
        if not data:
            raise ConnectionResetError("the client hung up")
        self.received += data.decode()
        self._parser.feed(data)
        events: Any = self._parser.read_events()
        for event, element in events:
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                self._arrived.append(element)
        if self._opened and not self._depth:
            self.send("</stream:stream>")
            raise ConnectionResetError("the client ended its stream")

    def send(self, text: str) -> None:
        self._writer.write(text.encode())

    def answer(self, iq: ET.Element, content: str = "", kind: str = "result", **attributes: str) -> None:
        """Answer an IQ as the server itself, or as ``attributes`` say."""
        own = {"id": iq.get("id", ""), "type": kind, "to": FULL, **attributes}
        written = " ".join(f"{name.rstrip('_')}='{value}'" for name, value in own.items())
        self.send(f"<iq {written}>{content}</iq>")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert local_name((await self.stanza()).tag) == "starttls"
        self.send(f"<proceed xmlns='{TLS}'/>")
        await self._writer.start_tls(context)

    def cut(self) -> None:
        """Break the connection without a word."""
        self._writer.transport.abort()


Script = Callable[["ScriptedServer", Client], Awaitable[None]]


async def be_honest(server: ScriptedServer, client: Client) -> None:
    """Do all that a login needs, in the order of RFC 6120."""
    if server.context is not None:
        await client.open(STARTTLS)
        await client.start_tls(server.context)
    await log_in(server, client)


async def log_in(server: ScriptedServer, client: Client) -> None:
    """Do what comes after encryption."""
    await client.open(mechanisms(*server.mechanisms))
    await authenticate(server, client)
    management = f"<sm xmlns='{SM}'/>" if server.resumable is not None else ""
    await client.open(BIND_FEATURE + management)
    await start_session(server, client)


async def authenticate(server: ScriptedServer, client: Client) -> None:
    while True:
        auth = await client.stanza()
        check = check_plain if auth.get("mechanism") == "PLAIN" else check_scram
        if await check(server, client, auth):
            return
        client.send(f"<failure xmlns='{SASL}'><not-authorized/></failure>")


async def check_plain(server: ScriptedServer, client: Client, auth: ET.Element) -> bool:
    accepted = base64.b64decode(auth.text or "") == f"\0{USER}\0{server.password}".encode()
    if accepted:
        client.send(f"<success xmlns='{SASL}'/>")
    return accepted


async def check_scram(server: ScriptedServer, client: Client, auth: ET.Element) -> bool:
    """Be the server's side of RFC 5802 with SHA-256."""
    bare = base64.b64decode(auth.text or "").decode().removeprefix("n,,").removeprefix("y,,")
    first = f"r={bare.partition('r=')[2]}server,s={base64.b64encode(SALT).decode()},i={ITERATIONS}"
    client.send(f"<challenge xmlns='{SASL}'>{base64.b64encode(first.encode()).decode()}</challenge>")
    final, _, proof = base64.b64decode((await client.stanza()).text or "").decode().rpartition(",p=")
    salted = hashlib.pbkdf2_hmac("sha256", server.password.encode(), SALT, ITERATIONS)
    signed = f"{bare},{first},{final}".encode()
    stored = hashlib.sha256(mac(salted, b"Client Key")).digest()
    key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), mac(stored, signed), strict=True))
    if hashlib.sha256(key).digest() != stored:
        return False
    verifier = server.verifier if server.verifier is not None else mac(mac(salted, b"Server Key"), signed)
    client.send(f"<success xmlns='{SASL}'>{base64.b64encode(b'v=' + base64.b64encode(verifier)).decode()}</success>")
    return True


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


async def start_session(server: ScriptedServer, client: Client) -> None:
    """Bind the resource, or take a former session up again."""
    asked = await client.stanza()
    if local_name(asked.tag) == "resume":
        if server.resumable:
            client.send(f"<resumed xmlns='{SM}' previd='{asked.get('previd')}' h='{server.handled}'/>")
            return
        client.send(f"<failed xmlns='{SM}'><item-not-found xmlns='{ns.STANZAS}'/></failed>")
        asked = await client.stanza()
    client.answer(asked, f"<bind xmlns='{BIND}'><jid>{FULL}</jid></bind>")
    if server.resumable is not None:
        early: list[ET.Element] = []
        while local_name((element := await client.stanza()).tag) != "enable":
            early.append(element)  # a bound session may already be used
        client.put_back(early)
        client.send(f"<enabled xmlns='{SM}' id='sm1' resume='true'/>")


@dataclass
class ScriptedServer:
    """A server that runs ``script`` with each client; :meth:`client` returns those whose script came to its end.

    ``resumable`` None offers no stream management, False forgets its sessions. ``verifier`` is told instead of the true one.
    """

    context: ssl.SSLContext | None = None
    script: Script = be_honest
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN")
    password: str = PASSWORD
    verifier: bytes | None = None
    resumable: bool | None = None
    handled: int = 0
    port: int = 0
    everybody: list[Client] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._ready: asyncio.Queue[Client] = asyncio.Queue()
        self.arrived = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for client in self.everybody:
            client.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer)
        self.everybody.append(client)
        self.arrived.set()
        try:
            await self.script(self, client)
        except (OSError, ET.ParseError):  # it hung up, or ended a stream that we were still to open
            client.cut()
        else:
            self._ready.put_nowait(client)

    async def client(self) -> Client:
        """Return the next client that is logged in."""
        return await self._ready.get()

    @property
    def received(self) -> str:
        """All that clients sent in the open or inside TLS."""
        return "".join(client.received for client in self.everybody)
