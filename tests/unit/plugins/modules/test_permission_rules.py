# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module ``permission`` where it declares rules: roles, groups, scopes, ends, denial."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.execution import NOT_MADE

from archipel.protocol import namespaces as ns
from archipel.protocol.events import RULES_NODE
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, PUBSUB, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

BOB = "bob@example.org"
RULES = "<archipel action='rules'/>"


def listed(*rules: str) -> str:
    return "".join(f"<rule entity='{HYPERVISOR}' given_by='admin@example.org' {rule}/>" for rule in rules)


def change(action: str, *rules: str) -> str:
    return f"<archipel action='{action}'>{''.join(f'<rule {rule}/>' for rule in rules)}</archipel>"


ROLE = "group='tp1' role='student' scope='tag:tp1'"
DENIAL = f"subject='{BOB}' right='free' scope='entity'"
JULY = "expires='2090-07-01T00:00:00Z'"


@pytest.mark.parametrize(
    "declared, before, sent, after",
    [
        (
            {"group": "tp1", "role": "student", "scope": "tag:tp1", "expires": "2090-07-01T00:00:00Z", "reason": "tp"},
            (),
            ("grant", f"{ROLE} {JULY} reason='tp'"),
            (f"{ROLE} effect='allow' {JULY}",),
        ),
        (
            {"group": "tp1", "role": "student", "scope": "tag:tp1", "expires": "2090-07-01T02:00:00+02:00"},
            (f"{ROLE} effect='allow' expires='2080-01-01T00:00:00Z'",),
            ("grant", f"{ROLE} {JULY} reason=''"),
            (f"{ROLE} effect='allow' {JULY}",),
        ),
        (
            {"subject": BOB, "rights": ["free"], "state": "denied"},
            (f"{DENIAL} effect='allow' expires='never'",),
            ("deny", f"{DENIAL} reason=''"),
            (f"{DENIAL} effect='allow' expires='never'", f"{DENIAL} effect='deny' expires='never'"),
        ),
        (
            {"group": "tp1", "role": "student", "scope": "tag:tp1", "state": "absent"},
            (f"{ROLE} effect='deny' expires='never'",),
            ("withdraw", f"{ROLE} effect='deny'"),
            (),
        ),
    ],
    ids=["made", "end moved", "denied", "denial lifted"],
)
def test_only_what_differs_is_sent(
    declared: dict[str, Any], before: tuple[str, ...], sent: tuple[str, ...], after: tuple[str, ...], wire: Wire
) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, RULES, listed(*before), listed(*after))
    wire.entity(HYPERVISOR_FULL, "set", ns.RIGHTS, change(*sent))
    answer = wire.run("permission", **declared)
    assert answer["changed"], answer
    assert len(answer["entities"][0]["rules"]) == (0 if declared.get("state") == "absent" else 1)
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.RIGHTS, change(*sent)))


@pytest.mark.parametrize(
    "declared, there",
    [
        ({"group": "tp1", "role": "student", "scope": "tag:tp1"}, f"{ROLE} effect='allow' {JULY}"),
        ({"subject": BOB, "rights": ["free"], "state": "denied"}, f"{DENIAL} effect='deny' expires='never'"),
        ({"group": "tp1", "role": "student", "state": "absent"}, f"{ROLE} effect='allow' {JULY}"),
    ],
)
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], there: str, wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, RULES, listed(there))
    assert not wire.run("permission", **declared)["changed"]
    wire.assert_asked()


@pytest.mark.parametrize(
    "declared, message",
    [
        ({"group": "tp1", "role": "student", "exclusive": True}, "exclusive: goes with rights of subjects alone"),
        ({"group": "tp1", "state": "absent"}, "rights, roles: name what is no longer granted or denied"),
        ({"group": "tp1", "role": "student", "expires": "soon"}, "expires: 'soon' is no time such as 2027-07-01"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], message: str, wire: Wire) -> None:
    assert message in wire.run("permission", **declared)["msg"]


def test_check_mode_knows_which_roles_there_are(wire: Wire) -> None:
    roles = "<role name='student' description='' builtin='1'>create info</role>"
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, "<archipel action='roles'/>", roles)
    wire.entity(HYPERVISOR_FULL, "get", ns.RIGHTS, RULES, "")
    assert wire.run("permission", check=True, group="tp1", role="student", scope="tag:tp1")["changed"]
    answer = wire.run("permission", check=True, group="tp1", role="studnet", scope="tag:tp1")
    assert answer["msg"] == f"'studnet' is no role on {HYPERVISOR}; did you mean student?{NOT_MADE}"


NODE_QUERY = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{RULES_NODE}'/></pubsub></iq>"


def node(*items: str) -> str:
    listed_items = "".join(f"<item id='{number}'>{item}</item>" for number, item in enumerate(items))
    return f"<pubsub xmlns='{ns.PUBSUB}'><items node='{RULES_NODE}'>{listed_items}</items></pubsub>"


def of_platform(rule: str, expires: str = "never") -> str:
    return f"<rule xmlns='{ns.RIGHTS}' {rule} scope='platform' effect='allow' given_at='2026-01-01T00:00:00Z' expires='{expires}'/>"


@pytest.mark.parametrize(
    "items, changed",
    [
        ([of_platform(f"subject='{BOB}' role='auditor'")], False),
        ([], True),
        ([of_platform(f"subject='{BOB}' role='auditor'", "2020-01-01T00:00:00Z")], True),
        ([of_platform(f"subject='{BOB}' right='info'")], True),
    ],
    ids=["there", "missing", "over", "another"],
)
def test_check_mode_knows_which_rules_the_platform_has(items: list[str], changed: bool, wire: Wire) -> None:
    wire.script.append((NODE_QUERY, (node(*items),)))
    answer = wire.run("permission", check=True, subject=BOB, role="auditor", scope="platform")
    assert answer["changed"] is changed, answer
    assert answer["entities"][0]["rules"] == [
        {"effect": "allow", "subject": BOB, "role": "auditor", "scope": "platform", "expires": "never"}
    ]


def test_the_whole_platform_has_no_machines(wire: Wire) -> None:
    answer = wire.run("permission", subject=BOB, role="auditor", scope="platform", machine="web")
    assert answer["msg"] == "scope: platform is everywhere; leave machines out"


def test_a_slip_in_the_name_of_a_role_is_found_in_check_mode(wire: Wire) -> None:
    wire.script.append((NODE_QUERY, (node(),)))
    answer = wire.run("permission", check=True, subject=BOB, role="auditer", scope="platform")
    assert answer["msg"] == f"'auditer' is no role on {RULES_NODE}; did you mean auditor?{NOT_MADE}"
