# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from archipel.protocol.events import TAGS_NODE
from tests.unit.cli.conftest import CommandLine, query, script_info, script_machines, script_vcard
from tests.unit.client.scripted_stream import (
    HYPERVISOR_FULL,
    MACHINE,
    MACHINE_FULL,
    PUBSUB,
    UUID,
    command,
    error,
    no_right,
    normal,
    vm_command,
)

SECOND = "6f0c0000-0000-4000-8000-000000000003@example.org/hyp"


def request(action: str, jid: str = MACHINE_FULL) -> str:
    return command("set", jid, ns.VM_CONTROL, f"<archipel action='{action}'/>")


@pytest.mark.parametrize(
    "verb, action, answer, said",
    [
        ("start", "create", "<domain id='1'/>", "web: started"),
        ("shutdown", "shutdown", "", "web: asked to shut down"),
        ("stop", "destroy", "", "web: switched off"),
        ("reboot", "reboot", "", "web: asked to reboot"),
        ("suspend", "suspend", "", "web: paused"),
        ("resume", "resume", "", "web: resumed"),
    ],
)
def test_a_verb_is_a_command_to_the_machine(archipel: CommandLine, verb: str, action: str, answer: str, said: str) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(request(action), query(ns.VM_CONTROL, answer))
    assert archipel.run(verb, "web").stdout == f"{said}\n"
    assert normal(request(action)) in archipel.wire.asked


def test_several_machines_are_one_session_and_fail_each_for_itself(archipel: CommandLine) -> None:
    script_machines(
        archipel.wire, f"<item managed='True' name='web'>{MACHINE_FULL}</item>", f"<item managed='True' name='db'>{SECOND}</item>"
    )
    archipel.wire.answer(request("suspend"), no_right("suspend"))
    archipel.wire.answer(request("suspend", SECOND), query(ns.VM_CONTROL))
    logins = len(archipel.wire.logins)
    result = archipel.run("suspend", "web", "db", "web", code=3)
    assert result.stdout == "db: paused\n"
    assert result.stderr == "archipel: web: You lack the right suspend\n"
    assert len(archipel.wire.logins) == logins + 1


