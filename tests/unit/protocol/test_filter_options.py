# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network filter by single options, and as libvirt writes it back."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.domain.xml_path import content
from archipel.protocol.filter_options import (
    ACTIONS,
    DIRECTIONS,
    FILTER,
    PROTOCOLS,
    change_filter,
    describe_filter,
    make_filter,
    read_declaration,
)


def rule(**more: Any) -> dict[str, Any]:
    return {"action": "drop", "direction": "out", **more}


@pytest.mark.parametrize(
    "fields, libvirts",
    [
        ("mac", ({"protocolid": 0x806}, "<mac protocolid='arp'/>")),
        ("mac", ({"protocolid": "0x88b5"}, "<mac protocolid='34997'/>")),
        ("ip", ({"protocol": 17}, "<ip protocol='udp'/>")),
        ("tcp", ({"srcmacaddr": "52:54:00:AB:CD:EF", "match": False}, "<tcp match='no' srcmacaddr='52:54:00:ab:cd:ef'/>")),
        ("all", ({}, "<all/>")),
    ],
)
def test_what_libvirt_spells_otherwise_is_the_same(fields: str, libvirts: tuple[dict[str, Any], str]) -> None:
    declared = read_declaration({"rules": [rule(protocol=fields, fields=libvirts[0])]})
    there = ET.fromstring(f"<filter name='a'><rule action='drop' direction='out' priority='500'>{libvirts[1]}</rule></filter>")
    assert FILTER.read_like(there, declared) == declared
    found, wanted = FILTER.read_like(there, declared)["rules"][0], declared["rules"][0]
    assert list(found.get("fields", ())) == list(wanted.get("fields", ())), "in the order declared"
    assert content(change_filter(declared, there)) == content(there)


words = st.text("abcdefghij", min_size=1, max_size=8)
values = st.one_of(words, st.integers(0, 65535), st.booleans())
rules = st.fixed_dictionaries(
    {"action": st.sampled_from(ACTIONS), "direction": st.sampled_from(DIRECTIONS), "protocol": st.sampled_from(PROTOCOLS)},
    optional={"priority": st.integers(-1000, 1000), "statematch": st.booleans(), "fields": st.dictionaries(words, values, max_size=3)},
)
filters = st.fixed_dictionaries(
    {"rules": st.lists(rules, max_size=4)},
    optional={
        "chain": words,
        "priority": st.integers(-1000, 1000),
        "filterrefs": st.lists(
            st.fixed_dictionaries(
                {"filter": words}, optional={"parameters": st.dictionaries(words, st.lists(words, min_size=1), max_size=2)}
            ),
            max_size=3,
            unique_by=lambda entry: entry["filter"],
        ),
    },
)


@given(filters, filters)
def test_whatever_is_declared_is_there_afterwards_and_stays_when_it_is_declared_again(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = read_declaration(one), read_declaration(other)
    made = make_filter(first, "guard", None)
    assert FILTER.read_like(made, first) == first
    changed = change_filter(second, made)
    assert FILTER.read_like(changed, second) == second
    again = make_filter(read_declaration(describe_filter(changed)), "guard", None)
    assert describe_filter(again) == describe_filter(changed)
