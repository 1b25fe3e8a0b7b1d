# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A good definition with anything added to it that no rule names never passes, wherever it is added."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.virt.allow_list import Rule
from archipel.agent.virt.domain_policy import check_domain
from archipel.agent.virt.domain_rules import DOMAIN
from archipel.protocol.domain import Domain, parse
from tests.unit.agent.policy_house import House

# Names that libvirt knows, some of them allowed elsewhere, and names nobody knows.
KNOWN = [
    "source",
    "script",
    "hostdev",
    "filesystem",
    "emulator",
    "seclabel",
    "path",
    "file",
    "dev",
    "dir",
    "type",
    "cpuset",
    "log",
    "address",
]
NAMES = (
    st.sampled_from(KNOWN)
    | st.from_regex(r"[a-z]{1,10}", fullmatch=True)
    | st.just("{http://libvirt.org/schemas/domain/qemu/1.0}commandline")
)
VALUES = st.sampled_from(["", "yes", "file", "1", "/etc/shadow", "/dev/sda", "network"]) | st.text(
    st.characters(codec="ascii", min_codepoint=32), max_size=20
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("policy"))


def places(element: ET.Element, rule: Rule) -> Iterator[tuple[ET.Element, Rule]]:
    """Yield every element of a definition that has a rule, with it."""
    if rule.opaque:
        return
    yield element, rule
    for child in element:
        yield from places(child, rule.children[child.tag])


def drawn_place(house: House, data: st.DataObject) -> tuple[Domain, ET.Element, Rule]:
    domain = parse(house.good)
    return domain, *data.draw(st.sampled_from(list(places(domain.element, DOMAIN))))


@given(data=st.data(), name=NAMES, value=VALUES)
def test_an_attribute_that_no_rule_names_never_passes(house: House, data: st.DataObject, name: str, value: str) -> None:
    domain, element, rule = drawn_place(house, data)
    if name in rule.attributes:
        return
    element.set(name, value)
    assert [violation for violation in check_domain(domain, house.policy) if violation.place.endswith(f"/@{name}")]


@given(data=st.data(), name=NAMES, text=VALUES, position=st.integers(0, 5))
def test_an_element_that_no_rule_names_never_passes(house: House, data: st.DataObject, name: str, text: str, position: int) -> None:
    domain, element, rule = drawn_place(house, data)
    if name in rule.children:
        return
    added = ET.Element(name)
    added.text = text
    element.insert(position, added)
    assert [violation for violation in check_domain(domain, house.policy) if violation.place.endswith(f"/{name}")]


@given(data=st.data(), text=st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=20))
def test_text_where_no_rule_allows_it_never_passes(house: House, data: st.DataObject, text: str) -> None:
    domain, element, rule = drawn_place(house, data)
    if rule.text is not None:
        return
    element.text = text
    assert "holds text" in {violation.problem for violation in check_domain(domain, house.policy)}


@given(data=st.data())
def test_a_second_of_what_stands_once_never_passes(house: House, data: st.DataObject) -> None:
    domain = parse(house.good)
    parents = [
        (element, child) for element, rule in places(domain.element, DOMAIN) for child in element if not rule.children[child.tag].many
    ]
    parent, child = data.draw(st.sampled_from(parents))
    parent.append(ET.fromstring(ET.tostring(child)))
    assert check_domain(domain, house.policy)


HOSTILE = st.sampled_from(
    ["/etc/shadow", "../../etc/shadow", "/dev/sda", "/proc/self/fd/0", "file:///etc/shadow", "nbd://127.0.0.1/x", "json:{}/"]
)


@given(data=st.data(), value=HOSTILE)
def test_no_attribute_takes_a_path_outside(house: House, data: st.DataObject, value: str) -> None:
    domain, element, _ = drawn_place(house, data)
    if not element.attrib:
        return
    element.set(data.draw(st.sampled_from(sorted(element.attrib))), value)
    assert check_domain(domain, house.policy)


@given(data=st.data(), value=HOSTILE)
def test_no_text_takes_a_path_outside(house: House, data: st.DataObject, value: str) -> None:
    domain, element, rule = drawn_place(house, data)
    if rule.text is None or element.tag in {"title", "description", "cmdline"}:
        return
    element.text = value
    assert check_domain(domain, house.policy)
