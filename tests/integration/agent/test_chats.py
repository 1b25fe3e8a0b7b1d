# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking with entities: greeting, help, the founders' phrases, refusals, whole words only."""

from __future__ import annotations

import asyncio
import secrets

import libvirt
import pytest

from tests.wire.person import QUIET, Person
from tests.wire.platform import CONTROL, DEFINITION_XML, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])
REFUSAL = "I am sorry, I may not talk to you: you lack the right 'message' here."
HINT = "help"


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


def state_of(platform: Platform, machine: Machine) -> int:
    with platform.libvirt() as connection:
        return int(connection.lookupByUUIDString(machine.uuid).state()[0])


@ENTITIES
async def test_who_may_not_talk_gets_a_polite_refusal_and_nothing_else(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "info" if "hypervisor@" not in address else "rostervm")
    stranger = await platform.enter()
    for person in (student, stranger):
        for body in ("hello", "help", "info", "rostervm", "start", "anything"):
            assert await person.say(address, body) == REFUSAL


@ENTITIES
@pytest.mark.parametrize("body", ["hello", "Hey", "HI", "good morning", "yo", "  hello  ", "Hello!", "hi."])
async def test_a_greeting_is_returned(platform: Platform, admin: Person, address: str, body: str):
    answer = await admin.say(address, body, thread="a-thread")
    assert answer.startswith("Hello")
    assert HINT in answer


@ENTITIES
async def test_what_is_not_understood_hints_at_help(admin: Person, address: str):
    for body in ("frobnicate", "hint", "heyday", "\u4f60\u597d", "<b>start</b>", "startle"):
        answer = await admin.say(address, body)
        assert answer.startswith("I do not understand"), (body, answer)
        assert HINT in answer


@ENTITIES
async def test_help_lists_what_the_asker_may(platform: Platform, admin: Person, student: Person, address: str, entity: str):
    right, phrase, other = {"hypervisor": ("ip", "ip", "alloc"), "machine": ("suspend", "pause", "destroy")}[entity]
    await platform.grant(admin, address, student, "message", right)
    mine, all_ = await student.say(address, "help"), await admin.say(address, "HELP me")
    assert phrase in mine
    assert other not in mine
    assert phrase in all_
    assert other in all_


@pytest.mark.parametrize(
    "entity, phrases",
    [
        (
            "machine",
            ("roster", "users", "start", "create", "boot", "play", "run", "shutdown", "stop", "destroy", "pause", "suspend", "resume"),
        ),
        ("machine", ("unpause", "info", "how are you", "and you", "desc", "xml", "net", "stat", "capabilities")),
        ("hypervisor", ("capabilities", "nodeinfo", "ip", "roster", "vms", "virtual machines", "domains", "alloc", "free")),
    ],
)
async def test_the_founders_phrases_are_known(admin: Person, address: str, phrases: tuple[str, ...]):
    listed = await admin.say(address, "help")
    commands = {words.strip() for line in listed.splitlines()[1:] for words in line.partition(":")[0].split(",")}
    known = {" ".join(word for word in phrase.split() if word[0] not in "[{") for phrase in commands}
    assert set(phrases) <= known, listed


@pytest.mark.parametrize(
    "before, body, after",
    [
        ((), "start", libvirt.VIR_DOMAIN_RUNNING),
        ((), "Play", libvirt.VIR_DOMAIN_RUNNING),
        ((), "run!", libvirt.VIR_DOMAIN_RUNNING),
        (("create",), "pause", libvirt.VIR_DOMAIN_PAUSED),
        (("create", "suspend"), "unpause", libvirt.VIR_DOMAIN_RUNNING),
        (("create",), "stop", libvirt.VIR_DOMAIN_SHUTOFF),
    ],
)
async def test_a_machine_obeys(platform: Platform, admin: Person, machine: Machine, before: tuple[str, ...], body: str, after: int):
    for action in before:
        await admin.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
    answer = await admin.say(machine.full, body)
    assert answer.startswith("I am"), answer
    assert state_of(platform, machine) == after


