# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who connects where, and how safely."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from archipel.client.addresses import parse_address
from archipel.client.errors import MalformedAddress

XMPP_PORT = 5222  # RFC 6120, 14.7: xmpp-client
HIGHEST_PORT = 65535
ANSWER_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """An account and the way to its server.

    ``jid`` is bare: the server chooses the resource, so that two programs with one account do not throw each other out.
    Without ``host`` the domain's SRV records decide. ``ca_file`` (PEM) replaces the system's authorities. ``pubsub_service``
    is ``pubsub.<domain>`` unless given. ``timeout`` is for one answer, in seconds. ``allow_plain`` permits SASL PLAIN
    inside TLS, for accounts that the server takes from LDAP. ``insecure_plaintext`` does without TLS: for a test on loopback.

    Raises :class:`MalformedAddress` or :class:`ValueError`, which name the field.
    """

    jid: str
    password: str = field(repr=False)
    host: str | None = None
    port: int | None = None
    ca_file: Path | None = None
    pubsub_service: str | None = None
    timeout: float = ANSWER_TIMEOUT
    allow_plain: bool = False
    insecure_plaintext: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without a network."""
        try:
            address = parse_address(self.jid)
        except MalformedAddress as error:
            raise MalformedAddress(f"jid: {error}") from None
        if address.resource:
            raise MalformedAddress(f"jid: give the account without a resource, {address.bare!r}")
        if self.port is not None and not 0 < self.port <= HIGHEST_PORT:
            raise ValueError(f"port: must be from 1 to {HIGHEST_PORT}, not {self.port}")
        if self.port is not None and self.host is None:
            raise ValueError("port: goes with host; without both, the domain's SRV records decide")
        if self.timeout <= 0:
            raise ValueError(f"timeout: must be more than 0 seconds, not {self.timeout:g}")

    @property
    def domain(self) -> str:
        """The server's domain."""
        return str(parse_address(self.jid).domain)

    @property
    def service(self) -> str:
        """The address of the PubSub service."""
        return self.pubsub_service or f"pubsub.{self.domain}"

    @property
    def address(self) -> tuple[str | None, int | None]:
        """Host and port to connect to; ``(None, None)`` asks the SRV records."""
        return (self.host, self.port or XMPP_PORT) if self.host else (None, None)

    @property
    def place(self) -> str:
        """Where the server is, for people."""
        host, port = self.address
        return f"{host}:{port}" if host else f"the server that DNS names for {self.domain}"
