# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import roles

from archipel.client import Hypervisor
from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, ScriptedStream, command
from tests.unit.plugins.modules.wire import Wire, query, wire

__all__ = ["wire"]

ROLES = "<archipel action='roles'/>"
BUILT_IN = "<role name='student' builtin='1'>info create</role>"
OTHERS = "<role name='greeter' platform='1'>message</role>"


def own(rights: str, description: str = "") -> str:
    return f"<role name='operator' description='{description}'>{rights}</role>"


def set_role(rights: str, description: str = "") -> str:
    return f"<archipel name='operator' rights='{rights}' description='{description}' action='setrole'/>"


@pytest.mark.parametrize(
    "declared, before, sent, after",
    [
        ({"rights": ["info", "create"]}, "", set_role("create info"), own("create info")),
        ({"rights": ["info"]}, own("info create", "Works"), set_role("info", "Works"), own("info", "Works")),
        ({"rights": ["info"], "description": "Looks"}, own("info"), set_role("info", "Looks"), own("info", "Looks")),
        ({"state": "absent"}, own("info"), "<archipel name='operator' action='removerole'/>", ""),
        ({"rights": ["info"]}, "<role name='operator' platform='1'>info</role>", set_role("info"), own("info")),
    ],
    ids=["made", "its description stays", "described", "removed", "hides that of the platform"],
)
def test_only_what_differs_is_sent(declared: dict[str, Any], before: str, sent: str, after: str, wire: Wire) -> None:
    answers = [f"{BUILT_IN}{before}"] * (1 if declared.get("state") else 2) + [f"{BUILT_IN}{after}"]
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, ROLES, *answers)
    wire.entity(HYPERVISOR_FULL, "set", ns.RIGHTS, sent)
    answer = wire.run("role", name="operator", **declared)
    assert answer["changed"]
    [role] = answer["roles"]
    assert (role["name"], role["on"], role["present"]) == ("operator", HYPERVISOR, "state" not in declared)
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.RIGHTS, sent))


@pytest.mark.parametrize(
    "declared", [{"name": "operator", "rights": ["create", "info"]}, {"roles": [{"name": "greeter"}, {"name": "x"}], "state": "absent"}]
)
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, ROLES, BUILT_IN + OTHERS + own("info create", "Works"))
    assert not wire.run("role", **declared)["changed"]
    wire.assert_asked()


def test_check_mode_knows_which_rights_there_are(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.PERMISSIONS, "<archipel action='list'/>", "<permission name='brew' description='Coffee'/>")
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, ROLES, BUILT_IN)
    wire.hypervisor("get", "<archipel action='rostervm'/>", "")
    assert wire.run("role", check=True, name="operator", rights=["info", "brew"])["changed"]
    answer = wire.run("role", check=True, name="operator", rights=["inof"])
    assert answer["msg"].startswith(f"'inof' is no right on {HYPERVISOR}; did you mean info")


@pytest.mark.parametrize(
    "declared, words",
    [
        ({"name": "student", "rights": ["info"]}, "'student' is built in"),
        ({"name": "operator"}, "operator: rights: name at least one"),
        ({"roles": [{"name": "a"}, {"name": "a"}]}, "roles: name a is there twice"),
        ({"name": "operator", "scope": "platform", "hypervisors": ["all"]}, "hypervisors: a role of the platform"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], words: str, wire: Wire) -> None:
    assert words in wire.run("role", **declared)["msg"]


def test_all_hypervisors_among_the_contacts_get_the_role(wire: Wire) -> None:
    other = "other@example.org"
    contacts = "".join(f"<item jid='{jid}'/>" for jid in (HYPERVISOR, other, "bob@example.org"))
    wire.script.append((f"<iq type='get'><query xmlns='{ns.IQ_ROSTER}'/></iq>", (query(ns.IQ_ROSTER, contacts),)))
    for jid, role in ((HYPERVISOR, "hypervisor"), (other, "hypervisor"), ("bob@example.org", "")):
        card = f"<vCard xmlns='{ns.VCARD}'><ROLE>{role}</ROLE></vCard>"
        wire.script.append((f"<iq type='get' to='{jid}'><vCard xmlns='{ns.VCARD}'/></iq>", (card,)))
    answer = wire.run("role", name="operator", rights=["info"], hypervisors=["all"], timeout=0.1)
    assert f"operator on {HYPERVISOR}: {HYPERVISOR} is not online" in answer["msg"]
    assert f"operator on {other}: {other} is not online" in answer["msg"]
    assert "bob" not in answer["msg"]


async def test_what_is_described_is_what_may_be_declared(stream: ScriptedStream, hypervisor: Hypervisor) -> None:
    stream.answer(command("get", HYPERVISOR_FULL, ns.RIGHTS, ROLES), query(ns.RIGHTS, BUILT_IN + OTHERS + own("info create", "Works")))
    assert await roles.describe_all(hypervisor) == [{"name": "operator", "rights": ["create", "info"], "description": "Works"}]
