# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from archipel.xmpp.errors import Disconnected, NoAnswer, WireError
from tests.unit.cli.conftest import (
    OTHER,
    CommandLine,
    query,
    script_info,
    script_machines,
    script_rights,
    script_tags,
    script_vcard,
)
from tests.unit.client.scripted_stream import (
    HYPERVISOR,
    HYPERVISOR_FULL,
    MACHINE,
    MACHINE_FULL,
    OWN,
    UUID,
    ScriptedStream,
    command,
    error,
    no_right,
    vm_command,
)

ROSTER = "<iq type='get'><query xmlns='jabber:iq:roster'/></iq>"
LIST = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>")
INFO = vm_command("get", "<archipel action='info'/>")


def script_roster(wire: ScriptedStream, *jids: str) -> None:
    items = "".join(f"<item jid='{jid}' subscription='both'/>" for jid in jids)
    wire.answer(ROSTER, query("jabber:iq:roster", items))


# -- ls -----------------------------------------------------------------------------------------------------------------


def test_machines_are_listed_with_state_owner_and_tags(archipel: CommandLine) -> None:
    script_machines(
        archipel.wire,
        f"<item managed='True' name='web'>{MACHINE_FULL}</item>",
        f"<item managed='False' name='guest'>{OTHER}</item>",
    )
    script_info(archipel.wire, 3)
    script_vcard(archipel.wire, owner="bob")
    script_tags(archipel.wire, "red;;blue")
    lines = [line.split() for line in archipel.run("ls").stdout.splitlines()]
    assert lines[0] == ["NAME", "STATE", "OWNER", "TAGS", "HYPERVISOR", "UUID"]
    assert lines[1] == ["guest", "not", "managed", HYPERVISOR, OTHER.partition("@")[0]]
    assert lines[2] == ["web", "paused", "bob", "red", "blue", HYPERVISOR, UUID]
    assert archipel.json("ls")[1] == {
        "name": "web",
        "uuid": UUID,
        "jid": MACHINE_FULL,
        "hypervisor": HYPERVISOR,
        "managed": True,
        "state": "paused",
        "owner": "bob",
        "tags": ["red", "blue"],
    }


