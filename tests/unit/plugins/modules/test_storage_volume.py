# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module ``storage_volume`` asks for, by what is there and what is declared."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, command, error
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

NS = ns.HYPERVISOR_STORAGE
LIST = "<archipel pool='lab' action='volumes'/>"
POOLS = "<archipel action='pools'/>"
NAMED = "pool='lab' name='data'"
MIB = 2**20


def volume(mebibytes: int, beyond: int = 0, kind: str = "qcow2", name: str = "data") -> str:
    return f"<volume name='{name}' path='/srv/lab/{name}' format='{kind}' capacity='{mebibytes * MIB + beyond}' allocation='4096'/>"


def change(action: str, attributes: str = NAMED) -> str:
    return command("set", HYPERVISOR_FULL, NS, f"<archipel {attributes} action='{action}'/>")


def play(wire: Wire, declared: dict[str, Any], lists: list[str], changes: list[str], *, check: bool = False) -> dict[str, Any]:
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, *lists)
    for iq in changes:
        wire.script.append((iq, (f"<query xmlns='{NS}'/>",)))
    answer = wire.run("storage_volume", check=check, pool="lab", name="data", **declared)
    wire.assert_asked(*changes)
    return answer


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("allocation, asked", [(None, ""), ("0", ""), ("1 GiB", "allocation='1024'")])
def test_a_new_volume_is_made(check: bool, allocation: str | None, asked: str, wire: Wire) -> None:
    changes = [] if check else [change("volumecreate", f"{NAMED} size='4096' unit='M' format='qcow2' {asked}")]
    answer = play(wire, {"size": "4 GiB", "format": "qcow2", "allocation": allocation}, ["", volume(4096)], changes, check=check)
    assert answer["changed"]
    assert answer["diff"][0]["after"] == "state: present\nsize: 4096\nformat: qcow2\n"
    assert answer["storage_volume"]["capacity"] == (None if check else 4096 * MIB)


@pytest.mark.parametrize("declared", [{}, {"size": "4 GiB"}, {"size": "4096", "format": "qcow2", "shrink": True}])
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    assert not play(wire, declared, [volume(4096)], [])["changed"]


@pytest.mark.parametrize(
    "before, size, shrink", [(volume(4096), 8192, False), (volume(4096), 1024, True), (volume(4095, beyond=1), 4096, False)]
)
def test_a_volume_changes_its_size_in_place(before: str, size: int, shrink: bool, wire: Wire) -> None:
    changes = [change("volumeresize", f"{NAMED} size='{size}' unit='M' shrink='{int(shrink)}'")]
    assert play(wire, {"size": str(size), "shrink": shrink}, [before, volume(size)], changes)["changed"]


@pytest.mark.parametrize("kind, differs", [("logical", False), ("dir", True)])
def test_what_a_volume_group_rounds_up_is_no_difference(kind: str, differs: bool, wire: Wire) -> None:
    pool = f"<pool name='lab' uuid='u' type='{kind}' active='1' persistent='1' autostart='0' capacity='9' allocation='0' available='9'/>"
    wire.entity(HYPERVISOR_FULL, "get", NS, POOLS, pool)
    answer = play(wire, {"size": "98 MiB"}, [volume(100, kind="raw")], [])
    assert bool(answer.get("failed")) is differs, "smaller takes shrink: true"


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    "declared, there, message",
    [
        ({"size": "1 GiB"}, volume(4096), f"lab/data: size: it has {4096 * MIB} bytes; shrink: true makes it smaller"),
        ({"format": "raw"}, volume(4096), "lab/data: format: it is qcow2, which cannot change"),
        ({}, "", "lab/data: size: say how large the new volume is"),
        ({"size": "much"}, "", "lab/data: size: 'much' is no amount of memory"),
    ],
)
def test_what_leads_nowhere_is_refused(declared: dict[str, Any], there: str, message: str, check: bool, wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, there)
    assert message in wire.run("storage_volume", check=check, pool="lab", name="data", **declared)["msg"]


BASE = "<volume name='base' path='/srv/lab/base' format='qcow2' capacity='4194304' allocation='4096'/>"
ON_BASE = "<volume name='data' path='/srv/lab/data' format='qcow2' capacity='4194304' allocation='1' backing='{}' backingformat='{}'/>"
STANDS = "backing='base' backingpool='lab' backingformat='qcow2'"


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("size, asked", [({}, ""), ({"size": "4"}, "size='4'")])
def test_a_volume_is_made_on_another_one(size: dict[str, Any], asked: str, check: bool, wire: Wire) -> None:
    changes = [] if check else [change("volumecreate", f"{NAMED} {asked} unit='M' format='qcow2' {STANDS}")]
    lists = [BASE, BASE, BASE + ON_BASE.format("/srv/lab/base", "qcow2")]
    answer = play(wire, {"backing": {"volume": "base", "format": "qcow2"}, **size}, lists, changes, check=check)
    assert answer["diff"][0]["after"].endswith("backing:\n  pool: lab\n  volume: base\n  format: qcow2\n")
    assert answer["storage_volume"]["backing"] == (None if check else {"path": "/srv/lab/base", "format": "qcow2"})


