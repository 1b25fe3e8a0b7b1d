# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands as XEP-0050 has them: a menu of what one may, a form for what a command needs, one answer each."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import adhoc
from archipel.agent.adhoc_sessions import MOST, MOST_OF_PERSON, PATIENCE, SessionExpired, Sessions, Unacceptable
from archipel.agent.dispatch import Caller, Registry, command
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, read_error
from archipel.protocol.forms import form_fields, request_element
from archipel.protocol.payload import Request, attribute, payload
from archipel.protocol.rights import EntityKind
from archipel.protocol.xml import child_named, local_name
from tests.unit.agent.conftest import ask
from tests.unit.agent.fake_xmpp import parse_stanza
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STRANGER, STUDENT, UUID, VM, FakeAudit, FakeHost
from tests.unit.protocol.hostile import TEXTS

CONTROL = "archipel:vm:control"


def submit(**fields: str) -> str:
    """A form as a client fills it in."""
    inner = "".join(f"<field var={quoteattr(name)}><value>{value}</value></field>" for name, value in fields.items())
    return f"<x xmlns='{ns.DATA_FORMS}' type='submit'>{inner}</x>"


def request(node: str, inner: str = "", attributes: str = "") -> ET.Element:
    return parse_stanza(
        f"<iq type='set' id='1' from='x@y/z'><command xmlns='{ns.COMMANDS}' node='{node}' {attributes}>{inner}</command></iq>"
    )


async def execute(machine: VirtualMachine, node: str, inner: str = "", attributes: str = "", caller: Caller = OWNER) -> ET.Element:
    """Have a command executed; return the ``<command/>`` that answers it, or raise its error."""
    answer = await adhoc.answer(machine, request(node, inner, attributes), caller)
    if answer.get("type") == "error":
        raise read_error(answer)
    assert (answer.get("type"), answer.get("to"), answer.get("id"), len(answer)) == ("result", "x@y/z", "1", 1)
    return answer[0]


def nodes(machine: VirtualMachine, caller: Caller) -> set[str]:
    return {adhoc.node_of(found) for found in adhoc.list_commands(machine, caller)}


def child(element: ET.Element, name: str) -> ET.Element:
    found = child_named(element, name)
    assert found is not None, ET.tostring(element)
    return found


# -- the menu -----------------------------------------------------------------------------------------------------------


async def test_the_menu_holds_what_the_caller_may(machine: VirtualMachine) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "suspend", granted_by=HYP)
    mine = {f"{ns.PERMISSIONS}#getown", f"{ns.PERMISSIONS}#get", f"{ns.RIGHTS}#why", f"{ns.RIGHTS}#rules", f"{CONTROL}#suspend"}
    mine |= {f"{ns.CONTACT_PREFERENCES}#{action}" for action in ("get", "set", "sethours", "hush", "reset")}
    assert nodes(machine, STUDENT) == mine
    assert nodes(machine, STUDENT) < nodes(machine, OWNER) == nodes(machine, ADMIN)


async def test_the_menu_leaves_out_what_no_form_can_ask_for(machine: VirtualMachine) -> None:
    """Definitions, devices and lists of rights are XML."""
    every = {
        f"{found.request.namespace}#{found.request.action}" for found in machine.services.registry.commands(EntityKind.VIRTUAL_MACHINE)
    }
    xml = {f"{ns.VM_DEFINITION}#{action}" for action in ("define", "attachdevice", "detachdevice", "updatedevice")}
    xml |= {f"{ns.VM_SNAPSHOTS}#take", f"{ns.VM_GUEST}#exec"}
    lists = {f"{ns.PERMISSIONS}#set", f"{ns.PERMISSIONS}#setown"} | {f"{ns.RIGHTS}#{action}" for action in ("grant", "deny", "withdraw")}
    assert every - nodes(machine, OWNER) == xml | lists


@pytest.mark.parametrize("node", ["", "nothing", f"{CONTROL}#nothing", f"{ns.VM_DEFINITION}#define", f"{ns.HYPERVISOR_CONTROL}#alloc"])
async def test_what_is_not_in_the_menu_is_not_found(machine: VirtualMachine, node: str) -> None:
    with pytest.raises(CommandError) as refusal:
        await execute(machine, node)
    assert refusal.value.condition == "item-not-found"
    assert repr(node) in refusal.value.text


async def test_what_the_caller_may_not_is_not_found_and_not_done(machine: VirtualMachine, host: FakeHost) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "info", granted_by=HYP)
    for caller in (STUDENT, STRANGER):
        with pytest.raises(CommandError) as refusal:
            await execute(machine, f"{CONTROL}#create", caller=caller)
        assert refusal.value.condition == "item-not-found"
    assert host.domain(UUID).state_now is DomainState.SHUTOFF


