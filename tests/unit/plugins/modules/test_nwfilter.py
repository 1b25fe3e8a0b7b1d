# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module ``nwfilter`` asks for, by what is there and what is declared."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, command, error
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

NS = ns.HYPERVISOR_NETWORK
UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
GET = "<archipel name='no-mail' action='nwfilterget'/>"
LIBVIRTS = f"<libvirt-error xmlns='{ns.ERROR_LIBVIRT}'/>"
NO_FILTER = error("internal-server-error", LIBVIRTS, code=62)
RULE = {"action": "drop", "direction": "out", "protocol": "tcp", "fields": {"dstportstart": 25}}
RULE_XML = "<rule action='drop' direction='out'><tcp dstportstart='25'/></rule>"
THERE = (
    f"<filter name='no-mail' chain='ipv4' priority='-700'><uuid>{UUID}</uuid>"
    "<rule action='drop' direction='out' priority='500'><tcp dstportstart='0x19'/></rule></filter>"
)


def change(action: str, inner: str = "", attributes: str = "") -> str:
    return command("set", HYPERVISOR_FULL, NS, f"<archipel {attributes} action='{action}'>{inner}</archipel>")


def play(wire: Wire, declared: dict[str, Any], answers: list[str], changes: dict[str, str], *, check: bool = False) -> dict[str, Any]:
    wire.entity(HYPERVISOR_FULL, "get", NS, GET, *answers)
    for iq, answer in changes.items():
        wire.script.append((iq, (answer or f"<query xmlns='{NS}'/>",)))
    result = wire.run("nwfilter", check=check, name="no-mail", **declared)
    wire.assert_asked(*changes)
    return result


@pytest.mark.parametrize("check", [True, False])
def test_a_new_filter_is_defined(check: bool, wire: Wire) -> None:
    new = f"<filter name='no-mail' chain='ipv4'>{RULE_XML}</filter>"
    changes = {} if check else {change("nwfilterdefine", new): ""}
    answer = play(wire, {"chain": "ipv4", "rules": [RULE]}, [NO_FILTER, THERE], changes, check=check)
    assert answer["changed"]
    assert answer["nwfilter"]["state"] == ("absent" if check else "present")


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"rules": [RULE], "chain": "ipv4", "priority": -700, "uuid": UUID},
        {"filterrefs": []},
        {"definition": f"<filter>{RULE_XML}</filter>"},
    ],
)
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    assert not play(wire, declared, [THERE], {})["changed"]


@pytest.mark.parametrize(
    "declared, after",
    [
        ({"rules": []}, THERE[: THERE.index("<rule")] + "</filter>"),
        ({"rules": [{**RULE, "fields": {"dstportstart": 587}}]}, THERE.replace(" priority='500'", "").replace("0x19", "587")),
        ({"rules": [{**RULE, "statematch": False}]}, THERE.replace("priority='500'", "statematch='false'").replace("0x19", "25")),
        ({"rules": [{**RULE, "fields": None}]}, THERE.replace(" priority='500'", "").replace(" dstportstart='0x19'", "")),
        ({"rules": [{**RULE, "protocol": "udp"}]}, THERE.replace("tcp", "udp").replace(" priority='500'", "").replace("0x19", "25")),
        (
            {"filterrefs": [{"filter": "clean-traffic", "parameters": {"IP": ["10.0.0.1", "10.0.0.2"]}}]},
            THERE.replace(
                "</filter>",
                "<filterref filter='clean-traffic'><parameter name='IP' value='10.0.0.1'/><parameter name='IP' value='10.0.0.2'/></filterref></filter>",
            ),
        ),
    ],
)
def test_what_is_declared_changes_and_the_rest_stays(declared: dict[str, Any], after: str, wire: Wire) -> None:
    answer = play(wire, declared, [THERE, after], {change("nwfilterdefine", after): ""})
    assert answer["changed"]
    assert answer["diff"][0]["before"] != answer["diff"][0]["after"]


def test_a_filter_goes(wire: Wire) -> None:
    answer = play(wire, {"state": "absent"}, [THERE, NO_FILTER], {change("nwfilterundefine", "", "name='no-mail'"): ""})
    assert (answer["changed"], answer["nwfilter"]["state"]) == (True, "absent")
    wire.script.clear()
    assert not play(wire, {"state": "absent"}, [NO_FILTER], {})["changed"]


@pytest.mark.parametrize("code, words", [(55, "no-mail: running machines use the filter"), (38, "internal-server-error")])
def test_a_filter_that_is_used_stays(code: int, words: str, wire: Wire) -> None:
    refused = error("internal-server-error", LIBVIRTS, code=code)
    answer = play(wire, {"state": "absent"}, [THERE], {change("nwfilterundefine", "", "name='no-mail'"): refused})
    assert words in answer["msg"]


@pytest.mark.parametrize(
    "declared, message",
    [
        ({"uuid": UUID.replace("6f", "00")}, f"no-mail: uuid: the filter has {UUID}, which cannot change"),
        ({"rules": [{"action": "drop", "direction": "out", "protocol": "smtp"}]}, "no-mail: rules[0].protocol: 'smtp' is not one of mac"),
        ({"rules": [{"action": "drop", "direction": "out", "fields": {"a": 1}}]}, "protocol"),
        ({"rules": [{**RULE, "fields": {"a b": 1}}]}, "no-mail: rules[0].fields: 'a b' is not a name"),
        ({"rules": [{**RULE, "fields": {"a": "<"}}]}, "no-mail: rules[0].fields.a: '<' is not a value"),
        ({"filterrefs": [{"filter": "a", "parameters": {"MAC": 41135080953}}]}, "filterrefs[0].parameters.MAC: 41135080953 is too large"),
        ({"priority": 5000}, "no-mail: priority: write a whole number from -1000 to 1000"),
        ({"definition": "<network/>"}, "no-mail: definition: must be a <filter>, not a <network>"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], message: str, wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", NS, GET, THERE)
    assert message in wire.run("nwfilter", name="no-mail", **declared)["msg"]
