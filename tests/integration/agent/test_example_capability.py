# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of a third party's capability (examples/archipel-note, docs/capabilities.md), installed by pip beside the agent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.agent import AgentError
from testbed.certificates import Authority
from tests.wire.matching import assert_error, assert_payload, assert_refused, child, name_of
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, PERMISSIONS, Machine, Platform, open_platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLE = Path(__file__).parents[3] / "examples" / "archipel-note"
NOTE = "urn:example:note"
INFO, ITEMS, COMMANDS = (
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    "http://jabber.org/protocol/commands",
)
SET = "<archipel action='set' text='Disk &lt;2&gt; is being changed'/>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as pip installs it, without a network."""
    folder = tmp_path_factory.mktemp("site")
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(EXAMPLE)], check=True, timeout=100)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, site: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose agent finds the example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        async with open_platform(tmp_path_factory.mktemp("platform"), authority, "notes.localhost") as platform:
            await platform.meet_hypervisor(await platform.enter(ADMIN))
            yield platform


@pytest.fixture
def admin(platform: Platform) -> Person:
    return platform.people[0]


@pytest_asyncio.fixture(loop_scope="session")
async def machine(platform: Platform, admin: Person) -> Machine:
    return await platform.make_machine(admin)


@pytest_asyncio.fixture(loop_scope="session")
async def student(platform: Platform, admin: Person, machine: Machine) -> Person:
    """Somebody who may talk to the machine and see its state."""
    person = await platform.enter()
    await platform.grant(admin, machine.full, person, "message", "info", "permission_list")
    return person


async def test_its_action_is_done_and_pushed(platform: Platform, admin: Person, machine: Machine, student: Person) -> None:
    await student.subscribe_to_events(machine.bare, platform.pubsub)
    for kind in ("get", "set"):
        assert_payload(await admin.command(machine.full, NOTE, SET, kind), NOTE, "")
    answer = await student.command(machine.full, NOTE, "<archipel action='get'/>", "get")
    assert_payload(answer, NOTE, "<note text='Disk &lt;2&gt; is being changed'/>")
    await student.expect_push(machine.bare, "note", "changed")
    assert "<description>Disk &lt;2&gt; is being changed</description>" in (platform.definition_in_libvirt(machine.uuid) or "")


async def test_a_note_on_a_running_machine_outlives_its_stop_and_can_be_removed(admin: Person, machine: Machine) -> None:
    for namespace, request in ((CONTROL, "<archipel action='create'/>"), (NOTE, SET), (CONTROL, "<archipel action='destroy'/>")):
        assert (await admin.command(machine.full, namespace, request)).get("type") == "result"
    assert await admin.say(machine.full, "read note") == "Disk <2> is being changed"
    assert_payload(await admin.command(machine.full, NOTE, "<archipel action='set' text=''/>"), NOTE, "")
    assert_payload(await admin.command(machine.full, NOTE, "<archipel action='get'/>"), NOTE, "<note text=''/>")


async def test_who_lacks_its_right_is_refused_until_it_is_granted(
    platform: Platform, admin: Person, machine: Machine, student: Person
) -> None:
    assert_refused(await student.command(machine.full, NOTE, SET), "note")
    listed = child(await student.command(machine.full, PERMISSIONS, "<archipel action='list'/>", "get"), "query")
    assert {item.get("name"): item.get("description") for item in listed}["note"] == "Change the machine's note"
    await platform.grant(admin, machine.full, student, "note")
    assert_payload(await student.command(machine.full, NOTE, SET), NOTE, "")


async def test_what_is_malformed_is_named(admin: Person, machine: Machine) -> None:
    for attributes in ("", f"text='{'x' * 501}'"):
        answer = await admin.command(machine.full, NOTE, f"<archipel action='set' {attributes}/>")
        assert_error(answer, code=-100001, condition="bad-request", mentions="text", action="set")


async def test_its_phrases_are_understood_and_told(admin: Person, machine: Machine, student: Person) -> None:
    assert "note {text}: Replace the note on this machine." in await admin.say(machine.full, "help")
    assert await admin.say(machine.full, "note Ask Ada before you start me") == "I have noted it."
    assert await student.say(machine.full, "read note") == "Ask Ada before you start me"
    assert "'note'" in await student.say(machine.full, "note Hello")
    assert "note {text}" not in await student.say(machine.full, "help")
    assert await admin.say(machine.full, "note") == "What shall I note? (Or say cancel.)"
    assert await admin.say(machine.full, "A new disk") == "I have noted it."


async def test_any_client_finds_it_among_the_commands(admin: Person, machine: Machine, student: Person) -> None:
    told = child(await admin.ask(machine.full, f"<query xmlns='{INFO}'/>", "get"), "query")
    assert NOTE in {feature.get("var") for feature in told if name_of(feature) == "feature"}
    for person, mine in ((admin, {f"{NOTE}#set", f"{NOTE}#get"}), (student, {f"{NOTE}#get"})):
        items = child(await person.ask(machine.full, f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>", "get"), "query")
        assert {item.get("node") for item in items if NOTE in (item.get("node") or "")} == mine


async def test_a_stranger_is_refused_in_its_namespace_as_in_any(platform: Platform, machine: Machine) -> None:
    stranger = await platform.enter()
    assert child(await stranger.command(machine.full, NOTE, SET), "error").get("code") == "-1"


async def test_with_a_right_that_does_not_exist_the_agent_does_not_start(platform: Platform, admin: Person, site: Path) -> None:
    """Last: the agent of this module is stopped for it."""
    module = site / "archipel_note.py"
    good = module.read_text()
    await asyncio.to_thread(platform.agent.stop)
    module.write_text(good.replace('right="note"', 'right="notes"'))
    with pytest.raises(AgentError) as refusal:
        await asyncio.to_thread(platform.agent.start)
    assert "asks for the right 'notes', which does not exist there: add it to TOKENS (is 'note' meant?)" in str(refusal.value)
    assert "Traceback" not in str(refusal.value)
    module.write_text(good)
    await asyncio.to_thread(platform.agent.start)
