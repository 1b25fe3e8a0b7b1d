# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who sends far too much: each request is answered all the same, others are served, and the disk does not fill."""

from __future__ import annotations

import itertools

import pytest

from tests.wire.matching import child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, HOST, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

BUSY = "I am still busy with what you said before: please wait for my answers."
PING = "<ping xmlns='urn:xmpp:ping'/>"


async def await_answers(person: Person, keys: list[str]) -> None:
    """Wait until each of many requests was answered."""
    since, wanted = 0, set(keys)

    def all_came() -> bool:
        nonlocal since
        wanted.difference_update(stanza.get("id") or "" for stanza in person.received[since:])
        since = len(person.received)
        return not wanted

    await person.until(all_came, f"{len(keys)} answers", 90)


async def test_a_client_that_does_not_wait_gets_every_answer(platform: Platform, admin: Person, machine: Machine):
    keys = [admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='info'/></query>", "get") for _ in range(2000)]
    await await_answers(admin, keys)
    answers = {stanza.get("id"): stanza for stanza in admin.received if name_of(stanza) == "iq"}
    assert {answers[key].get("type") for key in keys} == {"result"}


async def test_what_is_too_much_is_refused_and_answered(platform: Platform, admin: Person, student: Person, machine: Machine):
    await platform.grant(admin, machine.full, student, "info")
    keys = [student.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='info'/></query>", "get") for _ in range(5000)]
    assert (await admin.ask(machine.full, PING, "get")).get("type") == "result"
    wanted = set(keys)
    await await_answers(student, keys)
    refused = [each for each in student.received if each.get("id") in wanted and each.get("type") == "error"]
    for answer in refused:
        assert child(answer, "error").get("type") == "wait", show(answer)
        assert "resource-constraint" in {name_of(part) for part in child(answer, "error")}, show(answer)
    assert len(refused) <= len(keys) - 2000, "what may wait is not refused"


async def test_long_chats_keep_nobody_waiting(platform: Platform, admin: Person, student: Person, machine: Machine):
    """Each such word cost the agent 40 milliseconds."""
    await platform.grant(admin, machine.full, student, "message")
    for _ in range(1000):
        student.send(f"<message type='chat' to='{machine.full}'><body>memory {'pwd' * 1360}</body></message>")
    assert (await admin.ask(machine.full, PING, "get")).get("type") == "result"
    await student.ask(machine.full, PING, "get", 60)
    said = await student.until(lambda: student.heard(machine.bare), "answers")
    bodies = [each.findtext("{jabber:client}body") or "" for each in said]
    assert bodies[0].startswith(("I am sorry, you may not do that", BUSY))
    assert not any(first == second == BUSY for first, second in itertools.pairwise(bodies)), "told once, then silence"
    assert "pwd" * 100 not in platform.audit


async def test_a_strangers_requests_do_not_fill_the_disk(platform: Platform, student: Person):
    keys = [student.request(platform.host, f"<query xmlns='{HOST}'><archipel action='rostervm'/></query>") for _ in range(200)]
    await await_answers(student, keys)
    assert len([line for line in platform.audit.splitlines() if f'"{student.full}"' in line]) == 20
    assert len([line for line in platform.log.splitlines() if student.full in line]) == 20


async def test_vast_requests_of_a_stranger_are_answered(platform: Platform, admin: Person, student: Person):
    children = f"<query xmlns='{HOST}'><archipel action='info'>{'<a/>' * 40_000}</archipel></query>"
    attributes = " ".join(f"a{number}='x'" for number in range(15_000))
    for payload in (children, f"<query xmlns='{HOST}'><archipel action='info' {attributes}/></query>"):
        answer = await student.ask(platform.host, payload)
        assert answer.get("type") == "error", show(answer)
    lines = [line for line in platform.audit.splitlines() if f'"{student.full}"' in line]
    assert len(lines) == 2
    assert max(map(len, lines)) < 20_000
