# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names without their namespaces."""

from __future__ import annotations

import pytest

from archipel.protocol.xml import child_named, children_named, local_name, namespace_of, without_namespaces
from tests.unit.protocol.golden import canonical, normal, xml


@pytest.mark.parametrize(
    "tag,namespace,name", [("a", "", "a"), ("{urn:x}a", "urn:x", "a"), ("{}a", "", "a"), ("{urn:{odd}}a", "urn:{odd", "a")]
)
def test_a_tag_is_taken_apart(tag: str, namespace: str, name: str) -> None:
    assert (namespace_of(tag), local_name(tag)) == (namespace, name)


def test_children_are_found_by_their_local_name_only() -> None:
    parent = xml("<p><a n='1'/><b/><x:a xmlns:x='urn:x' n='2'/><c><a n='3'/></c></p>")
    assert [child.get("n") for child in children_named(parent, "a")] == ["1", "2"]
    assert child_named(parent, "d") is None


def test_only_the_named_namespaces_are_taken_off() -> None:
    element = xml("<a xmlns='urn:x'><b xmlns='urn:y'><c/></b></a>")
    assert canonical(without_namespaces(element, only=frozenset({"urn:x"}))) == normal("<a><b xmlns='urn:y'><c/></b></a>")
    assert element.tag == "{urn:x}a", "the original stays as it is"
