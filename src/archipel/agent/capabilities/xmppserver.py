# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XMPP server's users (namespace ``archipel:xmppserver:users``), which a central agent knows: without one there is an error."""

from __future__ import annotations

from typing import NoReturn

from archipel.agent.dispatch import EVERY_KIND, Caller, command
from archipel.agent.entity import Entity
from archipel.protocol import server_users as wire
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.rights import ANY_ENTITY, Token
from archipel.protocol.server_users import UsersCode as Code

TOKENS = (
    Token("xmppserver_users_list", "See the accounts of the XMPP server", ANY_ENTITY),
    Token("xmppserver_users_filter", "Search the accounts of the XMPP server", ANY_ENTITY),
    Token("xmppserver_users_number", "See how many accounts the XMPP server has", ANY_ENTITY),
)


def _refuse() -> NoReturn:
    text = "there is no central agent here that knows the server's users: ask the server itself, or its administrator"
    raise CommandError(text, Code.NO_CENTRAL_AGENT, Condition.SERVICE_UNAVAILABLE)


@command(wire.ListUsers, on=EVERY_KIND, right="xmppserver_users_list", failure=Code.LIST)
async def list_users(_entity: Entity, _request: wire.ListUsers, _caller: Caller) -> tuple[wire.User, ...]:
    """A page of the server's accounts."""
    _refuse()


@command(wire.FilterUsers, on=EVERY_KIND, right="xmppserver_users_filter", failure=Code.FILTER)
async def filter_users(_entity: Entity, _request: wire.FilterUsers, _caller: Caller) -> tuple[wire.User, ...]:
    """The server's accounts whose JIDs hold a text."""
    _refuse()


@command(wire.CountUsers, on=EVERY_KIND, right="xmppserver_users_number", failure=Code.LIST)
async def count_users(_entity: Entity, _request: wire.CountUsers, _caller: Caller) -> wire.UserCount:
    """How many accounts the server has."""
    _refuse()
