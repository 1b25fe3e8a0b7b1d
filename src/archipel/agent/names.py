# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of virtual machines: which ones libvirt and people can live with, which are free, and new ones.

A name becomes a domain's name in libvirt, a file's name (``NAME.xml``, ``NAME.log``) and what people type in a chat.
"""

from __future__ import annotations

import itertools
import re
import secrets
import unicodedata
import uuid
from collections.abc import Iterable
from typing import Final

from archipel.agent.words import ADJECTIVES, NOUNS

# A file's name has 255 bytes at most (NAME_MAX); libvirt, virtlogd and QEMU's snapshots put up to 50 characters after it.
MAX_BYTES: Final = 200

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class InvalidName(ValueError):
    """A text cannot be a machine's name; the message says why and what to change."""


def name_key(name: str) -> str:
    """Return what two names have in common that people cannot tell apart: letter case and composed characters aside."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def is_free(name: str, taken: Iterable[str]) -> bool:
    """Whether none of the ``taken`` names is ``name`` in this or another spelling."""
    return name_key(name) not in set(map(name_key, taken))


def normalise_name(name: str, *, allow_blank_space: bool = True) -> str:
    """Return ``name`` as a machine may bear it: composed characters, no blanks at its ends, plain blanks inside.

    Without ``allow_blank_space`` a hyphen takes the place of each blank. Raises :class:`InvalidName`.
    """
    blank = " " if allow_blank_space else "-"
    text = unicodedata.normalize("NFC", name).strip()
    text = "".join(blank if unicodedata.category(character) == "Zs" else character for character in text)
    if not text:
        raise InvalidName("a machine's name must not be empty: give it letters or digits")
    _check_characters(text)
    if len(text.encode()) > MAX_BYTES:
        raise InvalidName(f"a machine's name has {MAX_BYTES} bytes at most, this one {len(text.encode())}: shorten it")
    if text.startswith((".", "-")):
        raise InvalidName(f"{text!r} must not begin with a dot or a hyphen: begin it with a letter or digit")
    _check_address(text)
    return text


def _check_address(text: str) -> None:
    """Refuse what could be taken for another machine's UUID or JID: machines are found by those, too."""
    key = name_key(text)
    if "@" in key:
        raise InvalidName(f"{text!r} must not contain an @, because machines are found by their JIDs too: use a hyphen")
    if _UUID.match(key) or _reads_as_uuid(key):
        raise InvalidName(f"{text!r} begins with a UUID, by which machines are found too: choose another name")


def _reads_as_uuid(text: str) -> bool:
    """Whether clients take this for a UUID: in braces, without hyphens, as a URN."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _check_characters(text: str) -> None:
    for character in text:
        if character == "/":
            raise InvalidName(f"{text!r} must not contain a slash, because libvirt makes files of that name: use a hyphen")
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            raise InvalidName(f"{text!r} contains the invisible character U+{ord(character):04X}: remove it")


def make_name(taken: Iterable[str]) -> str:
    """Return a random free name, adjective and noun with a hyphen between; when all are used, one with a number after it."""
    used = set(map(name_key, taken))
    total = len(ADJECTIVES) * len(NOUNS)
    first = secrets.randbelow(total)
    for index in itertools.chain(range(first, total), range(first)):
        name = _combination(index)
        if name not in used:
            return name
    return next(name for number in itertools.count(2) if (name := f"{_combination(first)}-{number}") not in used)


def _combination(index: int) -> str:
    noun, adjective = divmod(index, len(ADJECTIVES))
    return f"{ADJECTIVES[adjective]}-{NOUNS[noun]}"
