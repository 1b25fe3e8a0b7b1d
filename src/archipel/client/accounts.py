# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of the XMPP server, through its service administration (XEP-0133): commands over the session that is there anyway.

ejabberd needs ``mod_adhoc`` and ``mod_configure``, and the account must be one to which the access rule ``configure`` says yes; both
are so in Debian's packaged configuration for accounts of the access control list ``admin``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final
from xml.etree import ElementTree as ET

from archipel.client.addresses import bare_address, parse_address
from archipel.client.errors import ClientError, MalformedAddress, MalformedAnswer, NotOnline
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, RemoteError
from archipel.protocol.xml import child_named
from archipel.xmpp.errors import LoginRefused

ADMINISTRATION: Final = "http://jabber.org/protocol/admin"  # XEP-0133
_DONE, _ASKING = "completed", "executing"
_NOT_SERVED: Final = frozenset({Condition.FEATURE_NOT_IMPLEMENTED, Condition.ITEM_NOT_FOUND})
_REFUSED: Final = frozenset({Condition.FORBIDDEN, Condition.NOT_ALLOWED})
Login = Callable[[ConnectionSettings], AbstractAsyncContextManager[object]]


class AdministrationUnavailable(ClientError):
    """The server does not let itself be administered over XMPP, or not by this account."""


class Accounts:
    """The accounts of the session's own server; its methods raise :class:`AdministrationUnavailable`, and what commands raise."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.domain = session.settings.domain

    async def list(self) -> tuple[str, ...]:
        """Return all accounts (bare JIDs), those of machines too, sorted."""
        found = (await self._execute("get-registered-users-list", {})).get("registereduserjids", ())
        try:
            return tuple(sorted(bare_address(jid) for jid in found if jid.strip()))
        except MalformedAddress as error:
            raise MalformedAnswer(self.domain, "get-registered-users-list", str(error)) from None

    async def add(self, jid: str, password: str) -> None:
        """Make an account; raises ``conflict`` if it is there."""
        await self._execute("add-user", {"accountjid": self._own(jid), "password": password, "password-verify": password})

    async def set_password(self, jid: str, password: str) -> None:
        """Give an account another password. Sessions that are open stay so."""
        await self._execute("change-user-password", {"accountjid": self._own(jid), "password": password})

    async def delete(self, jid: str) -> None:
        """Remove an account, with its roster; its sessions end."""
        await self._execute("delete-user", {"accountjids": self._own(jid)})

    async def accepts(self, jid: str, password: str, login: Login = Session) -> bool:
        """Return whether an account's password is this one, by a login.

        A wrong one counts with the server's guard against guessing (``mod_fail2ban``) for the address of this host, until somebody
        logs in from there; so this account does that after each refusal.
        """
        try:
            async with login(dataclasses.replace(self._session.settings, jid=self._own(jid), password=password)):
                return True
        except LoginRefused:
            async with login(self._session.settings):
                return False

    def _own(self, jid: str) -> str:
        account = parse_address(jid)
        if str(account.domain) != self.domain or not account.node:
            raise MalformedAddress(f"{jid!r} is no account of {self.domain}")
        return str(account.bare)

    async def _execute(self, command: str, values: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Execute a command of the server, in the two steps of XEP-0133, and return the fields of its result."""
        try:
            answer = await self._send(command, {"action": "execute"}, None)
            if answer.get("status") == _ASKING:
                form = {"FORM_TYPE": (ADMINISTRATION,), **{name: (value,) for name, value in values.items()}}
                sessionid = {"sessionid": answer.get("sessionid", "")} if answer.get("sessionid") else {}
                answer = await self._send(command, {"action": "complete", **sessionid}, form)
        except (RemoteError, NotOnline) as error:
            raise self._explain(command, error) from None
        if answer.get("status") != _DONE:
            raise MalformedAnswer(self.domain, command, f"the command's status is {answer.get('status')!r}")
        return _read_fields(answer)

    async def _send(self, command: str, how: Mapping[str, str], form: Mapping[str, tuple[str, ...]] | None) -> ET.Element:
        content = ET.Element(f"{{{ns.COMMANDS}}}command", {"node": f"{ADMINISTRATION}#{command}", **how})
        if form is not None:
            content.append(_write_form(form))
        answer = child_named(await self._session.exchange("set", self.domain, content), "command")
        if answer is None:
            raise MalformedAnswer(self.domain, command, "there is no <command/> in it")
        return answer

    def _explain(self, command: str, error: CommandError | NotOnline) -> Exception:
        if isinstance(error, NotOnline) or error.condition in _NOT_SERVED:
            reason = "it does not take the commands of XEP-0133: ejabberd needs its modules mod_adhoc and mod_configure"
        elif error.condition in _REFUSED:
            reason = f"{error}; {self._session.jid} must be an administrator there (ejabberd's access rule 'configure')"
        else:
            return CommandError(f"{self.domain}: {command}: {error}", error.code, error.condition)
        return AdministrationUnavailable(f"{self.domain}: {command}: {reason}")


def _write_form(fields: Mapping[str, tuple[str, ...]]) -> ET.Element:
    form = ET.Element(f"{{{ns.DATA_FORMS}}}x", {"type": "submit"})
    for name, values in fields.items():
        field = ET.SubElement(form, f"{{{ns.DATA_FORMS}}}field", {"var": name})
        for value in values:
            ET.SubElement(field, f"{{{ns.DATA_FORMS}}}value").text = value
    return form


def _read_fields(command: ET.Element) -> dict[str, tuple[str, ...]]:
    fields = command.iter(f"{{{ns.DATA_FORMS}}}field")
    return {field.get("var", ""): tuple(value.text or "" for value in field.iter(f"{{{ns.DATA_FORMS}}}value")) for field in fields}