@pytest.mark.parametrize(
    "declared, told",
    [
        ({"volume": "base", "format": "qcow2"}, ("/srv/lab/base", "qcow2")),
        ({"path": "/vm/golden/a.qcow2", "format": "qcow2"}, ("/vm/golden/a.qcow2", "qcow2")),
    ],
)
def test_what_a_volume_stands_on_already_is_left_alone(declared: dict[str, str], told: tuple[str, str], wire: Wire) -> None:
    assert not play(wire, {"backing": declared}, [BASE + ON_BASE.format(*told)], [])["changed"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    "declared, there, message",
    [
        ({}, "", "lab/data: backing: there is no volume base in pool lab"),
        ({"format": "raw"}, BASE, "lab/data: format: a volume that stands on another file is qcow2, not raw"),
        ({"size": "2"}, BASE, "lab/data: size: base has 4194304 bytes, and what stands on it no fewer: make it larger"),
        ({}, BASE + volume(4), "lab/data: backing: it stands on no other file, which cannot change: remove it, and make it anew"),
        ({}, BASE + ON_BASE.format("/etc/passwd", "raw"), "lab/data: backing: it stands on /etc/passwd, which cannot change"),
        ({}, BASE + ON_BASE.format("/srv/lab/base", "raw"), "lab/data: backing: it stands on /srv/lab/base, which cannot change"),
    ],
)
def test_nothing_is_put_on_another_base(declared: dict[str, str], there: str, message: str, check: bool, wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, there)
    on_base = {"backing": {"volume": "base", "format": "qcow2"}, **declared}
    assert message in wire.run("storage_volume", check=check, pool="lab", name="data", **on_base)["msg"]


@pytest.mark.parametrize(
    "backing, message",
    [
        ({"volume": "base"}, "missing required arguments: format found in backing"),
        ({"format": "raw"}, "one of the following is required: volume, path found in backing"),
        ({"volume": "base", "path": "/x", "format": "raw"}, "parameters are mutually exclusive: volume|path found in backing"),
        ({"path": "x", "format": "raw"}, "lab/data: backing: path: it must begin with a slash"),
        ({"volume": "data", "format": "raw"}, "lab/data: backing: it would stand on itself"),
    ],
)
def test_a_base_is_said_whole(backing: dict[str, str], message: str, wire: Wire) -> None:
    assert message in wire.run("storage_volume", pool="lab", name="data", backing=backing)["msg"]


ON_IT = {"name": "data", "backing": {"volume": "base", "format": "qcow2"}}
BELOW = {"name": "base", "size": "4", "format": "qcow2"}


@pytest.mark.parametrize("check", [True, False])
def test_a_base_of_the_same_run_is_made_first(check: bool, wire: Wire) -> None:
    made = [
        change("volumecreate", "pool='lab' name='base' size='4' unit='M' format='qcow2'"),
        change("volumecreate", f"{NAMED} unit='M' format='qcow2' {STANDS}"),
    ]
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, *([""] if check else ["", BASE, BASE, BASE + ON_BASE.format("/srv/lab/base", "qcow2")]))
    wire.script += [(iq, (f"<query xmlns='{NS}'/>",)) for iq in made]
    answer = wire.run("storage_volume", check=check, pool="lab", storage_volumes=[ON_IT, BELOW])
    assert (answer["changed"], len(answer["diff"])) == (True, 2)
    wire.assert_asked(*([] if check else made))


def test_a_base_goes_after_what_stands_on_it(wire: Wire) -> None:
    gone = [change("volumedelete"), change("volumedelete", "pool='lab' name='base'")]
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, BASE + ON_BASE.format("/srv/lab/base", "qcow2"), BASE, BASE, "")
    wire.script += [(iq, (f"<query xmlns='{NS}'/>",)) for iq in gone]
    assert wire.run("storage_volume", pool="lab", state="absent", storage_volumes=[BELOW, ON_IT])["changed"]
    wire.assert_asked(*gone)


def test_a_circle_of_bases_is_refused(wire: Wire) -> None:
    entries = [{"name": name, "backing": {"volume": other, "format": "qcow2"}} for name, other in (("a", "b"), ("b", "c"), ("c", "a"))]
    assert "backing: it would stand on itself" in wire.run("storage_volume", pool="lab", storage_volumes=entries)["msg"]


def test_a_volume_goes_unless_somebody_uses_it(wire: Wire) -> None:
    assert play(wire, {"state": "absent"}, [volume(4), ""], [change("volumedelete")])["storage_volume"]["state"] == "absent"
    wire.script.clear()
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, volume(4))
    used = error("conflict", f"<text xmlns='{ns.STANZAS}'>name: data is in use: web</text>", f"<x xmlns='{ns.ERROR_GENERIC}'/>")
    wire.script.append((change("volumedelete"), (used,)))
    answer = wire.run("storage_volume", pool="lab", name="data", state="absent")
    assert (answer["msg"], answer["condition"]) == (f"lab/data on {HYPERVISOR}: name: data is in use: web", "conflict")


def test_many_volumes_are_read_with_one_list(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, LIST, "".join(volume(4, name=f"data-{number}") for number in range(40)))
    answer = wire.run("storage_volume", pool="lab", size=4, storage_volumes=[{"name": f"data-{number}"} for number in range(40)])
    assert (answer["changed"], len(answer["storage_volumes"]), len(wire.asked)) == (False, 40, 1)
