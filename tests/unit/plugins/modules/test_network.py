# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module ``network`` asks for, by what is there and what is declared."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, command, error
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

NS = ns.HYPERVISOR_NETWORK
UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
DESCRIBE = "<archipel uuid='lab' action='describe'/>"
NO_NETWORK = error("internal-server-error", f"<libvirt-error xmlns='{ns.ERROR_LIBVIRT}'/>", code=43)
NAT = "<forward mode='nat'/>"
ROUTE = "<forward mode='route'/>"
ISOLATED = ""


def definition(forward: str = NAT, connections: str = "", uuid: str = UUID, more: str = "") -> str:
    return f"<network{connections}><name>lab</name><uuid>{uuid}</uuid>{forward}<bridge name='virbr1'/>{more}</network>"


def described(stored: str | None = None, running: str | None = None, autostart: int = 0) -> str:
    halves = "".join(f"<{tag}>{text}</{tag}>" for tag, text in (("stored", stored), ("running", running)) if text)
    facts = f"uuid='{UUID}' active='{int(running is not None)}' persistent='{int(stored is not None)}' autostart='{autostart}'"
    return f"<description name='lab' {facts}>{halves}</description>"


def change(action: str, inner: str = "", attributes: str = "uuid='lab'") -> str:
    return command("set", HYPERVISOR_FULL, NS, f"<archipel {attributes} action='{action}'>{inner}</archipel>")


def play(wire: Wire, declared: dict[str, Any], answers: list[str], changes: list[str], *, check: bool = False) -> dict[str, Any]:
    wire.entity(HYPERVISOR_FULL, "get", NS, DESCRIBE, *answers)
    for iq in changes:
        wire.script.append((iq, (f"<query xmlns='{NS}'/>",)))
    answer = wire.run("network", check=check, name="lab", **declared)
    wire.assert_asked(*changes)
    return answer


def test_a_new_network_is_defined_and_started(wire: Wire) -> None:
    new = "<network><name>lab</name><forward mode='route'/></network>"
    changes = [change("define", new, "autostart='1'"), change("create")]
    after = described(definition(ROUTE), definition(ROUTE), autostart=1)
    answer = play(wire, {"forward": {"mode": "route"}, "state": "active", "autostart": True}, [NO_NETWORK, after], changes)
    assert answer["changed"]
    assert answer["diff"][0]["before"] == "state: absent\n"
    assert answer["diff"][0]["after"] == "state: active\nautostart: true\nforward:\n  mode: route\n"
    assert answer["network"] == {
        "name": "lab", "uuid": UUID, "state": "active", "autostart": True, "bridge": "virbr1", "needs_restart": False, "restart_reasons": []
    }  # fmt: skip


@pytest.mark.parametrize(
    "declared",
    [
        {"forward": {"mode": "nat"}, "state": "present"},
        {"state": "active", "uuid": UUID, "bridge": {"name": "virbr1"}},
        {"definition": "<network><forward mode='nat'/></network>"},
        {"autostart": False},
    ],
)
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    assert not play(wire, declared, [described(definition(), definition())], [])["changed"]


def test_a_running_network_is_changed_where_it_can_be(wire: Wire) -> None:
    group = "<portgroup name='class'/>"
    after = described(definition(more=group), definition(more=group))
    answer = play(
        wire,
        {"portgroups": [{"name": "class"}]},
        [described(definition(), definition()), after],
        [change("update", definition(more=group), "")],
    )
    assert answer["changed"]
    assert not answer["needs_restart"]


WAITS = "forward takes effect at the next start"


def test_what_cannot_change_at_once_is_said_before_and_after(wire: Wire) -> None:
    before, after = described(definition(), definition()), described(definition(ROUTE), definition())
    declared = {"forward": {"mode": "route"}}
    for check, changes in ((True, []), (False, [change("update", definition(ROUTE), "")])):
        wire.script.clear()
        answer = play(wire, declared, [before, after], changes, check=check)
        assert answer["network"]["restart_reasons"] == [WAITS]
        assert "needs_restart: true" in answer["diff"][0]["after"]


