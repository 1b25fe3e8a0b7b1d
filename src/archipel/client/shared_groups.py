# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of the server's shared roster (ejabberd's ``mod_shared_roster``), through its API: XEP-0133 has no commands for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from archipel.client.addresses import bare_address
from archipel.client.errors import MalformedAddress
from archipel.client.server_api import BadArguments, ServerApi, ServerApiFailed

EVERYBODY: Final = "@all@"  # all accounts of the server
ONLINE: Final = "@online@"  # those that are online
_FLAGS: Final = {"all_users": EVERYBODY, "online_users": ONLINE}
_BETWEEN: Final = "\\n"  # a backslash and an n, as ejabberd 23.01 takes several names
_COMMA: Final = "\n, \n"  # what ejabberd 24.12 tells between several names, where 23.01 tells a new line


@dataclass(frozen=True)
class SharedGroup:
    """A group: ``label`` is what clients show, ``displayed`` the groups that its members see. Members are bare JIDs, or words."""

    name: str
    label: str
    description: str
    displayed: tuple[str, ...]
    members: frozenset[str]


class SharedGroups:
    """The groups of the account's domain; its methods raise :class:`~archipel.client.server_api.ServerApiFailed`."""

    def __init__(self, api: ServerApi) -> None:
        self._api = api
        self.domain = api.domain

    async def list(self) -> tuple[str, ...]:
        """Return the names of all groups, sorted."""
        found = await self._api.call("srg_list", host=self.domain)
        if not isinstance(found, list):
            raise ServerApiFailed(f"srg_list: {self.domain} answered with something unreadable: {found!r}")
        return tuple(sorted(map(str, found)))

    async def read(self, name: str) -> SharedGroup | None:
        """Return a group, or ``None`` if there is none."""
        if name not in await self.list():
            return None
        told = await self._api.call("srg_get_info", group=name, host=self.domain)
        members = await self._api.call("srg_get_members", group=name, host=self.domain)
        try:
            info = {str(entry["key"]): str(entry["value"]) for entry in told}
            people = {bare_address(str(member)) for member in members}
        except (TypeError, KeyError, MalformedAddress) as error:
            raise ServerApiFailed(f"srg_get_info, srg_get_members: {self.domain} answered with something unreadable: {error}") from None
        flags = {word for flag, word in _FLAGS.items() if info.get(flag) == "true"}
        displayed = tuple(group for group in info.get("displayed_groups", "").replace(_COMMA, "\n").split("\n") if group)
        return SharedGroup(name, info.get("label", ""), info.get("description", ""), displayed, frozenset(people | flags))

    async def write(self, group: SharedGroup) -> None:
        """Make a group, or change it; who is in it, too."""
        before = await self.read(group.name)
        if before is None or (before.label, before.description, before.displayed) != (group.label, group.description, group.displayed):
            await self._create(group)
            before = await self.read(group.name)  # the words for everybody get lost with that
        there = frozenset[str]() if before is None else before.members
        await self._change("srg_user_add", group.name, group.members - there)
        await self._change("srg_user_del", group.name, there - group.members)

    async def delete(self, name: str) -> None:
        """Remove a group, and take it out of what others display: ejabberd fails on groups that display one that is gone."""
        for other in await self.list():
            found = await self.read(other) if other != name else None
            if found is not None and name in found.displayed:
                await self.write(dataclasses.replace(found, displayed=tuple(group for group in found.displayed if group != name)))
        await self._api.call("srg_delete", group=name, host=self.domain)

    async def _create(self, group: SharedGroup) -> None:
        what: dict[str, Any] = {"group": group.name, "host": self.domain, "label": group.label, "description": group.description}
        try:
            refused = await self._api.call("srg_create", **what, display=_BETWEEN.join(group.displayed))
        except BadArguments:
            refused = await self._api.call("srg_create", **what, display=list(group.displayed))  # so since ejabberd 24.02
        if refused:
            raise ServerApiFailed(f"srg_create: {self.domain} refused the group {group.name}: are all groups there that it displays?")

    async def _change(self, command: str, name: str, members: Iterable[str]) -> None:
        for member in sorted(members):
            user, host = (member, self.domain) if member in _FLAGS.values() else member.rsplit("@", 1)
            await self._api.call(command, user=user, host=host, group=name, grouphost=self.domain)
