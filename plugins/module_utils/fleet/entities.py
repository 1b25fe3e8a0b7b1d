# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Entities whose first answers are known before they are asked: described by their hypervisor, or not made yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

try:
    from archipel.client.addresses import bare_address
    from archipel.protocol.declaration import Part
    from archipel.protocol.every_entity import Contact
    from archipel.protocol.rules import ALLOW
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Entity
    from archipel.client.declaration import MachineDescription
    from archipel.protocol.every_entity import Permission
    from archipel.protocol.rules import RoleItem, Rule

    _AsEntity = Entity  # what answers in an entity's place answers as it does
else:
    _AsEntity = object  # the library, where the class is, may be missing

OWNER = "all"
"""The right that whoever makes a machine has on it."""
_ENTITY = "entity"


class Vocabulary:
    """The rights and roles that there are on the entities of one kind on one hypervisor; asked for once."""

    def __init__(self, declared_roles: set[str]) -> None:
        self._declared_roles = declared_roles
        self._asked: dict[str, Any] = {}

    async def rights(self, ask: Callable[[], Awaitable[tuple[Permission, ...]]]) -> tuple[Permission, ...]:
        """Return the rights, by whoever is the first to be asked."""
        if "rights" not in self._asked:
            self._asked["rights"] = await ask()
        found: tuple[Permission, ...] = self._asked["rights"]
        return found

    async def roles(self, ask: Callable[[], Awaitable[tuple[RoleItem, ...]]]) -> tuple[RoleItem, ...]:
        """Return the roles, those with them that the declaration makes first."""
        from archipel.protocol.rules import RoleItem

        if "roles" not in self._asked:
            self._asked["roles"] = await ask()
        known: tuple[RoleItem, ...] = self._asked["roles"]
        new = self._declared_roles - {role.name for role in known}
        return (*known, *(RoleItem(name=name) for name in sorted(new)))


class KnownEntity(_AsEntity):
    """An entity of which the hypervisor gave a description: each part of that answers one question, the next goes to the entity."""

    def __init__(self, entity: Entity, vocabulary: Vocabulary, description: MachineDescription | None) -> None:
        self._entity = entity
        self._vocabulary = vocabulary
        self._description = description if description is not None and description.online else None
        self._unused = {Part.ROSTER, Part.RIGHTS}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entity, name)

    def _take(self, part: Part) -> MachineDescription | None:
        """Return the description if this part of it is still news."""
        fresh = part in self._unused and self._description is not None and self._description.gives(part)
        return self._description if fresh else None

    async def roster(self) -> tuple[Contact, ...]:
        """Return who is in the roster."""
        described = self._take(Part.ROSTER)
        self._unused.discard(Part.ROSTER)
        return await self._entity.roster() if described is None else described.roster

    async def rules(self) -> tuple[Rule, ...]:
        """Return grants and rules; those of the entity itself, if they were described."""
        described = self._take(Part.RIGHTS)
        self._unused.discard(Part.RIGHTS)
        return await self._entity.rules() if described is None else described.rights

    async def rights_of(self, jid: str) -> frozenset[str]:
        """Return the explicit grants of somebody; one's own are asked for, since groups give some."""
        who = bare_address(jid)
        described = None if who == self._entity.session.jid else self._take(Part.RIGHTS)
        if described is None:
            return await self._entity.rights_of(jid)
        grants = [rule for rule in described.rights if rule.effect == ALLOW and rule.scope == _ENTITY and rule.subject == who]
        return frozenset(rule.right for rule in grants if rule.right is not None)

    async def list_rights(self) -> tuple[Permission, ...]:
        """Return the rights that exist there."""
        return await self._vocabulary.rights(self._entity.list_rights)

    async def roles(self) -> tuple[RoleItem, ...]:
        """Return the roles that exist there, or will."""
        return await self._vocabulary.roles(self._entity.roles)

    async def change_rights(self, changes: Any) -> None:
        """Change rights; what was described is none any more."""
        self._unused.clear()
        await self._entity.change_rights(changes)


class NewEntity(_AsEntity):
    """A machine that is declared and not made yet: nobody has anything to do with it but who makes it."""

    bare = "new"

    def __init__(self, hypervisor: Entity, like: Entity | None, vocabulary: Vocabulary) -> None:
        self._hypervisor = hypervisor
        self._like = like
        self._vocabulary = vocabulary
        self._maker = hypervisor.session.jid

    async def roster(self) -> tuple[Contact, ...]:
        """Return its maker."""
        return (Contact(jid=self._maker),)

    async def rules(self) -> tuple[Rule, ...]:
        """Return none."""
        return ()

    async def rights_of(self, jid: str) -> frozenset[str]:
        """Return what its maker will have."""
        return frozenset({OWNER} if bare_address(jid) == self._maker else ())

    async def list_rights(self) -> tuple[Permission, ...]:
        """Return the rights of a machine that is there, none without one."""
        return () if self._like is None else await self._vocabulary.rights(self._like.list_rights)

    async def roles(self) -> tuple[RoleItem, ...]:
        """Return the roles of the hypervisor, which are those of its machines."""
        return await self._vocabulary.roles(self._hypervisor.roles)
