# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Groups of people, as module ``group`` declares them: those of the server's shared roster, and those that a hypervisor keeps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.entries import is_present
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values
from ansible_collections.archipel.platform.plugins.module_utils.turns import turn

try:
    from archipel.client.addresses import bare_address
    from archipel.client.server_api import ServerApi
    from archipel.client.shared_groups import EVERYBODY, ONLINE, SharedGroup, SharedGroups
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor, Session

KIND: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "label": {"type": "str"},
    "description": {"type": "str"},
    "displayed": {"type": "list", "elements": "str"},
    "members": {"type": "list", "elements": "str"},
    "exclusive": {"type": "bool"},
    "state": {"type": "str", "choices": ["present", "absent"]},
}
OF_SERVER = ("label", "description", "displayed")


class DeclaredGroup(Resource):
    """What both kinds of groups have: a name and members; the values are what is declared, and nothing where there is no group."""

    def __init__(self, place: str, domain: str, arguments: Mapping[str, Any]) -> None:
        self.name, self.place = str(arguments["name"]).strip(), place
        self.title = f"{self.name} on {place}"
        self.present, self.exclusive = is_present(arguments), bool(arguments.get("exclusive"))
        declared = arguments.get("members")
        self.members = None if declared is None else sorted({_read_member(member, domain) for member in declared})
        if not self.name:
            raise ValueError("name: say what the group is called")
        if self.exclusive and self.members is None:
            raise ValueError(f"{self.title}: exclusive: say who the members are")

    def _shown(self, members: frozenset[str]) -> dict[str, list[str]]:
        """Return those of the members whom the declaration is about."""
        if self.members is None:
            return {}
        return {"members": sorted(members if self.exclusive else members & {*self.members})}

    def _wanted(self, there: frozenset[str]) -> frozenset[str]:
        """Return all members that there shall be."""
        return frozenset(self.members or ()) | (frozenset() if self.exclusive else there)

    @abstractmethod
    def all_members(self) -> frozenset[str]:
        """Return who was in the group when it was read last."""

    def report(self, change: Change) -> dict[str, Any]:
        """Return name, place and everybody in the group; in check mode those who would be."""
        members = frozenset[str]()
        if change.after:
            left = {*change.before.get("members", ())} - {*change.after.get("members", ())}
            members = (self.all_members() | {*change.after.get("members", ())}) - left
        return {"name": self.name, "on": self.place, "present": bool(change.after), **change.after, "members": sorted(members)}


class ServerGroup(DeclaredGroup):
    """A group of the server's shared roster. It is of the server, so it is made of a session, not of a hypervisor.

    ``beside`` are the names of groups that are declared with it: it may display those though they are not there yet.
    """

    def __init__(self, session: Session, arguments: Mapping[str, Any], *, check_mode: bool, beside: Collection[str] = ()) -> None:
        super().__init__(session.settings.domain, session.settings.domain, arguments)
        self.session, self.beside = session, frozenset(beside)
        self.groups = SharedGroups(ServerApi(session.settings, arguments.get("api_url")))
        self.said: dict[str, Any] = {name: arguments[name] for name in OF_SERVER if arguments.get(name) is not None}
        if "displayed" in self.said:
            self.said["displayed"] = sorted({group.strip() for group in self.said["displayed"]})
        self._found: SharedGroup | None = None
        for text in (self.name, *self.said.get("displayed", ())):
            if not text or "\\" in text or "\n" in text:
                raise ValueError(f"{self.title}: name, displayed: {text!r} is no name of a group: a line without backslashes")

    async def read(self) -> Values:
        """Return what is there of what is declared."""
        if self.present:
            await self._refuse_missing()
        self._found = await self.groups.read(self.name)
        return {} if self._found is None else self._values(self._found)

    async def _refuse_missing(self) -> None:
        """Raise :class:`ValueError` for groups to display that there are not: ejabberd fails on a group that displays such."""
        known = {*await self.groups.list(), *self.beside, self.name} if self.said.get("displayed") else set()
        for missing in sorted({*self.said.get("displayed", ())} - known):
            raise ValueError(f"{self.title}: displayed: there is no group {missing!r}; declare it before, or in the same list")

    def _values(self, group: SharedGroup) -> Values:
        there = {"label": group.label, "description": group.description, "displayed": sorted(group.displayed)}
        return {"group": self.name, **{name: there[name] for name in self.said}, **self._shown(group.members)}

    def desired(self, current: Values) -> Values:
        """Return what there shall be."""
        if not self.present:
            return {}
        return {"group": self.name, **self.said, **({} if self.members is None else {"members": self.members})}

    async def apply(self, current: Values, desired: Values) -> None:
        """Make, change or remove it; what is not declared stays. A new group is shown under its name."""
        async with turn(self.session, "group"):  # groups display each other
            await (self._write() if desired else self.groups.delete(self.name))
        if await self.read() != desired:
            raise ValueError(f"{self.title}: ejabberd took the group otherwise than it was declared: {self._found}")

    async def _write(self) -> None:
        for name in sorted({*self.said.get("displayed", ())} - {*await self.groups.list(), self.name}):
            await self.groups.write(SharedGroup(name, name, "", (), frozenset()))
        found = self._found or SharedGroup(self.name, self.name, "", (), frozenset())
        wanted = SharedGroup(
            name=self.name,
            label=self.said.get("label", found.label),
            description=self.said.get("description", found.description),
            displayed=tuple(self.said.get("displayed", found.displayed)),
            members=self._wanted(found.members),
        )
        await self.groups.write(wanted)

    def all_members(self) -> frozenset[str]:
        """Return who was in the group when it was read last."""
        return frozenset() if self._found is None else self._found.members


