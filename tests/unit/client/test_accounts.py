# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's accounts by XEP-0133: which stanzas go out, and what refusals are in words."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from archipel.client import ConnectionSettings, MalformedAddress, MalformedAnswer, Session
from archipel.client.accounts import Accounts, AdministrationUnavailable
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition
from archipel.xmpp.errors import LoginRefused, ServerUnreachable
from tests.unit.client.scripted_stream import OWN, ScriptedStream, error, normal

BOB = "bob@example.org"
ADMIN = "http://jabber.org/protocol/admin"


def request(node: str, how: str, content: str = "") -> str:
    return f"<iq type='set' to='example.org'><command xmlns='{ns.COMMANDS}' node='{ADMIN}#{node}' {how}>{content}</command></iq>"


def answer(status: str, content: str = "", how: str = "") -> str:
    return f"<command xmlns='{ns.COMMANDS}' node='x' status='{status}' {how}>{content}</command>"


def form(**values: str) -> str:
    fields = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in {"FORM_TYPE": ADMIN, **values}.items())
    return f"<x xmlns='{ns.DATA_FORMS}' type='submit'>{fields}</x>"


def script(stream: ScriptedStream, node: str, *, result: str = "", **values: str) -> str:
    """Let a command be executed in two steps; returns the second request."""
    stream.answer(request(node, "action='execute'"), answer("executing", f"<x xmlns='{ns.DATA_FORMS}' type='form'/>", "sessionid='s1'"))
    last = request(node, "action='complete' sessionid='s1'", form(**values))
    stream.answer(last, result or answer("completed"))
    return last


async def test_accounts_are_listed_in_one_step(stream: ScriptedStream, session: Session) -> None:
    values = "<value>bob@example.org</value><value/><value>Alice@example.org</value>"
    listed = answer("completed", f"<x xmlns='{ns.DATA_FORMS}'><field var='registereduserjids'>{values}</field></x>")
    stream.answer(request("get-registered-users-list", "action='execute'"), listed)
    assert await Accounts(session).list() == ("alice@example.org", BOB)


async def test_an_account_is_made_changed_and_removed_in_two_steps(stream: ScriptedStream, session: Session) -> None:
    accounts = Accounts(session)
    made = script(stream, "add-user", **{"accountjid": BOB, "password": "one", "password-verify": "one"})
    changed = script(stream, "change-user-password", accountjid=BOB, password="two")
    removed = script(stream, "delete-user", accountjids=BOB)
    await accounts.add(f"{BOB}/desk", "one")
    await accounts.set_password(BOB, "two")
    await accounts.delete(BOB)
    assert [text for text in stream.asked if "complete" in text] == [normal(made), normal(changed), normal(removed)]


@pytest.mark.parametrize(
    "refusal, words",
    [
        (error("forbidden", f"<text xmlns='{ns.STANZAS}'>Access denied</text>"), f"Access denied; {OWN} must be an administrator there"),
        (error("service-unavailable"), "ejabberd needs its modules mod_adhoc and mod_configure"),
        (error("feature-not-implemented"), "ejabberd needs its modules mod_adhoc and mod_configure"),
    ],
)
async def test_a_server_that_refuses_is_told_with_what_it_needs(refusal: str, words: str, stream: ScriptedStream, session: Session) -> None:
    stream.answer(request("get-registered-users-list", "action='execute'"), refusal)
    with pytest.raises(AdministrationUnavailable, match=r"example\.org: get-registered-users-list: ") as raised:
        await Accounts(session).list()
    assert words in str(raised.value)


async def test_another_failure_keeps_its_condition(stream: ScriptedStream, session: Session) -> None:
    script(stream, "add-user", result=error("conflict"), **{"accountjid": BOB, "password": "one", "password-verify": "one"})
    with pytest.raises(CommandError, match=r"example\.org: add-user: ") as raised:
        await Accounts(session).add(BOB, "one")
    assert raised.value.condition == Condition.CONFLICT
    assert "one" not in str(raised.value)


@pytest.mark.parametrize("nonsense", ["<query xmlns='x'/>", answer("canceled"), answer("executing")])
async def test_an_answer_that_makes_no_sense_is_told_with_who_gave_it(nonsense: str, stream: ScriptedStream, session: Session) -> None:
    stream.answer(request("delete-user", "action='execute'"), nonsense)
    stream.answer(request("delete-user", "action='complete'", form(accountjids=BOB)), nonsense)
    with pytest.raises(MalformedAnswer, match=r"example\.org answered 'delete-user'"):
        await Accounts(session).delete(BOB)


@pytest.mark.parametrize("jid", ["bob@elsewhere.org", "example.org"])
async def test_accounts_of_other_servers_are_refused(jid: str, session: Session) -> None:
    with pytest.raises(MalformedAddress, match=jid):
        await Accounts(session).delete(jid)


class Door:
    """Lets in who knows the password, and keeps who came."""

    def __init__(self) -> None:
        self.came: list[str] = []

    @contextlib.asynccontextmanager
    async def login(self, settings: ConnectionSettings) -> AsyncIterator[None]:
        self.came.append(settings.jid)
        if settings.password != "right" and settings.jid != OWN:
            raise LoginRefused("no")
        yield


async def test_a_password_is_tried_by_a_login_and_a_refusal_is_made_up_for(session: Session) -> None:
    door = Door()
    accounts = Accounts(session)
    assert await accounts.accepts(BOB, "right", door.login)
    assert door.came == [BOB]
    assert not await accounts.accepts(BOB, "wrong", door.login)
    assert door.came == [BOB, BOB, OWN]


async def test_a_server_that_is_gone_is_no_wrong_password(session: Session) -> None:
    def gone(_settings: ConnectionSettings) -> contextlib.AbstractAsyncContextManager[None]:
        raise ServerUnreachable("gone")

    with pytest.raises(ServerUnreachable):
        await Accounts(session).accepts(BOB, "right", gone)
