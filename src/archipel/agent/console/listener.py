# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A WebSocket server as consoles need it: what it takes, what it refuses, and no word of it in the log."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from archipel.agent.console.page import refuse

BINARY: Final = Subprotocol("binary")
BASE64: Final = Subprotocol("base64")
LARGEST_MESSAGE: Final = 1 << 20  # bytes of a viewer's message: a clipboard, at most
LARGEST_QUEUE: Final = 8  # frames that wait for a console
WRITE_LIMIT: Final = 1 << 18  # bytes that wait for a slow viewer; then the console waits
MOST_CONNECTIONS: Final = 500  # of one listener, viewers, pages and idlers together
OPEN_TIMEOUT, CLOSE_TIMEOUT = 10.0, 2.0  # seconds

Admission = Callable[[ServerConnection, Request], Awaitable[Response | None]]
"""Returns why a request gets no WebSocket, or ``None``."""

# The library's own log would show each header of whoever knocks, tokens too.
_SILENT: Final = logging.getLogger("archipel.console.silent")
_SILENT.setLevel(logging.CRITICAL)
_SILENT.propagate = False


class _Connection(ServerConnection):
    """One of so many: who knocks without end must not take all of the agent's file descriptors."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if len(self.server.handler_tasks) > MOST_CONNECTIONS:
            self.transport.abort()


async def listen(
    address: str, port: int, tls: ssl.SSLContext | None, admit: Admission, attend: Callable[[ServerConnection], Awaitable[None]]
) -> Server:
    """Begin to listen; ``admit`` lets connections in, ``attend`` serves each. Raises :class:`OSError` if the port is taken."""
    return await serve(
        attend,
        address,
        port,
        ssl=tls,
        process_request=admit,
        select_subprotocol=lambda _connection, offered: BINARY if BINARY in offered else None,
        compression=None,  # what passes is compressed, or not worth it
        server_header=None,
        open_timeout=OPEN_TIMEOUT,
        close_timeout=CLOSE_TIMEOUT,
        max_size=LARGEST_MESSAGE,
        max_queue=LARGEST_QUEUE,
        write_limit=WRITE_LIMIT,
        logger=_SILENT,
        create_connection=_Connection,
    )


def make_tls(certificate: Path) -> ssl.SSLContext:
    """Return the context for a PEM file with key and certificate. Raises :class:`OSError` (:class:`ssl.SSLError` is one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate)
    return context


def wants_websocket(request: Request) -> bool:
    """Whether a request is the beginning of a WebSocket, and not for a page."""
    return "Upgrade" in request.headers


def offered_subprotocols(request: Request) -> list[str]:
    """Return the subprotocols that a viewer offers."""
    lines = request.headers.get_all("Sec-WebSocket-Protocol")
    return [word.strip() for line in lines for word in line.split(",") if word.strip()]


def refuse_request(request: Request, origins: frozenset[str]) -> Response | None:
    """Return what speaks against a WebSocket whoever asks: a page of another origin, or a subprotocol of the past."""
    try:
        origin = request.headers.get("Origin")
    except MultipleValuesError:
        origin = ""
    if origin is not None and origin.lower() not in origins:
        return refuse(HTTPStatus.FORBIDDEN, "a page of this origin may open no console here; console_origins in [VNC] names those that may")
    offered = offered_subprotocols(request)
    if BASE64 in offered and BINARY not in offered:
        return refuse(HTTPStatus.BAD_REQUEST, "the subprotocol base64 is not spoken here: use a client that offers binary (RFC 6455)")
    return None
