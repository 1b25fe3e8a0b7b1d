# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import users

from archipel.client import Session
from archipel.client.accounts import Accounts
from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, OWN, UUID, ScriptedStream, normal
from tests.unit.client.test_accounts import answer, form, request
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

BOB, EVE, MACHINE = "bob@example.org", "eve@example.org", f"{UUID}@example.org"
PASSWORD = "correct horse"
LIST = request("get-registered-users-list", "action='execute'")


def listed(*jids: str) -> str:
    values = "".join(f"<value>{jid}</value>" for jid in jids)
    return answer("completed", f"<x xmlns='{ns.DATA_FORMS}'><field var='registereduserjids'>{values}</field></x>")


def vcard(jid: str, role: str = "") -> tuple[str, tuple[str, ...]]:
    return f"<iq type='get' to='{jid}'><vCard xmlns='{ns.VCARD}'/></iq>", (f"<vCard xmlns='{ns.VCARD}'><ROLE>{role}</ROLE></vCard>",)


def change(wire: Wire, node: str, **values: str) -> list[str]:
    """Script a command of the server; return its two requests."""
    first, last = request(node, "action='execute'"), request(node, "action='complete'", form(**values))
    wire.script += [(first, (answer("executing"),)), (last, (answer("completed"),))]
    return [normal(first), normal(last)]


def asked(wire: Wire) -> list[str]:
    return [text for text in wire.asked if "#get-registered" not in text and 'type="set"' in text]


def test_an_account_is_made(wire: Wire) -> None:
    wire.script.append((LIST, (listed(EVE), listed(BOB, EVE))))
    sent = change(wire, "add-user", **{"accountjid": BOB, "password": PASSWORD, "password-verify": PASSWORD})
    answered = wire.run("user", name="bob", password=PASSWORD)
    assert answered["users"] == [{"jid": BOB, "present": True, "created": True}]
    assert asked(wire) == sent
    assert PASSWORD not in str(answered)


def test_an_account_is_removed(wire: Wire) -> None:
    wire.script += [(LIST, (listed(BOB, EVE), listed(EVE))), vcard(BOB)]
    sent = change(wire, "delete-user", accountjids=BOB)
    assert wire.run("user", name=BOB, state="absent")["users"] == [{"jid": BOB, "present": False, "created": False}]
    assert asked(wire) == sent


@pytest.mark.parametrize("declared", [{"name": "bob"}, {"name": BOB, "password": "other"}, {"name": "zoe", "state": "absent"}])
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    wire.script.append((LIST, (listed(BOB),)))
    assert not wire.run("user", **declared)["changed"]
    assert asked(wire) == []


@pytest.mark.parametrize("check", [True, False])
def test_another_password_is_set_if_told(check: bool, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = iter([False, True])

    async def accepts(_accounts: Accounts, jid: str, password: str) -> bool:
        assert (jid, password) == (BOB, PASSWORD)
        return next(fits)

    monkeypatch.setattr(Accounts, "accepts", accepts)
    wire.script += [(LIST, (listed(BOB),)), vcard(BOB)]
    sent = change(wire, "change-user-password", accountjid=BOB, password=PASSWORD)
    answered = wire.run("user", check=check, name="bob", password=PASSWORD, update_password="always")
    assert answered["changed"]
    assert "password: another" in answered["diff"][0]["before"]
    assert "password: as declared" in answered["diff"][0]["after"]
    assert PASSWORD not in str(answered)
    assert asked(wire) == ([] if check else sent)


def test_a_class_asks_for_the_list_of_accounts_once(wire: Wire) -> None:
    wire.script.append((LIST, (listed(BOB, EVE),)))
    assert not wire.run("user", users=[{"name": "bob"}, {"name": "eve"}])["changed"]
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    "declared, words",
    [
        ({"name": UUID, "state": "absent"}, "this is the account of a machine"),
        ({"name": HYPERVISOR, "state": "absent"}, "this is the account of a hypervisor"),
        ({"name": HYPERVISOR, "password": PASSWORD, "update_password": "always"}, "this is the account of a hypervisor"),
        ({"name": OWN, "state": "absent"}, "the account that logs in cannot remove itself"),
        ({"name": "zoe"}, "password: there is no such account"),
        ({"name": "zoe", "password": ""}, "password: is empty"),
        ({"name": "zoe", "update_password": "always"}, "update_password: always needs a password"),
        ({"name": "zoe@elsewhere.org"}, "only accounts of example.org can be declared"),
        ({"users": [{"name": "bob"}, {"name": BOB}]}, "users: bob@example.org is there twice"),
    ],
)
def test_what_is_refused_is_refused_in_check_mode_too(declared: dict[str, Any], words: str, wire: Wire) -> None:
    wire.script += [(LIST, (listed(BOB, HYPERVISOR, MACHINE),)), vcard(HYPERVISOR, "hypervisor")]
    answered = wire.run("user", check=True, **declared)
    assert words in answered["msg"]
    assert PASSWORD not in str(answered)


def test_the_account_of_a_machine_goes_if_told(wire: Wire) -> None:
    wire.script.append((LIST, (listed(MACHINE), listed())))
    change(wire, "delete-user", accountjids=MACHINE)
    assert wire.run("user", name=UUID, state="absent", entities=True)["changed"]


async def test_people_are_described_without_machines_hypervisors_and_passwords(stream: ScriptedStream, session: Session) -> None:
    stream.answer(LIST, listed(BOB, HYPERVISOR, MACHINE, EVE))
    stream.answer(
        f"<iq type='get'><query xmlns='{ns.IQ_ROSTER}'/></iq>", f"<query xmlns='{ns.IQ_ROSTER}'><item jid='{HYPERVISOR}'/></query>"
    )
    stream.answer(vcard(HYPERVISOR)[0], *vcard(HYPERVISOR, "hypervisor")[1])
    assert await users.describe_all(session) == [{"name": BOB}, {"name": EVE}]
