# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking with an entity: whole words, the longest phrase first, only with whom may, and one answer each."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.chat import GREETINGS, LONGEST_MESSAGE, REFUSAL, Phrase, reply
from archipel.agent.dispatch import Caller, Chat, Registry, command
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import Condition
from archipel.protocol.forms import form_fields
from archipel.protocol.payload import Request, attribute, payload
from archipel.protocol.rights import EntityKind
from archipel.xmpp import stanzas
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import parse_stanza
from tests.unit.agent.fakes import HYP, OWNER, STRANGER, STUDENT, UUID, VM, FakeAudit, FakeHost, failure
from tests.unit.protocol.hostile import TEXTS

NO_SENSE = "I do not understand. Say help to see what I can do for you."

# -- phrases ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template,said,values",
    [
        ("stop", "stop", {}),
        ("stop", "STOP", {}),
        ("stop", "stopping", None),
        ("stop", "stop it", None),
        ("stop", "please stop", None),
        ("how are you", "How are YOU", {}),
        ("how are you", "how are", None),
        ("memory {value}", "memory 1024", {"value": "1024"}),
        ("memory {value}", "memory", None),
        ("memory {value}", "memory 1 2", {"value": "1 2"}),
        ("alloc [name]", "alloc", {}),
        ("alloc [name]", "alloc Web Server", {"name": "Web Server"}),
        ("attach {one} {two}", "attach a b c", {"one": "a", "two": "b c"}),
        ("attach {one} {two}", "attach a", None),
        ("attach {one} [two]", "attach a", {"one": "a"}),
        ("attach {one} [two]", "attach a b c", {"one": "a", "two": "b c"}),
    ],
)
def test_a_phrase_is_whole_words_and_its_placeholders_take_the_rest(template: str, said: str, values: dict[str, str] | None) -> None:
    assert Phrase.parse(template).match(said.split()) == values


WORDS = st.text(min_size=1).filter(lambda word: word.split() == [word])


@given(
    st.lists(st.sampled_from(["stop", "vm", "how", "are"]), max_size=3),
    st.lists(st.sampled_from(["one", "two"]), unique=True),
    st.lists(WORDS, max_size=6),
)
def test_whatever_is_said_a_phrase_matches_with_all_it_needs_or_not_at_all(fixed: list[str], names: list[str], rest: list[str]) -> None:
    phrase = Phrase.parse(" ".join([*fixed, *(f"{{{name}}}" for name in names)]))
    values = phrase.match([*fixed, *rest])
    if names and len(rest) >= len(names):
        assert values is not None
        assert list(values) == names
        assert " ".join(values.values()) == " ".join(rest), "no word is lost"
    else:
        assert values == (None if rest or names else {})


# -- conversations ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def vm(machine: VirtualMachine) -> VirtualMachine:
    """The machine; the student may talk to it and look at it."""
    await machine.services.rights.grant(VM, STUDENT.bare, "message", "info", granted_by=OWNER.bare)
    return machine


@given(TEXTS)
def test_whatever_is_said_a_phrase_has_only_the_values_it_knows(body: str) -> None:
    for template in ("stop", "memory {value}", "alloc [name]", "attach {one} [two]"):
        values = Phrase.parse(template).match(body.split())
        assert values is None or set(values) <= {"value", "name", "one", "two"}


ODD = ["", " ", "\n", "?", "!!!", "\x00", "{value}", "memory {value}", "memory", "memory x", "memory -1", "memory 1 2", "stop.", "xml <a>"]
VAST = ["a" * 100_000, "start " * 5000, "\u2028x", "\u202estop", "help\x00", "autostart \N{PILE OF POO}"]


@pytest.mark.parametrize("body", ODD + VAST, ids=lambda body: repr(body[:10]))
async def test_any_message_gets_a_sentence(vm: VirtualMachine, body: str) -> None:
    answer = await reply(vm, body, OWNER)
    assert answer
    assert "internal error" not in answer


@pytest.mark.parametrize("greeting", [*sorted(GREETINGS), "HELLO!", "  Good   Morning. ", "hi?!"])
async def test_a_greeting_is_returned(vm: VirtualMachine, greeting: str) -> None:
    assert (await reply(vm, greeting, STUDENT)).startswith("Hello! I am web.")


async def test_rude_words_get_a_mild_answer(vm: VirtualMachine) -> None:
    assert await reply(vm, "stupid machine!", STUDENT) == "I do my best. Please be kind."


@pytest.mark.parametrize("body", ["hello", "help", "info", "nonsense"])
async def test_who_may_not_talk_is_refused_politely(vm: VirtualMachine, body: str) -> None:
    assert await reply(vm, body, STRANGER) == REFUSAL


@pytest.mark.parametrize("body", ["info", "How are you?", "and you", "INFO!"])
async def test_a_command_is_obeyed_in_each_of_its_phrases(vm: VirtualMachine, body: str) -> None:
    assert await reply(vm, body, STUDENT) == "I am off, with 64 of 64 MiB and 1 CPUs at 0 %."


