# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.client.platform import CONFIGURATION, SHARED_NODES, NodeReport, prepare_platform
from archipel.client.session import Session
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, OWN, PUBSUB, ScriptedStream, error, normal

TAGS, ROLES, ADMINS, RULES = SHARED_NODES


def form(kind: str, fields: dict[str, str]) -> str:
    hidden = f"<field var='FORM_TYPE' type='hidden'><value>{ns.PUBSUB_NODE_CONFIG}</value></field>"
    rest = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    return f"<x xmlns='{ns.DATA_FORMS}' type='{kind}'>{hidden}{rest}</x>"


def owner_query(kind: str, content: str) -> str:
    return f"<iq type='{kind}' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB_OWNER}'>{content}</pubsub></iq>"


def creation(node: str) -> str:
    content = f"<create node='{node}'/><configure>{form('submit', CONFIGURATION)}</configure>"
    return f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'>{content}</pubsub></iq>"


def configuration(node: str, fields: dict[str, str]) -> str:
    return owner_query("set", f"<configure node='{node}'>{form('submit', fields)}</configure>")


def affiliations(**who: str) -> str:
    items = "".join(f"<affiliation jid='{jid.replace('_', '@')}' affiliation='{what}'/>" for jid, what in who.items())
    return f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><affiliations>{items}</affiliations></pubsub>"


def promotion(jid: str) -> str:
    return owner_query("set", f"<affiliations node='{TAGS}'><affiliation jid='{jid}' affiliation='publisher'/></affiliations>")


@pytest.fixture
def service(stream: ScriptedStream) -> ScriptedStream:
    """A PubSub service where the shared nodes exist as they should be."""
    for node in SHARED_NODES:
        present = {**CONFIGURATION, "pubsub#persist_items": "true", "pubsub#title": "more"}
        content = f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><configure node='{node}'>{form('form', present)}</configure></pubsub>"
        stream.answer(owner_query("get", f"<configure node='{node}'/>"), content)
    return stream


async def test_missing_nodes_are_made_and_hypervisors_may_publish_tags_only(session: Session, stream: ScriptedStream) -> None:
    for node in SHARED_NODES:
        stream.answer(creation(node), "")
        stream.answer(owner_query("get", f"<affiliations node='{node}'/>"), affiliations(**{OWN.replace("@", "_"): "owner"}))
    stream.answer(promotion(HYPERVISOR), "")
    report = await prepare_platform(session, [HYPERVISOR_FULL])
    assert report.changed
    assert report.nodes == (
        NodeReport(TAGS, True, (), (HYPERVISOR,)),
        NodeReport(ROLES, True),
        NodeReport(ADMINS, True),
        NodeReport(RULES, True),
    )


async def test_nobody_but_publishers_may_publish_who_is_administrator() -> None:
    assert CONFIGURATION["pubsub#publish_model"] == "publishers"
    assert (ADMINS, RULES) == ("/archipel/adminaccounts", "/archipel/rules")


async def test_what_is_right_already_is_left_alone(session: Session, service: ScriptedStream) -> None:
    for node in SHARED_NODES:
        service.answer(creation(node), error("conflict"))
        present = affiliations(**{OWN.replace("@", "_"): "owner", HYPERVISOR.replace("@", "_"): "publisher"})
        service.answer(owner_query("get", f"<affiliations node='{node}'/>"), present)
    report = await prepare_platform(session, [HYPERVISOR])
    assert not report.changed
    assert report.nodes == tuple(NodeReport(node) for node in SHARED_NODES)


async def test_options_that_differ_are_corrected_and_no_others(session: Session, service: ScriptedStream) -> None:
    loose = {**CONFIGURATION, "pubsub#publish_model": "open", "pubsub#max_items": "100"}
    for node in SHARED_NODES:
        service.answer(creation(node), error("conflict"))
        service.answer(owner_query("get", f"<affiliations node='{node}'/>"), affiliations())
    content = f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><configure node='{ROLES}'>{form('form', loose)}</configure></pubsub>"
    service.replace(owner_query("get", f"<configure node='{ROLES}'/>"), content)
    correction = configuration(ROLES, {"pubsub#publish_model": "publishers", "pubsub#max_items": "1000"})
    service.answer(correction, "")
    report = await prepare_platform(session, [])
    assert report.nodes[1] == NodeReport(ROLES, configured=("publish_model", "max_items"))
    assert normal(correction) in service.asked


async def test_who_may_not_make_nodes_is_told_what_to_do(session: Session, stream: ScriptedStream) -> None:
    stream.answer(creation(TAGS), error("forbidden"))
    with pytest.raises(CommandError, match="/archipel/tags: this account may not create or change it") as caught:
        await prepare_platform(session, [HYPERVISOR])
    assert caught.value.condition is Condition.FORBIDDEN
