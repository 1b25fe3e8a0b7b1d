# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``--scope platform``: what stands on the node, what is published there, and whether hypervisors follow."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from archipel.client import platform_lists, platform_rules
from archipel.protocol import namespaces as ns
from archipel.protocol.events import RULES_NODE as NODE
from tests.unit.cli.conftest import CommandLine, query
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, OWN, PUBSUB, command, error, normal
from tests.unit.client.test_platform import creation, owner_query

BOB = "bob@example.org"
GIVEN = (
    f"<rule subject='{BOB}' right='info' scope='platform' effect='allow' given_by='{OWN}' given_at='2026-01-01T00:00:00Z' expires='never'"
)
STUDENT = GIVEN.replace("right='info'", "role='student'")
DENIED = GIVEN.replace("allow", "deny")
ITEMS = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{NODE}'/></pubsub></iq>"
SCOPE = ("--scope", "platform")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_lists, "_LOOK_AGAIN", 10.0)
    monkeypatch.setattr(platform_lists.asyncio, "sleep", _sleep_no_time)


async def _sleep_no_time(_seconds: float) -> None:
    return None


def item(key: str, content: str) -> str:
    return f"<item id='{key}'>{content.replace(' ', f' xmlns={ns.RIGHTS!r} ', 1)} reason='why not'/></item>"


def script(archipel: CommandLine, *lists: str) -> None:
    """What is on the node, one time after the other."""
    archipel.wire.replace(ITEMS, *(f"<pubsub xmlns='{ns.PUBSUB}'><items node='{NODE}'>{found}</items></pubsub>" for found in lists))


def script_hypervisor(archipel: CommandLine, *rules: str) -> None:
    """Which rules the hypervisor says that it has, one time after the other."""
    request = command("get", HYPERVISOR_FULL, ns.RIGHTS, "<archipel action='rules'/>")
    archipel.wire.answer(request, *(query(ns.RIGHTS, found) for found in rules))


def changes(archipel: CommandLine) -> list[str]:
    """What was published and retracted, by the ids of the items."""
    asked = [ET.fromstring(text) for text in archipel.wire.asked if NODE in text and 'type="set"' in text]
    found = [(part.tag.rpartition("}")[2], part[0].get("id")) for iq in asked for part in iq[0] if len(part)]
    return [f"{what} {key}" for what, key in found if what in {"publish", "retract"}]


@pytest.fixture
def wire(archipel: CommandLine) -> CommandLine:
    """A server that agrees to every publication."""
    archipel.wire.when_asked = lambda text: archipel.wire.answer(text, "") if f'type="set" to="{PUBSUB}"' in text else None
    return archipel


def test_a_rule_is_published_and_the_hypervisors_follow(wire: CommandLine) -> None:
    script(wire, "", item("x", GIVEN))
    script_hypervisor(wire, "", f"{GIVEN}/>")
    assert wire.run("grant", "Bob@example.org/phone", "info", *SCOPE, "--reason", "why not").stdout == (
        f"{NODE}: granted {BOB} info on platform\n"
    )
    assert changes(wire) == [f"publish allow person {BOB} right info"]
    [published] = [ET.fromstring(text).find(".//{archipel:rights}rule") for text in wire.wire.asked if "<publish" in text]
    assert published is not None
    assert {key: value for key, value in published.attrib.items() if key != "given_at"} == {
        "subject": BOB, "right": "info", "scope": "platform", "effect": "allow", "given_by": OWN, "expires": "never", "reason": "why not",
    }  # fmt: skip


def test_what_stands_there_is_not_published_again(wire: CommandLine) -> None:
    script(wire, item("x", GIVEN))
    script_hypervisor(wire, f"{GIVEN}/>")
    wire.run("grant", BOB, "info", *SCOPE)
    assert changes(wire) == []


def test_another_end_replaces_the_rule_however_often_it_stands_there(wire: CommandLine) -> None:
    script(
        wire,
        item("x", GIVEN) + item(f"allow person {BOB} right info", GIVEN),
        item("x", GIVEN.replace("never", "2099-01-01T00:00:00Z")),
    )
    script_hypervisor(wire, f"{GIVEN.replace('never', '2099-01-01T00:00:00Z')}/>")
    wire.run("grant", BOB, "info", *SCOPE, "--until", "2099-01-01T00:00:00Z")
    assert changes(wire) == [f"publish allow person {BOB} right info", "retract x"]


def test_a_denial_is_another_rule(wire: CommandLine) -> None:
    script(wire, item("x", GIVEN), item("x", GIVEN) + item("y", DENIED))
    script_hypervisor(wire, f"{GIVEN}/>{DENIED}/>")
    assert wire.json("deny", BOB, "info", *SCOPE) == {"on": NODE, "jid": BOB, "denied": ["info"], "roles": [], "scope": "platform"}
    assert changes(wire) == [f"publish deny person {BOB} right info"]


def test_rules_are_taken_back(wire: CommandLine) -> None:
    script(wire, item("x", GIVEN) + item("y", DENIED) + item("z", STUDENT), item("x", GIVEN) + item("z", STUDENT))
    script_hypervisor(wire, f"{GIVEN}/>{STUDENT}/>")
    wire.run("revoke", BOB, "info", "--denied", *SCOPE)
    assert changes(wire) == ["retract y"]