# -- one step -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attributes", ["", "action='execute'", "action='complete'", "action='next'"])
async def test_a_command_without_fields_is_done_at_once(machine: VirtualMachine, host: FakeHost, audit: FakeAudit, attributes: str) -> None:
    done = await execute(machine, f"{CONTROL}#create", attributes=attributes)
    assert (done.get("status"), done.get("node")) == ("completed", f"{CONTROL}#create")
    assert done.get("sessionid")
    assert [(local_name(part.tag), part.get("type"), part.text) for part in done] == [("note", "info", "I am starting.")]
    assert host.domain(UUID).state_now is DomainState.RUNNING
    [entry] = audit.entries
    assert (entry["action"], entry["caller"], entry["outcome"]) == ("create", OWNER.full, "ok")


async def test_a_command_that_nobody_gave_phrases_asks_first_if_it_changes_things(machine: VirtualMachine) -> None:
    asked = await execute(machine, f"{ns.VM_DEFINITION}#undefine")
    assert child(child(asked, "x"), "instructions").text == "Remove the definition of this machine?"
    done = await execute(machine, f"{ns.VM_DEFINITION}#undefine", submit(), "action='complete'")
    assert child(done, "note").text == "Done."


async def test_a_question_that_nobody_gave_words_tells_its_answer(machine: VirtualMachine) -> None:
    told = child(await execute(machine, f"{ns.PERMISSIONS}#list"), "note").text or ""
    assert "name info" in told


async def test_a_command_with_fields_answers_its_form_and_does_nothing(machine: VirtualMachine, host: FakeHost) -> None:
    asked = await execute(machine, f"{CONTROL}#autostart", attributes="sessionid='mine'")
    assert (asked.get("status"), asked.get("sessionid")) == ("executing", "mine")
    form = child(asked, "x")
    assert form.get("type") == "form"
    assert child(form, "title").text == "Whether this machine starts with its host (1) or not (0)."
    [field] = form.iter(f"{{{ns.DATA_FORMS}}}field")
    assert field.attrib == {"var": "value", "type": "boolean", "label": "value"}
    assert [local_name(part.tag) for part in field] == ["required"]
    assert host.domain(UUID).calls == []


async def test_a_command_that_destroys_asks_first(machine: VirtualMachine, host: FakeHost) -> None:
    host.domain(UUID).state_now = DomainState.RUNNING
    asked = await execute(machine, f"{CONTROL}#destroy")
    assert asked.get("status") == "executing"
    assert "what my guest has not saved is lost" in (child(child(asked, "x"), "instructions").text or "")
    assert [local_name(part.tag) for part in child(asked, "actions")] == ["complete"]
    assert host.domain(UUID).state_now is DomainState.RUNNING
    done = await execute(machine, f"{CONTROL}#destroy", submit(), "action='complete'")
    assert child(done, "note").text == "I am off."
    assert host.domain(UUID).state_now is DomainState.SHUTOFF


async def test_a_form_says_which_fields_may_be_left_out(machine: VirtualMachine) -> None:
    form = child(await execute(machine, f"{CONTROL}#xmldesc"), "x")
    fields = {field.get("var"): [local_name(part.tag) for part in field] for field in form.iter(f"{{{ns.DATA_FORMS}}}field")}
    assert fields == {"inactive": ["value"]}
    form = child(await execute(machine, f"{CONTROL}#memory"), "x")
    assert [field.get("type") for field in form.iter(f"{{{ns.DATA_FORMS}}}field")] == ["text-single"]


@pytest.mark.parametrize("action", ["", "action='complete'", "action='next'", "action='execute'"])
async def test_a_form_that_comes_back_is_done(machine: VirtualMachine, host: FakeHost, action: str) -> None:
    await execute(machine, f"{CONTROL}#autostart", attributes="sessionid='mine'")
    done = await execute(machine, f"{CONTROL}#autostart", submit(value="true"), f"sessionid='mine' {action}")
    assert (done.get("status"), done.get("sessionid")) == ("completed", "mine")
    assert host.domain(UUID).autostart is True


async def test_what_a_form_holds_besides_does_not_matter(machine: VirtualMachine, host: FakeHost) -> None:
    await execute(machine, f"{CONTROL}#autostart", submit(FORM_TYPE="urn:x", action="free", nonsense="1", value="1"))
    assert host.domain(UUID).calls == ["set autostart"]


@pytest.mark.parametrize("form, wrong", [(submit(value="maybe"), "'maybe'"), (submit(value=""), "is missing"), (submit(), "is missing")])
async def test_a_wrong_value_is_named(machine: VirtualMachine, host: FakeHost, form: str, wrong: str) -> None:
    with pytest.raises(CommandError, match="value: ") as refusal:
        await execute(machine, f"{CONTROL}#autostart", form)
    assert refusal.value.condition == "bad-request"
    assert wrong in refusal.value.text
    assert host.domain(UUID).calls == []


