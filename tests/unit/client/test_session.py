# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import cast

import pytest

from archipel.client.errors import MalformedAnswer, NotOnline
from archipel.client.inbox import Reply
from archipel.client.session import IN_FLIGHT, Session
from archipel.client.settings import ConnectionSettings
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, LibvirtFailed, PermissionDenied
from archipel.protocol.hypervisor import GetAddress
from archipel.protocol.virtual_machine import Create, GetInfo, Started
from archipel.xmpp.errors import Disconnected, LoginRefused, NoAnswer, UntrustedServer
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import (
    HYPERVISOR,
    HYPERVISOR_FULL,
    MACHINE,
    MACHINE_FULL,
    OWN,
    OWN_FULL,
    PUBSUB,
    UUID,
    ScriptedStream,
    command,
    error,
    no_right,
    normal,
    vm_command,
)

START = vm_command("set", "<archipel action='create'/>")
INFO = vm_command("get", "<archipel action='info'/>")


def answer_of(namespace: str, content: str = "") -> str:
    return f"<query xmlns='{namespace}'>{content}</query>"


# -- life ---------------------------------------------------------------------------------------------------------------


async def test_a_session_logs_in_where_it_was_told_and_out_at_the_end(settings: ConnectionSettings, stream: ScriptedStream) -> None:
    async with Session(settings, stream=cast(Stream, stream)):
        assert not stream.logged_out
    assert stream.logins == [("192.0.2.1", 5222)]
    assert stream.logged_out
    assert stream.sent == []


async def test_a_refused_login_is_the_error_of_entering(settings: ConnectionSettings, stream: ScriptedStream) -> None:
    stream.refusal = LoginRefused("no")
    with pytest.raises(LoginRefused, match=rf"\Ano \({settings.jid} at 192.0.2.1:5222\)\Z"):
        async with Session(settings, stream=cast(Stream, stream)):
            pass


async def test_a_certificate_authority_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    settings = ConnectionSettings(jid=OWN, password="secret-word", host="127.0.0.1", ca_file=tmp_path / "missing.pem")
    with pytest.raises(UntrustedServer, match=r"ca_file: .*missing\.pem"):
        async with Session(settings):
            pass


