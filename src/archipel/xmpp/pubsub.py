# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XEP-0060 as far as this platform uses it: nodes, items, affiliations, subscriptions.

slixmpp's plugin does more and costs handlers and memory in every one of hundreds of sessions; these are the few IQs.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.xml import children_named, local_name
from archipel.xmpp import stanzas
from archipel.xmpp.stream import Stream

RETRIES: Final = 8  # of a create or delete that met another one in the server's transaction; seven were the most ever seen
FIRST_PAUSE: Final = 0.02  # seconds, doubled with each try and randomised (measured: see docs/performance.md)
SUBSCRIPTIONS: Final = "subscriptions"
_BITS: Final = {"true": "1", "false": "0"}  # both are spellings of a boolean (XEP-0004, 3.3)


@dataclass(frozen=True)
class Item:
    """An item of a node; ``publisher`` only where the server tells it."""

    id: str
    payload: ET.Element | None
    publisher: str | None = None


class PubSub:
    """The PubSub service as one account's stream uses it."""

    def __init__(self, stream: Stream, service: str, turn: asyncio.Lock | None = None) -> None:
        self._stream = stream
        self.service = service
        # ejabberd's Mnesia aborts concurrent creations ("cyclic" lock): one at a time per process, and retry for the others.
        self._turn = turn or asyncio.Lock()

    async def create(self, node: str, configuration: Mapping[str, str]) -> None:
        """Create a node; raises ``conflict`` if it exists."""
        configure = ET.Element(f"{{{ns.PUBSUB}}}configure")
        configure.append(_form({"FORM_TYPE": ns.PUBSUB_NODE_CONFIG, **configuration}))
        await self._alone(ns.PUBSUB, ET.Element(f"{{{ns.PUBSUB}}}create", {"node": node}), configure)

    async def configure(self, node: str, configuration: Mapping[str, str]) -> None:
        """Change the configuration of an own node."""
        configure = ET.Element(f"{{{ns.PUBSUB_OWNER}}}configure", {"node": node})
        configure.append(_form({"FORM_TYPE": ns.PUBSUB_NODE_CONFIG, **configuration}))
        await self._ask("set", ns.PUBSUB_OWNER, configure)

    async def configuration(self, node: str) -> dict[str, str]:
        """Return the configuration of an own node; of an option with several values, the first."""
        answer = await self._ask("get", ns.PUBSUB_OWNER, ET.Element(f"{{{ns.PUBSUB_OWNER}}}configure", {"node": node}))
        fields = answer.iter(f"{{{ns.DATA_FORMS}}}field")
        return {found.get("var", ""): found.findtext(f"{{{ns.DATA_FORMS}}}value") or "" for found in fields}

    async def correct(self, node: str, configuration: Mapping[str, str]) -> tuple[str, ...]:
        """Change those options of an own node that differ from ``configuration``, and return their names."""
        present = await self.configuration(node)
        wrong = tuple(name for name, value in configuration.items() if _BITS.get(present.get(name, ""), present.get(name)) != value)
        if wrong:
            await self.configure(node, {name: configuration[name] for name in wrong})
        return wrong

    async def subscribers(self, node: str) -> set[str]:
        """Return the bare JIDs of those who are subscribed to an own node."""
        return {found.get("jid", "").partition("/")[0] for found in await self._read_subscriptions(node)}

    async def delete(self, node: str) -> None:
        """Delete an own node."""
        await self._alone(ns.PUBSUB_OWNER, ET.Element(f"{{{ns.PUBSUB_OWNER}}}delete", {"node": node}))

    async def affiliations(self, node: str) -> dict[str, str]:
        """Return who is what on an own node; ``forbidden`` means that it is somebody else's."""
        answer = await self._ask("get", ns.PUBSUB_OWNER, ET.Element(f"{{{ns.PUBSUB_OWNER}}}affiliations", {"node": node}))
        found = answer.iter(f"{{{ns.PUBSUB_OWNER}}}affiliation")
        return {item.get("jid", ""): item.get("affiliation", "none") for item in found}

    async def set_affiliations(self, node: str, affiliations: Mapping[str, str]) -> None:
        """Change what accounts are on an own node; ``none`` removes one."""
        element = ET.Element(f"{{{ns.PUBSUB_OWNER}}}affiliations", {"node": node})
        for jid, affiliation in affiliations.items():
            ET.SubElement(element, f"{{{ns.PUBSUB_OWNER}}}affiliation", {"jid": jid, "affiliation": affiliation})
        await self._ask("set", ns.PUBSUB_OWNER, element)

    async def end_subscriptions(self, node: str, accounts: Collection[str]) -> None:
        """End what these accounts (bare JIDs) have of subscriptions to an own node, whatever their resource."""
        ended = ET.Element(f"{{{ns.PUBSUB_OWNER}}}{SUBSCRIPTIONS}", {"node": node})
        for found in await self._read_subscriptions(node):
            if found.get("jid", "").partition("/")[0] in accounts:
                ET.SubElement(ended, found.tag, {**found.attrib, "subscription": "none"})
        if len(ended):
            await self._ask("set", ns.PUBSUB_OWNER, ended)

    async def publish(self, node: str, payload: ET.Element, item_id: str) -> None:
        """Publish one item."""
        publish = ET.Element(f"{{{ns.PUBSUB}}}publish", {"node": node})
        ET.SubElement(publish, f"{{{ns.PUBSUB}}}item", {"id": item_id}).append(payload)
        await self._ask("set", ns.PUBSUB, publish)

    async def retract(self, node: str, item_id: str) -> None:
        """Remove one item."""
        retract = ET.Element(f"{{{ns.PUBSUB}}}retract", {"node": node, "notify": "true"})
        ET.SubElement(retract, f"{{{ns.PUBSUB}}}item", {"id": item_id})
        await self._ask("set", ns.PUBSUB, retract)

    async def items(self, node: str) -> list[Item]:
        """Return what the node holds."""
        answer = await self._ask("get", ns.PUBSUB, ET.Element(f"{{{ns.PUBSUB}}}items", {"node": node}))
        return [read_item(found) for found in answer.iter(f"{{{ns.PUBSUB}}}item")]

    async def subscribe(self, node: str) -> bool:
        """Subscribe this account (bare JID) to a node; returns whether it was not subscribed already."""
        bare = self._stream.boundjid.bare
        asked = ET.Element(f"{{{ns.PUBSUB}}}{SUBSCRIPTIONS}", {"node": node})
        answer = await self._ask("get", ns.PUBSUB, asked)
        if any(item.get("jid") == bare and item.get("node", node) == node for item in answer.iter(f"{{{ns.PUBSUB}}}subscription")):
            return False
        await self._ask("set", ns.PUBSUB, ET.Element(f"{{{ns.PUBSUB}}}subscribe", {"node": node, "jid": bare}))
        return True

    async def unsubscribe(self, node: str) -> None:
        """End this account's subscription to a node."""
        bare = self._stream.boundjid.bare
        await self._ask("set", ns.PUBSUB, ET.Element(f"{{{ns.PUBSUB}}}unsubscribe", {"node": node, "jid": bare}))

    async def owners(self, node: str) -> set[str]:
        """Return the bare JIDs that the service names as owners of a node."""
        return (await self._metadata(node)).get("pubsub#owner", set())

    async def writers(self, node: str) -> set[str] | None:
        """Return the bare JIDs that may publish on a node, its owners among them; ``None``: not only those whom it names."""
        found = await self._metadata(node)
        if found.get("pubsub#publish_model") != {"publishers"}:
            return None
        return found.get("pubsub#owner", set()) | found.get("pubsub#publisher", set())

    async def _read_subscriptions(self, node: str) -> list[ET.Element]:
        answer = await self._ask("get", ns.PUBSUB_OWNER, ET.Element(f"{{{ns.PUBSUB_OWNER}}}{SUBSCRIPTIONS}", {"node": node}))
        return list(answer.iter(f"{{{ns.PUBSUB_OWNER}}}subscription"))

    async def _metadata(self, node: str) -> dict[str, set[str]]:
        """Return what the service tells everybody of a node (XEP-0060, 5.4)."""
        info = ET.Element(f"{{{ns.DISCO_INFO}}}query", {"node": node})
        answer = await self._stream.request(stanzas.iq("get", self.service, info))
        fields = answer.iter(f"{{{ns.DATA_FORMS}}}field")
        return {field.get("var", ""): {value.text or "" for value in field.iterfind(f"{{{ns.DATA_FORMS}}}value")} for field in fields}

    async def _ask(self, kind: stanzas.IqType, namespace: str, *children: ET.Element) -> ET.Element:
        element = ET.Element(f"{{{namespace}}}pubsub")
        element.extend(children)
        return await self._stream.request(stanzas.iq(kind, self.service, element))

    async def _alone(self, namespace: str, *children: ET.Element) -> None:
        """Ask with no other creation or deletion of this process under way, and again if another process was in the way."""
        async with self._turn:
            for attempt in range(RETRIES):
                try:
                    await self._ask("set", namespace, *children)
                except CommandError as error:
                    if error.condition != Condition.INTERNAL_SERVER_ERROR or attempt == RETRIES - 1:
                        raise
                    await asyncio.sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311 - spreads load
                else:
                    return


