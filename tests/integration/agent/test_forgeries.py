# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forged notifications, squatted nodes, and the platform's list of administrators."""

from __future__ import annotations

import asyncio
import uuid as uuids
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import assert_payload, assert_stranger_refused, show
from tests.wire.person import PUBSUB, PUBSUB_EVENT, QUIET, Person
from tests.wire.platform import ADMIN, CONTROL, HOST, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

NODE = "/archipel/adminaccounts"
FORM = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>{}</x>"


def configuration(**options: str) -> str:
    fields = "".join(f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in options.items())
    return f"<configure>{FORM.format(fields)}</configure>"


LIST = configuration(
    access_model="open", publish_model="publishers", persist_items="1", notify_retract="1", send_last_published_item="never"
)
OPEN_LIST = LIST.replace("publishers", "open")


def publish(person: Person, item: str = "an-item") -> str:
    name, _, domain = person.bare.partition("@")
    return f"<pubsub xmlns='{PUBSUB}'><publish node='{NODE}'><item id='{item}'><admin node='{name}' domain='{domain}'/></item></publish></pubsub>"


def create(configure: str = LIST, node: str = NODE) -> str:
    return f"<pubsub xmlns='{PUBSUB}'><create node='{node}'/>{configure}</pubsub>"


async def rules(platform: Platform, person: Person) -> bool:
    """Whether somebody is an administrator."""
    answer = await person.command(platform.host, HOST, "<archipel action='rostervm'/>", "get")
    return answer.get("type") == "result"


# -- forged notifications ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity", ["hypervisor", "machine"])
async def test_a_users_headline_is_no_notification(platform: Platform, admin: Person, student: Person, machine: Machine, entity: str):
    address = {"hypervisor": platform.host, "machine": machine.full}[entity]
    name = student.bare.partition("@")[0]
    forged = (
        f"<item id='{name}'><admin node='{name}' domain='{platform.domain}'/></item>",
        f"<retract id='STATIC_{admin.bare}'/>",
        "",
    )
    for items in forged:
        for inner in (f"<items node='{NODE}'>{items}</items>", "<items/>", "<purge/>", f"<delete node='{NODE}'/>", ""):
            student.send(f"<message type='headline' to='{address}'><event xmlns='{PUBSUB_EVENT}'>{inner}</event></message>")
    await asyncio.sleep(QUIET)
    assert not await rules(platform, student)
    assert await rules(platform, admin)
    assert_stranger_refused(await student.command(machine.full, CONTROL, "<archipel action='create'/>"))


async def test_a_forged_sender_does_not_pass_the_server(platform: Platform, admin: Person, student: Person):
    """The server stamps who sends; a client that claims to be the PubSub service is thrown out or stamped."""
    mallory = await platform.enter()
    name = student.bare.partition("@")[0]
    item = f"<items node='{NODE}'><item id='x'><admin node='{name}' domain='{platform.domain}'/></item></items>"
    mallory.send(
        f"<message type='headline' from='{platform.pubsub}' to='{platform.host}'><event xmlns='{PUBSUB_EVENT}'>{item}</event></message>"
    )
    await asyncio.sleep(QUIET)
    assert not await rules(platform, student)
    assert await rules(platform, admin)


# -- squatted nodes ---------------------------------------------------------------------------------------------------


async def become_machine(platform: Platform, machine: Machine) -> Person:
    """Somebody who stole a machine's password: the server lets machines make nodes."""
    platform.passwords[machine.uuid] = platform.machine_passwords()[machine.uuid]
    return await platform.enter(machine.uuid, resource="intruder")


async def test_nothing_is_published_on_a_squatted_events_node(platform: Platform, admin: Person, machine: Machine):
    squatter, uuid = await become_machine(platform, machine), str(uuids.uuid4())
    node = f"/archipel/{uuid}@{platform.domain}/events"
    await squatter.ask_server(platform.pubsub, create(LIST, node))
    subscribe = f"<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{squatter.bare}'/></pubsub>"
    await squatter.ask_server(platform.pubsub, subscribe)
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' uuid='{uuid}' name='vm-{uuid[:8]}'/>")
    assert_payload(answer, HOST, f"<virtualmachine jid='{uuid}@{platform.domain}'/>")
    victim = Machine(uuid, f"vm-{uuid[:8]}", platform.domain)
    define = f"<archipel action='define'>{victim.definition()}</archipel>"
    assert_payload(await admin.command(victim.full, "archipel:vm:definition", define), "archipel:vm:definition", "")
    assert_payload(await admin.command(victim.full, CONTROL, "<archipel action='create'/>"), CONTROL, "<domain id='*'/>")
    await asyncio.sleep(QUIET)
    assert squatter.pushes(victim.bare) == []
    assert any(node in line and "belongs to somebody else" in line for line in platform.log.splitlines())