async def test_a_machine_is_destroyed_when_its_asker_says_that_he_means_it(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    for answer, after in (("no", libvirt.VIR_DOMAIN_RUNNING), ("yes", libvirt.VIR_DOMAIN_SHUTOFF)):
        assert "what my guest has not saved is lost" in await admin.say(machine.full, "destroy")
        assert await admin.say(machine.full, answer) in {"All right, I leave it.", "I am off."}
        assert state_of(platform, machine) == after


async def test_a_machine_asks_for_what_it_was_not_told(platform: Platform, admin: Person, machine: Machine):
    assert await admin.say(machine.full, "memory") == "How much memory, in KiB? (Or say cancel.)"
    assert "must be a whole number, not 'much'" in await admin.say(machine.full, "much")
    assert await admin.say(machine.full, "32768") == "Done."
    assert "32 of" in await admin.say(machine.full, "info")


async def test_a_phrase_is_whole_words(platform: Platform, admin: Person, machine: Machine):
    for body in ("startup", "restarted", "runaway", "start over and over", "stop-and-go", "playing"):
        assert (await admin.say(machine.full, body)).startswith("I do not understand"), body
    assert state_of(platform, machine) == libvirt.VIR_DOMAIN_SHUTOFF


async def test_a_phrase_needs_the_right_of_its_command(platform: Platform, admin: Person, student: Person, machine: Machine):
    await platform.grant(admin, machine.full, student, "message", "info")
    answer = await student.say(machine.full, "start")
    assert "'create'" in answer
    assert state_of(platform, machine) == libvirt.VIR_DOMAIN_SHUTOFF
    assert "off" in await student.say(machine.full, "how are you?")


async def test_an_error_is_told_in_words(admin: Person, machine: Machine):
    answer = await admin.say(machine.full, "pause")
    assert "not running" in answer
    assert answer.startswith("I am sorry")


async def test_values_are_taken_from_the_phrase(platform: Platform, admin: Person, machine: Machine):
    assert await admin.say(machine.full, "memory 32768") == "Done."
    with platform.libvirt() as connection:
        assert connection.lookupByUUIDString(machine.uuid).info()[2] == 32768
    for body, mentions in (("memory lots", "value"), ("memory 3", "value"), ("memory 1 2 3", "value")):
        assert mentions in await admin.say(machine.full, body), body


async def test_what_a_machine_says_of_itself(platform: Platform, admin: Person, machine: Machine):
    assert "64 of 64 MiB" in await admin.say(machine.full, "info")
    assert f"<name>{machine.name}</name>" in await admin.say(machine.full, "xml")
    assert admin.bare in await admin.say(machine.full, "roster")


async def test_a_machine_without_definition_says_so(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, defined=False)
    assert await admin.say(machine.full, "info") == "I have no definition yet."
    assert await admin.say(machine.full, "xml") == "<not-defined />"
    assert await admin.say(machine.full, "net") == "I have no network interface."
    for phrase in ("start", "pause", "memory 32768"):
        assert (await admin.say(machine.full, phrase)).startswith("I am sorry"), phrase
    assert "define it first" in await admin.say(machine.full, "start")
    await admin.expect_shown(machine.bare, "xa", "Not defined")


async def test_what_a_hypervisor_says_of_itself(platform: Platform, admin: Person, machine: Machine):
    for phrase in ("roster", "vms", "virtual machines", "domains"):
        assert f"{machine.name} ({machine.full})" in await admin.say(platform.host, phrase)
    assert "MiB" in await admin.say(platform.host, "nodeinfo")
    assert "<capabilities>" in await admin.say(platform.host, "capabilities")


async def test_machines_are_made_and_freed_in_a_chat(platform: Platform, admin: Person):
    name = f"vm {secrets.token_hex(4)}"
    assert await admin.say(platform.host, f"alloc {name}") == f"I made {_jid_of(platform, name)}."
    with platform.libvirt() as connection:
        uuid = _jid_of(platform, name).partition("@")[0]
        connection.defineXML(DEFINITION_XML.format(name=name, uuid=uuid, more=""))
    assert "for ever" in await admin.say(platform.host, f"free {name.upper()}")
    assert await admin.say(platform.host, "yes") == f"{name.upper()} is gone."
    assert platform.definition_in_libvirt(uuid) is None
    await admin.say(platform.host, f"free {name}")
    assert "no managed machine" in await admin.say(platform.host, "yes")


def _jid_of(platform: Platform, name: str) -> str:
    [(uuid,)] = platform.rows("SELECT uuid FROM virtual_machines WHERE name = ?", name)
    return f"{uuid}@{platform.domain}"


async def test_a_machine_that_was_made_in_a_chat_has_a_vcard(platform: Platform, admin: Person):
    name = f"vm-{secrets.token_hex(4)}"
    await admin.say(platform.host, f"alloc {name}")
    card = await admin.ask_server(_jid_of(platform, name), "<vCard xmlns='vcard-temp'/>", "get")
    assert {"virtualmachine", name} <= {part.text for part in card.iter()}


@ENTITIES
@pytest.mark.parametrize(
    "stanza",
    [
        "<message type='{kind}' to='{to}'><body>start</body></message>",
        "<message type='chat' to='{to}'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "<message type='chat' to='{to}'><subject>start</subject></message>",
    ],
)
async def test_only_a_chat_with_a_body_is_answered(platform: Platform, admin: Person, address: str, stanza: str):
    before = len(admin.received)
    for kind in ("normal", "headline", "groupchat", "error"):
        admin.send(stanza.format(kind=kind, to=address))
    await asyncio.sleep(QUIET)
    assert admin.heard(address.partition("/")[0], before) == []
    await admin.say(address, "hello")


@ENTITIES
async def test_one_message_gets_one_answer(admin: Person, address: str):
    before = len(admin.received)
    for number in range(20):
        admin.send(f"<message type='chat' to='{address}'><body>hello</body><thread>{number}</thread></message>")
    bare = address.partition("/")[0]
    await admin.until(lambda: len(admin.heard(bare, before)) >= 20, "twenty answers")
    await asyncio.sleep(QUIET)
    threads = [got.findtext("{jabber:client}thread") for got in admin.heard(bare, before)]
    assert sorted(threads, key=lambda text: int(text or "")) == [str(number) for number in range(20)]


@ENTITIES
async def test_a_very_long_message_is_answered(admin: Person, address: str):
    assert (await admin.say(address, "start " * 5000)).startswith("I do not understand")
    assert (await admin.say(address, "\u00e9" * 20000)).startswith("I do not understand")