def read_item(element: ET.Element) -> Item:
    """Return the item that an ``<item/>`` element holds."""
    return Item(element.get("id", ""), element[0] if len(element) else None, element.get("publisher"))


@dataclass(frozen=True)
class Notification:
    """What a service tells its subscribers: new items and retracted ones of a node."""

    node: str
    items: tuple[Item, ...]
    retracted: tuple[str, ...] = ()


def read_notification(message: ET.Element, service: str) -> Notification | None:
    """Return the notification in ``message``, or ``None`` if there is none, or if it is not from ``service`` (a forgery)."""
    event = message.find(f"{{{ns.PUBSUB_EVENT}}}event")
    if event is None or message.get("from") != service:
        return None
    items = event.find(f"{{{ns.PUBSUB_EVENT}}}items")
    if items is None:
        return None
    retracted = tuple(found.get("id", "") for found in items if local_name(found.tag) == "retract")
    return Notification(items.get("node", ""), tuple(read_item(found) for found in children_named(items, "item")), retracted)


def _form(fields: Mapping[str, str]) -> ET.Element:
    form = ET.Element(f"{{{ns.DATA_FORMS}}}x", {"type": "submit"})
    for name, value in fields.items():
        field = ET.SubElement(form, f"{{{ns.DATA_FORMS}}}field", {"var": name} | ({"type": "hidden"} if name == "FORM_TYPE" else {}))
        ET.SubElement(field, f"{{{ns.DATA_FORMS}}}value").text = value
    return form