class KeptGroup(DeclaredGroup):
    """A group that a hypervisor keeps; one without members is none."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        super().__init__(hypervisor.bare, str(hypervisor.jid.domain), arguments)
        self.hypervisor = hypervisor
        self._members = frozenset[str]()
        for name in OF_SERVER:
            if arguments.get(name) is not None:
                raise ValueError(f"{self.title}: {name}: only groups of the server have that")
        if self.present and not self.members:
            raise ValueError(f"{self.title}: members: name at least one; a group that a hypervisor keeps is gone without members")
        if {*(self.members or ())} & {EVERYBODY, ONLINE}:
            raise ValueError(f"{self.title}: members: {EVERYBODY} and {ONLINE} are for groups of the server")

    async def read(self) -> Values:
        """Return those of the members whom the declaration is about."""
        groups = await self.hypervisor.groups()
        if self.present and any(group.shared and group.name == self.name for group in groups):
            raise ValueError(f"{self.title}: name: the server's shared roster has a group of that name, which would hide this one")
        kept = next((group for group in groups if group.name == self.name and not group.shared), None)
        self._members = frozenset() if kept is None else frozenset(member.jid for member in kept.members)
        return {"group": self.name, **self._shown(self._members)} if self._members else {}

    def desired(self, current: Values) -> Values:
        """Return what there shall be."""
        return {"group": self.name, "members": self.members} if self.present else {}

    async def apply(self, current: Values, desired: Values) -> None:
        """Say who is in it."""
        await self.hypervisor.set_group(self.name, sorted(self._wanted(self._members)) if desired else ())

    def all_members(self) -> frozenset[str]:
        """Return who was in the group when it was read last."""
        return self._members


def _read_member(member: str, domain: str) -> str:
    word = member.strip()
    return word if word in {EVERYBODY, ONLINE} else bare_address(word if "@" in word else f"{word}@{domain}")


async def describe_all(session: Session, api_url: str | None = None) -> list[dict[str, Any]]:
    """Return the groups of the server's shared roster."""
    groups = SharedGroups(ServerApi(session.settings, api_url))
    found = [group for name in await groups.list() if (group := await groups.read(name))]
    return [
        {
            "name": group.name,
            "label": group.label,
            "description": group.description,
            "displayed": sorted(group.displayed),
            "members": sorted(group.members),
            "exclusive": True,
        }
        for group in found
    ]


async def describe_kept(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return the groups that a hypervisor keeps."""
    kept = [group for group in await hypervisor.groups() if not group.shared]
    return [{"name": group.name, "members": sorted(member.jid for member in group.members), "exclusive": True} for group in kept]
