# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all entities do: come online complete, show themselves, answer each request once, let in who may."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import cast

import pytest

from archipel.agent import chat
from archipel.agent import entity as module
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol import presence
from archipel.protocol.errors import CommandError, Condition, read_error
from archipel.protocol.events import Topic, events_node
from archipel.protocol.presence import Status
from archipel.protocol.vcard import Organisation, VCard
from archipel.xmpp.errors import Disconnected
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeStream, FakeXmpp, Node, parse_stanza
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STRANGER, STUDENT, UUID, VM, FakeHost, command_iq
from tests.unit.protocol.golden import xml

NODE = events_node(VM)


def presences(stream: FakeStream) -> list[tuple[str | None, str | None, str | None]]:
    """Return to whom which show and status were sent."""
    found = [parse_stanza(text) for text in stream.took("<presence") if "type=" not in text]
    return [(each.get("to"), each.findtext(f"{{{ns.CLIENT}}}show"), each.findtext(f"{{{ns.CLIENT}}}status")) for each in found]


# -- coming online ------------------------------------------------------------------------------------------------------


async def test_an_entity_has_roster_events_node_and_vcard_before_it_shows_itself(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    """Clients subscribe to the node when they have read the vCard, and read that when they see the presence."""
    stream = await go_online(machine)
    steps = [step for who, step in xmpp.steps if who == VM]
    assert steps[:3] == ["read roster", "read affiliations", "create node"]
    assert steps.index("create node") < steps.index("read vcard") < steps.index("change vcard")
    assert presences(stream) == [(None, "xa", "Off")]
    assert "<photo/>" in stream.sent[0]


async def test_owners_and_administrators_may_read_the_events(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.rosters[VM] = {"friend@lab.example": "both"}
    await go_online(machine)
    assert xmpp.nodes[NODE].affiliations == dict.fromkeys([OWNER.bare, ADMIN.bare, "friend@lab.example"], "member")


async def test_the_vcard_tells_all_and_is_written_once(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    machine.organisation = Organisation("Lab", "It", "Here", "bob", "test")
    await go_online(machine)
    assert VCard.read(xmpp.vcards[VM]) == VCard("virtualmachine", "Virtual machine (TEST)", "web", machine.organisation)
    await machine.publish_vcard()
    assert xmpp.asked("change vcard") == 1


@pytest.mark.parametrize(
    "stored",
    [
        "<vCard xmlns='vcard-temp'/>",
        "<vCard xmlns='vcard-temp'><ROLE>person</ROLE></vCard>",
        "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>a</BINVAL></PHOTO></vCard>",
    ],
)
async def test_a_vcard_that_says_something_else_is_replaced(xmpp: FakeXmpp, machine: VirtualMachine, stored: str) -> None:
    xmpp.vcards[VM] = xml(stored)
    await go_online(machine)
    assert VCard.read(xmpp.vcards[VM]).role == "virtualmachine"


async def test_a_vcard_that_cannot_be_read_is_written(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.refuse["read vcard"] = CommandError("none", condition=Condition.ITEM_NOT_FOUND)
    await go_online(machine)
    assert VM in xmpp.vcards


async def test_presences_carry_the_hash_of_the_vcard_s_picture(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    settings = machine.services.settings
    machine.services.settings = dataclasses.replace(settings, vcard=dataclasses.replace(settings.vcard, use_avatar=True))
    stream = await go_online(machine)
    card = VCard.read(xmpp.vcards[VM])
    assert card.photo.startswith(b"\x89PNG")
    assert f"<photo>{card.photo_hash}</photo>" in stream.sent[0]


async def test_a_resumed_session_repeats_nothing(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    xmpp.steps.clear()
    await machine._come_online(resumed=True)
    assert (xmpp.steps, stream.sent) == ([], [])


async def test_a_session_that_is_lost_and_cannot_be_resumed_is_offline_until_the_next(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    stream = await go_online(machine)
    xmpp.accounts[UUID] = "changed meanwhile"
    xmpp.refuse["register"] = CommandError("no")
    stream.abort()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not machine.online.is_set()


async def test_a_closed_entity_is_known_to_nobody(machine: VirtualMachine, stream: FakeStream) -> None:
    await machine.close()
    with pytest.raises(LookupError):
        machine.knows(OWNER.bare)


# -- showing ------------------------------------------------------------------------------------------------------------


async def test_a_status_is_shown_once(machine: VirtualMachine, stream: FakeStream) -> None:
    for _ in range(2):
        machine.show(presence.RUNNING)
    assert presences(stream) == [(None, None, "Running")]


async def test_before_the_session_nothing_is_shown(machine: VirtualMachine) -> None:
    machine.show(presence.RUNNING)
    assert cast(FakeStream, machine.stream).sent == []


async def test_a_shout_reaches_the_roster_and_nobody_else(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.rosters[VM] = {"a@lab.example": "both", VM: "both", "b@lab.example": "none", OWNER.bare: "none"}
    stream = await go_online(machine)
    machine.shout("news")
    assert [parse_stanza(text).get("to") for text in stream.took("headline")] == ["a@lab.example", OWNER.bare]


async def test_pushes_come_in_the_order_of_their_changes(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    for number in range(20):
        machine.push(Topic.VM_CONTROL, str(number))
    await finish_work(machine)
    assert xmpp.pushes(VM) == [("virtualmachine:control", str(number)) for number in range(20)]


async def test_a_new_name_is_in_the_vcard_and_clients_are_told(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    await machine.rename("db", Organisation("Other"))
    card = VCard.read(xmpp.vcards[VM])
    assert (card.name, card.organisation.orgname) == ("db", "Other")
    assert len(presences(stream)) == 1


# -- visitors with directed presences -----------------------------------------------------------------------------------


async def test_a_visitor_who_may_see_us_learns_our_full_address(machine: VirtualMachine, stream: FakeStream) -> None:
    stream.deliver(f"<presence from='{OWNER.full}'/>")
    assert presences(stream) == [(OWNER.full, "xa", "Off")]


async def test_a_visitor_is_told_of_changes_until_he_leaves(machine: VirtualMachine, stream: FakeStream) -> None:
    stream.deliver(f"<presence from='{OWNER.full}'/>")
    stream.deliver(f"<presence from='{OWNER.full}'><show>away</show></presence>")
    machine.show(presence.RUNNING)
    stream.deliver(f"<presence from='{OWNER.full}' type='unavailable'/>")
    machine.show(presence.PAUSED)
    assert [to for to, _show, _status in presences(stream)] == [OWNER.full, None, OWNER.full, None]


async def test_a_visitor_who_may_not_see_us_any_more_is_told_nothing_more(machine: VirtualMachine, stream: FakeStream) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "presence", granted_by=HYP)
    stream.deliver(f"<presence from='{STUDENT.full}'/>")
    await machine.services.rights.revoke(VM, STUDENT.bare, "presence")
    machine.show(presence.RUNNING)
    assert [to for to, _show, _status in presences(stream)] == [STUDENT.full, None]


async def test_who_gets_the_presence_from_the_server_gets_it_once(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.rosters[VM] = {OWNER.bare: "both"}
    stream = await go_online(machine)
    stream.sent.clear()
    stream.deliver(f"<presence from='{OWNER.full}'/>")
    machine.show(presence.RUNNING)
    assert [to for to, _show, _status in presences(stream)] == [None]


@pytest.mark.parametrize("caller", [STRANGER.full, STUDENT.full, VM, f"{VM}/hyp", "@@"])
async def test_others_are_told_nothing(machine: VirtualMachine, stream: FakeStream, caller: str) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "info", granted_by=HYP)
    stream.deliver(f"<presence from='{caller}'/>")
    await finish_work(machine)
    assert stream.sent == []


async def test_a_crowd_is_answered_but_not_remembered(machine: VirtualMachine, stream: FakeStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VISITORS", 3)
    for number in range(10):
        stream.deliver(f"<presence from='{OWNER.bare}/{number}'/>")
    assert len(presences(stream)) == 10
    stream.sent.clear()
    machine.show(presence.RUNNING)
    assert len(presences(stream)) == 1 + 3


# -- requests -----------------------------------------------------------------------------------------------------------


async def answer_to(machine: VirtualMachine, stream: FakeStream, text: str) -> str:
    """Return the one answer to what comes in."""
    stream.sent.clear()
    stream.deliver(text)
    await finish_work(machine)
    (answer,) = stream.sent
    return answer


def question(namespace: str, sender: str | None = OWNER.full, kind: str = "get") -> str:
    stamp = "" if sender is None else f"from='{sender}'"
    return f"<iq type='{kind}' id='1' {stamp}><query xmlns='{namespace}'/></iq>"


@pytest.mark.parametrize("sender", [OWNER.full, STRANGER.full, None])
async def test_a_ping_is_answered_to_anybody(machine: VirtualMachine, stream: FakeStream, sender: str | None) -> None:
    answer = parse_stanza(await answer_to(machine, stream, question(ns.PING, sender)))
    assert (answer.get("type"), answer.get("to"), len(answer)) == ("result", sender, 0)


@pytest.mark.parametrize(
    "namespace,sender,condition",
    [
        ("urn:x", OWNER.full, Condition.FEATURE_NOT_IMPLEMENTED),
        ("urn:x", STRANGER.full, Condition.FORBIDDEN),
        ("archipel:nonsense", OWNER.full, Condition.BAD_REQUEST),
        (ns.VM_CONTROL, STRANGER.full, Condition.BAD_REQUEST),
        (ns.DISCO_INFO, STRANGER.full, Condition.FORBIDDEN),
        (ns.COMMANDS, STRANGER.full, Condition.FORBIDDEN),
    ],
)
async def test_everything_else_is_refused_in_one_answer(
    machine: VirtualMachine, stream: FakeStream, namespace: str, sender: str, condition: Condition
) -> None:
    answer = parse_stanza(await answer_to(machine, stream, question(namespace, sender)))
    assert (answer.get("type"), read_error(answer).condition) == ("error", condition)


async def test_an_empty_iq_is_answered_too(machine: VirtualMachine, stream: FakeStream) -> None:
    assert 'type="error"' in await answer_to(machine, stream, f"<iq type='get' id='1' from='{OWNER.full}'/>")


@pytest.mark.parametrize("namespace", [ns.PING, ns.VM_CONTROL, "urn:x"])
@pytest.mark.parametrize("key", ["x" * 4097, "x" * 190_000, "\u20ac" * 60_000, "&quot;" * 30_000])
async def test_a_request_with_a_long_id_is_refused_in_one_answer(
    machine: VirtualMachine, stream: FakeStream, namespace: str, key: str
) -> None:
    answer = await answer_to(machine, stream, question(namespace).replace("id='1'", f"id='{key}'"))
    assert len(answer.encode()) < 262_144, "the server ends a stream that sends more"
    read = parse_stanza(answer)
    assert read.get("id") == key.replace("&quot;", '"')
    assert (read.get("type"), read_error(read).condition) == ("error", Condition.BAD_REQUEST)


async def test_an_id_that_no_answer_can_give_back_ends_nothing(machine: VirtualMachine, stream: FakeStream) -> None:
    """Written as this is, it fits into a stanza to us, but not into one from us: a quotation mark takes six bytes there."""
    stream.sent.clear()
    stream.deliver(question(ns.PING).replace("id='1'", "id='" + '"' * 100_000 + "'"))
    await finish_work(machine)
    assert stream.sent == []
    assert 'type="result"' in await answer_to(machine, stream, question(ns.PING))


async def test_a_sender_that_cannot_be_read_is_a_stranger(machine: VirtualMachine, stream: FakeStream) -> None:
    answer = await answer_to(machine, stream, command_iq(ns.VM_CONTROL, "<archipel action='create'/>", Caller("@@", "")))
    assert isinstance(read_error(parse_stanza(answer)), CommandError)
    assert "archipel-error-permission" in answer


async def test_fifty_requests_at_once_get_fifty_answers(machine: VirtualMachine, stream: FakeStream, host: FakeHost) -> None:
    ids = []
    for _ in range(50):
        text = command_iq(ns.VM_CONTROL, "<archipel action='info'/>", kind="get")
        ids.append(parse_stanza(text).get("id"))
        stream.deliver(text)
    await finish_work(machine)
    assert sorted(parse_stanza(text).get("id") or "" for text in stream.sent) == sorted(map(str, ids))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each sender two requests are worked on and three wait, of chats one and two."""
    for name, value in {"REQUESTS_AT_ONCE": 2, "MOST_REQUESTS_WAITING": 3, "CHATS_AT_ONCE": 1, "MOST_CHATS_WAITING": 2}.items():
        monkeypatch.setattr(module, name, value)


@pytest.mark.usefixtures("narrow")
async def test_of_one_sender_s_flood_of_requests_the_end_is_refused_at_once(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    stream = await go_online(hypervisor)
    stream.sent.clear()
    for sender in [STRANGER.full] * 7 + [OWNER.full]:
        stream.deliver(question(ns.PING, sender))
    refused = [parse_stanza(text) for text in stream.sent]
    assert [(each.get("to"), read_error(each).condition) for each in refused] == [(STRANGER.full, Condition.RESOURCE_CONSTRAINT)] * 2
    assert refused[0][-1].get("type") == "wait"
    await finish_work(hypervisor)
    assert [parse_stanza(text).get("to") for text in stream.took('type="result"')].count(STRANGER.full) == 5
    assert [parse_stanza(text).get("to") for text in stream.took('type="result"')].index(OWNER.full) == 2
    stream.sent.clear()
    stream.deliver(question(ns.PING, STRANGER.full))
    await finish_work(hypervisor)
    assert len(stream.took('type="result"')) == 1


@pytest.mark.usefixtures("narrow")
async def test_of_a_flood_of_chats_the_end_is_refused_in_one_line(hypervisor: Hypervisor) -> None:
    stream = await go_online(hypervisor)
    stream.sent.clear()
    for _ in range(2):
        for _ in range(9):
            stream.deliver(f"<message type='chat' from='{STRANGER.full}'><body>hello</body></message>")
        await finish_work(hypervisor)
    said = [parse_stanza(text).findtext(f"{{{ns.CLIENT}}}body") for text in stream.sent]
    assert said == [chat.BUSY, *[chat.REFUSAL] * 3] * 2


async def test_what_comes_before_the_roster_was_read_waits_for_it(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    """Without the roster nobody knows who is known."""
    xmpp.rosters[VM] = {STUDENT.bare: "both"}
    stream = cast(FakeStream, machine.stream)
    stream.deliver(question(ns.VERSION, STUDENT.full))
    await asyncio.sleep(0)
    assert stream.sent == []
    await go_online(machine)
    assert stream.took('type="result"', ns.VERSION)


async def test_roster_pushes_are_taken_in_at_once(machine: VirtualMachine, stream: FakeStream) -> None:
    stream.deliver(f"<iq type='set' id='9'><query xmlns='{ns.IQ_ROSTER}'><item jid='a@b' subscription='both'/></query></iq>")
    assert "a@b" in machine.contacts
    assert stream.took('id="9"', 'type="result"')


async def test_who_gets_the_presence_no_more_reads_no_more_events(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.rosters[VM] = {"friend@lab.example": "both"}
    stream = await go_online(machine)
    assert machine.knows("friend@lab.example")
    push = f"<query xmlns='{ns.IQ_ROSTER}'><item jid='friend@lab.example' subscription='to'/></query>"
    stream.deliver(f"<iq type='set' id='9'>{push}</iq>")
    await finish_work(machine)
    assert not machine.knows("friend@lab.example")
    assert "friend@lab.example" not in xmpp.nodes[NODE].affiliations


# -- subscriptions ------------------------------------------------------------------------------------------------------


async def test_who_may_see_the_presence_is_let_in_and_may_read_the_events_first(
    xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream
) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "presence", granted_by=HYP)
    stream.deliver(f"<presence type='subscribe' from='{STUDENT.bare}'/>")
    await finish_work(machine)
    assert xmpp.nodes[NODE].affiliations[STUDENT.bare] == "member"
    assert [parse_stanza(text).get("type") for text in stream.sent] == ["subscribed"]


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
async def test_a_stranger_changes_nothing(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream, kind: str) -> None:
    """At the founders' agents he edited the roster and made pushes."""
    xmpp.steps.clear()
    stream.deliver(f"<presence type='{kind}' from='{STRANGER.bare}'/>")
    await finish_work(machine)
    assert (xmpp.steps, xmpp.pushes(VM)) == ([], [])
    assert [parse_stanza(text).get("type") for text in stream.sent] == (["unsubscribed"] if kind == "subscribe" else [])


async def test_who_unsubscribes_is_dropped_and_reads_no_more_events(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.rosters[VM] = {"friend@lab.example": "both"}
    stream = await go_online(machine)
    stream.deliver("<presence type='unsubscribe' from='friend@lab.example'/>")
    await finish_work(machine)
    assert xmpp.rosters[VM] == {}
    assert "friend@lab.example" not in xmpp.nodes[NODE].affiliations
    assert xmpp.pushes(VM) == [("subscription", "removed")]


async def test_a_contact_is_added_with_the_right_to_read_events(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    await machine.add_contact(STUDENT.bare)
    await finish_work(machine)
    assert STUDENT.bare in xmpp.rosters[VM]
    assert xmpp.nodes[NODE].affiliations[STUDENT.bare] == "member"
    assert xmpp.pushes(VM) == [("subscription", "added")]


@pytest.mark.parametrize("error", [CommandError("no"), Disconnected("gone")])
async def test_a_contact_that_cannot_be_dropped_stays(xmpp: FakeXmpp, machine: VirtualMachine, error: Exception) -> None:
    xmpp.rosters[VM] = {"friend@lab.example": "both"}
    await go_online(machine)
    xmpp.refuse["change roster"] = error
    await machine.drop_contact("friend@lab.example")
    assert "friend@lab.example" in machine.contacts
    assert xmpp.pushes(VM) == []


async def test_a_squatted_events_node_keeps_nobody_from_working(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.nodes[NODE] = Node("eve@lab.example")
    stream = await go_online(machine)
    await machine.add_contact(STUDENT.bare)
    assert presences(stream) == [(None, "xa", "Off")]


async def test_a_hypervisor_shows_how_many_machines_it_has(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    stream = await go_online(hypervisor)
    hypervisor.begin("Allocating vm...")
    hypervisor.end("Allocating vm...")
    hypervisor.forget(machine)
    told = [(status or "").partition(" \N{EM DASH}")[0] for _to, _show, status in presences(stream)]
    assert told == ["Online (1)", "Online (Allocating vm...)", "Online (1)", "Online (0)"]
    assert hypervisor.status != Status(None, "")


async def test_a_session_that_is_set_up_anew_is_offline_until_its_node_is_ready(
    machine: VirtualMachine, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that might have been resumed, and was not, still counted as online: its first pushes were lost."""
    stream = await go_online(machine)
    stream.end_session_on_disconnect = False
    asked, go_on, read = asyncio.Event(), asyncio.Event(), machine.pubsub.affiliations

    async def read_slowly(node: str) -> dict[str, str]:
        asked.set()
        await go_on.wait()
        return await read(node)

    monkeypatch.setattr(machine.pubsub, "affiliations", read_slowly)
    stream.abort()
    async with asyncio.timeout(10):
        await asked.wait()
    assert not machine.online.is_set()
    go_on.set()
    async with asyncio.timeout(10):
        await machine.online.wait()
    machine.push(Topic.VM_CONTROL, "resumed")
    await finish_work(machine)
    assert xmpp.pushes(VM)[-1] == ("virtualmachine:control", "resumed")


# -- leaving ------------------------------------------------------------------------------------------------------------


async def test_who_waits_for_an_answer_when_the_entity_leaves_is_told_that_there_is_none(
    machine: VirtualMachine, stream: FakeStream
) -> None:
    """Those under way, and those that wait for their turn."""
    machine.online.clear()
    for _ in range(module.REQUESTS_AT_ONCE + 2):
        stream.deliver(command_iq("archipel:vm:control", "<archipel action='info'/>"))
    await asyncio.sleep(0)
    await machine.close()
    answers = [parse_stanza(text) for text in stream.took("<iq", 'type="error"')]
    assert len(answers) == module.REQUESTS_AT_ONCE + 2
    error = read_error(answers[0])
    assert error.condition == Condition.SERVICE_UNAVAILABLE
    assert "whether what you asked for was done is not known" in str(error)


async def test_an_entity_that_leaves_takes_nothing_more(machine: VirtualMachine, stream: FakeStream) -> None:
    await machine.close()
    stream.deliver(command_iq("archipel:vm:control", "<archipel action='info'/>"))
    await finish_work(machine)
    assert stream.sent == []