def test_failures_of_different_kinds_are_a_failure(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(request("suspend"), no_right("suspend"))
    result = archipel.run("suspend", "web", "mail", code=1)
    assert "there is no machine 'mail': archipel ls shows which there are" in result.stderr


def test_scripts_get_one_result_for_each_machine(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(request("suspend"), no_right("suspend"))
    archipel.wire.answer(request("resume"), query(ns.VM_CONTROL))
    assert archipel.json("resume", "web") == [{"machine": "web", "ok": True, "jid": MACHINE_FULL}]
    refusal = {"machine": "web", "ok": False, "error": "You lack the right suspend", "exit_code": 3, "right": "suspend"}
    assert archipel.json("suspend", "web", code=3) == [refusal]


def test_waiting_ends_when_the_state_is_reached(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(request("shutdown"), query(ns.VM_CONTROL))
    script_info(archipel.wire, 5)
    archipel.run("shutdown", "--wait", "web")
    assert archipel.wire.asked[-1] == normal(vm_command("get", "<archipel action='info'/>"))


def test_waiting_in_vain_is_a_failure(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(request("shutdown"), query(ns.VM_CONTROL))
    script_info(archipel.wire, 1)
    result = archipel.run("shutdown", "--wait", "--timeout", "0", "web", code=1)
    assert "web was not off or crashed or not defined within 0 s; it was last seen running" in result.stderr


def test_to_start_nothing_is_wrong_usage(archipel: CommandLine) -> None:
    assert "Missing argument" in archipel.run("start", code=2).stderr


# -- define -------------------------------------------------------------------------------------------------------------

DOMAIN = "<domain type='test'><name>web</name>{}</domain>"


def definition(uuid: str = "") -> str:
    return DOMAIN.format(f"<uuid>{uuid}</uuid>" if uuid else "")


def define_request(uuid: str) -> str:
    content = f"<archipel action='define'>{definition(uuid)}</archipel>"
    return command("set", MACHINE_FULL, ns.VM_DEFINITION, content)


@pytest.mark.parametrize("uuid", ["", UUID, UUID.upper()])
def test_the_machine_of_that_uuid_or_name_is_defined_anew(archipel: CommandLine, uuid: str) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(define_request(UUID), query(ns.VM_DEFINITION))
    assert archipel.run("define", "-", input=definition(uuid)).stdout == f"web: defined anew ({MACHINE_FULL})\n"


def test_a_machine_that_is_not_there_is_made(archipel: CommandLine) -> None:
    script_machines(archipel.wire, "")
    fields = "name='web' orgname='' orgunit='' locality='' userid='' categories=''"
    content = f"<archipel {fields} action='alloc'>{definition()}</archipel>"
    answer = query(ns.HYPERVISOR_CONTROL, f"<virtualmachine jid='{MACHINE}'/>")
    archipel.wire.answer(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, content), answer)
    assert archipel.json("define", "-", input=definition()) == {"name": "web", "uuid": UUID, "jid": MACHINE_FULL, "made": True}


def test_no_machine_is_made_while_a_hypervisor_does_not_say_what_it_has(archipel: CommandLine) -> None:
    list_ = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>")
    archipel.wire.answer(list_, no_right("rostervm"))
    archipel.wire.answer("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>", query("jabber:iq:roster"))
    assert "You lack the right rostervm" in archipel.run("define", "-", input=definition(), code=3).stderr
    assert not any("alloc" in asked for asked in archipel.wire.asked)


def test_where_a_new_machine_goes_must_be_said(archipel: CommandLine) -> None:
    script_machines(archipel.wire, "")
    second = "other@example.org/host"
    archipel.wire.answer(command("get", second, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>"), query(ns.HYPERVISOR_CONTROL))
    result = archipel.run("-H", second, "-H", HYPERVISOR_FULL, "define", "-", input=definition(), code=5)
    assert "say on which hypervisor, with --hypervisor JID (other@example.org, hyp@example.org)" in result.stderr


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "not well-formed XML"),
        ("<network/>", "expected <domain>, found <network>"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><domain/>", "leave out <!DOCTYPE"),
        ("<domain>" * 150 + "</domain>" * 150, "nests more than"),
    ],
)
def test_what_is_no_definition_is_refused_before_anything_is_sent(archipel: CommandLine, text: str, words: str) -> None:
    assert words in archipel.run("define", "-", input=text, code=1).stderr
    assert archipel.wire.asked == []


def test_an_unmanaged_domain_is_not_defined_over(archipel: CommandLine) -> None:
    script_machines(archipel.wire, f"<item managed='False' name='web'>{MACHINE}</item>")
    assert "not managed" in archipel.run("define", "-", input=definition(), code=5).stderr


# -- chat ---------------------------------------------------------------------------------------------------------------


NOT_DONE = "<failure xmlns='archipel:chat' condition='{}'/>"


def reply(archipel: CommandLine, answer: str, beside: str = "") -> None:
    """Let every chat message be answered with ``answer``."""

    def take(text: str) -> None:
        thread = text.partition("<thread>")[2].partition("</thread>")[0]
        if thread:
            archipel.wire.deliver_soon(
                f"<message type='chat' from='{MACHINE_FULL}'><body>{answer}</body><thread>{thread}</thread>{beside}</message>"
            )

    archipel.wire.answers_to = take


def test_a_machine_replies(archipel: CommandLine) -> None:
    reply(archipel, "I am running.&#10;Fine.")
    script_vcard(archipel.wire)
    assert archipel.run("chat", MACHINE_FULL, "how", "are", "you").stdout == "I am running.\nFine.\n"
    assert any("<body>how are you</body>" in sent for sent in archipel.wire.sent)


def test_a_value_below_zero_is_no_option_of_a_chat(archipel: CommandLine) -> None:
    reply(archipel, "Done.")
    script_vcard(archipel.wire)
    assert archipel.run("chat", MACHINE_FULL, "oom", "kernel", "-500").stdout == "Done.\n"
    assert any("<body>oom kernel -500</body>" in sent for sent in archipel.wire.sent)


def test_a_conversation_goes_line_by_line(archipel: CommandLine) -> None:
    reply(archipel, "yes")
    script_vcard(archipel.wire)
    assert archipel.run("chat", MACHINE_FULL, input="info\n\nhelp\n").stdout == "yes\nyes\n"
    assert sum("<body>" in sent for sent in archipel.wire.sent) == 2


@pytest.mark.parametrize("condition, code", [("forbidden", 3), ("not-allowed", 3), ("bad-request", 1), ("feature-not-implemented", 1)])
def test_what_a_machine_did_not_do_is_an_error_of_the_command_too(archipel: CommandLine, condition: str, code: int) -> None:
    reply(archipel, "I am sorry.", NOT_DONE.format(condition))
    script_vcard(archipel.wire)
    result = archipel.run("chat", MACHINE_FULL, "start", code=code)
    assert (result.stdout, result.stderr) == ("I am sorry.\n", "")
    assert archipel.json("chat", MACHINE_FULL, "start", code=code) == {"reply": "I am sorry.", "failure": condition}
    assert archipel.run("chat", MACHINE_FULL, input="start\nstart\n", code=code).stdout == "I am sorry.\nI am sorry.\n"


def test_words_alone_are_no_error(archipel: CommandLine) -> None:
    """Older agents say nothing beside them."""
    reply(archipel, "I am sorry, that did not work.")
    script_vcard(archipel.wire)
    archipel.run("chat", MACHINE_FULL, "start")


def test_an_entity_that_bounces_is_not_reachable(archipel: CommandLine) -> None:
    def bounce(text: str) -> None:
        thread = text.partition("<thread>")[2].partition("</thread>")[0]
        archipel.wire.deliver_soon(f"<message type='error' id='{thread}' from='{MACHINE_FULL}'>{error('service-unavailable')}</message>")

    archipel.wire.answers_to = bounce
    script_vcard(archipel.wire)
    assert "cannot be reached" in archipel.run("chat", MACHINE_FULL, "hello", code=4).stderr


# -- chat with all that have a tag --------------------------------------------------------------------------------------


def reply_by_address(archipel: CommandLine, beside: str = "", **answers: str) -> None:
    """Let each machine answer, the second with something beside its words, or bounce where it has nothing; show it to who greets it."""

    def take(text: str) -> None:
        jid = next((known for known in (MACHINE_FULL, SECOND) if known.partition("/")[0] in text), MACHINE_FULL)
        thread = text.partition("<thread>")[2].partition("</thread>")[0]
        if 'type="probe"' in text:
            archipel.wire.deliver_soon(f"<presence from='{jid}'/>")
        elif thread and (said := answers["first" if jid == MACHINE_FULL else "second"]):
            more = "" if jid == MACHINE_FULL else beside
            archipel.wire.deliver_soon(f"<message type='chat' from='{jid}'><body>{said}</body><thread>{thread}</thread>{more}</message>")
        elif thread:
            archipel.wire.deliver_soon(f"<message type='error' id='{thread}' from='{jid}'>{error('service-unavailable')}</message>")

    archipel.wire.answers_to = take


def script_tagged(archipel: CommandLine) -> None:
    second = SECOND.partition("/")[0]
    tagged = ((MACHINE, "tp1;;web"), (second, "tp2"), (MACHINE.replace("0001", "0009"), "other"))
    items = "".join(f"<item id='{jid}'><tag jid='{jid}' tags='{tags}'/></item>" for jid, tags in tagged)
    request = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'/></pubsub></iq>"
    archipel.wire.answer(request, f"<pubsub xmlns='{ns.PUBSUB}'><items>{items}</items></pubsub>")
    script_vcard(archipel.wire)
    script_vcard(archipel.wire, second, "db")


def test_all_with_one_of_the_tags_are_told_and_each_one_replies_by_name(archipel: CommandLine) -> None:
    script_tagged(archipel)
    reply_by_address(archipel, first="I am running.&#10;Fine.", second="I am off.")
    expected = "db: I am off.\nweb: I am running.\n    Fine.\n"
    assert archipel.run("chat", "--tag", "tp1", "--tag", "tp2", "how", "are", "you").stdout == expected
    assert [(one["name"], one["text"]) for one in archipel.json("chat", "--tag", "tp2", "hello")] == [("db", "I am off.")]


def test_one_that_does_not_reply_does_not_keep_the_others_from_it(archipel: CommandLine) -> None:
    script_tagged(archipel)
    reply_by_address(archipel, first="", second="I am off.")
    result = archipel.run("chat", "--tag", "tp1", "--tag", "tp2", "hello", code=4)
    assert result.stdout == "db: I am off.\n"
    assert result.stderr.startswith("archipel: web: ")


def test_one_that_does_not_do_what_all_are_told_is_an_error(archipel: CommandLine) -> None:
    script_tagged(archipel)
    reply_by_address(archipel, first="Done.", second="No.", beside=NOT_DONE.format("forbidden"))
    result = archipel.run("chat", "--tag", "tp1", "--tag", "tp2", "start", code=3)
    assert (result.stdout, result.stderr) == ("db: No.\nweb: Done.\n", "")


def test_a_tag_that_nobody_has_is_told(archipel: CommandLine) -> None:
    script_tagged(archipel)
    assert "nobody has the tag tp9" in archipel.run("chat", "--tag", "tp9", "hello", code=1).stderr


def test_a_chat_needs_somebody_and_with_tags_something_to_say(archipel: CommandLine) -> None:
    assert "name a machine" in archipel.run("chat", code=2).stderr
    assert "TEXT" in archipel.run("chat", "--tag", "tp1", code=2).stderr