@pytest.mark.parametrize("body", ["inform me", "informer", "start-up", "xmlstarlet", "stat us", "networks", "hibernate"])
async def test_the_beginning_of_a_word_is_no_command(vm: VirtualMachine, host: FakeHost, body: str) -> None:
    """The founders' "ip" was in "ipsum", their "hi" in "hibernate"."""
    assert await reply(vm, body, OWNER) == NO_SENSE
    assert "create" not in host.domain(UUID).calls


async def test_a_value_in_a_phrase_reaches_the_command(vm: VirtualMachine, host: FakeHost) -> None:
    assert await reply(vm, "autostart 1", OWNER) == "Done."
    assert host.domain(UUID).autostart


async def test_a_wrong_value_is_told_in_words(vm: VirtualMachine, host: FakeHost) -> None:
    assert await reply(vm, "memory 9", OWNER) == "I am sorry, that did not work: value: must be 10 or more, not 9."
    assert "set memory" not in host.domain(UUID).calls


async def test_a_right_that_is_missing_is_told_in_words(vm: VirtualMachine, host: FakeHost) -> None:
    assert (await reply(vm, "start", STUDENT)).startswith(f"I am sorry, you may not do that: {STUDENT.bare} lacks the right 'create'")
    assert "create" not in host.domain(UUID).calls


async def test_a_failure_is_told_in_words(vm: VirtualMachine, host: FakeHost) -> None:
    host.domain(UUID).refuse["destroy"] = failure("it will not")
    host.domain(UUID).state_now = type(host.domain(UUID).state_now).RUNNING
    await reply(vm, "destroy", OWNER)
    assert await reply(vm, "yes", OWNER) == "I am sorry, that did not work: it will not."


@pytest.mark.parametrize(
    "person, body, condition",
    [
        (STUDENT, "info", None),
        (OWNER, "destroy", None),  # it asks back
        (STRANGER, "info", Condition.FORBIDDEN),
        (STUDENT, "start", Condition.FORBIDDEN),
        (OWNER, "memory 9", Condition.BAD_REQUEST),
        (OWNER, "nonsense", Condition.FEATURE_NOT_IMPLEMENTED),
    ],
)
async def test_what_was_not_done_is_told_to_programs_beside_the_words(
    vm: VirtualMachine, person: Caller, body: str, condition: Condition | None
) -> None:
    stream = await go_online(vm)
    stream.sent.clear()
    stream.deliver(f"<message type='chat' from='{person.full}'><body>{body}</body><thread>t</thread></message>")
    await finish_work(vm)
    [answer] = [parse_stanza(text) for text in stream.took("<thread>t")]
    assert (answer.get("type"), stanzas.failure_of(answer)) == ("chat", condition)


async def test_a_command_of_a_conversation_is_audited_with_what_was_said(vm: VirtualMachine, audit: FakeAudit) -> None:
    await reply(vm, "start", STUDENT)
    (entry,) = audit.entries
    assert (entry["caller"], entry["action"], entry["phrase"]) == (STUDENT.full, "create", "start")


async def test_a_conversation_may_need_another_right_than_the_request(vm: VirtualMachine) -> None:
    await vm.services.rights.grant(VM, STUDENT.bare, "getroster", granted_by=OWNER.bare)
    assert "lacks the right 'roster'" in await reply(vm, "roster", STUDENT)
    await vm.services.rights.grant(VM, STUDENT.bare, "roster", granted_by=OWNER.bare)
    assert await reply(vm, "roster", STUDENT) == "Nobody is in my roster."


async def test_a_machine_that_is_freed_does_nothing_any_more(vm: VirtualMachine) -> None:
    vm.freeing = True
    assert await reply(vm, "start", OWNER) == "I am sorry, that did not work: web is being freed."


async def test_only_the_beginning_of_a_huge_message_is_looked_at(vm: VirtualMachine) -> None:
    assert await reply(vm, "info" + " " * LONGEST_MESSAGE + "nonsense", STUDENT) != NO_SENSE


@payload
class Park(Request[None], namespace="archipel:test", action="park"):
    name: str = attribute()


@payload
class ListParked(Request[None], namespace="archipel:test", action="list"):
    """Which machines are parked."""


async def test_the_longest_phrase_comes_first_whatever_the_order_of_the_commands(vm: VirtualMachine) -> None:
    """The founders' "park list" parked a machine called list."""
    vm_kind = EntityKind.VIRTUAL_MACHINE

    @command(Park, on=vm_kind, right=None, failure=1, chat=Chat(("park {name}",), lambda _: "parked"))
    async def park(_vm: VirtualMachine, _request: Park, _caller: Caller) -> None:
        """Park it."""

    @command(ListParked, on=vm_kind, right=None, failure=1, chat=Chat(("park list",), lambda _: "listed"))
    async def list_parked(_vm: VirtualMachine, _request: ListParked, _caller: Caller) -> None:
        """List them."""

    capability = ModuleType("capability")
    vars(capability).update(park=park, list_parked=list_parked)
    vm.services.registry = Registry()
    vm.services.registry.add(capability)
    assert [await reply(vm, body, STUDENT) for body in ("park list", "park web", "park list web")] == ["listed", "parked", "parked"]


