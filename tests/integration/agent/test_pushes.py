# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is announced on events nodes: topics, changes, order, sequence numbers."""

from __future__ import annotations

import asyncio
import itertools
import re
from datetime import datetime

import pytest

from tests.wire.matching import child, show
from tests.wire.person import Person, Push
from tests.wire.platform import CONTROL, DEFINITION, HOST, PERMISSIONS, SUBSCRIPTION, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]


async def do(person: Person, address: str, namespace: str, *requests: str) -> None:
    """Ask for one thing after the other; each must succeed."""
    for request in requests:
        answer = await person.command(address, namespace, request if request.startswith("<") else f"<archipel action='{request}'/>")
        assert answer.get("type") == "result", show(answer)


async def follow(platform: Platform, person: Person, bare: str) -> int:
    """Subscribe to an entity's events; return from which stanza on they count."""
    answer = await person.subscribe_to_events(bare, platform.pubsub)
    assert answer.get("type") == "result", show(answer)
    return len(person.received)


async def pushes_until(person: Person, owner: str, last: tuple[str, str], since: int) -> list[Push]:
    """All pushes of an entity up to and with the last one that is expected."""
    await person.expect_push(owner, *last, since)
    return person.pushes(owner, since)


def assert_unbroken(pushes: list[Push]) -> None:
    """Check that the numbers follow one another within one life of the agent."""
    assert len({push.epoch for push in pushes}) == 1, pushes
    assert re.fullmatch("[0-9a-f]{12}", pushes[0].epoch)
    assert [push.sequence for push in pushes] == list(range(pushes[0].sequence, pushes[0].sequence + len(pushes)))


async def test_a_machines_life_is_pushed_in_order_without_gaps(platform: Platform, admin: Person, machine: Machine):
    since = await follow(platform, admin, machine.bare)
    await do(admin, machine.full, CONTROL, "create", "suspend", "resume", "reboot", "destroy")
    await do(admin, machine.full, CONTROL, "create", "shutdown")
    await do(admin, machine.full, DEFINITION, "undefine", f"<archipel action='define'>{machine.definition()}</archipel>")
    pushes = await pushes_until(admin, machine.bare, ("virtualmachine:definition", "defined"), since)
    expected = ["created", "suspended", "resumed", "shutdown", "created", "shutdown"]
    assert [push.change for push in pushes if push.what[0] == "virtualmachine:control"] == expected
    assert [push.change for push in pushes if push.what[0] == "virtualmachine:definition"] == ["undefined", "defined"]
    assert_unbroken(pushes)


async def test_memory_and_cpus_are_pushed(platform: Platform, admin: Person, machine: Machine):
    since = await follow(platform, admin, machine.bare)
    await do(admin, machine.full, CONTROL, "create", "<archipel action='memory' value='32768'/>", "<archipel action='setvcpus' value='1'/>")
    pushes = await pushes_until(admin, machine.bare, ("virtualmachine:definition", "nvcpu"), since)
    wanted = [push.what for push in pushes if push.change in {"memory", "nvcpu"}]
    assert wanted == [("virtualmachine:control", "memory"), ("virtualmachine:control", "nvcpu"), ("virtualmachine:definition", "nvcpu")]
    assert_unbroken(pushes)


async def test_reading_pushes_nothing(platform: Platform, admin: Person, machine: Machine):
    since = await follow(platform, admin, machine.bare)
    await do(admin, machine.full, CONTROL, "info", "xmldesc")
    await do(admin, machine.full, DEFINITION, "capabilities")
    await do(admin, machine.full, PERMISSIONS, "list")
    await do(admin, machine.full, CONTROL, "create")
    pushes = await pushes_until(admin, machine.bare, ("virtualmachine:control", "created"), since)
    assert [push.change for push in pushes if push.what != ("subscription", "added")][-1:] == ["created"]
    assert len({push.sequence for push in pushes}) == len(pushes) <= 3  # what making it had left to say may come first


async def test_info_tells_which_pushes_it_includes(platform: Platform, admin: Person, machine: Machine):
    since = await follow(platform, admin, machine.bare)
    await do(admin, machine.full, CONTROL, "create")
    push = await admin.expect_push(machine.bare, "virtualmachine:control", "created", since)
    info = child(child(await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get"), "query"), "info")
    assert int(info.get("sequence") or 0) >= push.sequence
    assert info.get("epoch") == push.epoch


async def test_a_push_bears_the_hosts_local_time(platform: Platform, admin: Person, machine: Machine):
    since = await follow(platform, admin, machine.bare)
    before = datetime.now()
    await do(admin, machine.full, CONTROL, "create")
    push = await admin.expect_push(machine.bare, "virtualmachine:control", "created", since)
    assert before <= datetime.strptime(push.date, "%Y-%m-%d %H:%M:%S.%f") <= datetime.now()


async def test_the_hypervisor_pushes_what_becomes_of_machines(platform: Platform, admin: Person):
    since = len(admin.received)
    machine = await platform.make_machine(admin)
    item = f"<item jid='{machine.bare}'/>"
    await do(admin, platform.host, HOST, f"<archipel action='unmanage'>{item}</archipel>", f"<archipel action='manage'>{item}</archipel>")
    await do(admin, platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>")
    await admin.expect_push(platform.hypervisor, "hypervisor", "free", since)
    pushes = admin.pushes(platform.hypervisor, since)
    assert [push.change for push in pushes if push.what[0] == "hypervisor"] == ["alloc", "unmanage", "alloc", "manage", "free"]
    assert_unbroken(pushes)


async def test_two_hundred_changes_arrive_once_each_and_in_order(platform: Platform, admin: Person, machine: Machine):
    since = await follow(platform, admin, machine.bare)
    await do(admin, machine.full, CONTROL, "create")
    for action, _ in itertools.product(("memory",), range(100)):
        admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='{action}' value='32768'/></query>")
        admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='setvcpus' value='1'/></query>")
    await admin.until(lambda: len([push for push in admin.pushes(machine.bare, since) if push.change in {"memory", "nvcpu"}]) >= 300)
    await admin.assert_one_answer_each()
    pushes = admin.pushes(machine.bare, since)
    assert_unbroken(pushes)
    assert len([push for push in pushes if push.change == "memory"]) == 100
    assert len([push for push in pushes if push.change == "nvcpu"]) == 200


async def test_several_watchers_hear_the_same(platform: Platform, admin: Person, machine: Machine):
    people = [await platform.enter() for _ in range(3)]
    for person in people:
        await platform.grant(admin, machine.full, person, "info")
        await follow(platform, person, machine.bare)
    await do(admin, machine.full, CONTROL, "create", "destroy")
    heard = await asyncio.gather(*(pushes_until(person, machine.bare, ("virtualmachine:control", "shutdown"), 0) for person in people))
    control = [[(push.change, push.sequence) for push in pushes if push.what[0] == "virtualmachine:control"] for pushes in heard]
    assert control[0] == control[1] == control[2]


async def test_who_is_let_into_the_roster_hears_of_it_first(platform: Platform, admin: Person, machine: Machine):
    """Founding clients read the contact's vCard, then subscribe to its events: they may by then."""
    newcomer = await platform.enter()
    await do(admin, machine.full, SUBSCRIPTION, f"<archipel action='add' jid='{newcomer.bare}'/>")
    await newcomer.until(lambda: newcomer.presences(machine.bare))
    assert (await newcomer.subscribe_to_events(machine.bare, platform.pubsub)).get("type") == "result"
