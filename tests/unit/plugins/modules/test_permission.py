# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, command, no_right
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

BOB = "bob@example.org"
EVE = "eve@example.org"


def get(subject: str) -> str:
    return f"<archipel permission_type='user' permission_target='{subject}' action='get'/>"


def rights(*names: str) -> str:
    return "".join(f"<permission name='{name}'/>" for name in names)


def change(*changes: tuple[str, str, int]) -> str:
    items = (
        f"<permission permission_target='{subject}' permission_name='{name}' permission_value='{value}' permission_type='user'/>"
        for subject, name, value in changes
    )
    return f"<archipel action='set'>{''.join(items)}</archipel>"


def expect(wire: Wire, kind: str, request: str, *answers: str) -> None:
    wire.entity(HYPERVISOR_FULL, kind, ns.PERMISSIONS, request, *answers)


@pytest.mark.parametrize(
    "declared, before, sent, after",
    [
        ({"rights": ["info", "alloc"]}, ["info"], [("alloc", 1)], ["alloc", "info"]),
        ({"rights": ["info"], "exclusive": True}, ["free", "info"], [("free", 0)], ["info"]),
        ({"rights": [], "exclusive": True}, ["free", "info"], [("free", 0), ("info", 0)], []),
        ({"rights": ["info"], "state": "absent"}, ["free", "info"], [("info", 0)], ["free"]),
        ({"state": "absent"}, ["free", "info"], [("free", 0), ("info", 0)], []),
    ],
)
def test_only_the_difference_is_sent(
    declared: dict[str, Any], before: list[str], sent: list[tuple[str, int]], after: list[str], wire: Wire
) -> None:
    request = change(*((BOB, name, value) for name, value in sent))
    expect(wire, "get", get(BOB), rights(*before), rights(*after))
    expect(wire, "set", request)
    answer = wire.run("permission", subject=BOB, **declared)
    assert answer["changed"]
    assert answer["entities"] == [{"name": "hyp@example.org", "jid": "hyp@example.org", "rights": {BOB: after}}]
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.PERMISSIONS, request))


def test_what_is_so_already_is_left_alone(wire: Wire) -> None:
    expect(wire, "get", get(BOB), rights("alloc", "info"))
    assert not wire.run("permission", subject=BOB, rights=["info"])["changed"]
    wire.assert_asked()


def test_all_subjects_change_in_one_request(wire: Wire) -> None:
    request = change((BOB, "info", 1), (EVE, "info", 1))
    for subject in (BOB, EVE):
        expect(wire, "get", get(subject), "", rights("info"))
    expect(wire, "set", request)
    assert wire.run("permission", subjects=[BOB, f"{EVE}/desk", BOB], rights=["info"])["changed"]
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.PERMISSIONS, request))


def test_check_mode_knows_which_rights_there_are(wire: Wire) -> None:
    expect(wire, "get", "<archipel action='list'/>", rights("info", "alloc"))
    expect(wire, "get", get(BOB), "")
    assert wire.run("permission", check=True, subject=BOB, rights=["info"])["changed"]
    answer = wire.run("permission", check=True, subject=BOB, rights=["alloq"])
    assert answer["msg"] == "'alloq' is no right on hyp@example.org; did you mean alloc?"


def test_a_refusal_names_the_right(wire: Wire) -> None:
    expect(wire, "get", get(BOB), "")
    expect(wire, "set", change((BOB, "info", 1)), no_right("permission_set"))
    assert wire.run("permission", subject=BOB, rights=["info"])["missing_right"] == "permission_set"
