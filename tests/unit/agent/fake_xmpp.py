# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An XMPP server in memory: accounts, rosters, vCards and PubSub nodes, as far as the agent asks for them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from slixmpp import JID

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import Push, events_node
from archipel.protocol.xml import local_name, namespace_of
from archipel.xmpp.errors import Disconnected, LoginRefused
from archipel.xmpp.serial import serialize
from archipel.xmpp.stream import Lost

DOMAIN = "lab.example"
PUBSUB = f"pubsub.{DOMAIN}"
Handler = Callable[["FakeStream", ET.Element], list[ET.Element]]


def parse_stanza(text: str) -> ET.Element:
    """Return a stanza as a stream hands it over."""
    return ET.fromstring(f"<stream xmlns='{ns.CLIENT}'>{text}</stream>")[0]


@dataclass
class Node:
    """A PubSub node."""

    owner: str
    configuration: dict[str, str] = field(default_factory=dict)
    affiliations: dict[str, str] = field(default_factory=dict)
    items: dict[str, tuple[ET.Element | None, str | None]] = field(default_factory=dict)
    subscribers: list[str] = field(default_factory=list)
    publishers: list[str] = field(default_factory=list)
    publish_model: str = "publishers"


class FakeXmpp:
    """The server; ``steps`` has all that was asked, by whom.

    ``refuse`` maps steps to errors that they end with, ``lose`` steps that are done to errors in the place of their answers.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, str] = {"hyp": "secret"}
        self.rosters: dict[str, dict[str, str]] = {}
        self.groups: dict[tuple[str, str], str] = {}
        self.vcards: dict[str, ET.Element] = {}
        self.nodes: dict[str, Node] = {}
        self.refuse: dict[str, Exception] = {}
        self.lose: dict[str, Exception] = {}
        self.steps: list[tuple[str, str]] = []
        self.streams: dict[str, FakeStream] = {}

    def open_stream(self, jid: str, password: str, tls: ssl.SSLContext | None, *, resume: bool = False) -> FakeStream:
        """Stand in for the class of streams."""
        stream = self.streams[JID(jid).bare] = FakeStream(self, jid, password)
        return stream

    def answer(self, stream: FakeStream, iq: ET.Element) -> ET.Element:
        step, handler = self._find(iq)
        self.steps.append((stream.boundjid.bare, step))
        if step in self.refuse:
            raise self.refuse[step]
        result = ET.Element(f"{{{ns.CLIENT}}}iq", {"type": "result", "from": iq.get("to", "")})
        result.extend(handler(stream, iq[0]))
        if step in self.lose:
            raise self.lose[step]
        return result

    def _find(self, iq: ET.Element) -> tuple[str, Handler]:
        """Return the name of what is asked for, and what answers it."""
        namespace, kind, inner = namespace_of(iq[0].tag), iq.get("type", ""), local_name(iq[0][0].tag) if len(iq[0]) else ""
        known: dict[tuple[str, str, str], tuple[str, Handler]] = {
            (ns.IQ_ROSTER, "get", ""): ("read roster", self._read_roster),
            (ns.IQ_ROSTER, "set", "item"): ("change roster", self._change_roster),
            (ns.VCARD, "get", ""): ("read vcard", self._read_vcard),
            (ns.REGISTER, "set", "username"): ("register", self._register),
            (ns.REGISTER, "set", "remove"): ("unregister", self._unregister),
            (ns.PUBSUB, "set", "create"): ("create node", self._create),
            (ns.PUBSUB, "set", "publish"): ("publish", self._publish),
            (ns.PUBSUB, "set", "retract"): ("retract", self._retract),
            (ns.PUBSUB, "get", "items"): ("read items", self._read_items),
            (ns.PUBSUB, "get", "subscriptions"): ("read subscriptions", lambda _stream, asked: [self._subscriptions(asked)]),
            (ns.PUBSUB, "set", "subscribe"): ("subscribe", self._subscribe),
            (ns.PUBSUB_OWNER, "get", "affiliations"): ("read affiliations", self._read_affiliations),
            (ns.PUBSUB_OWNER, "set", "affiliations"): ("change affiliations", self._change_affiliations),
            (ns.PUBSUB_OWNER, "get", "configure"): ("read configuration", self._read_configuration),
            (ns.PUBSUB_OWNER, "set", "configure"): ("change configuration", self._change_configuration),
            (ns.PUBSUB_OWNER, "get", "subscriptions"): ("read subscribers", self._read_subscribers),
            (ns.PUBSUB_OWNER, "set", "subscriptions"): ("end subscriptions", self._end_subscriptions),
            (ns.PUBSUB_OWNER, "set", "delete"): ("delete node", self._delete),
            (ns.DISCO_INFO, "get", ""): ("read metadata", self._read_metadata),
        }
        if namespace == ns.VCARD and kind == "set":
            return "change vcard", self._change_vcard
        return known[namespace, kind, inner]

    # -- accounts -------------------------------------------------------------------------------------------------------

    def _read_roster(self, stream: FakeStream, _asked: ET.Element) -> list[ET.Element]:
        query = ET.Element(f"{{{ns.IQ_ROSTER}}}query")
        for jid, subscription in self.rosters.get(stream.boundjid.bare, {}).items():
            item = ET.SubElement(query, f"{{{ns.IQ_ROSTER}}}item", {"jid": jid, "subscription": subscription})
            if (group := self.groups.get((stream.boundjid.bare, jid))) is not None:
                ET.SubElement(item, f"{{{ns.IQ_ROSTER}}}group").text = group
        return [query]

    def _change_roster(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        """Change an item and push it, as a server does before it answers."""
        roster, item = self.rosters.setdefault(stream.boundjid.bare, {}), asked[0]
        jid = item.get("jid", "")
        if item.get("subscription") == "remove":
            roster.pop(jid)
        else:
            roster.setdefault(jid, "none")
        subscription = roster.get(jid, "remove")
        stream.deliver(
            f"<iq type='set' id='push'><query xmlns='{ns.IQ_ROSTER}'><item jid='{jid}' subscription='{subscription}'/></query></iq>"
        )
        return []

    def _read_vcard(self, stream: FakeStream, _asked: ET.Element) -> list[ET.Element]:
        card = self.vcards.get(stream.boundjid.bare)
        return [] if card is None else [card]

    def _change_vcard(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        self.vcards[stream.boundjid.bare] = asked
        return []

    def _register(self, _stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        name, password = (asked.findtext(f"{{{ns.REGISTER}}}{field}") or "" for field in ("username", "password"))
        if name in self.accounts:
            raise CommandError("exists", 409, Condition.CONFLICT)
        self.accounts[name] = password
        return []

    def _unregister(self, _stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        name = asked.findtext(f"{{{ns.REGISTER}}}username") or ""
        if self.accounts.get(name) != asked.findtext(f"{{{ns.REGISTER}}}password"):
            raise CommandError("Incorrect password", 403, Condition.FORBIDDEN)  # ejabberd says that of a missing account, too
        del self.accounts[name]
        return []

    # -- nodes ----------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        if name not in self.nodes:
            raise CommandError("no such node", 404, Condition.ITEM_NOT_FOUND)
        return self.nodes[name]

    def owned(self, stream: FakeStream, asked: ET.Element) -> Node:
        node = self.node(asked[0].get("node", ""))
        if node.owner != stream.boundjid.bare:
            raise CommandError("not yours", 403, Condition.FORBIDDEN)
        return node

    def _create(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        fields = {found.get("var", ""): "".join(found.itertext()) for found in asked[1].iter(f"{{{ns.DATA_FORMS}}}field")}
        if asked[0].get("node", "") in self.nodes:
            raise CommandError("exists", 409, Condition.CONFLICT)
        self.nodes[asked[0].get("node", "")] = Node(stream.boundjid.bare, fields)
        return []

    def _delete(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        self.owned(stream, asked)
        del self.nodes[asked[0].get("node", "")]
        return []

    def _publish(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        item = asked[0][0]
        self.node(asked[0].get("node", "")).items[item.get("id", "")] = (item[0], stream.boundjid.bare)
        return []

    def _retract(self, _stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        items = self.node(asked[0].get("node", "")).items
        if items.pop(asked[0][0].get("id", ""), None) is None:
            raise CommandError("no such item", 404, Condition.ITEM_NOT_FOUND)
        return []

    def _read_items(self, _stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        answer = ET.Element(f"{{{ns.PUBSUB}}}pubsub")
        for name, (payload, publisher) in self.node(asked[0].get("node", "")).items.items():
            item = ET.SubElement(answer, f"{{{ns.PUBSUB}}}item", {"id": name, **({"publisher": publisher} if publisher else {})})
            item.extend([] if payload is None else [payload])
        return [answer]

    def _subscriptions(self, asked: ET.Element) -> ET.Element:
        answer = ET.Element(f"{{{ns.PUBSUB}}}pubsub")
        for jid in self.node(asked[0].get("node", "")).subscribers:
            ET.SubElement(answer, f"{{{ns.PUBSUB}}}subscription", {"jid": jid})
        return answer

    def _subscribe(self, _stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        self.node(asked[0].get("node", "")).subscribers.append(asked[0].get("jid", ""))
        return []

    def _read_affiliations(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        node = self.owned(stream, asked)
        answer = ET.Element(f"{{{ns.PUBSUB_OWNER}}}pubsub")
        for jid, affiliation in {node.owner: "owner", **node.affiliations}.items():
            ET.SubElement(answer, f"{{{ns.PUBSUB_OWNER}}}affiliation", {"jid": jid, "affiliation": affiliation})
        return [answer]

    def _read_configuration(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        answer = ET.Element(f"{{{ns.PUBSUB_OWNER}}}pubsub")
        for name, value in self.owned(stream, asked).configuration.items():
            field = ET.SubElement(answer, f"{{{ns.DATA_FORMS}}}field", {"var": name})
            ET.SubElement(field, f"{{{ns.DATA_FORMS}}}value").text = {"1": "true", "0": "false"}.get(value, value)
        return [answer]

    def _change_configuration(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        for found in asked.iter(f"{{{ns.DATA_FORMS}}}field"):
            self.owned(stream, asked).configuration[found.get("var", "")] = found.findtext(f"{{{ns.DATA_FORMS}}}value") or ""
        return []

    def _change_affiliations(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        affiliations = self.owned(stream, asked).affiliations
        for item in asked[0]:
            affiliations[item.get("jid", "")] = item.get("affiliation", "")
            if item.get("affiliation") == "none":
                del affiliations[item.get("jid", "")]
        return []

    def _read_subscribers(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        answer = ET.Element(f"{{{ns.PUBSUB_OWNER}}}pubsub")
        for jid in self.owned(stream, asked).subscribers:
            ET.SubElement(answer, f"{{{ns.PUBSUB_OWNER}}}subscription", {"jid": jid, "subscription": "subscribed", "subid": jid})
        return [answer]

    def _end_subscriptions(self, stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        for item in asked[0]:
            assert item.get("subscription") == "none"
            self.owned(stream, asked).subscribers.remove(item.get("jid", ""))
        return []

    def _read_metadata(self, _stream: FakeStream, asked: ET.Element) -> list[ET.Element]:
        if "node" not in asked.attrib:
            return []
        node = self.node(asked.get("node", ""))
        told = {"publish_model": [node.publish_model], "owner": node.owner.split(), "publisher": node.publishers}
        query = ET.Element(f"{{{ns.DISCO_INFO}}}query")
        for name, values in told.items():
            field = ET.SubElement(query, f"{{{ns.DATA_FORMS}}}field", {"var": f"pubsub#{name}"})
            for value in values:
                ET.SubElement(field, f"{{{ns.DATA_FORMS}}}value").text = value
        return [query]

    # -- what tests look at ---------------------------------------------------------------------------------------------

    def pushes(self, bare: str) -> list[tuple[str, str]]:
        """Return topics and changes that an entity has published, in order."""
        found = [Push.read(payload) for payload, _publisher in self.nodes[events_node(bare)].items.values() if payload is not None]
        return [(push.topic, push.change) for push in found if push is not None]

    def asked(self, step: str) -> int:
        """Return how often something was asked for."""
        return sum(name == step for _who, name in self.steps)


class FakeStream:
    """Stands in for :class:`archipel.xmpp.stream.Stream`; ``sent`` is what was transmitted, as text."""

    def __init__(self, server: FakeXmpp, jid: str, password: str) -> None:
        self.boundjid = self.requested_jid = JID(jid)
        self.end_session_on_disconnect = True
        self.on_request: Callable[[ET.Element], None] = lambda _element: None
        self.on_message = self.on_presence = self.on_request
        self.lost: asyncio.Future[Lost] = asyncio.get_running_loop().create_future()
        self.sent: list[str] = []
        self.leaving = False
        self.online = False
        self._server = server
        self._password = password

    async def login(self, _host: str | None, _port: int | None, _deadline: float = 0) -> bool:
        await asyncio.sleep(0)
        if self._server.accounts.get(self.boundjid.local) != self._password:
            raise LoginRefused("wrong password")
        if self.lost.done():
            self.lost = asyncio.get_running_loop().create_future()
        self.online = True
        return False

    def take_no_more(self) -> None:
        self.leaving = True

    async def logout(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.online = False
        if not self.lost.done():
            self.lost.set_result(Lost("aborted"))

    async def request(self, iq: ET.Element, _timeout: float = 0) -> ET.Element:
        await asyncio.sleep(0)
        if self.lost.done():
            raise Disconnected("not connected")
        return self._server.answer(self, iq)

    def transmit(self, element: ET.Element) -> None:
        self.sent.append(serialize(element))

    def deliver(self, text: str) -> None:
        """Let a stanza come in."""
        stanza = parse_stanza(text)
        if self.leaving:
            return
        take = {"message": self.on_message, "presence": self.on_presence, "iq": self.on_request}
        take[local_name(stanza.tag)](stanza)

    def took(self, *words: str) -> list[str]:
        """Return what was sent with all of ``words`` in it."""
        return [text for text in self.sent if all(word in text for word in words)]
