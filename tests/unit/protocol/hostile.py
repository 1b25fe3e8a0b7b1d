# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What strangers may send: any text that XML can hold, any tree of elements with names that mean something here."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import strategies as st

from archipel.protocol import namespaces as ns

# XML 1.0, 2.2: no control characters but these three, no surrogates, no non-characters of the first plane.
_CONTROLS = "".join(map(chr, {*range(32)} - {9, 10, 13}))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=f"{_CONTROLS}\ufffe\uffff"))
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))

_NAMES = (
    "archipel permission item domain device virtualmachine ip info nodeinfo network FN ORGNAME CATEGORIES error text push vCard PHOTO "
    "BINVAL ROLE event items retract archipel-error-permission x"
)
_ATTRIBUTES = (
    "action name jid permission_target permission_name permission_value permission_type managed value target uuid state memory maxMem "
    "nrVirtCpu cpuPrct autostart id date change sequence epoch code node rx_bytes inactive default model keep tags"
)
_NAMESPACES = (
    "",
    ns.CLIENT,
    ns.VM_CONTROL,
    ns.PERMISSIONS,
    ns.UNDECLARED,
    ns.STANZAS,
    ns.ERROR_GENERIC,
    ns.ERROR_PERMISSION,
    ns.ERROR_LIBVIRT,
    ns.VCARD,
    ns.PUBSUB_EVENT,
    f"{ns.PUSH_PREFIX}hypervisor",
)
_VALUES = st.one_of(TEXTS, st.integers().map(str), st.sampled_from(["", "0", "1", "True", "-1", "9" * 50, "2016-11-07 09:51:30.123456"]))


def _tag(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}" if namespace else name


def _make(tag: str, attributes: dict[str, str], text: str | None, children: list[ET.Element]) -> ET.Element:
    element = ET.Element(tag, attributes)
    element.text = text
    element.extend(children)
    return element


TAGS = st.builds(_tag, st.sampled_from(_NAMESPACES), st.sampled_from(_NAMES.split(" ")))
_ATTRIBUTE_MAPS = st.dictionaries(st.sampled_from(_ATTRIBUTES.split(" ")), _VALUES, max_size=5)


def trees(tags: st.SearchStrategy[str] = TAGS) -> st.SearchStrategy[ET.Element]:
    """Return elements whose root has one of ``tags``, with up to two levels below."""
    leaves = st.builds(_make, TAGS, _ATTRIBUTE_MAPS, st.none() | _VALUES, st.just([]))
    branches = st.builds(_make, TAGS, _ATTRIBUTE_MAPS, st.none() | _VALUES, st.lists(leaves, max_size=3))
    return st.builds(_make, tags, _ATTRIBUTE_MAPS, st.none() | _VALUES, st.lists(branches, max_size=3))
