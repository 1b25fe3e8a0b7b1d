# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module ``storage_pool`` asks for, by what is there and what is declared."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

NS = ns.HYPERVISOR_STORAGE
UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
LIST = "<archipel action='pools'/>"
DESCRIBE = "<archipel name='lab' action='pooldescribe'/>"


def definition(path: str = "/srv/lab", figures: str = "") -> str:
    return f"<pool type='dir'><name>lab</name><uuid>{UUID}</uuid>{figures}<source/><target><path>{path}</path></target></pool>"


def listed(active: int = 0, persistent: int = 1, autostart: int = 0) -> str:
    sizes = (
        f"capacity='{10 * 2**20}' allocation='{4 * 2**20}' available='{6 * 2**20}'"
        if active
        else "capacity='0' allocation='0' available='0'"
    )
    facts = f"active='{active}' persistent='{persistent}' autostart='{autostart}'"
    return f"<pool name='lab' uuid='{UUID}' type='dir' {facts} {sizes} path='/srv/lab'/>"


def described(stored: str | None, running: str | None = None) -> str:
    halves = "".join(f"<{tag}>{text}</{tag}>" for tag, text in (("stored", stored), ("running", running)) if text)
    return f"<description>{halves}</description>"


def change(action: str, inner: str = "", attributes: str = "name='lab'") -> str:
    return command("set", HYPERVISOR_FULL, NS, f"<archipel {attributes} action='{action}'>{inner}</archipel>")


def play(
    wire: Wire, declared: dict[str, Any], lists: list[str], descriptions: list[str], changes: list[str], *, check: bool = False
) -> dict[str, Any]:
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, *lists)
    wire.entity(HYPERVISOR_FULL, "get", NS, DESCRIBE, *descriptions)
    for iq in changes:
        wire.script.append((iq, (f"<query xmlns='{NS}'/>",)))
    answer = wire.run("storage_pool", check=check, name="lab", **declared)
    wire.assert_asked(*changes)
    return answer


NEW = {"type": "dir", "path": "/srv/lab", "state": "active", "autostart": True, "build": True}


@pytest.mark.parametrize("check", [True, False])
def test_a_new_pool_is_defined_built_and_started(check: bool, wire: Wire) -> None:
    new = "<pool type='dir'><name>lab</name><target><path>/srv/lab</path></target></pool>"
    changes = [change("pooldefine", new, "autostart='1'"), change("poolcreate", "", "name='lab' build='1'")]
    after = described(definition(), definition(figures="<capacity>9</capacity>"))
    answer = play(wire, NEW, ["", listed(1, autostart=1)], [after], [] if check else changes, check=check)
    assert answer["changed"]
    if not check:
        assert [answer["storage_pool"][name] for name in ("state", "capacity", "allocation", "available")] == ["active", 10, 4, 6]


@pytest.mark.parametrize("declared", [{}, {"type": "dir", "path": "/srv/lab", "uuid": UUID}, {"state": "active"}, {"autostart": False}])
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    assert not play(wire, declared, [listed(1)], [described(definition(), definition())], [])["changed"]


WAITS = ["path takes effect at the next start"]


@pytest.mark.parametrize("check", [True, False])
def test_another_folder_waits_for_a_restart(check: bool, wire: Wire) -> None:
    descriptions = [described(definition(), definition()), described(definition("/srv/new"), definition())]
    changes = [] if check else [change("pooldefine", definition("/srv/new"), "autostart='0'")]
    answer = play(wire, {"path": "/srv/new"}, [listed(1)], descriptions, changes, check=check)
    assert answer["storage_pool"]["restart_reasons"] == WAITS
    assert answer["needs_restart"]


def test_a_restart_takes_it_on(wire: Wire) -> None:
    descriptions = [described(definition("/srv/new"), definition()), described(definition("/srv/new"), definition("/srv/new"))]
    changes = [change("pooldestroy"), change("poolcreate", "", "name='lab' build='0'")]
    answer = play(wire, {"path": "/srv/new", "restart": True, "build": True}, [listed(1)], descriptions, changes)
    assert answer["changed"]
    assert not answer["needs_restart"]


@pytest.mark.parametrize(
    "before, changes",
    [
        (listed(1), [change("pooldestroy"), change("poolundefine")]),
        (listed(0), [change("poolundefine")]),
        (listed(1, persistent=0), [change("pooldestroy")]),
        ("", []),
    ],
)
def test_a_pool_goes(before: str, changes: list[str], wire: Wire) -> None:
    answer = play(wire, {"state": "absent"}, [before, ""], [""], changes)
    assert (answer["changed"], answer["storage_pool"]["state"]) == (bool(changes), "absent")


def test_an_active_pool_is_looked_through_when_told_and_that_is_no_change(wire: Wire) -> None:
    answer = play(wire, {"refresh": True}, [listed(1)], [described(definition(), definition())], [change("poolrefresh")])
    assert not answer["changed"]


@pytest.mark.parametrize(
    "declared, there, message",
    [
        ({"path": "/srv/lab"}, "", "type: say what the new pool is: dir, fs, netfs, logical"),
        ({"type": "dir"}, "", "path: say in which folder"),
        ({"path": "lab"}, "", "lab: path: 'lab' is not an absolute path"),
        ({"permissions": {"mode": "rwx"}}, "", "lab: permissions.mode: 'rwx' is not an octal mode"),
        ({"uuid": UUID.replace("6f", "00")}, listed(0), f"lab: uuid: the pool has {UUID}, which cannot change"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], there: str, message: str, wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, there)
    wire.entity(HYPERVISOR_FULL, "get", NS, DESCRIBE, described(definition()))
    assert message in wire.run("storage_pool", name="lab", **declared)["msg"]


def test_many_pools_are_read_with_one_list(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, "")
    wire.run("storage_pool", state="absent", storage_pools=[{"name": "lab"}, {"name": "other"}])
    assert len(wire.asked) == 1
