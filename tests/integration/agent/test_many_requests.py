# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many requests at once: each is answered, once, with its own answer."""

from __future__ import annotations

import asyncio
import uuid as uuids

import pytest

from tests.wire.matching import child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, HOST, PERMISSIONS, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

MIX = [
    (CONTROL, "<archipel action='info'/>"),
    (CONTROL, "<archipel action='memory' value='40000'/>"),
    (CONTROL, "<archipel action='autostart' value='1'/>"),
    (CONTROL, "<archipel action='suspend'/>"),
    (CONTROL, "<archipel action='resume'/>"),
    (CONTROL, "<archipel action='xmldesc'/>"),
    (CONTROL, "<archipel action='setvcpus' value='1'/>"),
    (CONTROL, "<archipel action='no-such-action'/>"),
    (PERMISSIONS, "<archipel action='list'/>"),
    (DEFINITION, "<archipel action='capabilities'/>"),
]


async def answers(person: Person, keys: list[str]) -> list[str]:
    """Wait for all answers, and a moment longer; return their types in the order of the requests."""
    await person.until(lambda: all(person.answers(key) for key in keys), f"{len(keys)} answers")
    await person.assert_one_answer_each()
    return [person.answers(key)[0].get("type") or "" for key in keys]


async def test_fifty_requests_at_once_to_one_machine(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    keys = [admin.request(machine.full, f"<query xmlns='{namespace}'>{request}</query>") for namespace, request in MIX * 5]
    kinds = await answers(admin, keys)
    reads = {"info", "memory", "autostart", "xmldesc", "setvcpus", "list", "capabilities"}
    wrong = [
        show(admin.answers(key)[0])
        for key, kind, (_ns, request) in zip(keys, kinds, MIX * 5, strict=True)
        if kind == "error" and request.split("'")[1] in reads
    ]
    assert wrong == []
    assert kinds[7::10] == ["error"] * 5


async def test_a_request_gets_the_answer_to_itself(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    questions = [(CONTROL, "info", "info"), (CONTROL, "xmldesc", "domain"), (PERMISSIONS, "list", "permission")] * 10
    keys = [
        admin.request(machine.full, f"<query xmlns='{namespace}'><archipel action='{action}'/></query>")
        for namespace, action, _ in questions
    ]
    await answers(admin, keys)
    found = [name_of(child(admin.answers(key)[0], "query")[0]) for key in keys]
    assert found == [element for _namespace, _action, element in questions]


async def test_fifty_people_at_once_ask_one_machine(platform: Platform, admin: Person, machine: Machine):
    people = await asyncio.gather(*(platform.enter() for _ in range(50)))
    await platform.grant(admin, machine.full, people[0], "info")
    keys = [person.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='info'/></query>", "get") for person in people]
    kinds = await asyncio.gather(*(answers(person, [key]) for person, key in zip(people, keys, strict=True)))
    assert kinds == [["result"]] + [["error"]] * 49
    await asyncio.gather(*(person.log_out() for person in people))


async def test_fifty_machines_are_made_used_and_freed_at_once(platform: Platform, admin: Person):
    before = set(await platform.roster_of_machines(admin))
    machines = [Machine(str(uuids.uuid4()), f"crowd-{number:02}", platform.domain) for number in range(50)]
    make = [f"<archipel action='alloc' name='{each.name}' uuid='{each.uuid}'>{each.definition()}</archipel>" for each in machines]
    steps = [
        [(platform.host, HOST, request) for request in make],
        [(each.full, CONTROL, "<archipel action='create'/>") for each in machines],
        [(each.full, CONTROL, "<archipel action='info'/>") for each in machines],
        [(each.full, CONTROL, "<archipel action='suspend'/>") for each in machines],
    ]
    for step in steps:
        keys = [admin.request(address, f"<query xmlns='{namespace}'>{request}</query>") for address, namespace, request in step]
        assert set(await answers(admin, keys)) == {"result"}
    assert set(await platform.roster_of_machines(admin)) - before == {each.full for each in machines}
    for each in machines:
        await admin.expect_shown(each.bare, "away", "Paused")
    keys = [admin.request(platform.host, f"<query xmlns='{HOST}'><archipel action='free' jid='{each.bare}'/></query>") for each in machines]
    assert set(await answers(admin, keys)) == {"result"}
    assert set(await platform.roster_of_machines(admin)) == before
    assert platform.accounts() & {each.uuid for each in machines} == set()
    assert [each for each in machines if (platform.agent.machines / each.uuid).exists()] == []


async def test_of_twenty_who_want_one_name_one_gets_it(platform: Platform, admin: Person):
    request = "<query xmlns='archipel:hypervisor:control'><archipel action='alloc' name='{}'/></query>"
    keys = [admin.request(platform.host, request.format(name)) for name in ("wanted", "Wanted") * 10]
    kinds = await answers(admin, keys)
    assert sorted(kinds) == ["error"] * 19 + ["result"]
    refused = [child(admin.answers(key)[0], "error") for key, kind in zip(keys, kinds, strict=True) if kind == "error"]
    assert all(name_of(error[0]) == "conflict" for error in refused)
    named = [name for (name,) in platform.rows("SELECT name FROM virtual_machines") if name.lower() == "wanted"]
    assert len(named) == 1


async def test_of_twenty_who_free_one_machine_one_does(platform: Platform, admin: Person, machine: Machine):
    request = f"<query xmlns='{HOST}'><archipel action='free' jid='{machine.bare}'/></query>"
    keys = [admin.request(platform.host, request) for _ in range(20)]
    assert sorted(await answers(admin, keys)) == ["error"] * 19 + ["result"]
    assert machine.full not in await platform.roster_of_machines(admin)
    assert machine.uuid not in platform.accounts()
