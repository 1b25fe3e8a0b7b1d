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
from tests.wire.matching import assert_payload, child, show
from tests.wire.person import PUBSUB, Person, Push
from tests.wire.platform import ADMIN, CONTROL, SUBSCRIPTION, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUSHES = 10
HOLD = 0.5  # seconds for which a stop is held back that nobody asked for
TRIALS = 5  # at what a machine that is busy with others can make fail once


@pytest_asyncio.fixture(loop_scope="session")
async def listener(platform: Platform, admin: Person, machine: Machine) -> Person:
    """The administrator, subscribed to the machine's events."""
    await subscribe(platform, admin, machine)
    return admin


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose agent may be restarted and cut off; its first person is the administrator."""
    async with open_platform(tmp_path_factory.mktemp("epochs"), authority, "epochs.localhost", proxied=True) as platform:
        await platform.meet_hypervisor(await platform.enter(ADMIN))
        yield platform


@pytest_asyncio.fixture(loop_scope="session")
async def own_machine(own_platform: Platform) -> Machine:
    """A running machine of that platform, in the administrator's roster."""
    admin = own_platform.people[0]
    machine = await own_platform.make_machine(admin)
    await subscribe(own_platform, admin, machine)
    await change(admin, machine, "create")
    await admin.expect_shown(machine.bare, None, "Running")
    await admin.expect_push(machine.bare, "virtualmachine:control", "created")
    return machine


async def subscribe(platform: Platform, person: Person, machine: Machine) -> None:
    answer = await person.subscribe_to_events(machine.bare, platform.pubsub)
    assert answer.get("type") == "result", show(answer)


async def change(person: Person, machine: Machine, action: str) -> None:
    answer = await person.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
    assert answer.get("type") == "result", show(answer)


async def info(person: Person, machine: Machine) -> ET.Element:
    answer = await person.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
    return child(child(answer, "query"), "info")


async def expect_push_after(person: Person, machine: Machine, action: str) -> Push:
    """Suspend or resume a machine and return the push of that."""
    before = len(person.received)
    await change(person, machine, action)
    return await person.expect_push(machine.bare, "virtualmachine:control", {"suspend": "suspended", "resume": "resumed"}[action], before)


def flips(person: Person, machine: Machine, since: int = 0) -> list[Push]:
    """The pushes that :func:`flip` leads to."""
    return [push for push in person.pushes(machine.bare, since) if push.change in {"suspended", "resumed"}]


async def flip(platform: Platform, machine: Machine, times: int) -> None:
    """Suspend and resume a running machine, behind the agent's back."""
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        for turn in range(times):
            await asyncio.to_thread(domain.resume if turn % 2 else domain.suspend)


async def restart(platform: Platform, machine: Machine, meanwhile: str = "") -> None:
    """Kill the agent and start it again; meanwhile the domain may ``resume`` or ``suspend``."""
    admin, before = platform.people[0], len(platform.people[0].received)
    await asyncio.to_thread(platform.agent.kill)
    if meanwhile:
        with platform.libvirt() as connection:
            getattr(connection.lookupByUUIDString(machine.uuid), meanwhile)()
    await asyncio.to_thread(platform.agent.start)
    await admin.until(lambda: came_back(admin.presences(machine.bare, before)), "a presence that goes and comes")


def came_back(presences: list[ET.Element]) -> bool:
    kinds = [stanza.get("type") for stanza in presences]
    return "unavailable" in kinds and None in kinds[kinds.index("unavailable") :]


async def test_every_sentence_has_its_test(root: Path) -> None:
    contract = (root / "docs" / "events.md").read_text().partition("## The contract")[2].partition("\n## ")[0]
    points = re.findall(r"^(\d+)\. \*\*[^*]+\*\* (.*?)(?=^\d+\. |\Z)", contract, re.MULTILINE | re.DOTALL)
    numbers = []
    for point, text in points:
        sentences = re.split(r"(?<=\.)\s+(?=[A-Z(])", text.strip())
        found = [re.match(r"\((\d+[a-z])\) [A-Z]", sentence) for sentence in sentences]
        assert all(found), f"a sentence of point {point} has no number: {sentences}"
        assert [match[1] for match in found] == [f"{point}{letter}" for letter in "abcdefgh"[: len(found)]]
        numbers += [match[1] for match in found]
    tests = [name.split("_")[1] for name in globals() if re.match(r"test_\d", name)]
    assert sorted(tests) == sorted(numbers)
    assert [point for point, _text in points] == list(map(str, range(1, len(points) + 1)))


