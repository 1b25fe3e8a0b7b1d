# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds of appliances: RSS 2.0 with the founders' ``<uuid/>``, read from hostile text, and written."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.xml import child_named, children_named, nests_deeper

MOST_BYTES: Final = 1 << 20
MOST_ITEMS: Final = 500
DEEPEST: Final = 20
LONGEST_TEXT: Final = 1000  # characters of a name or description that are kept
MEDIA_TYPE: Final = "application/enomalism2-xvm2"
_DECLARATION: Final = re.compile(r"<!(?!--|\[CDATA\[)")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NOT_IN_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class FeedUnreadable(ValueError):
    """A text that is no feed; says why."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """An appliance of a feed; ``size`` in bytes (-1: not told), ``sha256`` in hexadecimal, empty if it is not told."""

    uuid: str
    name: str
    description: str = ""
    url: str
    size: int = -1
    date: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A feed."""

    uuid: str
    name: str
    description: str = ""
    link: str = ""
    language: str = ""
    items: tuple[Item, ...] = ()


def parse_feed(content: bytes, url: str) -> Feed:
    """Return what a feed at ``url`` holds; an identity that is missing, or none, is made of the address and the name.

    Raises :class:`FeedUnreadable`.
    """
    channel = _read_channel(content)
    told = _text(channel, "uuid")
    uuid = _canonical(told) or str(uuids.uuid5(uuids.NAMESPACE_URL, f"{url}#{told}"))
    elements = list(children_named(channel, "item"))
    if len(elements) > MOST_ITEMS:
        raise FeedUnreadable(f"it has more than {MOST_ITEMS} items")
    items = {item.uuid: item for element in elements if (item := _parse_item(element, uuid)) is not None}
    return Feed(
        uuid=uuid,
        name=_text(channel, "title") or url,
        description=_text(channel, "description"),
        link=_text(channel, "link"),
        language=_text(channel, "language"),
        items=tuple(items.values()),
    )


def _read_channel(content: bytes) -> ET.Element:
    if len(content) > MOST_BYTES:
        raise FeedUnreadable(f"it has more than {MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FeedUnreadable("it is not UTF-8") from None
    if _DECLARATION.search(text):
        raise FeedUnreadable("it declares a document type or entities")
    try:
        root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # noqa: S314 - limited, and nothing is declared that could expand
    except (ET.ParseError, ValueError) as error:
        raise FeedUnreadable(f"it is no well-formed XML: {error}") from None
    if nests_deeper(root, DEEPEST):
        raise FeedUnreadable(f"it nests more than {DEEPEST} elements")
    channel = child_named(root, "channel")
    if channel is None:
        raise FeedUnreadable("it is no RSS: there is no <channel>")
    return channel


def _parse_item(element: ET.Element, feed: str) -> Item | None:
    """Return an item; ``None`` if there is nothing to fetch."""
    enclosure = child_named(element, "enclosure")
    url = (enclosure.get("url") or "").strip() if enclosure is not None else ""
    if enclosure is None or not url:
        return None
    told, length = _text(element, "uuid"), (enclosure.get("length") or "").strip()
    digest = (enclosure.get("sha256") or _text(element, "sha256")).strip().lower()
    if digest and not _SHA256.fullmatch(digest):
        raise FeedUnreadable("a sha256 in it has not 64 hexadecimal digits")
    return Item(
        uuid=_canonical(told) or str(uuids.uuid5(uuids.UUID(feed), told or url)),
        name=_text(element, "title") or url.rpartition("/")[2],
        description=_text(element, "description"),
        url=url,
        size=int(length) if re.fullmatch(r"[0-9]{1,18}", length) else -1,
        date=_text(element, "pubDate"),
        sha256=digest,
    )


def _text(element: ET.Element, name: str) -> str:
    found = child_named(element, name)
    return "" if found is None else _plain(found.text or "").strip()[:LONGEST_TEXT]


def _canonical(text: str) -> str:
    try:
        return str(uuids.UUID(text)) if len(text) <= 45 else ""
    except ValueError:
        return ""


def _plain(text: str) -> str:
    return _NOT_IN_XML.sub(" ", text)


def write_feed(feed: Feed) -> bytes:
    """Return the text of a feed."""
    root = ET.Element("rss", {"version": "2.0"})
    channel = ET.SubElement(root, "channel")
    own = (("title", feed.name), ("link", feed.link), ("uuid", feed.uuid), ("description", feed.description), ("language", feed.language))
    _write_texts(channel, own)
    for item in feed.items:
        element = ET.SubElement(channel, "item")
        _write_texts(element, (("title", item.name), ("link", item.url), ("uuid", item.uuid)))
        attributes = {"url": item.url, "length": str(item.size), "type": _media_type(item.url)} | (
            {"sha256": item.sha256} if item.sha256 else {}
        )
        ET.SubElement(element, "enclosure", attributes)
        _write_texts(element, (("description", item.description), ("pubDate", item.date)))
    ET.indent(root)
    written: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return written + b"\n"


def _media_type(url: str) -> str:
    """Return what founding clients look for at packages, and nothing that they would take for one at other files."""
    return MEDIA_TYPE if url.endswith(".xvm2") else "application/octet-stream"


def _write_texts(parent: ET.Element, texts: Iterable[tuple[str, str]]) -> None:
    for name, text in texts:
        ET.SubElement(parent, name).text = _plain(text)
