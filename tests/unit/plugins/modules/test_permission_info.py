# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, OWN
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

BOB, EVE = "bob@example.org", "eve@example.org"


def why(subject: str, right: str) -> str:
    return f"<archipel right='{right}' subject='{subject}' action='why'/>"


def decision(subject: str, right: str, allowed: int) -> str:
    return f"<decision subject='{subject}' right='{right}' allowed='{allowed}' rule='granted'>because</decision>"


def test_a_table_of_people_and_rights_is_made_of_the_decisions(wire: Wire) -> None:
    for subject, right, allowed in ((BOB, "info", 1), (BOB, "alloc", 0), (EVE, "info", 0), (EVE, "alloc", 0)):
        wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, why(subject, right), decision(subject, right, allowed))
    rule = f"<rule subject='{BOB}' right='info' entity='{HYPERVISOR}' given_by='a@example.org' expires='never'/>"
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, "<archipel action='rules'/>", rule)
    answer = wire.run("permission_info", subjects=[f"{BOB}/desk", EVE, BOB], rights=["info", "alloc", "info"])
    assert answer["matrix"] == {HYPERVISOR: {BOB: ["info"], EVE: []}}
    assert [(found["subject"], found["right"], found["allowed"]) for found in answer["decisions"]][:2] == [
        (BOB, "info", True),
        (BOB, "alloc", False),
    ]
    assert answer["decisions"][0]["reason"] == "because"
    [entity] = answer["entities"]
    assert (entity["rules"][0]["subject"], entity["rules"][0]["right"]) == (BOB, "info")
    assert "group" not in entity["rules"][0]
    wire.assert_asked()


def test_without_names_it_is_all_rights_of_oneself(wire: Wire) -> None:
    listed = "<permission name='info' description='See'/><permission name='alloc' description='Make'/>"
    wire.entity(HYPERVISOR_FULL, "get", ns.PERMISSIONS, "<archipel action='list'/>", listed)
    for right in ("info", "alloc"):
        wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, why(OWN, right), decision(OWN, right, 1))
    answer = wire.run("permission_info", rules=False)
    assert answer["matrix"] == {HYPERVISOR: {OWN: ["info", "alloc"]}}
    assert answer["entities"] == [{"name": HYPERVISOR, "jid": HYPERVISOR}]
