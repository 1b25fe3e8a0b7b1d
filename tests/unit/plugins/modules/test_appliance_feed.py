# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

URL = "https://feeds.example.org/rss.xml"
FEED = "11111111-1111-4111-8111-111111111111"
ITEM = "22222222-2222-4222-8222-222222222222"
OFFER = f"<appliance name='web' uuid='{ITEM}' status='3'/>"


def feed(*offers: str, problem: str = "") -> str:
    return f"<source name='Lab' url='{URL}' uuid='{FEED}' {problem}>{''.join(offers)}</source>"


def script(wire: Wire, *, feeds: tuple[str, ...] = ("",), had: tuple[str, ...] = ("",)) -> None:
    wire.entity(HYPERVISOR_FULL, "set", ns.HYPERVISOR_VMCASTING, "<archipel action='get'/>", *feeds)
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_VMCASTING, "<archipel action='getinstalledappliances'/>", *had)


def expect(wire: Wire, jid: str, namespace: str, request: str) -> str:
    wire.entity(jid, "set", namespace, f"<archipel {request}/>")
    return command("set", jid, namespace, f"<archipel {request}/>")


def sent(wire: Wire) -> list[str]:
    return [text for text in wire.asked if 'type="set"' in text and 'action="get"' not in text]


def test_a_feed_is_subscribed_to(wire: Wire) -> None:
    script(wire, feeds=("", feed(OFFER)))
    expect(wire, HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, f"url='{URL}' action='register'")
    assert wire.run("appliance_feed", check=True, url=URL)["changed"]
    assert sent(wire) == []
    answer = wire.run("appliance_feed", url=URL)
    assert len(sent(wire)) == 1
    assert (answer["feed"]["name"], answer["feed"]["state"]) == ("Lab", "subscribed")
    assert answer["feed"]["appliances"] == [{"name": "web", "uuid": ITEM, "description": "", "downloaded": False}]


def test_a_feed_is_dropped_by_its_address(wire: Wire) -> None:
    script(wire, feeds=(feed(), ""))
    expect(wire, HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, f"uuid='{FEED}' action='unregister'")
    answer = wire.run("appliance_feed", url=URL, state="absent")
    assert (answer["changed"], answer["feed"]["uuid"]) == (True, None)
    assert len(sent(wire)) == 1


@pytest.mark.parametrize("state, feeds", [("subscribed", feed()), ("absent", "")])
def test_a_feed_that_is_so_already_is_left_alone(state: str, feeds: str, wire: Wire) -> None:
    script(wire, feeds=(feeds,))
    assert not wire.run("appliance_feed", url=URL, state=state)["changed"]
    assert sent(wire) == []
