# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are found wherever somebody put them, in every spelling in which they might be shown."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.secrecy import find_secrets
from hypothesis import given
from hypothesis import strategies as st

SECRETS = st.text(min_size=1, max_size=20).filter(str.strip)
KEYS = st.sampled_from(
    ["password", "passwd", "Password", "vnc_password", "spice-passwd", "passphrase", "secret", "client_secret", "vncPassword", "passwords"]
)
NAMES = st.sampled_from(["name", "networks", "definition", "path", "disks"])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))


def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return what has the inner value somewhere in it, beside others."""
    lists = st.tuples(st.lists(LEAVES, max_size=2), inner).map(lambda parts: [*parts[0], parts[1]])
    return lists | st.tuples(NAMES, inner, LEAVES).map(lambda parts: {"beside": parts[2], parts[0]: parts[1]})


@given(st.data(), SECRETS)
def test_a_secret_is_found_at_any_depth_in_any_spelling(data: st.DataObject, secret: str) -> None:
    kept = data.draw(st.sampled_from([secret, [secret], {"value": secret}]))
    value = data.draw(st.recursive(st.tuples(KEYS, st.just(kept)).map(lambda pair: dict([pair])), around, max_leaves=4))
    found = find_secrets(value)
    assert {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], escape(secret)} <= found


@given(SECRETS.filter(lambda secret: all(character.isprintable() for character in secret)))
def test_a_displays_password_is_found_in_a_definition(secret: str) -> None:
    definition = f"<domain><graphics type='vnc' passwd={quoteattr(secret)}/></domain>"
    assert secret in find_secrets({"machines": [{"definition": definition}]})


@pytest.mark.parametrize(
    "definition, secrets",
    [
        ("<graphics passwd='one'/><graphics passwd = \"two\"/>", {"one", "two"}),
        ("<graphics passwd='a&amp;b'/>", {"a&amp;b", "a&b"}),
        ("<graphics passwd='with \"quotes\"'/>", {'with "quotes"'}),
        ("<graphics passwd='not closed'", {"not closed"}),
        ("<graphics passwd='open/><name>web</name>", {"open"}),
        ('<graphics passwd="open', {"open"}),
        ("<graphics passwd=bare/><graphics PASSWD='large'/>", {"bare", "large"}),
    ],
)
def test_the_passwords_in_a_definition_are_found_even_if_it_is_broken(definition: str, secrets: set[str]) -> None:
    assert secrets <= find_secrets(definition)


@pytest.mark.parametrize(
    "value",
    [
        "<graphics passwd=''/><name>passwd</name>",
        {"password": None, "update_password": "always", "password_file": "/etc/secret", "passwd": True, "secret": " "},
        {"tokens": ["create"], "name": "password"},
    ],
)
def test_what_is_no_secret_is_shown(value: Any) -> None:
    assert find_secrets(value) == set()