async def test_cancel_does_nothing(machine: VirtualMachine, host: FakeHost) -> None:
    await execute(machine, f"{CONTROL}#destroy", attributes="sessionid='mine'")
    done = await execute(machine, f"{CONTROL}#destroy", attributes="action='cancel' sessionid='mine'")
    assert (done.get("status"), done.get("sessionid"), len(done)) == ("canceled", "mine", 0)
    assert host.domain(UUID).calls == []


@pytest.mark.parametrize("action", ["prev", "nonsense", ""])
async def test_another_step_is_refused(machine: VirtualMachine, host: FakeHost, action: str) -> None:
    with pytest.raises(CommandError, match="action: ") as refusal:
        await execute(machine, f"{CONTROL}#create", attributes=f"action='{action}'")
    assert refusal.value.condition == "bad-request"
    assert host.domain(UUID).calls == []


# -- sessions -----------------------------------------------------------------------------------------------------------


async def refused(
    machine: VirtualMachine, inner: str = "", attributes: str = "", caller: Caller = OWNER, node: str = "autostart"
) -> list[str]:
    """Type, condition and the condition of XEP-0050 of an error."""
    answer = await adhoc.answer(machine, request(f"{CONTROL}#{node}", inner, attributes), caller)
    assert answer.get("type") == "error", ET.tostring(answer)
    error = child(answer, "error")
    assert [local_name(part.tag) for part in error][1:2] == ["text"]
    assert error[-1].tag.startswith(f"{{{ns.COMMANDS}}}")
    return [error.get("type", ""), local_name(error[0].tag), local_name(error[-1].tag)]


async def begin(machine: VirtualMachine) -> str:
    return (await execute(machine, f"{CONTROL}#autostart")).get("sessionid", "")


async def test_a_form_is_done_once(machine: VirtualMachine, host: FakeHost) -> None:
    session = await begin(machine)
    done = await execute(machine, f"{CONTROL}#autostart", submit(value="1"), f"sessionid='{session}'")
    assert (done.get("status"), done.get("sessionid")) == ("completed", session)
    assert await refused(machine, submit(value="0"), f"sessionid='{session}'") == ["cancel", "not-allowed", "session-expired"]
    assert await refused(machine, attributes=f"sessionid='{session}'") == ["cancel", "not-allowed", "session-expired"]
    assert host.domain(UUID).calls == ["set autostart"]


async def test_a_cancelled_form_is_not_done(machine: VirtualMachine, host: FakeHost) -> None:
    session = await begin(machine)
    await execute(machine, f"{CONTROL}#autostart", attributes=f"sessionid='{session}' action='cancel'")
    assert await refused(machine, submit(value="1"), f"sessionid='{session}'") == ["cancel", "not-allowed", "session-expired"]
    assert host.domain(UUID).calls == []


async def test_a_form_with_a_wrong_value_can_be_sent_again(machine: VirtualMachine, host: FakeHost) -> None:
    session = await begin(machine)
    for wrong in (submit(value="maybe"), submit()):
        assert await refused(machine, wrong, f"sessionid='{session}'") == ["modify", "bad-request", "bad-payload"]
    await execute(machine, f"{CONTROL}#autostart", submit(value="1"), f"sessionid='{session}'")
    assert host.domain(UUID).calls == ["set autostart"]


async def test_a_session_is_its_beginners_and_its_commands(machine: VirtualMachine, host: FakeHost) -> None:
    session = f"sessionid='{await begin(machine)}'"
    unknown = ["modify", "bad-request", "bad-sessionid"]
    assert await refused(machine, submit(value="1"), session, ADMIN) == unknown
    assert await refused(machine, "", session, ADMIN) == unknown
    assert await refused(machine, submit(value="40000"), session, node="memory") == unknown
    assert await refused(machine, submit(value="1"), "sessionid='never-begun'") == unknown
    assert await refused(machine, "", "sessionid='never-begun' action='cancel'") == unknown
    assert await refused(machine, "", f"sessionid='{'x' * 201}'") == unknown
    assert host.domain(UUID).calls == []


def test_a_form_that_waited_too_long_is_closed_and_the_oldest_is_forgotten() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.begin("a@b/c", "node")
    now[0] = PATIENCE + 1
    with pytest.raises(SessionExpired):
        sessions.take("a@b/c", "node", first)
    for number in range(MOST):
        sessions.begin(f"a{number}@b/c", "node")
    assert len(sessions._known) == MOST
    with pytest.raises(Unacceptable):
        sessions.take("a@b/c", "node", first)


