# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vCards (XEP-0054): what an entity is, for the contact list of every client.

Founding clients read the names at any depth; the standard nesting is used, because ejabberd drops a flat ORGNAME, ORGUNIT,
LOCALITY or USERID and answers a result all the same.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns

PNG: Final = "image/png"
_BEGINNINGS: Final = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": "image/jpeg", b"GIF87a": "image/gif", b"GIF89a": "image/gif"}


def media_type(picture: bytes) -> str | None:
    """Return what kind of picture begins like that, of those that vCards hold; ``None`` if it is none."""
    return next((kind for beginning, kind in _BEGINNINGS.items() if picture.startswith(beginning)), None)


@dataclass(frozen=True)
class Organisation:
    """Whose an entity is: free texts of its vCard."""

    orgname: str = ""
    orgunit: str = ""
    locality: str = ""
    userid: str = ""
    categories: str = ""


@dataclass(frozen=True)
class VCard:
    """An entity's vCard; ``role`` is what clients classify it by, ``photo`` a PNG, JPEG or GIF."""

    role: str
    title: str
    name: str
    organisation: Organisation = field(default_factory=Organisation)
    photo: bytes = b""
    url: str = ""

    @functools.cached_property
    def photo_hash(self) -> str:
        """The photo's SHA-1 in hexadecimal, as XEP-0153 wants it; empty without a photo."""
        return hashlib.sha1(self.photo, usedforsecurity=False).hexdigest() if self.photo else ""

    def write(self) -> ET.Element:
        """Return the ``<vCard/>`` element."""
        card = ET.Element(f"{{{ns.VCARD}}}vCard")
        own = self.organisation
        _put(card, "FN", self.name)
        _put(card, "ROLE", self.role)
        _put(card, "TITLE", self.title)
        _put(card, "ORG/ORGNAME", own.orgname)
        _put(card, "ORG/ORGUNIT", own.orgunit)
        _put(card, "ADR/LOCALITY", own.locality)
        _put(card, "EMAIL/USERID", own.userid)
        _put(card, "CATEGORIES/KEYWORD", own.categories)
        _put(card, "URL", self.url)
        if self.photo:
            _put(card, "PHOTO/TYPE", media_type(self.photo) or PNG)
            _put(card, "PHOTO/BINVAL", base64.b64encode(self.photo).decode())
        return card

    @classmethod
    def read(cls, card: ET.Element) -> VCard:
        """Return the vCard that ``card`` holds, names taken at any depth; the founders had the categories' text without KEYWORD.

        Raises :class:`ValueError` if the photo is not base64.
        """
        categories = _get(card, "KEYWORD") or _get(card, "CATEGORIES").strip()
        own = Organisation(_get(card, "ORGNAME"), _get(card, "ORGUNIT"), _get(card, "LOCALITY"), _get(card, "USERID"), categories)
        photo = base64.b64decode(_get(card, "BINVAL"))
        return cls(_get(card, "ROLE"), _get(card, "TITLE"), _get(card, "FN"), own, photo, _get(card, "URL"))

    def update(self) -> ET.Element:
        """Return the element that every presence carries, so that clients know when to read the vCard again (XEP-0153)."""
        update = ET.Element(f"{{{ns.VCARD_UPDATE}}}x")
        ET.SubElement(update, f"{{{ns.VCARD_UPDATE}}}photo").text = self.photo_hash
        return update


def _put(card: ET.Element, path: str, value: str) -> None:
    """Write ``value`` where ``path`` says, making what leads there; an empty value leaves no trace."""
    element = card
    for name in path.split("/") if value else ():
        tag = f"{{{ns.VCARD}}}{name}"
        found = element.find(tag)
        element = ET.SubElement(element, tag) if found is None else found
    if value:
        element.text = value


def _get(card: ET.Element, name: str) -> str:
    found = next(card.iter(f"{{{ns.VCARD}}}{name}"), None)
    return "" if found is None else found.text or ""
