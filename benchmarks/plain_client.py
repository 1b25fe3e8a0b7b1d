# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""slixmpp as it comes, as the external client: the goals' floor was measured with it."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

from slixmpp import ClientXMPP
from slixmpp.stanza import Iq

from archipel.xmpp.tls import client_context
from benchmarks.world import ADMIN, DOMAIN, World


class PlainClient:
    """Answers the same call as our own stream (``request``), by slixmpp's means."""

    def __init__(self, client: ClientXMPP) -> None:
        self._client = client

    @classmethod
    async def log_in(cls, world: World) -> PlainClient:
        """Return a session of the administrator."""
        client = ClientXMPP(f"{ADMIN}@{DOMAIN}/plain", world.password, ssl_context=client_context(world.ejabberd.ca_file))
        client.enable_direct_tls = False
        started = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", lambda _event: started.set_result(None))
        client.connect(world.ejabberd.host, world.ejabberd.port)
        await started
        return cls(client)

    async def request(self, element: ET.Element) -> object:
        """Send an IQ and wait for its result."""
        iq = self._client.make_iq(itype=element.get("type"), ito=element.get("to"))  # type: ignore[arg-type] # get or set
        iq.append(element[0])
        answer: Iq = await iq.send(timeout=30)
        return answer

    async def logout(self) -> None:
        """End the session."""
        await self._client.disconnect()
