# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/events.md, sentence by sentence: the number in a test's name is the sentence's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import child, show
from tests.wire.person import PUBSUB, Person, Push
from tests.wire.platform import ADMIN, CONTROL, Machine, Platform, open_platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUSHES = 10


@pytest_asyncio.fixture(loop_scope="session")
async def listener(platform: Platform, admin: Person, machine: Machine) -> Person:
    """The administrator, subscribed to the machine's events."""
    answer = await admin.subscribe_to_events(machine.bare, platform.pubsub)
    assert answer.get("type") == "result", show(answer)
    return admin


@pytest_asyncio.fixture(loop_scope="session")
async def own_platform(authority: Authority, tmp_path: Path) -> AsyncIterator[Platform]:
    """A platform whose agent may be restarted."""
    async with open_platform(tmp_path / "own", authority, "epochs.localhost") as platform:
        yield platform


async def info(person: Person, machine: Machine) -> ET.Element:
    answer = await person.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
    return child(child(answer, "query"), "info")


def flips(person: Person, machine: Machine, since: int = 0) -> list[Push]:
    """The pushes that :func:`flip` leads to."""
    return [push for push in person.pushes(machine.bare, since) if push.change in {"suspended", "resumed"}]


async def flip(platform: Platform, machine: Machine, times: int) -> None:
    """Suspend and resume a running machine, behind the agent's back."""
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        for turn in range(times):
            await asyncio.to_thread(domain.resume if turn % 2 else domain.suspend)


def _came_back(presences: list[ET.Element]) -> bool:
    kinds = [stanza.get("type") for stanza in presences]
    return "unavailable" in kinds and None in kinds[kinds.index("unavailable") :]


async def test_every_sentence_has_its_test(root: Path) -> None:
    sentences = re.findall(r"^(\d+)\. \*\*", (root / "docs" / "events.md").read_text(), re.MULTILINE)
    tests = {name.split("_")[1] for name in globals() if name.startswith("test_") and name.split("_")[1].isdigit()}
    assert tests == set(sentences)


async def test_1_roster_administrators_and_holders_of_rights_may_listen_and_nobody_else(
    platform: Platform, admin: Person, machine: Machine, student: Person
) -> None:
    stranger = await student.subscribe_to_events(machine.bare, platform.pubsub)
    assert stranger.get("type") == "error", show(stranger)
    await platform.grant(admin, machine.full, student, "info")
    holder = await student.subscribe_to_events(machine.bare, platform.pubsub)
    assert holder.get("type") == "result", show(holder)
    push = "<push xmlns='archipel:push:virtualmachine:control' date='' change='created'/>"
    forged = f"<pubsub xmlns='{PUBSUB}'><publish node='{machine.node}'><item>{push}</item></publish></pubsub>"
    assert (await student.ask(platform.pubsub, forged)).get("type") == "error"


async def test_2_the_node_exists_before_the_presence_is_sent(platform: Platform, admin: Person) -> None:
    before = len(admin.received)
    machine = await platform.make_machine(admin)
    await admin.until(lambda: [stanza for stanza in admin.presences(machine.bare, before) if stanza.get("type") is None])
    answer = await admin.subscribe_to_events(machine.bare, platform.pubsub)
    assert answer.get("type") == "result", show(answer)


