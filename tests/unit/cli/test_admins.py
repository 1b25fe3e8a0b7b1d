# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.client import platform_lists
from archipel.protocol import namespaces as ns
from archipel.protocol.events import ADMIN_ACCOUNTS_NODE as NODE
from tests.unit.cli.conftest import CommandLine, query
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, PUBSUB, command, error, normal

BOB, CAROL = "bob@example.org", "carol@example.org"
ITEMS = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{NODE}'/></pubsub></iq>"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_lists, "_LOOK_AGAIN", 1.0)
    monkeypatch.setattr(platform_lists.asyncio, "sleep", _sleep_no_time)


async def _sleep_no_time(_seconds: float) -> None:
    return None


def change(what: str) -> str:
    return f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'>{what}</pubsub></iq>"


def publication(jid: str) -> str:
    name, _, domain = jid.partition("@")
    return change(f"<publish node='{NODE}'><item id='{jid}'><admin node='{name}' domain='{domain}'/></item></publish>")


def retraction(item: str) -> str:
    return change(f"<retract node='{NODE}' notify='true'><item id='{item}'/></retract>")


def script_list(archipel: CommandLine, **items: str) -> None:
    """What is on the list, by the ids of the items."""
    found = "".join(
        f"<item id='{key}' publisher='root@example.org'><admin node='{jid.partition('@')[0]}' domain='example.org'/></item>"
        for key, jid in items.items()
    )
    archipel.wire.answer(ITEMS, f"<pubsub xmlns='{ns.PUBSUB}'><items node='{NODE}'>{found}</items></pubsub>")


def script_rules(archipel: CommandLine, jid: str, *rules: str) -> None:
    """By which rules a hypervisor decides about somebody, one after the other."""
    answers = [query(ns.RIGHTS, f"<decision subject='{jid}' right='all' allowed='1' rule='{rule}'>words</decision>") for rule in rules]
    archipel.wire.answer(command("get", HYPERVISOR_FULL, ns.RIGHTS, f"<archipel right='all' subject='{jid}' action='why'/>"), *answers)


def test_an_administrator_is_named_and_the_hypervisors_take_him(archipel: CommandLine) -> None:
    script_list(archipel)
    archipel.wire.answer(publication(BOB), "")
    script_rules(archipel, BOB, "granted", "granted", "administrator")
    assert archipel.run("admins", "add", "Bob@example.org/phone").stdout == f"{BOB}: is an administrator now ({HYPERVISOR} knows)\n"
    assert normal(publication(BOB)) in archipel.wire.asked


def test_who_is_on_the_list_is_not_named_again(archipel: CommandLine) -> None:
    script_list(archipel, one=BOB)
    script_rules(archipel, BOB, "administrator")
    assert archipel.json("admins", "add", BOB) == [{"jid": BOB, "changed": False}]
    assert normal(publication(BOB)) not in archipel.wire.asked


def test_a_list_that_an_agent_does_not_believe_is_told(archipel: CommandLine) -> None:
    script_list(archipel)
    archipel.wire.answer(publication(BOB), "")
    script_rules(archipel, BOB, "not granted")
    result = archipel.run("admins", "add", BOB, code=1)
    assert result.stdout == f"{BOB}: is an administrator now\n"
    assert f"{HYPERVISOR}: {BOB} is on the list, but no administrator here" in result.stderr
    assert "xmpp_trusted_publishers" in result.stderr


def test_an_administrator_is_taken_off_wherever_he_stands(archipel: CommandLine) -> None:
    script_list(archipel, one=BOB, two=CAROL, three=BOB)
    archipel.wire.answer(retraction("one"), "")
    archipel.wire.answer(retraction("three"), "")
    script_rules(archipel, BOB, "unknown")
    assert archipel.run("admins", "remove", BOB).stdout == f"{BOB}: is no administrator any more ({HYPERVISOR} knows)\n"


def test_who_is_an_administrator_by_the_configuration_stays_one(archipel: CommandLine) -> None:
    script_list(archipel)
    script_rules(archipel, BOB, "administrator")
    result = archipel.run("admins", "remove", BOB, code=1)
    assert result.stdout == f"{BOB}: was not on the list\n"
    assert "archipel_root_admins names this account" in result.stderr


def test_the_list_is_shown_with_who_named_them(archipel: CommandLine) -> None:
    script_list(archipel, one=CAROL, two=BOB, three="@example.org")
    rows = [line.split() for line in archipel.run("admins", "list").stdout.splitlines()[1:]]
    assert rows == [[BOB, "root@example.org"], [CAROL, "root@example.org"]]
    assert archipel.json("admins", "list")[0] == {"jid": BOB, "named_by": "root@example.org"}


def test_without_a_list_it_is_told_what_makes_one(archipel: CommandLine) -> None:
    archipel.wire.answer(ITEMS, error("item-not-found"))
    assert "archipel platform init" in archipel.run("admins", "add", BOB, code=1).stderr


def test_who_may_not_change_the_list_is_told(archipel: CommandLine) -> None:
    script_list(archipel)
    archipel.wire.answer(publication(BOB), error("forbidden"))
    assert "may not change it" in archipel.run("admins", "add", BOB, code=1).stderr
