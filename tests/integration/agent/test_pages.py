# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages of the capabilities show is done: conversations, commands from a shell, requests as they go over the wire.

Which test does what other pages show stands in tests/unit/test_page_examples.py.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from archipel.agent.platform_rules import read_items
from archipel.xmpp.pubsub import Item
from tests.documentation import Said, is_like, read_blocks, read_steps, read_talks
from tests.wire.actions.core import CARD
from tests.wire.matching import assert_error, child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, HOST, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

HEALTH, SCHEDULER = "archipel:hypervisor:health", "archipel:entity:scheduler"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest_asyncio.fixture(loop_scope="session")
async def web(platform: Platform, admin: Person) -> AsyncIterator[Machine]:
    """The machine that the pages talk to, with one of another name beside it."""
    db = await platform.make_machine(admin, name="db")
    machine = await platform.make_machine(admin, name="web", more=CARD)
    yield machine
    for made in (machine, db):
        await admin.command(platform.host, HOST, f"<archipel action='free' jid='{made.bare}'/>")


async def talk(person: Person, address: str, said: list[Said]) -> None:
    real: dict[str, str] = {}
    for one in said:
        words = UUID.sub(lambda found: real.get(found[0], found[0]), one.words)

        async def answered(words: str = words, one: Said = one) -> bool:
            answer = await person.say(address, words)
            if words.startswith("logs"):  # which line is the last nobody knows
                return is_like(one.answer.partition(" info ")[0] + " ...", answer)
            if words.startswith("health") and not is_like(one.answer, answer):  # figures come with time
                return False
            assert is_like(one.answer, answer), f"{words}: {answer}"
            real.update(zip(UUID.findall(one.answer), UUID.findall(answer), strict=False))
            return True

        await eventually(answered, words)


@pytest.mark.parametrize("page", ["chat", "health", "parking", "scheduler"])
async def test_what_a_page_says_in_a_chat_is_answered_so(platform: Platform, admin: Person, web: Machine, root: Path, page: str):
    said = read_talks(root / "docs" / f"{page}.md")[0]
    to_host = page in {"health", "parking"}
    await talk(admin, platform.host if to_host else web.full, said)
    if page == "parking":
        await admin.say(platform.host, f"unpark {web.name}")
        await eventually(lambda: {"db", "web"} <= {name for (name,) in platform.rows("SELECT name FROM virtual_machines")}, "both are back")


@pytest.mark.parametrize("page", ["appliances", "avatars", "chat", "oomkiller", "snapshots"])
async def test_what_a_page_says_from_a_shell_is_answered_so(admin: Person, web: Machine, root: Path, page: str):
    steps = read_steps(root / "docs" / f"{page}.md")
    assert steps
    for step in steps:
        answer = await admin.say(web.full, step.command.removeprefix(f"archipel chat {web.name} "))
        assert is_like("\n".join(step.shown), answer), f"{step.command}: {answer}"


# -- as it goes over the wire ---------------------------------------------------------------------------------------------


async def ask(person: Person, address: str, query: str) -> list[ET.Element]:
    """Ask what stands on a page, and return what is in the answer."""
    request = ET.fromstring(query)
    answer = await person.command(address, request.tag[1:].partition("}")[0], "".join(ET.tostring(inner, "unicode") for inner in request))
    assert answer.get("type") == "result", show(answer)
    return list(child(answer, "query"))


def only_block(root: Path, page: str) -> str:
    [block] = read_blocks(root / "docs" / f"{page}.md", "xml")
    return block


async def test_a_network_is_defined_as_its_page_shows(platform: Platform, admin: Person, root: Path):
    request, of_a_switch = read_blocks(root / "docs" / "networks.md", "xml")
    [query] = ET.fromstring(request)
    assert await ask(admin, platform.host, ET.tostring(query, "unicode")) == []
    query[0][0] = ET.fromstring(of_a_switch)
    assert await ask(admin, platform.host, ET.tostring(query, "unicode")) == []
    with platform.libvirt() as connection:
        network, switched = (connection.networkLookupByName(name) for name in ("lab", "switched"))
        assert (network.autostart(), "10.77.0.1" in network.XMLDesc()) == (1, True)
        assert "<portgroup name='uplink'>" in switched.XMLDesc()
        network.undefine()
        switched.undefine()


