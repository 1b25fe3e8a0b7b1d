# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from archipel.protocol import namespaces as ns
from tests.unit.cli.conftest import CommandLine, query, script_machines, script_rights, script_vcard
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, OWN, command, error, no_right, normal

BOB = "bob@example.org"


def change(value: int, *rights: str, on: str = MACHINE_FULL) -> str:
    grants = "".join(
        f"<permission permission_target='{BOB}' permission_name='{right}' permission_value='{value}' permission_type='user'/>"
        for right in rights
    )
    return command("set", on, ns.PERMISSIONS, f"<archipel action='set'>{grants}</archipel>")


def test_rights_are_granted_on_a_machine(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(change(1, "info", "create"), query(ns.PERMISSIONS))
    assert archipel.run("grant", BOB, "info", "create", "--on", "web").stdout == f"web: granted {BOB} info create\n"


def test_rights_are_revoked_on_a_hypervisor(archipel: CommandLine) -> None:
    archipel.wire.answer(change(0, "alloc", on=HYPERVISOR_FULL), query(ns.PERMISSIONS))
    assert archipel.json("revoke", BOB, "alloc", "--on", HYPERVISOR) == {"on": HYPERVISOR, "jid": BOB, "revoked": ["alloc"]}


def test_where_must_be_said(archipel: CommandLine) -> None:
    assert "Missing option '--on'" in archipel.run("grant", BOB, "info", code=2).stderr


def test_who_may_not_grant_is_told_which_right_is_missing(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(change(1, "info"), no_right("permission_set"))
    result = archipel.run("--json", "grant", BOB, "info", "--on", "web", code=3)
    assert result.stderr == '{"error": "You lack the right permission_set", "exit_code": 3, "right": "permission_set"}\n'


def test_the_rights_that_exist_are_listed_with_ones_own(archipel: CommandLine) -> None:
    script_vcard(archipel.wire)
    script_rights(archipel.wire, OWN, "info")
    listed = "<permission name='info' default='0' description='See the state'/><permission name='create' default='1' description=''/>"
    archipel.wire.answer(command("get", MACHINE_FULL, ns.PERMISSIONS, "<archipel action='list'/>"), query(ns.PERMISSIONS, listed))
    rows = [line.split() for line in archipel.run("rights", "--on", MACHINE).stdout.splitlines()]
    assert rows == [["RIGHT", "YOURS", "EVERYBODY'S", "MEANING"], ["info", "yes", "See", "the", "state"], ["create", "yes"]]
    assert [right["granted"] for right in archipel.json("rights", "--on", MACHINE)["rights"]] == [True, False]


def test_who_may_not_list_rights_still_sees_his_own(archipel: CommandLine) -> None:
    script_vcard(archipel.wire)
    script_rights(archipel.wire, OWN, "info")
    archipel.wire.answer(command("get", MACHINE_FULL, ns.PERMISSIONS, "<archipel action='list'/>"), no_right("permission_list"))
    result = archipel.run("rights", "--on", MACHINE)
    assert result.stdout == f"{OWN} on web: info\n"


def test_somebodys_rights_on_one_machine(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    script_rights(archipel.wire, BOB)
    assert archipel.run("rights", BOB, "--on", "web").stdout == f"{BOB} on web: no rights\n"


def test_somebodys_rights_everywhere(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    script_rights(archipel.wire, BOB, "rostervm", on=HYPERVISOR_FULL)
    script_rights(archipel.wire, BOB)
    assert archipel.json("rights", BOB) == [{"on": HYPERVISOR, "name": HYPERVISOR, "jid": BOB, "granted": ["rostervm"]}]


def test_an_entity_that_does_not_tell_is_named(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    script_rights(archipel.wire, BOB, "alloc", on=HYPERVISOR_FULL)
    request = f"<archipel permission_type='user' permission_target='{BOB}' action='get'/>"
    archipel.wire.answer(command("get", MACHINE_FULL, ns.PERMISSIONS, request), no_right("permission_get"))
    result = archipel.run("rights", BOB, code=3)
    assert "web: You lack the right permission_get" in result.stderr
    assert "alloc" in result.stdout


def test_that_an_administrator_may_everything_is_said(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    script_rights(archipel.wire, BOB, "info", administrator=True)
    script_rights(archipel.wire, BOB, on=HYPERVISOR_FULL, administrator=True)
    assert archipel.run("rights", BOB, "--on", "web").stdout == f"{BOB} on web: everything, as an administrator; granted: info\n"
    assert archipel.json("rights", BOB, "--on", "web")["administrator"] is True
    told = archipel.run("rights", BOB)
    assert told.stdout.splitlines()[1].split() == ["web", "info"]
    assert told.stderr == f"{BOB} may everything on {HYPERVISOR} and all its machines, as an administrator, without any grant\n"


def test_an_agent_that_cannot_say_why_still_tells_what_is_granted(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    script_rights(archipel.wire, BOB, "info")
    why = f"<archipel right='all' subject='{BOB}' action='why'/>"
    archipel.wire.answer(command("get", MACHINE_FULL, ns.RIGHTS, why), error("feature-not-implemented"))
    assert archipel.run("rights", BOB, "--on", "web").stdout == f"{BOB} on web: info\n"


def test_a_machine_is_not_taken_for_a_hypervisor(archipel: CommandLine) -> None:
    script_vcard(archipel.wire)
    archipel.wire.answer(change(1, "info"), query(ns.PERMISSIONS))
    archipel.run("grant", BOB, "info", "--on", MACHINE)
    assert normal(change(1, "info")) in archipel.wire.asked


def test_own_rights_are_told_on_a_hypervisor_that_does_not_list_its_machines(archipel: CommandLine) -> None:
    archipel.wire.answer(command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>"), no_right("rostervm"))
    roster = f"<item jid='{MACHINE}' subscription='both'/>"
    archipel.wire.answer("<iq type='get'><query xmlns='jabber:iq:roster'/></iq>", query("jabber:iq:roster", roster))
    script_vcard(archipel.wire)
    script_rights(archipel.wire, OWN, "info")
    script_rights(archipel.wire, OWN, "presence", on=HYPERVISOR_FULL)
    archipel.wire.answers_to = lambda text: (
        archipel.wire.deliver_soon(f"<presence from='{MACHINE_FULL if MACHINE in text else HYPERVISOR_FULL}'/>")
        if "probe" in text
        else None
    )
    lines = [line.split() for line in archipel.run("rights").stdout.splitlines()[1:]]
    assert lines == [[HYPERVISOR, "presence"], ["web", "info"]]


# -- why ----------------------------------------------------------------------------------------------------------------


def test_why_somebody_may_or_may_not_is_told_with_its_reason(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    request = command("get", MACHINE_FULL, ns.RIGHTS, f"<archipel right='start' subject='{BOB}' action='why'/>")
    words = "denied: 'create' denied to bob@example.org on this entity; given by admin@example.org"
    decision = f"<decision subject='{BOB}' right='create' allowed='0' rule='denied'>{words}</decision>"
    archipel.wire.answer(request, query(ns.RIGHTS, decision))
    assert archipel.run("rights", "why", BOB, "start", "web").stdout == f"{BOB} may not create on web: {words}\n"
    expected = {"subject": BOB, "right": "create", "allowed": False, "rule": "denied", "reason": words, "on": "web"}
    assert archipel.json("rights", "why", BOB, "start", "web") == expected


def test_who_may_not_see_others_rights_is_told(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    request = command("get", MACHINE_FULL, ns.RIGHTS, f"<archipel right='start' subject='{BOB}' action='why'/>")
    archipel.wire.answer(request, no_right("permission_get"))
    assert "permission_get" in archipel.run("rights", "why", BOB, "start", "web", code=3).stderr
