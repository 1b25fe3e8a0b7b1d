# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel migrate``: waits for the end unless told otherwise, and ends as the move does."""

from __future__ import annotations

from archipel.protocol import namespaces as ns
from tests.unit.cli.conftest import CommandLine, query, script_info, script_machines
from tests.unit.client.scripted_stream import HYPERVISOR, MACHINE, MACHINE_FULL, command, error, no_right
from tests.unit.client.test_long_work import push, script_events

SECOND = "second@example.org/host2"
THERE = f"{MACHINE}/second"
MIGRATE = command("set", MACHINE_FULL, ns.VM_CONTROL, f"<archipel hypervisorjid='{SECOND}' action='migrate'/>")


def script_move(archipel: CommandLine, *, arrives: bool) -> str:
    """Script a move; returns the machine's events node."""
    script_machines(archipel.wire)
    script_info(archipel.wire, 1)
    node = script_events(archipel.wire, MACHINE)
    script_events(archipel.wire, HYPERVISOR)
    archipel.wire.answer(MIGRATE, query(ns.VM_CONTROL))
    if arrives:
        script_info(archipel.wire, 1, jid=THERE)
    else:
        archipel.wire.answer(command("get", THERE, ns.VM_CONTROL, "<archipel action='info'/>"), error("service-unavailable"))
    return node


def test_it_ends_when_the_machine_is_there(archipel: CommandLine) -> None:
    script_move(archipel, arrives=True)
    assert archipel.run("migrate", "web", SECOND).stdout == "web: is at second@example.org\n"
    found = {"on": MACHINE, "done": "migrate", "hypervisor": "second@example.org", "jid": THERE, "arrived": True}
    assert archipel.json("migrate", "web", SECOND) == found


def test_who_does_not_want_to_wait_does_not(archipel: CommandLine) -> None:
    script_move(archipel, arrives=False)
    assert archipel.run("migrate", "--no-wait", "web", SECOND).stdout == "web: is on its way to second@example.org\n"
    assert archipel.json("migrate", "--no-wait", "web", SECOND)["arrived"] is False


def test_a_machine_that_stays_is_a_failure(archipel: CommandLine) -> None:
    node = script_move(archipel, arrives=False)
    archipel.wire.when_asked = lambda text: archipel.wire.deliver_soon(push(node, "migrateerror")) if "migrate" in text else None
    result = archipel.run("migrate", "web", SECOND, code=1)
    assert result.stderr == f"archipel: {MACHINE} stays where it is: the hypervisor's headlines and its log say why\n"


def test_a_missing_right_and_a_wait_in_vain_have_their_exit_codes(archipel: CommandLine) -> None:
    script_move(archipel, arrives=False)
    assert "not at second@example.org within 0 s; it goes on" in archipel.run("migrate", "--timeout", "0", "web", SECOND, code=1).stderr
    archipel.wire.replace(MIGRATE, no_right("migrate"))
    assert archipel.run("migrate", "--no-wait", "web", SECOND, code=3).stderr == "archipel: You lack the right migrate\n"


def test_a_machine_does_not_move_to_a_machine(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    assert "say to which hypervisor, by its JID" in archipel.run("migrate", "web", "web", code=2).stderr


def test_a_machine_is_asked_to_stay(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(
        command("set", MACHINE_FULL, "archipel:vm:migration", "<archipel action='cancel'/>"), query("archipel:vm:migration")
    )
    assert archipel.run("cancel-migration", "web").stdout == "web: stays\n"
