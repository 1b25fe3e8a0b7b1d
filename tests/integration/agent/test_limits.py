# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks too fast is told when to come back; whoever is patient, or somebody else, gets his answers meanwhile."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, HOST, Machine, Platform, open_platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

INFO = f"<query xmlns='{CONTROL}'><archipel action='info'/></query>"
LIMITS = {
    ("LIMITS", "request_rate"): "0.1",
    ("LIMITS", "request_burst"): "20",
    ("LIMITS", "stranger_request_rate"): "0.1",
    ("LIMITS", "stranger_request_burst"): "3",
    ("LIMITS", "requests_under_way"): "10",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform that lets nobody but administrators ask much."""
    async with open_platform(tmp_path_factory.mktemp("strict"), authority, "strict.localhost", LIMITS) as platform:
        yield platform


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chief(strict: Platform) -> Person:
    return await strict.enter(ADMIN)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seat(strict: Platform, chief: Person) -> Machine:
    return await strict.make_machine(chief)


async def ask_often(person: Person, address: str, payload: str, times: int) -> list[ET.Element]:
    """The answers to requests that were all sent at once, in the order of the requests."""
    keys = [person.request(address, payload, "get") for _ in range(times)]
    wanted = set(keys)
    await person.until(lambda: wanted <= {stanza.get("id") for stanza in person.received}, f"{times} answers", 60)
    answers = {stanza.get("id"): stanza for stanza in person.received if name_of(stanza) == "iq"}
    return [answers[key] for key in keys]


def assert_told_to_wait(answer: ET.Element) -> None:
    error = child(answer, "error")
    assert (error.get("type"), error.get("code")) == ("wait", "503"), show(answer)
    assert "resource-constraint" in {name_of(part) for part in error}, show(answer)
    assert "try again in" in (error.findtext("{urn:ietf:params:xml:ns:xmpp-stanzas}text") or ""), show(answer)


async def test_what_comes_too_fast_is_refused_and_written_down_and_another_is_served(strict: Platform, chief: Person, seat: Machine):
    hasty, patient = await strict.enter(), await strict.enter()
    for person in (hasty, patient):
        await strict.grant(chief, seat.full, person, "info")
    answers = await ask_often(hasty, seat.full, INFO, 60)
    refused = [answer for answer in answers if answer.get("type") == "error"]
    assert 38 <= len(refused) <= 40
    for answer in refused:
        assert_told_to_wait(answer)
    assert {answer.get("type") for answer in await ask_often(patient, seat.full, INFO, 15)} == {"result"}
    entries = [json.loads(line) for line in strict.audit.splitlines() if f'"{hasty.bare}"' in line]
    assert [entry["action"] for entry in entries if entry["rule"] == "limits"] == ["info"] * 20


async def test_a_stranger_gets_less(strict: Platform, seat: Machine):
    stranger = await strict.enter()
    answers = await ask_often(stranger, seat.full, INFO, 10)
    assert {answer.get("type") for answer in answers} == {"error"}
    assert [child(answer, "error").get("type") for answer in answers].count("cancel") in {3, 4}, "refused as a stranger, until he hurries"


async def test_many_senders_together_are_all_served(strict: Platform, chief: Person, seat: Machine):
    """With ten places for everybody's requests."""
    people = [await strict.enter() for _ in range(6)]
    for person in people:
        await strict.grant(chief, strict.host, person, "rostervm")
        await strict.grant(chief, seat.full, person, "info")
    keys = {person: [person.request(seat.full, INFO, "get") for _ in range(15)] for person in people}
    flood = [chief.request(strict.host, f"<query xmlns='{HOST}'><archipel action='rostervm'/></query>", "get") for _ in range(200)]
    for person, wanted in {**keys, chief: flood}.items():
        await person.until(
            lambda person=person, wanted=wanted: set(wanted) <= {stanza.get("id") for stanza in person.received}, "answers", 60
        )
        answers = {stanza.get("id"): stanza.get("type") for stanza in person.received if name_of(stanza) == "iq"}
        assert {answers[key] for key in wanted} == {"result"}
