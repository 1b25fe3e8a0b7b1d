# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entity's roster: who sees its presence, as the server keeps it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from archipel.agent.jids import MalformedJid, bare_jid
from archipel.protocol import namespaces as ns
from archipel.xmpp import stanzas
from archipel.xmpp.stream import Stream

log = logging.getLogger(__name__)

SEES_US = frozenset({"from", "both"})
WE_SEE = frozenset({"to", "both"})
MOST_CLIENTS = 50  # of one contact that are remembered


class Contacts:
    """The roster of one entity; kept from the server's answer and its pushes."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._subscriptions: dict[str, str] = {}
        self._groups: dict[str, frozenset[str]] = {}
        self._online: dict[str, set[str]] = {}

    def __contains__(self, bare: str) -> bool:
        return bare in self._subscriptions

    def __iter__(self) -> Iterator[str]:
        return iter(self._subscriptions)

    def subscription(self, bare: str) -> str:
        """Return ``none``, ``from``, ``to`` or ``both`` (RFC 6121, 2.1.2.5)."""
        return self._subscriptions.get(bare, "none")

    @property
    def groups(self) -> dict[str, frozenset[str]]:
        """The groups of the roster with their members; whoever adds nobody to one has those of the server's shared roster."""
        names = {name for groups in self._groups.values() for name in groups}
        return {name: frozenset(bare for bare, groups in self._groups.items() if name in groups) for name in names}

    @property
    def seeing(self) -> frozenset[str]:
        """Who gets our presence from the server."""
        return frozenset(filter(self.sees_us, self._subscriptions))

    def sees_us(self, bare: str) -> bool:
        """Whether this contact gets our presence from the server."""
        return self.subscription(bare) in SEES_US

    def note_presence(self, full: str, bare: str, *, available: bool) -> None:
        """Take in that a client of a contact came or went."""
        clients = self._online.setdefault(bare, set()) if available and bare in self else self._online.get(bare, set())
        if available and len(clients) < MOST_CLIENTS:
            clients.add(full)
        elif not available:
            clients.discard(full)

    def is_online(self, bare: str) -> bool | None:
        """Whether a contact has a client that is online; ``None`` if he does not let us see that."""
        if self._online.get(bare):
            return True
        return False if self.subscription(bare) in WE_SEE else None

    async def load(self) -> None:
        """Ask the server for the roster; afterwards the contacts' presences come anew."""
        self._online.clear()
        await self.read_again()

    async def read_again(self) -> None:
        """Ask the server for the roster as it is now; of what comes from LDAP it tells no change."""
        answer = await self._stream.request(stanzas.iq("get", None, stanzas.query(ns.IQ_ROSTER)))
        self._subscriptions.clear()
        self._groups.clear()
        self._take(answer)

    def take_push(self, iq: ET.Element) -> None:
        """Take a change in and acknowledge it; one that is not from the own server is ignored (RFC 6121, 2.1.6)."""
        if iq.get("from") in {None, "", self._stream.boundjid.bare}:
            self._take(iq)
            self._stream.transmit(stanzas.result_of(iq))

    async def add(self, bare: str, nick: str) -> None:
        """Take somebody in, ask him for his presence and let him see ours.

        The nick tells him whose request that is (XEP-0172).
        """
        await self._set(bare, {})
        name = ET.Element(f"{{{ns.NICK}}}nick")
        name.text = nick
        self._stream.transmit(stanzas.presence("subscribe", bare, name))
        self.approve(bare)

    async def remove(self, bare: str) -> None:
        """Remove somebody; he no longer sees our presence."""
        if bare in self._subscriptions:
            await self._set(bare, {"subscription": "remove"})
            self._subscriptions.pop(bare, None)

    def approve(self, bare: str) -> None:
        """Let somebody see our presence."""
        self._stream.transmit(stanzas.presence("subscribed", bare))

    def refuse(self, bare: str) -> None:
        """Tell somebody that he does not see our presence."""
        self._stream.transmit(stanzas.presence("unsubscribed", bare))

    async def _set(self, bare: str, attributes: dict[str, str]) -> None:
        item = ET.Element(f"{{{ns.IQ_ROSTER}}}item", {"jid": bare, **attributes})
        await self._stream.request(stanzas.iq("set", None, stanzas.query(ns.IQ_ROSTER, item)))

    def _take(self, iq: ET.Element) -> None:
        for item in iq.iter(f"{{{ns.IQ_ROSTER}}}item"):
            try:
                bare = bare_jid(item.get("jid", ""))
            except MalformedJid as error:  # the server has other rules for addresses: nobody else must suffer from that
                log.warning("%s: a contact is left out: %s", self._stream.boundjid.bare, error)
                continue
            self._groups.pop(bare, None)
            if item.get("subscription") == "remove":
                self._subscriptions.pop(bare, None)
                self._online.pop(bare, None)
                continue
            self._subscriptions[bare] = item.get("subscription", "none")
            groups = frozenset((group.text or "").strip() for group in item.iter(f"{{{ns.IQ_ROSTER}}}group")) - {""}
            if groups:
                self._groups[bare] = groups
