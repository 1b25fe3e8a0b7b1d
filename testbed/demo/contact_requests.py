# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does in an XMPP client: say yes to those who ask to be contacts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.client.roster import read_roster
from archipel.protocol import namespaces as ns
from archipel.xmpp import stanzas
from archipel.xmpp.errors import WireError
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from testbed.demo.folder import DemoError
from testbed.ejabberd import Ejabberd

PATIENCE: Final = 20.0  # seconds; the server delivers waiting requests at once
LOOK_AGAIN: Final = 0.1
SEEN: Final = frozenset({"to", "both"})


def accept_requests(server: Ejabberd, account: str, password_file: Path, machines: int) -> None:
    """Log in, and say yes until so many machines are contacts whose presence is seen. Raises DemoError."""
    found = asyncio.run(_accept(server, account, password_file.read_text().strip(), machines))
    if found < machines:
        raise DemoError(f"only {found} of {machines} machines have become contacts of {account}")


async def _accept(server: Ejabberd, account: str, password: str, machines: int) -> int:
    stream = Stream(f"{account}@{server.domain}", password, client_context(server.ca_file))
    stream.on_presence = lambda presence: _say_yes(stream, presence)
    try:
        await stream.login(server.host, server.port)
        stream.transmit(stanzas.presence())
        return await _wait_for_machines(stream, machines)
    except WireError as error:
        raise DemoError(f"{account} cannot log in: {error}") from error
    finally:
        await stream.logout()


def _say_yes(stream: Stream, presence: ET.Element) -> None:
    if presence.get("type") == "subscribe":
        who = (presence.get("from") or "").partition("/")[0]
        stream.transmit(stanzas.presence("subscribed", who))
        stream.transmit(stanzas.presence("subscribe", who))


async def _wait_for_machines(stream: Stream, wanted: int) -> int:
    """Return how many machines are contacts; as soon as all are, or when patience is at its end."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        contacts = read_roster(await stream.request(stanzas.iq("get", None, stanzas.query(ns.IQ_ROSTER))))
        found = sum(contact.is_machine and contact.subscription in SEEN for contact in contacts)
        if found >= wanted or loop.time() > deadline:
            return found
        await asyncio.sleep(LOOK_AGAIN)
