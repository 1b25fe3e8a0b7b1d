# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server and a web service on loopback, with TLS, that keep what they are given."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Self, cast

USER, PASSWORD = "archipel", "mail-secret"


def server_context(bundle: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    return context


class House:
    """A server; ``port`` is where it listens."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.tls = tls
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def open(self, *, at_once: bool) -> Self:
        """Listen; ``at_once``: with TLS from the first byte on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls if at_once else None)
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.attend(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class MailServer(House):
    """Takes mail; ``refuse`` maps commands to answers. Logins count with TLS only."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(tls)
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[str, bool]] = []
        self.refuse: dict[str, str] = {}
        self.offers_starttls = tls is not None

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.lab.example ready\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].upper()
            if verb == "DATA" and "DATA" not in self.refuse:
                writer.write(b"354 go on\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(cast(EmailMessage, message_from_bytes(content[:-3], policy=policy.default)))
                writer.write(b"250 taken\r\n")
                continue
            writer.write((self.refuse.get(verb) or self._answer(verb, line, writer)).encode() + b"\r\n")
            await writer.drain()
            if verb == "STARTTLS":
                await writer.start_tls(cast(ssl.SSLContext, self.tls))
            if verb == "QUIT":
                return

    def _answer(self, verb: str, line: str, writer: asyncio.StreamWriter) -> str:
        secure = writer.get_extra_info("ssl_object") is not None
        if verb == "EHLO":
            extras = ["STARTTLS"] if self.offers_starttls and not secure else []
            words = ["mail.lab.example", *extras, "AUTH PLAIN"]
            return "\r\n".join(f"250{' ' if word == words[-1] else '-'}{word}" for word in words)
        if verb == "AUTH":
            _empty, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
            self.logins.append((user, secure))
            return "235 welcome" if password == PASSWORD else "535 wrong password"
        if verb == "RCPT":
            self.recipients.append(line.partition("<")[2].partition(">")[0])
        return {"STARTTLS": "220 go on", "QUIT": "221 bye"}.get(verb, "250 ok")


@dataclass(frozen=True)
class Post:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answers:
    """What is answered, one after the other; the last one for ever. ``None``: nothing at all."""

    statuses: list[int | None] = field(default_factory=lambda: [204])

    def next(self) -> int | None:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


class WebService(House):
    """Takes posts."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(tls)
        self.posts: list[Post] = []
        self.answers = Answers()

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.posts.append(Post(head[0].split(" ")[1], headers, body))
        status = self.answers.next()
        if status is None:
            await reader.read()  # until the other side has had enough
            return
        location = "Location: http://127.0.0.1:1/elsewhere\r\n" if 300 <= status < 400 else ""
        writer.write(f"HTTP/1.1 {status} So\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