@pytest.mark.parametrize("action, specific", [("prev", "bad-action"), ("nonsense", "malformed-action"), ("", "malformed-action")])
async def test_another_step_is_refused_in_the_words_of_the_standard(machine: VirtualMachine, action: str, specific: str) -> None:
    assert await refused(machine, attributes=f"action='{action}'") == ["modify", "bad-request", specific]


async def test_what_else_stands_in_a_command_is_no_form(machine: VirtualMachine, host: FakeHost) -> None:
    asked = await execute(machine, f"{CONTROL}#autostart", "<x xmlns='jabber:x:oob'><value>1</value></x>")
    assert asked.get("status") == "executing"
    assert host.domain(UUID).calls == []


@payload
class Choose(Request[None], namespace="archipel:choices", action="choose"):
    """One field of each sort."""

    on: bool = attribute(default=True)
    off: bool = attribute(default=False)
    either: bool | None = attribute(default=None)
    must: bool = attribute()
    count: int = attribute(default=3)
    name: str = attribute(default="")
    password: str = attribute()


def test_a_form_sent_back_untouched_says_what_leaving_all_out_would_say() -> None:
    """A client sends a check mark that nobody touched as "no"."""
    fields = {field.name: field for field in form_fields(Choose) or ()}
    assert {name: (field.kind, field.default) for name, field in fields.items()} == {
        "on": ("boolean", "1"),
        "off": ("boolean", "0"),
        "either": ("list-single", ""),
        "must": ("boolean", ""),
        "count": ("text-single", "3"),
        "name": ("text-single", ""),
        "password": ("text-private", ""),
    }
    assert fields["either"].options == (("1", "yes"), ("0", "no"))
    untouched = {name: field.default for name, field in fields.items() if field.default}
    given = {"must": "1", "password": "x"}
    assert Choose.read(request_element(Choose, untouched | given)) == Choose.read(request_element(Choose, given))


async def test_a_command_that_fails_answers_its_error(machine: VirtualMachine, host: FakeHost) -> None:
    await ask(machine, ns.VM_DEFINITION, "<archipel action='undefine'/>")
    with pytest.raises(CommandError, match="define it first") as refusal:
        await execute(machine, f"{CONTROL}#create")
    assert (refusal.value.code, refusal.value.condition) == (-1001, "item-not-found")


async def test_fields_that_are_elements_are_asked_for_and_handed_over(machine: VirtualMachine) -> None:
    """A third party's command with a text in a child and a number in an attribute."""
    read = []

    @payload
    class Note(Request[None], namespace="archipel:notes", action="note"):
        pages: int = attribute(default=1)
        title: str = attribute()

    @command(Note, on=EntityKind.VIRTUAL_MACHINE, right="info", failure=-1)
    async def note(_vm: VirtualMachine, request: Note, _caller: Caller) -> None:
        """Take a note."""
        read.append((request.pages, request.title))

    module = ModuleType("notes")
    module.note = note
    registry = Registry()
    registry.add(module)
    machine.services = dataclasses.replace(machine.services, registry=registry)
    form = child(await execute(machine, "archipel:notes#note"), "x")
    fields = {field.get("var"): len(field) for field in form.iter(f"{{{ns.DATA_FORMS}}}field")}
    assert fields == {"pages": 1, "title": 1}
    await execute(machine, "archipel:notes#note", submit(title="a &amp; b", pages=""))
    assert read == [(1, "a & b")]


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4))
def test_whatever_a_form_holds_is_read_as_texts(fields: dict[str, str]) -> None:
    form = ET.Element(f"{{{ns.DATA_FORMS}}}x")
    for name, value in fields.items():
        ET.SubElement(ET.SubElement(form, f"{{{ns.DATA_FORMS}}}field", {"var": name}), f"{{{ns.DATA_FORMS}}}value").text = value
    ET.SubElement(form, f"{{{ns.DATA_FORMS}}}field", {"var": "empty"})
    ET.SubElement(form, f"{{{ns.DATA_FORMS}}}field")
    read = adhoc._read_form(form)
    assert read == {name: value for name, value in fields.items() if value and name != "FORM_TYPE"}


def test_nobody_ends_the_sessions_of_others_by_beginning_many():
    sessions = Sessions()
    kept = sessions.begin("admin@lab.example/desk", "node")
    for number in range(MOST + 5):
        last = sessions.begin(f"eve@lab.example/{number}", "node")
    sessions.take("admin@lab.example/desk", "node", kept)
    sessions.take(f"eve@lab.example/{MOST + 4}", "node", last)
    assert len(sessions._known) <= MOST_OF_PERSON + 1
