# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The envelope of a request on every kind of entity: what is no request, what nobody knows, what other XMPP clients ask."""

from __future__ import annotations

import secrets

import pytest

from tests.wire.matching import PERMISSION, assert_error, assert_payload, child, name_of, namespace_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, HOST, PERMISSIONS, SUBSCRIPTION, TAGS, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])
SERVED = {
    "hypervisor": {HOST, PERMISSIONS, SUBSCRIPTION, TAGS},
    "machine": {CONTROL, DEFINITION, PERMISSIONS, SUBSCRIPTION, TAGS, "archipel:roster"},
}


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


@ENTITIES
@pytest.mark.parametrize(
    "inner", ["", "<archipel/>", "<archipel action=''/>", "<other action='list'/>", "<a><archipel action='list'/></a>"]
)
@pytest.mark.parametrize("kind", ["get", "set"])
async def test_a_request_without_a_command_is_malformed(admin: Person, address: str, inner: str, kind: str):
    answer = await admin.command(address, PERMISSIONS, inner, kind)
    assert_error(answer, code=-42, condition="bad-request", mentions="<archipel action=", action="")


@ENTITIES
async def test_an_unknown_action_is_not_implemented_for_those_who_may_everything(
    platform: Platform, admin: Person, address: str, entity: str
):
    student = await platform.enter()
    await platform.grant(admin, address, student, "all")
    for person in (admin, student):
        for namespace in SERVED[entity]:
            answer = await person.command(address, namespace, "<archipel action='levitate'/>")
            assert_error(answer, code=501, condition="feature-not-implemented", mentions="'levitate'", action="levitate")


@ENTITIES
async def test_an_unknown_action_is_refused_to_others(platform: Platform, admin: Person, student: Person, address: str, entity: str):
    await platform.grant(admin, address, student, "message")
    for namespace in (*SERVED[entity], "archipel:nothing"):
        answer = await student.command(address, namespace, "<archipel action='levitate'/>")
        assert_error(answer, code=-1, condition="forbidden", namespace=PERMISSION, action="levitate")


@ENTITIES
async def test_a_namespace_of_another_kind_of_entity_is_not_served(admin: Person, address: str, entity: str):
    namespace, action = {"hypervisor": (CONTROL, "info"), "machine": (HOST, "rostervm")}[entity]
    answer = await admin.command(address, namespace, f"<archipel action='{action}'/>")
    assert_error(answer, code=501, condition="feature-not-implemented", action=action)


@ENTITIES
async def test_an_error_gives_the_command_back(admin: Person, address: str):
    answer = await admin.command(address, PERMISSIONS, "<archipel action='levitate' height='3 &lt; 4'/>")
    query = child(answer, "query")
    assert namespace_of(query) == PERMISSIONS
    assert [(name_of(part), part.attrib) for part in query] == [("archipel", {"action": "levitate", "height": "3 < 4"})]
    assert [name_of(part) for part in answer] == ["query", "error"]


@ENTITIES
async def test_the_query_may_hold_more_than_the_command(admin: Person, address: str):
    answer = await admin.ask(
        address,
        f"<query xmlns='{PERMISSIONS}'>\n  <!-- by hand -->\n  <note/>\n  <archipel action='list'><junk/></archipel>\n</query>",
        "get",
    )
    assert answer.get("type") == "result", show(answer)


@ENTITIES
@pytest.mark.parametrize("payload", ["", "<query/>", "<nothing xmlns='archipel:permissions'/>", "<query xmlns='urn:example:nothing'/>"])
async def test_what_nobody_understands_is_answered_with_an_error(admin: Person, address: str, payload: str):
    answer = await admin.ask(address, payload, "get")
    assert answer.get("type") == "error", show(answer)
    assert child(answer, "error").get("code") in {"501", "-42", "400"}, show(answer)


@ENTITIES
async def test_a_ping_is_answered(admin: Person, student: Person, address: str):
    for person in (admin, student):  # XEP-0199: the founders answered everybody
        answer = await person.ask(address, "<ping xmlns='urn:xmpp:ping'/>", "get")
        assert answer.get("type") == "result", show(answer)


@ENTITIES
async def test_what_an_entity_is_can_be_discovered(admin: Person, address: str, entity: str):
    answer = await admin.ask(address, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "get")
    query = child(answer, "query")
    assert [(part.get("category"), part.get("type")) for part in query if name_of(part) == "identity"] == [("automation", "bot")]
    assert {part.get("var") for part in query if name_of(part) == "feature"} >= SERVED[entity] | {"urn:xmpp:ping"}
    items = await admin.ask(address, "<query xmlns='http://jabber.org/protocol/disco#items'/>", "get")
    assert items.get("type") == "result"
    version = await admin.ask(address, "<query xmlns='jabber:iq:version'/>", "get")
    assert child(child(version, "query"), "name").text == "archipel-agent"


@ENTITIES
async def test_an_answer_bears_the_id_that_was_given(admin: Person, address: str):
    for beginning in ("\u00e9\u4e2d id ", "a&amp;b&lt;&quot;", "0" * 1000):
        key = beginning + secrets.token_hex(4)
        before = len(admin.received)
        admin.send(f"<iq type='get' to='{address}' id='{key}'><query xmlns='{PERMISSIONS}'><archipel action='list'/></query></iq>")
        [answer] = await admin.until(
            lambda start=before: [got for got in admin.received[start:] if got.get("from") == address and name_of(got) == "iq"]
        )
        assert answer.get("id") == key.replace("&amp;", "&").replace("&lt;", "<").replace("&quot;", '"')


@ENTITIES
@pytest.mark.parametrize("kind", ["result", "error"])
async def test_a_result_or_error_that_looks_like_a_request_is_neither_obeyed_nor_answered(
    platform: Platform, admin: Person, student: Person, address: str, kind: str
):
    grant = f"<permission permission_type='user' permission_target='{student.bare}' permission_name='message' permission_value='1'/>"
    before = len(admin.received)
    key = admin.request(address, f"<query xmlns='{PERMISSIONS}'><archipel action='set'>{grant}</archipel></query>", kind)
    target = f"<archipel action='get' permission_type='user' permission_target='{student.bare}'/>"
    assert_payload(await admin.command(address, PERMISSIONS, target, "get"), PERMISSIONS, "")  # came after it, is answered after it
    await admin.assert_one_answer_each()
    assert [got for got in admin.received[before:] if got.get("id") == key] == []
