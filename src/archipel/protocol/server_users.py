# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about the XMPP server's users (namespace ``archipel:xmppserver:users``), as hypervisors and machines take them."""

from __future__ import annotations

import enum

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, at_least, attribute, payload


class UsersCode(enum.IntEnum):
    """The founders' error codes; NO_CENTRAL_AGENT is that of who should pass a request on and cannot."""

    FILTER = -30002
    LIST = -30003
    NO_CENTRAL_AGENT = -10000


@payload
class User(Payload, tag="user"):
    """An account; ``type`` is ``user``, ``hypervisor`` or ``virtualmachine``."""

    jid: str = attribute()
    type: str = attribute()


@payload
class UserCount(Payload, tag="users"):
    """How many accounts there are."""

    total: int = attribute()


@payload
class ListUsers(Request[tuple[User, ...]], namespace=ns.XMPPSERVER_USERS, action="list", reads=True):
    """A page of accounts, counted from 0, in the order of their JIDs."""

    page: int = attribute(at_least(0), default=0)
    humans_only: bool = attribute(default=False, words=("false", "true"))


@payload
class FilterUsers(Request[tuple[User, ...]], namespace=ns.XMPPSERVER_USERS, action="filter", reads=True):
    """The accounts whose JIDs hold a text."""

    filter: str = attribute()


@payload
class CountUsers(Request[UserCount], namespace=ns.XMPPSERVER_USERS, action="number", reads=True):
    """How many accounts there are."""

    humans_only: bool = attribute(default=False, words=("false", "true"))