async def test_hypervisors_understand_other_phrases(hypervisor: Hypervisor, vm: VirtualMachine) -> None:
    await hypervisor.services.rights.grant(HYP, OWNER.bare, "all", granted_by=HYP)
    assert await reply(hypervisor, "virtual machines", OWNER) == f"web ({VM}/hyp)"
    assert await reply(hypervisor, "ip", OWNER) == "192.0.2.7"
    assert await reply(hypervisor, "info", OWNER) == NO_SENSE


# -- help ---------------------------------------------------------------------------------------------------------------


def offered(text: str) -> set[str]:
    """Return the first phrase of each line of the help."""
    return {line.partition(":")[0].partition(",")[0].split(" ")[0] for line in text.splitlines()[1:]}


async def test_help_lists_what_the_asker_may(vm: VirtualMachine) -> None:
    assert offered(await reply(vm, "help", STUDENT)) == {"info", "why", "what", "tell", "quiet", "be", "permissions", "rights", "help"}
    everything = offered(await reply(vm, "Help?", OWNER))
    assert {"info", "start", "shutdown", "destroy", "pause", "resume", "desc", "memory", "roster", "help"} <= everything


async def test_each_line_of_help_says_what_the_phrase_does(vm: VirtualMachine) -> None:
    lines = (await reply(vm, "help me", OWNER)).splitlines()
    assert lines[0] == "web understands:"
    assert "start, create, boot, play, run: Start this machine." in lines
    assert all(line.partition(": ")[2].endswith(".") for line in lines[1:]), lines


async def test_all_phrases_of_a_kind_differ(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    for entity in (hypervisor, machine):
        commands = entity.services.registry.commands(entity.kind)
        phrases = [Phrase.parse(template).words for found in commands if found.spoken for template in found.spoken.phrases]
        assert len(set(phrases)) == len(phrases)


# -- commands that nobody gave phrases ----------------------------------------------------------------------------------


async def test_a_command_without_phrases_goes_by_its_name_and_tells_its_answer(vm: VirtualMachine) -> None:
    assert await reply(vm, f"permissions get {STUDENT.bare}", STUDENT) == "permission: name info\npermission: name message"
    assert "permissions get" in await reply(vm, "help", STUDENT)
    assert "Which permission target?" in await reply(vm, "permissions get", STUDENT)


async def test_a_command_without_phrases_asks_back_before_it_changes_things(vm: VirtualMachine, host: FakeHost) -> None:
    assert "Say yes if you mean it." in await reply(vm, "definition undefine", OWNER)
    assert host.domain(UUID).stored is not None
    assert await reply(vm, "yes", OWNER) == "Done."
    assert host.domain(UUID).stored is None


async def test_every_command_that_words_can_ask_for_has_a_phrase(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """XML and lists cannot be said; a password shall not be, and a picture cannot be heard."""
    for entity in (hypervisor, machine):
        silent = [found.request for found in entity.services.registry.commands(entity.kind) if not found.spoken]
        sayable = {request.action for request in silent if all(field.sayable for field in form_fields(request))}
        assert sayable <= {"setpassword", "filewrite", "screenshot", "soft_alloc"}


# -- messages -----------------------------------------------------------------------------------------------------------


def chat(body: str, more: str = "", kind: str = "chat") -> str:
    return f"<message type='{kind}' from='{STUDENT.full}' to='{VM}'>{body and f'<body>{body}</body>'}{more}</message>"


async def test_a_message_gets_one_answer_in_its_thread(vm: VirtualMachine) -> None:
    stream = await go_online(vm)
    stream.sent.clear()
    stream.deliver(chat("hello", "<thread>t1</thread>"))
    await finish_work(vm)
    (answer,) = [parse_stanza(text) for text in stream.sent]
    assert (answer.get("type"), answer.get("to")) == ("chat", STUDENT.full)
    assert answer.findtext(f"{{{ns.CLIENT}}}thread") == "t1"


@pytest.mark.parametrize(
    "message",
    [
        chat(""),
        chat("", "<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
        chat("help", kind="groupchat"),
        chat("help", kind="headline"),
        chat("help", kind="error"),
        chat("help", kind="normal"),
    ],
)
async def test_what_is_no_chat_gets_no_answer(vm: VirtualMachine, message: str) -> None:
    stream = await go_online(vm)
    stream.sent.clear()
    stream.deliver(message)
    await finish_work(vm)
    assert stream.sent == []