async def test_servers_get_an_answer_to_their_ping(session: Session, stream: ScriptedStream) -> None:
    stream.deliver("<iq type='get' id='7' from='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert stream.sent == [normal("<iq type='result' to='example.org' id='7'/>")]


async def test_other_requests_are_refused_once(session: Session, stream: ScriptedStream) -> None:
    stream.deliver(
        "<iq type='set' id='8' from='eve@example.org/x'><query xmlns='archipel:vm:control'><archipel action='info'/></query></iq>"
    )
    assert len(stream.sent) == 1
    assert 'type="error"' in stream.sent[0]
    assert "feature-not-implemented" in stream.sent[0]


# -- commands -----------------------------------------------------------------------------------------------------------


async def test_a_mutating_command_is_a_set_and_its_answer_is_typed(session: Session, stream: ScriptedStream) -> None:
    stream.answer(START, answer_of(ns.VM_CONTROL, "<domain id='5'/>"))
    assert await session.ask(MACHINE_FULL, Create()) == Started(id=5)
    assert stream.asked == [normal(START)]


async def test_a_reading_command_is_a_get(session: Session, stream: ScriptedStream) -> None:
    stream.answer(INFO, answer_of(ns.VM_CONTROL))
    assert await session.ask(MACHINE_FULL, GetInfo()) is None


async def test_a_missing_right_is_named(session: Session, stream: ScriptedStream) -> None:
    stream.answer(START, no_right("create"))
    with pytest.raises(PermissionDenied, match="You lack the right create") as caught:
        await session.ask(MACHINE_FULL, Create())
    assert caught.value.right == "create"


async def test_libvirts_error_keeps_its_number(session: Session, stream: ScriptedStream) -> None:
    own = f"<libvirt-error-generic xmlns='{ns.ERROR_LIBVIRT}'/>"
    stream.answer(START, error("internal-server-error", f"<text xmlns='{ns.STANZAS}'>no domain\n\nx\ny</text>", own, code=42))
    with pytest.raises(LibvirtFailed, match="no domain") as caught:
        await session.ask(MACHINE_FULL, Create())
    assert caught.value.code == 42


async def test_an_entity_that_is_gone_is_not_online(session: Session, stream: ScriptedStream) -> None:
    stream.deliver(f"<presence from='{MACHINE_FULL}'/>")
    stream.answer(START, error("service-unavailable", f"<text xmlns='{ns.STANZAS}'>User session not found</text>"))
    with pytest.raises(NotOnline, match=f"{MACHINE_FULL} is not online: User session not found"):
        await session.ask(MACHINE_FULL, Create())
    assert session.presences.full_jid(MACHINE) is None


async def test_an_entity_that_is_busy_is_not_taken_for_gone(session: Session, stream: ScriptedStream) -> None:
    own = f"<archipel-error-generic xmlns='{ns.ERROR_GENERIC}'/>"
    stream.answer(START, error("service-unavailable", f"<text xmlns='{ns.STANZAS}'>libvirt is away</text>", own))
    with pytest.raises(CommandError, match="libvirt is away"):
        await session.ask(MACHINE_FULL, Create())


async def test_an_answer_without_what_it_must_hold_names_who_and_what(session: Session, stream: ScriptedStream) -> None:
    stream.answer(START, answer_of(ns.VM_CONTROL, "<domain id='five'/>"))
    with pytest.raises(MalformedAnswer, match=r"id: must be a whole number, not 'five'") as caught:
        await session.ask(MACHINE_FULL, Create())
    assert (caught.value.jid, caught.value.action) == (MACHINE_FULL, "create")


async def test_an_answer_without_a_query_is_an_empty_one(session: Session, stream: ScriptedStream) -> None:
    stream.answer(START, "")
    with pytest.raises(MalformedAnswer, match="the answer holds no <domain>"):
        await session.ask(MACHINE_FULL, Create())


async def test_silence_and_loss_pass_through(session: Session, stream: ScriptedStream) -> None:
    stream.answer(START, NoAnswer("silent"), Disconnected("gone"))
    with pytest.raises(NoAnswer):
        await session.ask(MACHINE_FULL, Create())
    with pytest.raises(Disconnected):
        await session.ask(MACHINE_FULL, Create())


async def test_commands_run_at_once_but_not_all_of_them(session: Session, stream: ScriptedStream) -> None:
    ip = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='ip'/>")
    stream.answer(ip, answer_of(ns.HYPERVISOR_CONTROL, "<ip>192.0.2.7</ip>"))
    answers = await asyncio.gather(*(session.ask(HYPERVISOR_FULL, GetAddress()) for _ in range(3 * IN_FLIGHT)))
    assert {answer.address for answer in answers} == {"192.0.2.7"}
    assert stream.most_in_flight == IN_FLIGHT


# -- finding ------------------------------------------------------------------------------------------------------------

GREETING = normal(f"<presence to='{HYPERVISOR}'/>")
PROBE = normal(f"<presence type='probe' to='{HYPERVISOR}'/>")


async def test_a_full_jid_is_where_it_is(session: Session, stream: ScriptedStream) -> None:
    assert await session.locate(HYPERVISOR_FULL) == HYPERVISOR_FULL
    assert stream.sent == []


async def test_a_directed_presence_finds_an_entity_without_waking_the_roster(session: Session, stream: ScriptedStream) -> None:
    stream.answers_to = lambda text: stream.deliver_soon(f"<presence from='{HYPERVISOR_FULL}'/>") if text == GREETING else None
    assert await session.locate(HYPERVISOR) == HYPERVISOR_FULL
    assert stream.sent == [GREETING, PROBE]


async def test_an_entity_that_was_found_is_not_looked_for_again(session: Session, stream: ScriptedStream) -> None:
    stream.deliver(f"<presence from='{HYPERVISOR_FULL}'/>")
    assert await session.locate(HYPERVISOR) == HYPERVISOR_FULL
    assert stream.sent == []


async def test_where_nobody_answers_the_session_becomes_available_and_waits(
    session: Session, stream: ScriptedStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archipel.client.session.QUIET_SEARCH", 0)
    available = normal("<presence><priority>-1</priority></presence>")
    stream.answers_to = lambda text: stream.deliver_soon(f"<presence from='{HYPERVISOR_FULL}'/>") if text == available else None
    assert await session.locate(HYPERVISOR) == HYPERVISOR_FULL
    assert stream.sent == [GREETING, PROBE, available]


async def test_an_entity_that_stays_silent_is_not_online(session: Session) -> None:
    with pytest.raises(NotOnline, match="is not online, or this account lacks the right 'presence' there"):
        await session.locate(HYPERVISOR, timeout=0.01)


async def test_a_server_that_says_no_is_believed_at_once(session: Session, stream: ScriptedStream) -> None:
    text = f"<presence type='error' from='{HYPERVISOR}'>{error('remote-server-not-found')}</presence>"
    stream.answers_to = lambda sent: stream.deliver_soon(text) if sent == PROBE else None
    with pytest.raises(NotOnline, match="cannot be reached"):
        await session.locate(HYPERVISOR)


async def test_of_several_resources_the_last_heard_of_counts_until_it_goes(session: Session, stream: ScriptedStream) -> None:
    for resource in ("one", "two"):
        stream.deliver(f"<presence from='{HYPERVISOR}/{resource}'/>")
    assert session.presences.full_jid(HYPERVISOR) == f"{HYPERVISOR}/two"
    stream.deliver(f"<presence type='unavailable' from='{HYPERVISOR}/two'/>")
    assert session.presences.full_jid(HYPERVISOR) == f"{HYPERVISOR}/one"


# -- what the platform shares -------------------------------------------------------------------------------------------

TAGS = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='/archipel/tags'/></pubsub></iq>"


async def test_tags_come_by_bare_jid(session: Session, stream: ScriptedStream, caplog: pytest.LogCaptureFixture) -> None:
    items = (
        f"<item id='x'><tag jid='{MACHINE}' tags='old'/></item><item id='{MACHINE}'><tag jid='{MACHINE}' tags='web;;;;  red ;;web'/></item>"
        f"<item id='y'><tag jid='{MACHINE}' tags='older'/></item><item id='z'><tag tags='nobody'/></item><item id='e'/>"
        f"<item id='h'><tag jid='{HYPERVISOR_FULL}' tags=''/></item><item id='b'><tag jid='not a jid' tags='x'/></item>"
    )
    stream.answer(TAGS, f"<pubsub xmlns='{ns.PUBSUB}'><items node='/archipel/tags'>{items}</items></pubsub>")
    with caplog.at_level(logging.WARNING):
        assert await session.tags() == {MACHINE: ("web", "red"), HYPERVISOR: ()}
    assert "item 'z' is left out: jid: is missing" in caplog.text
    assert "item 'b' is left out" in caplog.text


async def test_a_platform_without_tags_node_has_no_tags(session: Session, stream: ScriptedStream) -> None:
    stream.answer(TAGS, error("item-not-found"))
    assert await session.tags() == {}


async def test_tags_that_may_not_be_read_are_an_error(session: Session, stream: ScriptedStream) -> None:
    stream.answer(TAGS, error("forbidden"))
    with pytest.raises(CommandError) as caught:
        await session.tags()
    assert caught.value.condition is Condition.FORBIDDEN


def vcard_request(jid: str) -> str:
    return f"<iq type='get' to='{jid}'><vCard xmlns='vcard-temp'/></iq>"


async def test_a_vcard_tells_name_and_owner(session: Session, stream: ScriptedStream) -> None:
    card = "<vCard xmlns='vcard-temp'><FN>web</FN><ROLE>virtualmachine</ROLE><EMAIL><USERID>bob</USERID></EMAIL></vCard>"
    stream.answer(vcard_request(MACHINE), card)
    found = await session.vcard(MACHINE_FULL)
    assert (found.name, found.role, found.organisation.userid) == ("web", "virtualmachine", "bob")


async def test_an_account_without_a_vcard_has_an_empty_one(session: Session, stream: ScriptedStream) -> None:
    stream.answer(vcard_request(MACHINE), "")
    assert (await session.vcard(MACHINE)).name == ""


async def test_a_vcard_that_cannot_be_read_is_a_malformed_answer(session: Session, stream: ScriptedStream) -> None:
    stream.answer(vcard_request(MACHINE), "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>a</BINVAL></PHOTO></vCard>")
    with pytest.raises(MalformedAnswer):
        await session.vcard(MACHINE)


async def test_hypervisors_are_the_contacts_whose_vcard_says_so(session: Session, stream: ScriptedStream) -> None:
    items = f"<item jid='{HYPERVISOR}' name='One'/><item jid='bob@example.org'/><item jid='{UUID}@example.org'/><item jid='example.net'/>"
    stream.answer("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>", f"<query xmlns='jabber:iq:roster'>{items}</query>")
    stream.answer(vcard_request(HYPERVISOR), "<vCard xmlns='vcard-temp'><ROLE>hypervisor</ROLE></vCard>")
    stream.answer(vcard_request("bob@example.org"), error("item-not-found"))
    assert await session.find_hypervisors() == (HYPERVISOR,)
    assert [contact.is_machine for contact in await session.contacts()] == [False, False, True]


# -- chat ---------------------------------------------------------------------------------------------------------------


def thread_of(stream: ScriptedStream) -> str:
    return stream.sent[-1].partition("<thread>")[2].partition("</thread>")[0]


async def test_a_reply_is_known_by_its_thread(session: Session, stream: ScriptedStream) -> None:
    def reply(_sent: str) -> None:
        for sender, thread, text in (
            (MACHINE_FULL, "other", "not this"),
            ("eve@example.org/x", thread_of(stream), "nor this"),
            (MACHINE_FULL, thread_of(stream), "I am running"),
        ):
            stream.deliver(f"<message type='chat' from='{sender}'><body>{text}</body><thread>{thread}</thread></message>")

    stream.answers_to = reply
    assert await session.chat(MACHINE_FULL, "how are you") == Reply("I am running")
    sent = f"<message type='chat' to='{MACHINE_FULL}' id='T'><body>how are you</body><thread>T</thread></message>"
    assert stream.sent == [normal(sent.replace("T<", f"{thread_of(stream)}<").replace("'T'", f"'{thread_of(stream)}'"))]


@pytest.mark.parametrize(
    "beside, failure",
    [
        ("", None),
        ("<failure xmlns='archipel:chat' condition='forbidden'/>", Condition.FORBIDDEN),
        ("<failure xmlns='archipel:chat' condition='whatever'/>", Condition.UNDEFINED_CONDITION),
        ("<failure xmlns='urn:other' condition='forbidden'/>", None),
    ],
)
async def test_a_reply_says_beside_its_words_that_nothing_came_of_it(
    session: Session, stream: ScriptedStream, beside: str, failure: Condition | None
) -> None:
    def reply(_sent: str) -> None:
        words = f"<body>No.</body><thread>{thread_of(stream)}</thread>"
        stream.deliver(f"<message type='chat' from='{MACHINE_FULL}'>{words}{beside}</message>")

    stream.answers_to = reply
    found = await session.chat(MACHINE_FULL, "start")
    assert (found.text, found.failure) == ("No.", failure)
    assert (found.error and found.error.condition) == failure


async def test_a_bounced_message_is_not_waited_for(session: Session, stream: ScriptedStream) -> None:
    def bounce(_sent: str) -> None:
        failure = error("service-unavailable")
        stream.deliver(f"<message type='error' id='{thread_of(stream)}' from='{MACHINE_FULL}' to='{OWN_FULL}'>{failure}</message>")

    stream.answers_to = bounce
    with pytest.raises(NotOnline, match="service-unavailable"):
        await session.chat(MACHINE_FULL, "hello")


async def test_an_entity_that_does_not_reply_is_given_up(session: Session) -> None:
    with pytest.raises(NoAnswer, match="did not reply"):
        await session.chat(MACHINE_FULL, "hello", timeout=0.01)