async def test_3_the_pushes_of_one_entity_arrive_in_its_order(platform: Platform, listener: Person, machine: Machine) -> None:
    await listener.command(machine.full, CONTROL, "<archipel action='create'/>")
    before = len(listener.received)
    await flip(platform, machine, PUSHES)
    await listener.until(lambda: len(flips(listener, machine, before)) >= PUSHES)
    assert [push.change for push in flips(listener, machine, before)] == ["suspended", "resumed"] * (PUSHES // 2)


async def test_4_the_numbers_have_no_gaps(platform: Platform, listener: Person, machine: Machine) -> None:
    await listener.command(machine.full, CONTROL, "<archipel action='create'/>")
    await flip(platform, machine, PUSHES)
    await listener.until(lambda: len(flips(listener, machine)) >= PUSHES)
    pushes = listener.pushes(machine.bare)
    first = pushes[0].sequence
    assert [push.sequence for push in pushes] == list(range(first, first + len(pushes)))
    assert len({push.epoch for push in pushes}) == 1


async def test_5_the_presence_comes_before_the_push(platform: Platform, listener: Person, machine: Machine) -> None:
    await listener.expect_shown(machine.bare, "xa", "Off")
    before = len(listener.received)
    await listener.command(machine.full, CONTROL, "<archipel action='create'/>")
    await listener.expect_push(machine.bare, "virtualmachine:control", "created", before)
    came = [show(stanza) for stanza in listener.received[before:]]
    pushed = next(number for number, stanza in enumerate(came) if 'change="created"' in stanza)
    assert any("<status>Running" in stanza.replace("ns0:", "") for stanza in came[:pushed])


async def test_6_an_answer_tells_which_pushes_it_includes(platform: Platform, listener: Person, machine: Machine) -> None:
    await listener.command(machine.full, CONTROL, "<archipel action='create'/>")
    push = await listener.expect_push(machine.bare, "virtualmachine:control", "created")
    answer = await info(listener, machine)
    assert answer.get("epoch") == push.epoch
    assert int(answer.get("sequence", "0")) >= push.sequence
    assert answer.get("state") == "1"


async def test_7_nothing_is_kept_for_who_is_offline(platform: Platform, admin: Person, machine: Machine) -> None:
    listener = await platform.enter(ADMIN, resource="phone")
    await listener.subscribe_to_events(machine.bare, platform.pubsub)
    await listener.log_out()
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    back = await platform.enter(ADMIN, resource="phone")
    await back.ask_server(None, "<query xmlns='jabber:iq:roster'/>", "get")
    assert [push for push in back.pushes(machine.bare) if push.change == "created"] == []


async def test_8_a_new_epoch_and_a_presence_tell_that_the_agent_was_away(own_platform: Platform) -> None:
    admin = await own_platform.enter(ADMIN)
    machine = await own_platform.make_machine(admin)
    await admin.subscribe_to_events(machine.bare, own_platform.pubsub)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    old = await admin.expect_push(machine.bare, "virtualmachine:control", "created")
    before = len(admin.received)
    await asyncio.to_thread(own_platform.agent.kill)
    await asyncio.to_thread(own_platform.agent.start)
    await admin.until(lambda: _came_back(admin.presences(machine.bare, before)), "a presence that goes and comes")
    await admin.command(machine.full, CONTROL, "<archipel action='suspend'/>")
    new = await admin.expect_push(machine.bare, "virtualmachine:control", "suspended", before)
    assert new.epoch != old.epoch
    assert new.sequence == 1


async def test_9_after_a_gap_an_answer_tells_where_to_go_on(platform: Platform, listener: Person, machine: Machine) -> None:
    await listener.command(machine.full, CONTROL, "<archipel action='create'/>")
    await flip(platform, machine, PUSHES)  # as if these had been missed
    await listener.until(lambda: len(flips(listener, machine)) >= PUSHES)
    answer = await info(listener, machine)
    seen, before = int(answer.get("sequence", "0")), len(listener.received)
    await listener.command(machine.full, CONTROL, "<archipel action='suspend'/>")
    push = await listener.expect_push(machine.bare, "virtualmachine:control", "suspended", before)
    assert push.sequence == seen + 1


async def test_10_a_machine_that_restarts_is_announced_as_created_only(platform: Platform, listener: Person, machine: Machine) -> None:
    await listener.command(machine.full, CONTROL, "<archipel action='create'/>")
    await listener.expect_push(machine.bare, "virtualmachine:control", "created")
    before = len(listener.received)
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        domain.shutdown()  # the guest's own end, as far as the agent can see
        domain.create()
    await listener.expect_push(machine.bare, "virtualmachine:control", "created", before)
    assert [push.change for push in listener.pushes(machine.bare, before)] == ["created"]
    before = len(listener.received)
    await listener.command(machine.full, CONTROL, "<archipel action='destroy'/>")
    await listener.expect_push(machine.bare, "virtualmachine:control", "shutdown", before)


async def test_11_what_was_done_is_answered_as_done_though_its_push_is_lost(platform: Platform, admin: Person) -> None:
    machine = await platform.make_machine(admin)
    delete = f"<pubsub xmlns='{PUBSUB}#owner'><delete node='{machine.node}'/></pubsub>"
    owner = Person(machine.bare, platform.machine_passwords()[machine.uuid], platform.tls, (platform.ejabberd.host, platform.ejabberd.port))
    await owner.log_in()
    await owner.ask_server(platform.pubsub, delete)
    answer = await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    assert answer.get("type") == "result", show(answer)
    assert (await info(admin, machine)).get("state") == "1"
    await owner.log_out()
