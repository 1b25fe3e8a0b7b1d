# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import MACHINE_FULL, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

LIST = "<archipel action='rostervm'/>"
GET = "<archipel action='get'/>"
DAY = 86400


def snapshot(name: str, days: int = 0, parent: str = "", current: bool = False) -> str:
    above = f"<parent><name>{parent}</name></parent>" if parent else ""
    text = f"<name>{name}</name><state>shutoff</state>{above}<creationTime>{int(time.time()) - days * DAY}</creationTime>"
    return f"<domainsnapshot current='{int(current)}'>{text}</domainsnapshot>"


def delete(name: str, children: bool = False) -> str:
    return f"<archipel name='{name}' children='{int(children)}' action='delete'/>"


def take(name: str, description: str) -> str:
    words = f"<name>{name}</name>{f'<description>{description}</description>' if description else '<description/>'}"
    return f"<archipel name='' external='0' action='take'><domainsnapshot>{words}</domainsnapshot></archipel>"


def revert(name: str) -> str:
    return f"<archipel name='{name}' action='revert'/>"


NIGHTS = [snapshot(f"night-{days}", days) for days in (9, 8, 2, 1)]


def script(wire: Wire, before: list[str], after: list[str], *requests: str) -> None:
    wire.hypervisor("get", LIST, f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    wire.machine("get", GET, "".join(before), "".join(after), namespace=ns.VM_SNAPSHOTS)
    for request in requests:
        wire.machine("set", request, namespace=ns.VM_SNAPSHOTS)


def sent(*requests: str) -> list[str]:
    return [command("set", MACHINE_FULL, ns.VM_SNAPSHOTS, request) for request in requests]


@pytest.mark.parametrize(
    "declared, before, after, requests",
    [
        ({"name": "a", "description": "why"}, [], ["a"], [take("a", "why")]),
        ({"name": "a", "state": "absent"}, [snapshot("a"), snapshot("b", parent="a")], ["b"], [delete("a")]),
        ({"name": "a", "state": "absent", "children": True}, [snapshot("a"), snapshot("b", parent="a")], [], [delete("a", True)]),
        ({"state": "absent", "pattern": "night-*", "keep": 3}, NIGHTS, ["night-8", "night-2", "night-1"], [delete("night-9")]),
        (
            {"state": "absent", "pattern": "night-*", "older_than": "8d"},
            NIGHTS,
            ["night-2", "night-1"],
            [delete("night-9"), delete("night-8")],
        ),
        (
            {"state": "absent", "pattern": "night-*", "older_than": "1d", "keep": 3},
            NIGHTS,
            ["night-8", "night-2", "night-1"],
            [delete("night-9")],
        ),
        (
            {"name": "night-0", "pattern": "night-*", "keep": 4},
            NIGHTS,
            ["night-8", "night-2", "night-1", "night-0"],
            [take("night-0", ""), delete("night-9")],
        ),
        (
            {"name": "night-9", "pattern": "night-*", "keep": 1},
            NIGHTS,
            ["night-9"],
            [delete("night-8"), delete("night-2"), delete("night-1")],
        ),
    ],
)
def test_snapshots_are_taken_and_deleted(
    declared: dict[str, Any], before: list[str], after: list[str], requests: list[str], wire: Wire
) -> None:
    script(wire, before, [snapshot(name) for name in after], *requests)
    predicted = wire.run("vm_snapshot", check=True, machine="web", **declared)
    wire.assert_asked()
    answer = wire.run("vm_snapshot", machine="web", **declared)
    wire.assert_asked(*sent(*requests))
    assert answer["changed"]
    assert [found["name"] for found in answer["machines"][0]["snapshots"]] == after
    assert predicted["diff"][0]["before"] == answer["diff"][0]["before"]
    assert sorted(predicted["diff"][0]["after"].split()) == sorted(answer["diff"][0]["after"].split())


@pytest.mark.parametrize(
    "declared",
    [
        {"name": "night-9", "description": "other words"},
        {"name": "nothing", "state": "absent"},
        {"state": "absent", "pattern": "night-*", "keep": 4},
        {"state": "absent", "pattern": "night-*", "older_than": "4w"},
        {"state": "absent", "pattern": "NIGHT-*"},
    ],
)
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    script(wire, NIGHTS, NIGHTS)
    assert not wire.run("vm_snapshot", machine="web", **declared)["changed"]
    wire.assert_asked()


def test_a_machine_goes_back_unless_it_is_there(wire: Wire) -> None:
    script(wire, [snapshot("a"), snapshot("b", current=True)], [snapshot("a", current=True), snapshot("b")], revert("a"))
    answer = wire.run("vm_snapshot", machine="web", name="a", state="reverted")
    assert answer["changed"]
    assert answer["diff"][0] == {"before_header": "web", "after_header": "web", "before": "current: b\n", "after": "current: a\n"}
    wire.assert_asked(*sent(revert("a")))


@pytest.mark.parametrize("always", [False, True])
def test_a_machine_that_is_there_goes_back_only_if_that_is_said(always: bool, wire: Wire) -> None:
    script(wire, [snapshot("a", current=True)], [snapshot("a", current=True)], revert("a"))
    assert wire.run("vm_snapshot", machine="web", name="a", state="reverted", always=always)["changed"] is always
    wire.assert_asked(*sent(*([revert("a")] if always else [])))


def test_a_snapshot_to_go_back_to_must_be_there(wire: Wire) -> None:
    script(wire, [snapshot("a")], [])
    answer = wire.run("vm_snapshot", check=True, machine="web", name="z", state="reverted")
    assert answer["msg"] == "name: web has no snapshot 'z' to go back to; there are: a"


@pytest.mark.parametrize(
    "declared, message",
    [
        ({}, "name: say which snapshot"),
        ({"state": "absent"}, "name: say which snapshot"),
        ({"name": "a", "keep": 1}, "keep: needs pattern"),
        ({"name": "a", "pattern": "*"}, "pattern: say with keep or older_than"),
        ({"name": "a", "pattern": "*", "keep": -1}, "keep: must be 0 or more"),
        ({"name": "a", "pattern": "*", "older_than": "a month"}, "older_than: 'a month' is no age"),
        ({"name": "a", "pattern": "*", "state": "reverted"}, "pattern: goes with state"),
    ],
)
def test_what_contradicts_itself_is_refused(declared: dict[str, Any], message: str, wire: Wire) -> None:
    answer = wire.run("vm_snapshot", machine="web", **declared)
    assert answer["failed"]
    assert message in answer["msg"]
    assert wire.streams == []