# -- 1, 2: who may listen, and when -----------------------------------------------------------------------------------


async def test_1a_roster_administrators_and_holders_of_rights_may_listen_and_nobody_else(
    platform: Platform, admin: Person, machine: Machine, student: Person
) -> None:
    holder, contact = await platform.enter(), await platform.enter()
    await platform.grant(admin, machine.full, holder, "info")
    await admin.command(machine.full, SUBSCRIPTION, f"<archipel action='add' jid='{contact.bare}'/>")
    for reader in (admin, holder, contact):
        await subscribe(platform, reader, machine)
    stranger = await student.subscribe_to_events(machine.bare, platform.pubsub)
    assert stranger.get("type") == "error", show(stranger)
    await change(admin, machine, "create")
    for reader in (admin, holder, contact):
        await reader.expect_push(machine.bare, "virtualmachine:control", "created")
    assert student.pushes(machine.bare) == []


async def test_1c_who_loses_his_last_right_hears_nothing_more(
    platform: Platform, admin: Person, machine: Machine, student: Person, listener: Person
) -> None:
    await admin.command(machine.full, SUBSCRIPTION, f"<archipel action='add' jid='{student.bare}'/>")
    await subscribe(platform, student, machine)
    await platform.grant(admin, machine.full, student, "presence", value="0")
    await change(admin, machine, "create")
    await listener.expect_push(machine.bare, "virtualmachine:control", "created")
    assert [push for push in student.pushes(machine.bare) if push.change == "created"] == []
    assert student.bare not in platform.roster_on_server(machine.bare)
    again = await student.subscribe_to_events(machine.bare, platform.pubsub)
    assert again.get("type") == "error", show(again)


async def test_1b_only_the_entity_publishes(platform: Platform, listener: Person, machine: Machine, student: Person) -> None:
    await platform.grant(listener, machine.full, student, "all")
    push = "<push xmlns='archipel:push:virtualmachine:control' date='' change='created'/>"
    forged = f"<pubsub xmlns='{PUBSUB}'><publish node='{machine.node}'><item>{push}</item></publish></pubsub>"
    for person in (student, listener):
        assert (await person.ask(platform.pubsub, forged)).get("type") == "error"
    await change(listener, machine, "create")
    push = await listener.expect_push(machine.bare, "virtualmachine:control", "created")
    assert push.sequence > 0, "the first one is the machine's own"


async def test_2a_the_node_exists_before_the_presence_is_sent(platform: Platform, admin: Person, student: Person) -> None:
    await platform.grant(admin, platform.host, student, "alloc")
    machine = await platform.make_machine(student)
    await student.until(lambda: [stanza for stanza in student.presences(machine.bare) if stanza.get("type") is None])
    assert student.bare in platform.roster_on_server(machine.bare)
    await subscribe(platform, student, machine)


# -- 3 to 6: order, numbers, state ------------------------------------------------------------------------------------