# -- the platform's administrators ------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose agent these tests restart."""
    async with open_platform(tmp_path_factory.mktemp("own"), authority, "lists.localhost") as platform:
        await platform.enter(ADMIN)
        await platform.people[0].until(lambda: True)
        yield platform


@pytest_asyncio.fixture(loop_scope="session")
async def chief(own: Platform) -> AsyncIterator[Person]:
    """The administrator of that platform; afterwards there is no list again."""
    yield own.people[0]
    await own.people[0].ask(own.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'><delete node='{NODE}'/></pubsub>")


async def restart(platform: Platform, chief: Person) -> None:
    """Start the agent anew: it looks for the list when it logs in."""
    platform.agent.stop()
    platform.agent.start()
    await platform.meet_hypervisor(chief)
    await eventually(lambda: "administrators" in platform.log)


async def test_the_list_makes_and_unmakes_administrators_at_once(own: Platform, chief: Person):
    teacher = await own.enter()
    await chief.ask_server(own.pubsub, create())
    await chief.ask_server(own.pubsub, publish(teacher))
    await chief.ask_server(own.pubsub, publish(chief, f"STATIC_{chief.bare}"))
    own.agent.stop()
    own.agent.start()
    await eventually(lambda: rules(own, teacher), "the administrator of the list rules")
    later = await own.enter()
    await chief.ask_server(own.pubsub, publish(later, "later"))
    await eventually(lambda: rules(own, later), "a new administrator rules at once")
    for item in ("an-item", f"STATIC_{chief.bare}"):
        await chief.ask_server(
            own.pubsub, f"<pubsub xmlns='{PUBSUB}'><retract node='{NODE}' notify='true'><item id='{item}'/></retract></pubsub>"
        )

    async def dismissed() -> bool:
        return not await rules(own, teacher)

    await eventually(dismissed, "the retracted one does not rule any more")
    assert await rules(own, later)
    assert await rules(own, chief), "an administrator of the settings stays, whatever the list says"


async def test_nobody_untrusted_becomes_administrator_by_a_list_of_his_own(own: Platform, chief: Person):
    teacher = await own.enter()
    machine = await own.make_machine(chief)
    squatter = await become_machine(own, machine)
    await squatter.ask_server(own.pubsub, create())
    await squatter.ask_server(own.pubsub, publish(teacher))
    await restart(own, chief)
    await eventually(lambda: "not trusted: it is ignored" in own.log)
    assert not await rules(own, teacher)
    assert machine.bare in own.log
    await squatter.ask_server(own.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'><delete node='{NODE}'/></pubsub>")


async def test_a_list_that_everybody_may_write_to_makes_no_administrators(own: Platform, chief: Person):
    mallory = await own.enter()
    await chief.ask_server(own.pubsub, create(OPEN_LIST))
    answer = await mallory.ask(own.pubsub, publish(mallory))
    assert answer.get("type") == "result", show(answer)
    await restart(own, chief)
    await eventually(lambda: "it is ignored" in own.log)
    assert not await rules(own, mallory)


async def test_a_publisher_who_is_not_trusted_makes_no_administrators(own: Platform, chief: Person):
    mallory = await own.enter()
    await chief.ask_server(own.pubsub, create())
    affiliation = f"<affiliations node='{NODE}'><affiliation jid='{mallory.bare}' affiliation='publisher'/></affiliations>"
    await chief.ask_server(own.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'>{affiliation}</pubsub>")
    await mallory.ask_server(own.pubsub, publish(mallory))
    await restart(own, chief)
    await eventually(lambda: "it is ignored" in own.log)
    assert not await rules(own, mallory)
