# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is online and how it looks, as far as the server told this session; and finding an entity's full JID by it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from xml.etree import ElementTree as ET

from archipel.client.addresses import parse_address
from archipel.client.errors import MalformedAddress, NotOnline
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import read_error
from archipel.protocol.presence import Status

PresenceListener = Callable[[str, Status | None], None]
"""Is told the bare JID, and the new status or ``None`` when nobody is left online there."""


class Presences:
    """The presences that came in: per account, the status of each resource."""

    def __init__(self) -> None:
        self.listeners: set[PresenceListener] = set()
        self._online: dict[str, dict[str, Status]] = {}
        self._waiting: defaultdict[str, set[asyncio.Future[str]]] = defaultdict(set)

    def full_jid(self, bare: str) -> str | None:
        """Return the full JID of an account that is online; of several resources, the one heard of last."""
        resources = self._online.get(bare)
        return f"{bare}/{next(reversed(resources))}" if resources else None

    def status(self, bare: str) -> Status | None:
        """Return what an account shows, ``None`` if it is not known to be online."""
        resources = self._online.get(bare)
        return next(reversed(resources.values())) if resources else None

    async def wait_for(self, bare: str) -> str:
        """Return the full JID of an account once it shows itself; raises :class:`NotOnline` if the server says no."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[bare].add(future)
        try:
            return str(await future)
        finally:
            self._waiting[bare].discard(future)

    def forget(self, full_jid: str) -> None:
        """Forget one full JID, which turned out to be gone."""
        bare, _, resource = full_jid.partition("/")
        self._online.get(bare, {}).pop(resource, None)

    def clear(self) -> None:
        """Forget everybody, as after the loss of the session that told."""
        self._online.clear()

    def take(self, element: ET.Element) -> None:
        """Take in a ``<presence/>`` of any type."""
        try:
            sender = parse_address(element.get("from", ""))
        except MalformedAddress:
            return  # a server's or service's own presence
        kind, bare, resource = element.get("type"), str(sender.bare), str(sender.resource)
        if kind is None and resource:
            self._appear(bare, resource, read_status(element))
        elif kind == "unavailable":
            self._disappear(bare, resource)
        elif kind == "error":
            self._refuse(bare, NotOnline(f"{bare} cannot be reached: {read_error(element).text}"))

    def _appear(self, bare: str, resource: str, status: Status) -> None:
        before = self.status(bare)
        resources = self._online.setdefault(bare, {})
        resources.pop(resource, None)  # so that it comes last: the one heard of last
        resources[resource] = status
        if status != before:
            self._tell(bare, status)
        for future in self._waiting.pop(bare, ()):
            if not future.done():
                future.set_result(f"{bare}/{resource}")

    def _disappear(self, bare: str, resource: str) -> None:
        resources = self._online.get(bare, {})
        if resources.pop(resource, None) is not None:
            self._tell(bare, self.status(bare))

    def _refuse(self, bare: str, error: NotOnline) -> None:
        for future in self._waiting.pop(bare, ()):
            if not future.done():
                future.set_exception(error)

    def _tell(self, bare: str, status: Status | None) -> None:
        for listener in tuple(self.listeners):
            listener(bare, status)


def read_status(element: ET.Element) -> Status:
    """Return what a presence shows."""
    return Status(element.findtext(f"{{{ns.CLIENT}}}show") or None, element.findtext(f"{{{ns.CLIENT}}}status") or "")
