# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses as keys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slixmpp import JID

from archipel.agent.jids import MalformedJid, account_jid, bare_jid


@pytest.mark.parametrize(
    "spelling",
    [
        "Bob@Lab.Example",
        "bob@lab.example/Home",
        "BOB@LAB.EXAMPLE/a@b/c",
        "bob@lab.example.",
        "bob@lab.example./Home",
        JID("Bob@lab.example/Home"),
        JID("bob@lab.example"),
        JID("bob@lab.example."),
    ],
)
def test_all_spellings_of_an_account_are_one(spelling: str | JID):
    assert bare_jid(spelling) == account_jid(spelling) == "bob@lab.example"


@pytest.mark.parametrize(
    "text",
    ["", "@lab.example", "bob@", "a b@lab.example", "bob@@lab", "bob@lab.example/", "bob@a b", "bob@lab.example..", "a" * 1100 + "@b"],
)
def test_what_is_no_jid_is_named(text: str):
    with pytest.raises(MalformedJid, match="is not a JID"):
        bare_jid(text)


def test_a_server_is_a_jid_but_no_account():
    assert bare_jid("Lab.Example") == "lab.example"
    with pytest.raises(MalformedJid, match=r"'lab.example' is a server's address, not an account's \(name@server\)"):
        account_jid("lab.example")


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_text_is_a_key_or_an_error(text: str):
    try:
        bare = bare_jid(text)
    except MalformedJid:
        return
    assert bare_jid(bare) == bare
    assert "/" not in bare
