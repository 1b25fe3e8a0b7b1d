# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accounts of people on the XMPP server, as module ``user`` declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together
from ansible_collections.archipel.platform.plugins.module_utils.entries import is_present
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values
from ansible_collections.archipel.platform.plugins.module_utils.turns import turn

try:
    from archipel.client import Session
    from archipel.client.accounts import Accounts
    from archipel.client.addresses import as_uuid, bare_address
    from archipel.protocol.rights import EntityKind
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor

KIND: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "update_password": {"type": "str", "choices": ["on_create", "always"], "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"]},
    "entities": {"type": "bool"},
}
AS_DECLARED, ANOTHER = "as declared", "another"


async def _list_accounts(session: Session) -> tuple[str, ...]:
    return await ask_together(session, "accounts", Accounts(session).list)


class DeclaredUser(Resource):
    """An account of the server; the values say that it is there, and whether its password is the declared one, never which.

    It is of the server, so it is made of a session, not of a hypervisor.
    """

    def __init__(self, session: Session, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.session, self.accounts = session, Accounts(session)
        name = str(arguments["name"])
        self.title = self.jid = bare_address(name if "@" in name else f"{name}@{self.accounts.domain}")
        self.present = is_present(arguments)
        self.password = arguments.get("password")
        self.always = arguments.get("update_password") == "always"
        self.entities = bool(arguments.get("entities"))
        self._refuse_nonsense()

    def _refuse_nonsense(self) -> None:
        node, _at, domain = self.jid.partition("@")
        if domain != self.accounts.domain:
            raise ValueError(f"{self.jid}: name: only accounts of {self.accounts.domain} can be declared with this login")
        if not self.present and self.jid == self.session.jid:
            raise ValueError(f"{self.jid}: state: the account that logs in cannot remove itself")
        if self.present and self.password == "":
            raise ValueError(f"{self.jid}: password: is empty")
        if self.present and self.always and self.password is None:
            raise ValueError(f"{self.jid}: update_password: always needs a password")
        if as_uuid(node) is not None and not self.entities:
            raise ValueError(f"{self.jid}: name: this is the account of a machine; entities: true lets you change it all the same")

    async def read(self) -> Values:
        """Return what there is; the password is tried if it shall always be the declared one."""
        if self.jid not in await _list_accounts(self.session):
            return {}
        if not self.present or self.always:
            await self._refuse_hypervisors()
        if not (self.present and self.always):
            return {"account": self.jid}
        async with turn(self.session, "password"):  # the server counts refused logins
            fits = await self.accounts.accepts(self.jid, str(self.password))
        return {"account": self.jid, "password": AS_DECLARED if fits else ANOTHER}

    def desired(self, current: Values) -> Values:
        """Return what there shall be."""
        if not self.present:
            return {}
        if not current and self.password is None:
            raise ValueError(f"{self.jid}: password: there is no such account, and it takes one to make it")
        return {"account": self.jid, **({"password": AS_DECLARED} if self.always else {})}

    async def apply(self, current: Values, desired: Values) -> None:
        """Make or remove the account, or give it its password."""
        if not desired:
            await self.accounts.delete(self.jid)
        elif not current:
            await self.accounts.add(self.jid, str(self.password))
        else:
            await self.accounts.set_password(self.jid, str(self.password))

    async def _refuse_hypervisors(self) -> None:
        """Raise :class:`ValueError` if the account, which is there, is a hypervisor's, as its vCard says."""
        if not self.entities and (await self.session.vcard(self.jid)).role in set(EntityKind):
            raise ValueError(f"{self.jid}: name: this is the account of a hypervisor; entities: true lets you change it all the same")

    def report(self, change: Change) -> dict[str, Any]:
        """Return the account, and whether it is there."""
        return {"jid": self.jid, "present": bool(change.after), "created": not change.before and bool(change.after)}


async def describe_all(session: Session, hypervisors: tuple[Hypervisor, ...] = ()) -> list[dict[str, Any]]:
    """Return the accounts of people, without their passwords, which nobody can read; ``hypervisors`` are left out."""
    others = {hypervisor.bare for hypervisor in hypervisors} | set(await session.find_hypervisors())
    found = [jid for jid in await _list_accounts(session) if jid not in others]
    return [{"name": jid} for jid in found if as_uuid(jid.partition("@")[0]) is None]
