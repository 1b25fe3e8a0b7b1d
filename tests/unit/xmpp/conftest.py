# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from testbed.certificates import Authority
from tests.unit.xmpp.scripted_server import DOMAIN, FULL, PASSWORD, ScriptedServer


@pytest.fixture(scope="session")
def certificate(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of the tests' authority for the server's domain."""
    return authority.issue(DOMAIN, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: Authority) -> ssl.SSLContext:
    return client_context(authority.certificate)


@pytest.fixture
async def server(server_tls: ssl.SSLContext) -> AsyncIterator[ScriptedServer]:
    """An honest server."""
    async with ScriptedServer(server_tls) as server:
        yield server


@pytest.fixture
async def stream(client_tls: ssl.SSLContext) -> AsyncIterator[Stream]:
    stream = Stream(FULL, PASSWORD, client_tls)
    yield stream
    stream.abort()
