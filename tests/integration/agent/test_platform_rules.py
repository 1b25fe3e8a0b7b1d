# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the whole platform: two agents of one server follow them, whoever tries to forge them gets nowhere, a restart forgets none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from testbed.libvirtd import TestLibvirtd
from tests.wire.matching import assert_refused, assert_stranger_refused, child
from tests.wire.person import PUBSUB, Person
from tests.wire.platform import CONTROL, HOST, Machine
from tests.wire.two_hypervisors import House, Pair, open_pair
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE, RIGHTS = "/archipel/rules", "archipel:rights"
INFO, LIST = "<archipel action='info'/>", "<archipel action='rostervm'/>"
FIELDS = {"access_model": "open", "publish_model": "publishers", "persist_items": "1", "max_items": "1000", "notify_retract": "1"}


@dataclass(frozen=True)
class Place:
    """Both hosts, each with a machine."""

    pair: Pair
    machines: tuple[Machine, Machine]

    @property
    def admin(self) -> Person:
        return self.pair.admin

    @property
    def pubsub(self) -> str:
        return self.pair.first.pubsub

    async def say(self, item: str, rule: str) -> None:
        """Have the administrator publish a rule."""
        await self.admin.ask_server(self.pubsub, publication(item, f"{rule} given_by='{self.admin.bare}'"))

    async def take_back(self, item: str) -> None:
        retract = f"<retract node='{NODE}' notify='true'><item id='{item}'/></retract>"
        await self.admin.ask_server(self.pubsub, f"<pubsub xmlns='{PUBSUB}'>{retract}</pubsub>")

    async def own_node(self, content: str) -> None:
        await self.admin.ask_server(self.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'>{content}</pubsub>")

    async def may(self, person: Person) -> list[bool]:
        """Whether somebody may list the machines of each host, and see the state of its machine."""
        answers = []
        for house, machine in zip(self.pair.both, self.machines, strict=True):
            answers.append(await person.command(house.host, HOST, LIST, "get"))
            answers.append(await person.command(house.address_of(machine), CONTROL, INFO, "get"))
        return [answer.get("type") == "result" for answer in answers]

    async def eventually_may(self, person: Person, wanted: bool) -> None:
        async def is_so() -> bool:
            return await self.may(person) == [wanted] * 4

        await eventually(is_so, f"{person.bare} {'may' if wanted else 'may not'} everywhere")

    async def why(self, person: Person, right: str, house: House, machine: Machine) -> str:
        request = f"<archipel action='why' right='{right}' subject='{person.bare}'/>"
        return child(await self.admin.command(house.address_of(machine), RIGHTS, request, "get"), "query")[0].text or ""


def publication(item: str, rule: str) -> str:
    payload = f"<rule xmlns='{RIGHTS}' given_at='2026-01-01T00:00:00Z' {rule}/>"
    return f"<pubsub xmlns='{PUBSUB}'><publish node='{NODE}'><item id='{item}'>{payload}</item></publish></pubsub>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    with TestLibvirtd() as first, TestLibvirtd() as second:
        async with open_pair(tmp_path_factory.mktemp("pair"), authority, "everywhere.localhost", (first, second)) as pair:
            yield Place(pair, (await pair.first.make_machine(pair.admin), await pair.second.make_machine(pair.admin)))
            for house in pair.both:
                assert "Traceback" not in house.log, house.log


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def node(place: Place) -> None:
    """The node, made after the agents were started: they find it."""
    fields = "".join(f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in FIELDS.items())
    kind = "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>"
    configure = f"<configure><x xmlns='jabber:x:data' type='submit'>{kind}{fields}</x></configure>"
    await place.admin.ask_server(place.pubsub, f"<pubsub xmlns='{PUBSUB}'><create node='{NODE}'/>{configure}</pubsub>")


async def test_one_rule_counts_on_both_hosts_and_their_machines_and_a_denial_beats_it(place: Place):
    student = await place.pair.first.enter()
    assert await place.may(student) == [False] * 4
    for number, right in enumerate(("info", "rostervm", "create")):
        await place.say(f"given-{number}", f"subject='{student.bare}' right='{right}' reason='summer school'")
    await place.eventually_may(student, True)
    words = await place.why(student, "info", place.pair.second, place.machines[1])
    assert f"on all hypervisors and machines of the platform; given by {place.admin.bare} on 2026-01-01" in words
    assert "summer school" in words
    await place.say("denied", f"subject='{student.bare}' right='create' effect='deny'")

    async def is_denied() -> bool:
        return all(
            [
                (await place.why(student, "create", house, machine)).startswith("denied: ")
                for house, machine in zip(place.pair.both, place.machines, strict=True)
            ]
        )

    await eventually(is_denied)
    create = "<archipel action='create'/>"
    assert_refused(await student.command(place.pair.second.address_of(place.machines[1]), CONTROL, create), "create")
    for number in range(3):
        await place.take_back(f"given-{number}")
    await place.eventually_may(student, False)


async def test_nobody_else_publishes_there(place: Place):
    mallory = await place.pair.first.enter()
    answer = await mallory.ask(place.pubsub, publication("mine", f"subject='{mallory.bare}' right='all'"))
    assert child(child(answer, "error"), "forbidden") is not None
    thief = await enter_as_machine(place)
    answer = await thief.ask(place.pubsub, publication("mine", f"subject='{mallory.bare}' right='all'"))
    assert answer.get("type") == "error"
    assert await place.may(mallory) == [False] * 4


async def enter_as_machine(place: Place) -> Person:
    """Somebody who stole a machine's password."""
    house, machine = place.pair.first, place.machines[0]
    house.passwords[machine.uuid] = house.machine_passwords()[machine.uuid]
    return await house.enter(machine.uuid, resource="intruder")


async def test_the_rules_outlive_their_node_and_a_restart(place: Place):
    student, rogue = await place.pair.first.enter(), await place.pair.first.enter()
    await place.say("given", f"subject='{student.bare}' role='auditor'")
    await place.say("denied", f"subject='{rogue.bare}' right='all' effect='deny'")
    await place.eventually_may(student, True)
    first, machine = place.pair.first, place.machines[0]
    await first.grant(place.admin, first.address_of(machine), rogue, "info")
    await place.own_node(f"<delete node='{NODE}'/>")
    await asyncio.to_thread(first.agent.kill)
    await asyncio.to_thread(first.agent.start)
    await eventually(lambda: f"no rules of the platform ({NODE})" in first.log)
    await place.eventually_may(student, True)
    assert_stranger_refused(await rogue.command(first.address_of(machine), CONTROL, INFO, "get"))