async def test_the_place_is_told_as_its_page_shows(platform: Platform, admin: Person, root: Path):
    """The shared platform has the options that the page shows."""
    answer = await ask(admin, platform.host, "<query xmlns='archipel:hypervisor:geolocalization'><archipel action='get'/></query>")
    assert [name_of(found) for found in answer] == ["gelocalization"]
    place, _users = read_blocks(root / "docs" / "places.md", "xml")
    shown = ET.fromstring(place)
    assert [(name_of(part), part.text) for part in answer[0]] == [(part.tag, part.text) for part in shown]
    [options] = read_blocks(root / "docs" / "places.md", "ini")
    assert re.findall(r"= (.*)", options) == [part.text for part in shown]


async def test_the_users_of_the_server_are_asked_for_as_their_page_shows(platform: Platform, admin: Person, root: Path):
    _place, users = read_blocks(root / "docs" / "places.md", "xml")
    request = ET.fromstring(users)
    answer = await admin.command(platform.host, request.tag[1:].partition("}")[0], ET.tostring(request[0], "unicode"))
    assert_error(answer, code=-10000, condition="service-unavailable", mentions="central agent")


async def test_the_history_is_asked_for_as_its_page_shows(platform: Platform, admin: Person, root: Path):
    past = only_block(root, "health")
    assert await ask(admin, platform.host, f"<query xmlns='{HEALTH}'>{past}</query>") == []
    now = re.sub(r"before='\d+'", "", past).replace("minute", "sample")
    await eventually(lambda: has_some(admin, platform.host, f"<query xmlns='{HEALTH}'>{now}</query>"), "a sample")


async def has_some(person: Person, address: str, query: str) -> bool:
    return bool(await ask(person, address, query))


async def test_a_job_is_scheduled_as_its_page_shows(admin: Person, web: Machine, root: Path):
    assert await ask(admin, web.full, f"<query xmlns='{SCHEDULER}'>{only_block(root, 'scheduler')}</query>") == []
    [job] = await ask(admin, web.full, f"<query xmlns='{SCHEDULER}'><archipel action='jobs'/></query>")
    assert (job.get("action"), job.get("comment")) == ("create", "lessons")


async def test_a_screen_is_seen_as_its_page_shows(admin: Person, web: Machine, root: Path):
    request, shown = only_block(root, "screenshots").splitlines()
    await admin.command(web.full, CONTROL, "<archipel action='create'/>")
    [picture] = await ask(admin, web.full, f"<query xmlns='{CONTROL}'>{request}</query>")
    expected = ET.fromstring(shown)
    assert (name_of(picture), picture.get("mime"), picture.get("width")) == (expected.tag, expected.get("mime"), expected.get("width"))
    assert (picture.text or "").startswith((expected.text or "").removesuffix("..."))


async def test_a_role_is_given_to_a_group_as_its_page_shows(platform: Platform, admin: Person, root: Path):
    items, grant = read_blocks(root / "docs" / "rights.md", "xml")
    read = read_items(Item(str(number), item) for number, item in enumerate(ET.fromstring(f"<items>{items}</items>")))
    assert ([rule.subject for rule in read.rules], [role.name for role in read.roles]) == (["tp1"], ["greeter"])
    group = "<query xmlns='archipel:rights'><archipel action='setgroup' name='tp1'><member jid='ada@agents.localhost'/></archipel></query>"
    await ask(admin, platform.host, group)
    await ask(admin, platform.host, grant)
    assert platform.rows("SELECT subject, scope FROM rules WHERE subject = 'tp1'") == [("tp1", "tag:tp1")]
    await ask(admin, platform.host, grant.replace("'grant'", "'withdraw'"))
    await ask(admin, platform.host, "<query xmlns='archipel:rights'><archipel action='setgroup' name='tp1'/></query>")