async def test_3a_the_pushes_of_one_entity_arrive_in_its_order(platform: Platform, listener: Person, machine: Machine) -> None:
    await change(listener, machine, "create")
    before = len(listener.received)
    await flip(platform, machine, PUSHES)
    await listener.until(lambda: len(flips(listener, machine, before)) >= PUSHES)
    assert [push.change for push in flips(listener, machine, before)] == ["suspended", "resumed"] * (PUSHES // 2)


async def test_4a_the_numbers_begin_at_1_and_have_no_gaps(own_platform: Platform, own_machine: Machine) -> None:
    admin = own_platform.people[0]
    before = len(admin.received)
    await restart(own_platform, own_machine)
    await flip(own_platform, own_machine, PUSHES)
    await admin.until(lambda: len(flips(admin, own_machine, before)) >= PUSHES)
    pushes = admin.pushes(own_machine.bare, before)
    assert [push.sequence for push in pushes] == list(range(1, len(pushes) + 1))
    assert len({push.epoch for push in pushes}) == 1


async def test_4b_every_start_of_the_agent_begins_a_new_epoch(own_platform: Platform, own_machine: Machine) -> None:
    admin, epochs = own_platform.people[0], []
    for action in ("suspend", "resume"):
        epochs.append((await expect_push_after(admin, own_machine, action)).epoch)
        assert (await info(admin, own_machine)).get("epoch") == epochs[-1]
        await restart(own_platform, own_machine)
    assert len(set(epochs)) == 2
    assert all(epochs)


async def test_5a_the_presence_comes_before_the_push(platform: Platform, listener: Person, machine: Machine) -> None:
    await listener.expect_shown(machine.bare, "xa", "Off")
    before = len(listener.received)
    await change(listener, machine, "create")
    await listener.expect_push(machine.bare, "virtualmachine:control", "created", before)
    came = [show(stanza) for stanza in listener.received[before:]]
    pushed = next(number for number, stanza in enumerate(came) if 'change="created"' in stanza)
    assert any("<status>Running" in stanza.replace("ns0:", "") for stanza in came[:pushed])


async def test_6a_an_answer_tells_which_pushes_it_includes(platform: Platform, listener: Person, machine: Machine) -> None:
    await change(listener, machine, "create")
    push = await listener.expect_push(machine.bare, "virtualmachine:control", "created")
    answer = await info(listener, machine)
    assert answer.get("epoch") == push.epoch
    assert int(answer.get("sequence", "0")) >= push.sequence
    assert answer.get("state") == "1"


# -- 7, 8, 9: what is lost, how that shows, how to catch up -----------------------------------------------------------


async def test_7a_nothing_is_kept_for_who_is_offline(platform: Platform, admin: Person, machine: Machine) -> None:
    gone = await leave_listening(platform, admin, machine)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await change(admin, machine, "create")
    await admin.expect_push(machine.bare, "virtualmachine:control", "created")
    back = await platform.enter(gone)
    await back.ask_server(None, "<query xmlns='jabber:iq:roster'/>", "get")
    assert (await expect_push_heard_by(back, admin, machine, "suspend")).change == "suspended"
    assert [push.change for push in back.pushes(machine.bare)] == ["suspended"]


async def leave_listening(platform: Platform, admin: Person, machine: Machine) -> str:
    """Have somebody who may know listen, and go offline; return the name of his account."""
    listener = await platform.enter()
    await platform.grant(admin, machine.full, listener, "info")
    await subscribe(platform, listener, machine)
    await listener.log_out()
    return listener.bare.partition("@")[0]


async def expect_push_heard_by(person: Person, admin: Person, machine: Machine, action: str) -> Push:
    """Have the administrator change the machine, and return the push that somebody else got."""
    before = len(person.received)
    await change(admin, machine, action)
    return (await person.until(lambda: flips(person, machine, before), "the push"))[0]


async def test_7b_nothing_is_pushed_by_who_is_offline(own_platform: Platform, own_machine: Machine) -> None:
    """Neither while the server is away nor when it is back; the numbers tell how many pushes were lost."""
    old = await expect_push_after(own_platform.people[0], own_machine, "suspend")
    await asyncio.to_thread(own_platform.ejabberd.stop)
    with own_platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(own_machine.uuid)
        for step in (domain.resume, domain.suspend):
            await asyncio.to_thread(step)
    await asyncio.to_thread(own_platform.ejabberd.start)
    admin = await own_platform.enter(ADMIN)
    own_platform.people.insert(0, own_platform.people.pop())
    await admin.expect_shown(own_machine.bare, "away", "Paused")
    await change(admin, own_machine, "resume")
    heard = await admin.until(lambda: admin.pushes(own_machine.bare), "a push")
    assert heard[0].sequence > old.sequence + 2, "two changes while it was offline"
    assert {push.epoch for push in heard} == {old.epoch}
    assert [push.sequence for push in heard] == list(range(heard[0].sequence, heard[0].sequence + len(heard)))


async def test_7c_a_connection_that_is_resumed_loses_nothing(own_platform: Platform, own_machine: Machine) -> None:
    admin, before = own_platform.people[0], len(own_platform.people[0].received)
    assert own_platform.proxy is not None
    for _ in range(2):
        seen = len(flips(admin, own_machine, before))
        await flip(own_platform, own_machine, 4)
        assert own_platform.proxy.cut() > 0
        await flip(own_platform, own_machine, 4)
        await admin.until(lambda seen=seen: len(flips(admin, own_machine, before)) >= seen + 8, "all pushes")
    assert [push.change for push in flips(admin, own_machine, before)] == ["suspended", "resumed"] * 8
    numbers = [push.sequence for push in admin.pushes(own_machine.bare, before)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert "unavailable" not in {got.get("type") for got in admin.presences(own_machine.bare, before)}


async def test_8a_a_gap_or_another_epoch_means_a_loss(own_platform: Platform, own_machine: Machine) -> None:
    """Three pushes are lost by a listener who was away, and who knows how many with an agent."""
    admin = own_platform.people[0]
    gone = await leave_listening(own_platform, admin, own_machine)
    last = await expect_push_after(admin, own_machine, "suspend")
    for action in ("resume", "suspend", "resume"):
        await expect_push_after(admin, own_machine, action)
    back = await own_platform.enter(gone)
    heard = await expect_push_heard_by(back, admin, own_machine, "suspend")
    assert (heard.epoch, heard.sequence) == (last.epoch, last.sequence + 4)
    await restart(own_platform, own_machine, "resume")
    new = await expect_push_heard_by(back, admin, own_machine, "suspend")
    assert new.epoch != heard.epoch
    assert new.sequence == 1, "what happened meanwhile is not numbered"


async def test_8b_who_was_away_sends_a_presence(own_platform: Platform, own_machine: Machine) -> None:
    await restart(own_platform, own_machine, "suspend")
    await own_platform.people[0].expect_shown(own_machine.bare, "away", "Paused")


async def test_9a_an_answer_tells_what_the_lost_pushes_would_have_told(platform: Platform, admin: Person, machine: Machine) -> None:
    await change(admin, machine, "create")
    gone = await leave_listening(platform, admin, machine)
    await subscribe(platform, admin, machine)
    assert (await expect_push_after(admin, machine, "suspend")).change == "suspended"
    back = await platform.enter(gone)
    assert (await info(back, machine)).get("state") == "3", "virDomainState: paused"
    assert back.pushes(machine.bare) == []


async def test_9b_after_an_answer_listening_goes_on_without_a_gap(own_platform: Platform, own_machine: Machine) -> None:
    """After a gap in an epoch, and in a new epoch."""
    admin = own_platform.people[0]
    gone = await leave_listening(own_platform, admin, own_machine)
    heard = await expect_push_after(admin, own_machine, "suspend")
    back = await own_platform.enter(gone)
    for action in ("resume", "suspend"):
        answer = await info(back, own_machine)
        push = await expect_push_heard_by(back, admin, own_machine, action)
        assert (push.epoch, push.sequence) == (answer.get("epoch"), int(answer.get("sequence", "0")) + 1)
    assert push.sequence == heard.sequence + 2, "what was missed is not in between"
    await restart(own_platform, own_machine)
    answer = await info(back, own_machine)
    push = await expect_push_heard_by(back, admin, own_machine, "resume")
    assert (push.epoch, push.sequence) == (answer.get("epoch"), int(answer.get("sequence", "0")) + 1)


# -- 10, 11: reboots, failed pushes -----------------------------------------------------------------------------------


async def test_10a_a_machine_that_restarts_is_announced_as_created_only(platform: Platform, listener: Person, machine: Machine) -> None:
    await change(listener, machine, "create")
    await listener.expect_push(machine.bare, "virtualmachine:control", "created")
    before = len(listener.received)
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        domain.shutdown()  # the guest's own end, as far as the agent can see
        domain.create()
    await listener.expect_push(machine.bare, "virtualmachine:control", "created", before)
    await expect_push_after(listener, machine, "suspend")
    assert [push.change for push in listener.pushes(machine.bare, before)] == ["created", "suspended"]


@pytest.mark.parametrize("action", ["shutdown", "destroy"])
async def test_10b_a_stop_that_somebody_asked_for_is_announced_at_once(
    platform: Platform, listener: Person, machine: Machine, action: str
) -> None:
    """It overtakes an earlier stop that is held back, which it could never if it were held back as well.

    If the agent took longer than the hold to get to it, that shows nothing, and is tried again.
    """
    by_itself = await platform.make_machine(listener)
    await subscribe(platform, listener, by_itself)
    for _ in range(TRIALS):
        for started in (by_itself, machine):
            await change(listener, started, "create")
        before = len(listener.received)
        with platform.libvirt() as connection:
            connection.lookupByUUIDString(by_itself.uuid).shutdown()
        await asyncio.sleep(HOLD / 2)  # two that are held are told as far apart
        await change(listener, machine, action)
        pushed = await listener.until(lambda before=before: stops(listener, before, by_itself, machine), "both stops")
        if pushed == [machine.bare, by_itself.bare]:
            return
    raise AssertionError("the stop that was asked for never came first")


# -- 12: whose doing it was -------------------------------------------------------------------------------------------


async def test_12a_a_push_names_whose_command_it_comes_from(listener: Person, machine: Machine) -> None:
    for action, word in {"create": "created", "suspend": "suspended", "resume": "resumed", "destroy": "shutdown"}.items():
        before = len(listener.received)
        await change(listener, machine, action)
        assert (await listener.expect_push(machine.bare, "virtualmachine:control", word, before)).by == listener.bare
    before = len(listener.received)
    await listener.command(machine.full, SUBSCRIPTION, "<archipel action='add' jid='somebody@localhost'/>")
    assert (await listener.expect_push(machine.bare, "permissions", "somebody@localhost", before)).by == listener.bare


async def test_12b_a_push_names_nobody_where_nobody_is_known(platform: Platform, listener: Person, machine: Machine) -> None:
    await change(listener, machine, "create")
    before = len(listener.received)
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).suspend()
    assert (await listener.expect_push(machine.bare, "virtualmachine:control", "suspended", before)).by == ""


def stops(person: Person, since: int, *machines: Machine) -> list[str]:
    """Who announced a stop, in order, once all have."""
    owners = {machine.bare for machine in machines}
    found = [push.owner for push in person.pushes(since=since) if push.owner in owners and push.change == "shutdown"]
    return found if set(found) == owners else []


async def test_11a_what_was_done_is_answered_as_done_though_its_push_is_lost(platform: Platform, admin: Person) -> None:
    machine = await platform.make_machine(admin)
    before = int((await info(admin, machine)).get("sequence", "0"))
    await take_node_over(platform, admin, machine)
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='create'/>"), CONTROL, "<domain id='*'/>")
    await eventually(lambda: f"{machine.bare}: push virtualmachine:control created was lost" in platform.log)
    answer = await info(admin, machine)
    assert answer.get("state") == "1"
    assert int(answer.get("sequence", "0")) == before + 1, "the gap by which listeners will see it"
    assert admin.pushes(machine.bare) == []


async def take_node_over(platform: Platform, admin: Person, machine: Machine) -> None:
    """Put a node of the administrator's in the place of the machine's, to which the machine may not publish."""
    owner = Person(machine.bare, platform.machine_passwords()[machine.uuid], platform.tls, (platform.ejabberd.host, platform.ejabberd.port))
    await owner.log_in()
    await owner.ask_server(platform.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'><delete node='{machine.node}'/></pubsub>")
    await owner.log_out()
    await admin.ask_server(platform.pubsub, f"<pubsub xmlns='{PUBSUB}'><create node='{machine.node}'/></pubsub>")
    await subscribe(platform, admin, machine)