def test_a_state_that_may_not_be_read_is_unknown_and_says_why(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(INFO, no_right("info"))
    archipel.wire.answer(f"<iq type='get' to='{MACHINE}'><vCard xmlns='vcard-temp'/></iq>", error("item-not-found"))
    script_tags(archipel.wire)
    result = archipel.run("ls", code=3)
    assert result.stdout.splitlines()[1].split()[:2] == ["web", "?"]
    assert "web: You lack the right info" in result.stderr
    assert archipel.json("ls", code=3)[0]["state"] is None


def test_where_the_hypervisor_may_not_be_asked_the_own_roster_tells(archipel: CommandLine) -> None:
    archipel.wire.answer(LIST, no_right("rostervm"))
    script_roster(archipel.wire, MACHINE, "bob@example.org")
    script_vcard(archipel.wire, owner="alice")
    script_tags(archipel.wire)
    archipel.wire.answers_to = lambda text: (
        archipel.wire.deliver_soon(f"<presence from='{MACHINE_FULL if MACHINE in text else HYPERVISOR_FULL}'/>")
        if "probe" in text
        else None
    )
    script_info(archipel.wire, 1)
    result = archipel.run("ls")
    assert result.stdout.splitlines()[1].split() == ["web", "running", "alice", UUID]
    assert result.stderr == ""


@pytest.mark.parametrize(
    "shown, state",
    [("<status>Running</status>", "running"), ("<show>xa</show><status>Off</status>", "off"), ("<status>Napping</status>", "?")],
)
def test_who_may_not_ask_a_machine_is_told_what_its_presence_shows(archipel: CommandLine, shown: str, state: str) -> None:
    archipel.wire.answer(LIST, no_right("rostervm"))
    script_roster(archipel.wire, MACHINE)
    script_vcard(archipel.wire, owner="alice")
    script_tags(archipel.wire)
    archipel.wire.answers_to = lambda text: (
        archipel.wire.deliver_soon(
            f"<presence from='{MACHINE_FULL}'>{shown}</presence>" if MACHINE in text else f"<presence from='{HYPERVISOR_FULL}'/>"
        )
        if "probe" in text
        else None
    )
    archipel.wire.answer(INFO, no_right("info"))
    result = archipel.run("ls", code=3 if state == "?" else 0)
    assert result.stdout.splitlines()[1].split() == ["web", state, "alice", UUID]
    assert ("lack the right info" in result.stderr) == (state == "?")


def test_without_named_hypervisors_those_of_the_roster_are_asked(stranger: CommandLine) -> None:
    stranger.run("login", OWN, "--password-file", "-", input="word\n")
    script_roster(stranger.wire, HYPERVISOR, MACHINE)
    script_vcard(stranger.wire, HYPERVISOR, role="hypervisor")
    script_machines(stranger.wire, "")
    script_tags(stranger.wire)
    stranger.wire.answers_to = lambda text: stranger.wire.deliver_soon(f"<presence from='{HYPERVISOR_FULL}'/>") if "probe" in text else None
    assert stranger.json("ls") == []


def test_who_knows_no_hypervisor_is_told_how_to_name_one(stranger: CommandLine) -> None:
    stranger.run("login", OWN, "--password-file", "-", input="word\n")
    script_roster(stranger.wire)
    script_tags(stranger.wire)
    result = stranger.run("ls")
    assert result.stdout == ""
    assert "name one with --hypervisor JID" in result.stderr


def test_a_hypervisor_may_be_chosen_for_once(archipel: CommandLine) -> None:
    other = "other@example.org/host"
    archipel.wire.answer(command("get", other, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>"), query(ns.HYPERVISOR_CONTROL))
    script_tags(archipel.wire)
    result = archipel.run("--hypervisor", other, "ls")
    assert (result.stdout, result.stderr) == ("", "no machines\n")
    assert archipel.json("--hypervisor", other, "ls") == []


def test_names_cannot_command_the_terminal(archipel: CommandLine) -> None:
    script_machines(archipel.wire, f"<item managed='False' name='[red]&#x9b;31m&#xe000;\u202egood'>{OTHER}</item>")
    script_tags(archipel.wire)
    output = archipel.run("ls").stdout
    assert "[red]\ufffd31m\ufffd\ufffdgood" in output


@pytest.mark.parametrize(
    "failure, code, words",
    [
        (NoAnswer("hyp@example.org/host did not answer within 30 s"), 4, "did not answer"),
        (Disconnected("the connection to the XMPP server broke"), 4, "broke"),
        (error("service-unavailable"), 4, "is not online"),
        (error("internal-server-error"), 1, "internal-server-error"),
        (query(ns.HYPERVISOR_CONTROL, "<item/>"), 1, "unreadable"),
    ],
)
def test_a_hypervisor_that_fails_is_told_in_a_line(archipel: CommandLine, failure: str | WireError, code: int, words: str) -> None:
    archipel.wire.answer(LIST, failure)
    script_roster(archipel.wire)
    script_tags(archipel.wire)
    result = archipel.run("ls", code=code)
    assert words in result.stderr
    assert "Traceback" not in result.output


# -- show ---------------------------------------------------------------------------------------------------------------

DEFINITION = (
    f"<domain type='kvm'><name>web</name><uuid>{UUID}</uuid><devices>"
    "<disk type='file' device='disk'><driver type='qcow2'/><source file='/vm/web.qcow2'/><target dev='vda' bus='virtio'/></disk>"
    "<disk type='volume' device='disk'><source pool='default' volume='b'/><target dev='vdb' bus='virtio'/></disk>"
    "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><model type='virtio'/></interface>"
    "</devices></domain>"
)


@pytest.fixture
def shown(archipel: CommandLine) -> CommandLine:
    script_machines(archipel.wire)
    script_info(archipel.wire, 1)
    script_vcard(archipel.wire, owner="bob")
    script_tags(archipel.wire, "red")
    script_rights(archipel.wire, OWN, "info", "create")
    archipel.wire.answer(vm_command("get", "<archipel inactive='0' action='xmldesc'/>"), query(ns.VM_CONTROL, DEFINITION))
    return archipel


def test_a_machine_is_shown_in_full(shown: CommandLine) -> None:
    lines = [line.strip().split(maxsplit=1) for line in shown.run("show", "web").stdout.splitlines()]
    assert ["disk", "vda disk virtio /vm/web.qcow2 qcow2"] in lines
    assert dict(lines) == {
        "name": "web",
        "state": "running",
        "uuid": UUID,
        "jid": MACHINE_FULL,
        "hypervisor": HYPERVISOR_FULL,
        "memory": "32 MiB of 64 MiB",
        "vcpus": "2 (at 7 % of the host)",
        "autostart": "yes",
        "owner": "bob",
        "tags": "red",
        "disk": "vdb disk virtio default/b",
        "interface": "52:54:00:00:00:01 network default virtio",
        "rights": "create info",
    }


def test_scripts_get_the_same_facts(shown: CommandLine) -> None:
    facts = shown.json("show", "web")
    assert (facts["state"], facts["memory_kib"], facts["rights"]) == ("running", 32768, ["create", "info"])
    assert facts["disks"][0] == {"target": "vda", "device": "disk", "bus": "virtio", "source": "/vm/web.qcow2", "format": "qcow2"}
    assert facts["disks"][1]["source"] == "default/b"
    assert facts["interfaces"][0]["source"] == "default"


def test_what_may_not_be_read_does_not_hide_the_rest(shown: CommandLine) -> None:
    shown.wire.replace(vm_command("get", "<archipel inactive='0' action='xmldesc'/>"), no_right("xmldesc"))
    facts = shown.json("show", "web")
    assert facts["state"] == "running"
    assert facts["unread"] == {"definition": "You lack the right xmldesc"}
    assert "definition?" in shown.run("show", "web").stdout


def test_the_next_start_has_its_own_memory_and_processors(shown: CommandLine) -> None:
    sizes = "<memory unit='MiB'>96</memory><currentMemory unit='MiB'>80</currentMemory><vcpu current='3'>4</vcpu>"
    later = DEFINITION.replace("<devices>", f"{sizes}<devices>")
    shown.wire.answer(vm_command("get", "<archipel inactive='1' action='xmldesc'/>"), query(ns.VM_CONTROL, later))
    facts = shown.json("show", "--inactive", "web")
    assert (facts["memory_kib"], facts["max_memory_kib"], facts["vcpus"]) == (80 * 1024, 96 * 1024, 3)
    assert facts["state"] == "running"


def test_who_may_not_see_the_state_is_refused(shown: CommandLine) -> None:
    shown.wire.replace(INFO, no_right("info"))
    assert "You lack the right info" in shown.run("show", "web", code=3).stderr


def test_the_definition_can_be_printed_alone(shown: CommandLine) -> None:
    assert shown.run("show", "--xml", "web").stdout.startswith('<domain type="kvm">\n  <name>web</name>')


def test_a_machine_without_definition_has_none_to_print(shown: CommandLine) -> None:
    shown.wire.answer(vm_command("get", "<archipel inactive='1' action='xmldesc'/>"), query(ns.VM_CONTROL, "<not-defined/>"))
    assert shown.json("show", "--xml", "--inactive", "web") == {"xml": None}


@pytest.mark.parametrize("reference", [UUID, MACHINE, MACHINE_FULL])
def test_a_machine_named_by_uuid_or_jid_needs_no_right_on_the_hypervisor(shown: CommandLine, reference: str) -> None:
    assert shown.json("show", reference)["jid"] == MACHINE_FULL
    assert not any("rostervm" in asked for asked in shown.wire.asked)


@pytest.mark.parametrize("reference, words", [("mail", "there is no machine 'mail'"), ("bob@example.org", "is no machine's JID")])
def test_a_machine_that_is_not_there_is_not_found(shown: CommandLine, reference: str, words: str) -> None:
    assert words in shown.run("show", reference, code=5).stderr


def test_a_domain_that_is_not_managed_is_not_used(archipel: CommandLine) -> None:
    script_machines(archipel.wire, f"<item managed='False' name='guest'>{OTHER}</item>")
    assert "not managed; have the hypervisor manage it first" in archipel.run("show", "guest", code=5).stderr


def test_a_name_that_two_machines_have_is_ambiguous(archipel: CommandLine) -> None:
    twins = [f"<item managed='True' name='twin'>6f0c0000-0000-4000-8000-00000000000{number}@example.org/hyp</item>" for number in (3, 4)]
    script_machines(archipel.wire, *twins)
    result = archipel.run("show", "twin", code=5)
    assert "000000000003@example.org" in result.stderr
    assert "000000000004@example.org" in result.stderr