def test_what_libvirt_refuses_is_told(wire: Wire) -> None:
    wanted = definition(ROUTE)
    wire.script.append((change("update", wanted, ""), (f"<query xmlns='{NS}'><refused what='add range' why='busy'/></query>",)))
    wire.entity(HYPERVISOR_FULL, "get", NS, DESCRIBE, described(definition(), definition()), described(wanted, definition()))
    answer = wire.run("network", name="lab", forward={"mode": "route"})
    assert answer["network"]["restart_reasons"] == ["add range: libvirt refuses it while the network runs (busy)", WAITS]


def test_a_restart_starts_it_with_what_waits(wire: Wire) -> None:
    before, after = described(definition(ROUTE), definition()), described(definition(ROUTE), definition(ROUTE))
    changes = [change("destroy"), change("define", definition(ROUTE), ""), change("create")]
    answer = play(wire, {"forward": {"mode": "route"}, "restart": True}, [before, after], changes)
    assert answer["changed"]
    assert not answer["needs_restart"]


@pytest.mark.parametrize("declared", [{"state": "absent"}, {"state": "inactive"}, {"forward": {"mode": "route"}, "restart": True}])
@pytest.mark.parametrize("check", [True, False])
def test_machines_are_not_cut_off_unasked(declared: dict[str, Any], check: bool, wire: Wire) -> None:
    answer = play(wire, declared, [described(definition(), definition(connections=" connections='2'"))], [], check=check)
    assert "lab: 2 network cards of running machines would be cut off" in answer["msg"]
    assert "force: true" in answer["msg"]


@pytest.mark.parametrize(
    "before, changes",
    [
        (described(definition(), definition(connections=" connections='1'")), [change("destroy"), change("undefine")]),
        (described(definition()), [change("undefine")]),
        (described(None, definition()), [change("destroy")]),
        (NO_NETWORK, []),
    ],
)
def test_a_network_goes(before: str, changes: list[str], wire: Wire) -> None:
    answer = play(wire, {"state": "absent", "force": True}, [before, NO_NETWORK], changes)
    assert answer["changed"] is bool(changes)
    assert answer["network"]["state"] == "absent"


def test_a_network_that_only_runs_is_defined(wire: Wire) -> None:
    answer = play(wire, {}, [described(None, definition()), described(definition(), definition())], [change("update", definition(), "")])
    assert answer["diff"][0]["before"] == "state: transient\n"


@pytest.mark.parametrize(
    "declared, message",
    [
        ({"uuid": UUID.replace("6f", "00")}, f"lab: uuid: the network has {UUID}, which cannot change"),
        ({"ips": [{"address": "10.0.0.300"}]}, "lab: ips[0].address: '10.0.0.300' is not an IP address"),
        ({"definition": "<network>"}, "lab: definition: is not well-formed XML"),
        ({"definition": "<domain/>"}, "lab: definition: must be a <network>, not a <domain>"),
        ({"definition": "<!DOCTYPE x><network/>"}, "lab: definition: declares a document type"),
        ({"definition": "<network/>", "mtu": 1400}, "mutually exclusive: definition|mtu"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], message: str, wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, DESCRIBE, described(definition()))
    assert message in wire.run("network", name="lab", **declared)["msg"]


def test_many_are_one_run_and_the_failure_of_one_is_told_with_the_others(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, DESCRIBE, described(definition()))
    wire.entity(HYPERVISOR_FULL, "get", NS, "<archipel uuid='team' action='describe'/>", error("not-allowed"))
    answer = wire.run("network", autostart=False, networks=[{"name": "lab"}, {"name": "team"}])
    assert answer["msg"].startswith("1 of 2 failed on hyp@example.org: team: ")
    assert [network["name"] for network in answer["networks"]] == ["lab"]
    assert "networks: name lab is there twice" in wire.run("network", networks=[{"name": "lab"}, {"name": "lab"}])["msg"]
