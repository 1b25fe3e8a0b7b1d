# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entity's roster, as the server keeps it."""

from __future__ import annotations

from typing import cast

import pytest

from archipel.agent.contacts import Contacts
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError
from archipel.xmpp.stream import Stream
from tests.unit.agent.fake_xmpp import FakeStream, FakeXmpp, parse_stanza

WEB = "web@lab.example"
ALICE, BOB = "alice@lab.example", "bob@lab.example"


@pytest.fixture
async def stream(xmpp: FakeXmpp) -> FakeStream:
    return xmpp.open_stream(f"{WEB}/hyp", "", None)


@pytest.fixture
def contacts(stream: FakeStream) -> Contacts:
    contacts = Contacts(cast(Stream, stream))
    stream.on_request = contacts.take_push
    return contacts


def push(jid: str, subscription: str, sender: str = "") -> str:
    item = f"<item jid='{jid}' subscription='{subscription}'/>"
    return f"<iq type='set' id='p1' {sender}><query xmlns='{ns.IQ_ROSTER}'>{item}</query></iq>"


async def test_the_roster_is_that_of_the_server(xmpp: FakeXmpp, contacts: Contacts) -> None:
    xmpp.rosters[WEB] = {ALICE: "both", BOB: "to", "eve@lab.example": "none"}
    await contacts.load()
    assert list(contacts) == [ALICE, BOB, "eve@lab.example"]
    assert [contacts.subscription(bare) for bare in (ALICE, BOB, "x@y")] == ["both", "to", "none"]
    assert [contacts.sees_us(bare) for bare in (ALICE, BOB, "x@y")] == [True, False, False]
    assert contacts.seeing == {ALICE}


async def test_a_roster_that_is_loaded_again_forgets_the_former(xmpp: FakeXmpp, contacts: Contacts) -> None:
    xmpp.rosters[WEB] = {ALICE: "both"}
    await contacts.load()
    xmpp.rosters[WEB] = {BOB: "from"}
    await contacts.load()
    assert list(contacts) == [BOB]


@pytest.mark.parametrize("sender", ["", f"from='{WEB}'"])
async def test_a_change_is_taken_in_and_acknowledged(stream: FakeStream, contacts: Contacts, sender: str) -> None:
    stream.deliver(push("Alice@LAB.example", "from", sender))
    assert contacts.sees_us(ALICE)
    assert stream.took("<iq", 'type="result"', 'id="p1"')
    stream.deliver(push(ALICE, "remove", sender))
    assert ALICE not in contacts


@pytest.mark.parametrize("sender", ["eve@lab.example/x", "lab.example", "web@evil.example", f"{WEB}/other"])
async def test_a_change_from_anybody_else_is_ignored(stream: FakeStream, contacts: Contacts, sender: str) -> None:
    stream.deliver(push("eve@lab.example", "both", f"from='{sender}'"))
    assert "eve@lab.example" not in contacts
    assert stream.sent == []


async def test_who_is_added_is_asked_for_his_presence_and_sees_ours(xmpp: FakeXmpp, stream: FakeStream, contacts: Contacts) -> None:
    await contacts.add(ALICE, "Web & Co")
    assert xmpp.rosters[WEB] == {ALICE: "none"}
    asked, approved = stream.sent[-2:]
    presence = parse_stanza(asked)
    assert (presence.get("type"), presence.get("to")) == ("subscribe", ALICE)
    assert presence.findtext(f"{{{ns.NICK}}}nick") == "Web & Co"
    assert parse_stanza(approved).get("type") == "subscribed"


async def test_who_is_removed_is_gone_at_once(xmpp: FakeXmpp, contacts: Contacts) -> None:
    xmpp.rosters[WEB] = {ALICE: "both"}
    await contacts.load()
    await contacts.remove(ALICE)
    assert ALICE not in contacts
    assert xmpp.rosters[WEB] == {}


async def test_nobody_is_asked_to_remove_who_is_not_there(xmpp: FakeXmpp, contacts: Contacts) -> None:
    await contacts.remove(ALICE)
    assert xmpp.steps == []


async def test_who_could_not_be_removed_stays(xmpp: FakeXmpp, contacts: Contacts) -> None:
    xmpp.rosters[WEB] = {ALICE: "both"}
    await contacts.load()
    xmpp.refuse["change roster"] = CommandError("no")
    with pytest.raises(CommandError):
        await contacts.remove(ALICE)
    assert ALICE in contacts


@pytest.mark.parametrize("act,kind", [(Contacts.approve, "subscribed"), (Contacts.refuse, "unsubscribed")])
async def test_a_request_is_approved_or_refused(stream: FakeStream, contacts: Contacts, act: object, kind: str) -> None:
    assert callable(act)
    act(contacts, ALICE)
    assert [(parse_stanza(text).get("type"), parse_stanza(text).get("to")) for text in stream.sent] == [(kind, ALICE)]


async def test_an_address_that_cannot_be_read_hides_nobody_else(xmpp: FakeXmpp, contacts: Contacts) -> None:
    xmpp.rosters[WEB] = {"\N{GRINNING FACE}@lab.example": "both", ALICE: "both"}
    await contacts.load()
    assert list(contacts) == [ALICE]