def test_a_node_that_is_missing_is_made_where_only_its_maker_publishes(wire: CommandLine) -> None:
    wire.wire.answer(ITEMS, error("item-not-found"))
    wire.wire.answer(creation(NODE), "")
    wire.wire.answer(owner_query("get", f"<affiliations node='{NODE}'/>"), "")
    script_hypervisor(wire, "")
    wire.run("grant", BOB, "info", *SCOPE)
    assert normal(creation(NODE)) in wire.wire.asked


@pytest.mark.parametrize(
    "shown,told,advice",
    [
        ("", "does not count there", "xmpp_trusted_publishers"),
        (f"{GIVEN.replace('never', '2030-01-01T00:00:00Z')}/>", "does not count there", "xmpp_trusted_publishers"),
        (f"{GIVEN}/>{DENIED}/>", f"deny person {BOB} right info: still counts there", "xmpp_trusted_publishers"),
        (f"{GIVEN} note='names no right'/>", "names no right", "if its name is a slip, revoke it"),
    ],
)
def test_a_hypervisor_that_does_not_follow_is_told(wire: CommandLine, shown: str, told: str, advice: str) -> None:
    script(wire, item("x", GIVEN))
    script_hypervisor(wire, shown)
    result = wire.run("grant", BOB, "info", *SCOPE, code=1)
    assert told in result.stderr
    assert HYPERVISOR in result.stderr
    assert advice in result.stderr


def test_the_rules_are_listed_and_what_cannot_be_read_is_left_out(archipel: CommandLine) -> None:
    script(archipel, item("x", GIVEN) + item("y", GIVEN.replace(BOB, "@@")) + "<item id='z'><other/></item>" + item("r", STUDENT))
    rows = [line.split() for line in archipel.run("rights", "rules", *SCOPE).stdout.splitlines()[1:]]
    assert rows == [
        ["allow", BOB, "info", "platform", "never", OWN, "why", "not"],
        ["allow", BOB, "role", "student", "platform", "never", OWN, "why", "not"],
    ]


def test_a_platform_without_the_node_has_no_rules(archipel: CommandLine) -> None:
    archipel.wire.answer(ITEMS, error("item-not-found"))
    assert archipel.json("rights", "rules", *SCOPE) == []


def test_roles_of_the_platform_are_made_used_and_removed(wire: CommandLine) -> None:
    crew = f"<item id='role crew'><role xmlns='{ns.RIGHTS}' name='crew'>create info</role></item>"
    script(wire, "", "")
    wire.run("rights", "set-role", "crew", "info", "create", "info", *SCOPE, "--description", "all hands")
    assert changes(wire) == ["publish role crew"]
    script(wire, crew)
    [role] = wire.json("rights", "roles", *SCOPE)
    assert role == {"name": "crew", "description": "", "builtin": False, "platform": True, "rights": ["create", "info"]}
    wire.run("rights", "remove-role", "crew", *SCOPE)
    assert changes(wire) == ["publish role crew", "retract role crew"]


def test_a_role_that_a_rule_uses_stays(archipel: CommandLine) -> None:
    script(archipel, item("x", GIVEN.replace("right='info'", "role='crew'")))
    assert (
        f"withdraw first what uses it: allow person {BOB} role crew" in archipel.run("rights", "remove-role", "crew", *SCOPE, code=1).stderr
    )


@pytest.mark.parametrize(
    "words,told",
    [
        (("grant", BOB, "--role", "crew"), "role: the platform has no role 'crew'"),
        (("grant", BOB, "info", "--until", "2001-01-01T00:00:00Z"), "expires: 2001-01-01T00:00:00Z is over"),
        (("grant", BOB, "info", "--reason", "x" * 501), "reason: must have 500 characters"),
        (("rights", "set-role", "student", "info"), "role: 'student' is built in"),
        (("rights", "set-role", "Crew", "info"), "role: 'Crew' is built in, or no name"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_published(wire: CommandLine, words: tuple[str, ...], told: str) -> None:
    script(wire, "")
    assert told in wire.run(*words, *SCOPE, code=1).stderr
    assert changes(wire) == []


def test_a_full_node_takes_no_more(wire: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server would drop the oldest rule."""
    monkeypatch.setattr(platform_rules, "MOST_ITEMS", 1)
    script(wire, item("x", GIVEN))
    assert "holds 1 rules and roles at most" in wire.run("deny", BOB, "info", *SCOPE, code=1).stderr
    assert changes(wire) == []


def test_who_may_not_change_them_is_told(archipel: CommandLine) -> None:
    script(archipel, item("x", GIVEN))
    archipel.wire.answer(
        f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><retract node='{NODE}' notify='true'><item id='x'/></retract></pubsub></iq>",
        error("forbidden"),
    )
    assert "may not change it" in archipel.run("revoke", BOB, "info", *SCOPE, code=1).stderr


@pytest.mark.parametrize(
    "words", [("grant", BOB, "info"), ("revoke", BOB, "info"), ("deny", BOB, "info"), ("rights", "rules"), ("rights", "roles")]
)
def test_the_platform_or_an_entity_is_named_and_not_both(archipel: CommandLine, words: tuple[str, ...]) -> None:
    assert "--scope platform" in archipel.run(*words, code=2).stderr
    assert "leave --on out" in archipel.run(*words, *SCOPE, "--on", HYPERVISOR, code=2).stderr
