# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from archipel.protocol import namespaces as ns
from tests.unit.cli.conftest import CommandLine, query
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, command, no_right

BOB = "bob@example.org"


def entry(time: str, what: str, outcome: str = "ok") -> str:
    return f"<entry time='{time}' who='{BOB}' entity='{HYPERVISOR}' command='{what}' outcome='{outcome}' milliseconds='1.5'/>"


def ask(attributes: str) -> str:
    return command("get", HYPERVISOR_FULL, ns.AUDIT, f"<archipel {attributes} action='entries'/>")


def test_page_after_page_is_read_until_there_are_enough(archipel: CommandLine) -> None:
    pages = (
        ("limit='3'", f"<audit next='2026-11-21T08:00:02Z/1' malformed='0'>{entry('T3', 'free')}{entry('T2', 'alloc')}</audit>"),
        ("limit='1' position='2026-11-21T08:00:02Z/1'", f"<audit next='2026-11-21T08:00:01Z/1' malformed='0'>{entry('T1', 'ip')}</audit>"),
    )
    for attributes, page in pages:
        archipel.wire.answer(ask(attributes), query(ns.AUDIT, page))
    told = archipel.json("audit", HYPERVISOR, "--limit", "3")
    assert [(each["time"], each["command"], each["milliseconds"]) for each in told] == [
        ("T3", "free", 1.5),
        ("T2", "alloc", 1.5),
        ("T1", "ip", 1.5),
    ]


def test_what_is_looked_for_is_asked_of_the_agent(archipel: CommandLine) -> None:
    attributes = f"limit='20' since='2026-11-21' until='2026-11-22' who='{BOB}' command='destroy' outcome='failed'"
    page = f"<audit malformed='2'>{entry('T', 'destroy', 'error: no')}</audit>"
    archipel.wire.answer(ask(attributes), query(ns.AUDIT, page))
    options = ("--since", "2026-11-21", "--until", "2026-11-22", "--who", BOB, "--command", "destroy", "--failed")
    result = archipel.run("audit", HYPERVISOR, *options)
    assert result.stdout.splitlines()[1].split() == ["T", BOB, HYPERVISOR, "destroy", "error:", "no"]
    assert "2 lines of the audit log are no entries" in result.stderr


def test_who_may_not_read_is_told_which_right_is_missing(archipel: CommandLine) -> None:
    archipel.wire.answer(ask("limit='20'"), no_right("audit_get"))
    assert "audit_get" in archipel.run("audit", HYPERVISOR, code=3).stderr
