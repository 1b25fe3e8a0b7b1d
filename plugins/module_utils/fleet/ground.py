# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hypervisor of a run, opened: its list of machines, their descriptions, and who owns what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory, NamedEntity
from ansible_collections.archipel.platform.plugins.module_utils.fleet.entities import KnownEntity, NewEntity, Vocabulary
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import WORTHWHILE, Host

try:
    from archipel.client import MachineNotFound
    from archipel.client.declaration import DescriptionsUnsupported
    from archipel.protocol.declaration import Part
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item
    from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import DeclaredMachine
    from ansible_collections.archipel.platform.plugins.module_utils.storage_volume import DeclaredVolume

    from archipel.client import Hypervisor, MachineEntry, Session, VirtualMachine
    from archipel.client.declaration import MachineDescription


@dataclass
class ServerGround:
    """The server of the login, for accounts and groups; ``items`` are all of them that are declared."""

    session: Session
    items: tuple[Item, ...] = ()


@dataclass
class Ground:
    """What the objects of one hypervisor share.

    ``machines`` are the declared ones by name, as far as made or read, ``volumes`` those by pool and name.
    """

    name: str
    host: Host
    descriptions: Mapping[str, MachineDescription]
    vocabulary: Vocabulary
    hypervisor_vocabulary: Vocabulary
    machines: dict[str, DeclaredMachine] = field(default_factory=dict)
    volumes: dict[tuple[str, str], DeclaredVolume] = field(default_factory=dict)

    @classmethod
    async def open(cls, name: str, hypervisor: Hypervisor, items: Iterable[Item], boots: AbstractAsyncContextManager[Any]) -> Ground:
        """Ask a hypervisor for what these items need."""
        items = list(items)
        named = [item.key.name if item.key.kind == "machine" else item.machine for item in items]
        directory = await Directory.load(hypervisor, [reference for reference in named if reference])
        roles = {item.key.name for item in items if item.key.kind == "role"}
        descriptions = await _describe(hypervisor, directory, {item.machine for item in items if item.machine})
        return cls(name, Host(directory, boots), descriptions, Vocabulary(roles), Vocabulary(roles))

    @property
    def hypervisor(self) -> Hypervisor:
        """The hypervisor itself."""
        return self.host.hypervisor

    @property
    def session(self) -> Session:
        """The session in which it is asked."""
        return self.hypervisor.session

    def entity_of(self, item: Item) -> NamedEntity:
        """Return the machine that an item is about, or the hypervisor; raises :class:`MachineNotFound`."""
        if item.machine is None:
            return NamedEntity(self.hypervisor.bare, KnownEntity(self.hypervisor, self.hypervisor_vocabulary, None))
        entry = self.find(item.machine)
        if entry is not None and entry.managed:
            known = KnownEntity(self.host.directory.open(entry), self.vocabulary, self.descriptions.get(entry.uuid))
            return NamedEntity(entry.name, known)
        if item.machine in self.machines:
            return NamedEntity(item.machine, NewEntity(self.hypervisor, self._any_machine(), self.vocabulary))
        raise MachineNotFound(f"{self.hypervisor.bare} manages no machine {item.machine!r}, and none is declared")

    def knows_rights_for(self, item: Item) -> bool:
        """Whether it can be asked which rights there are where an item is about some."""
        return item.machine is None or self._any_machine() is not None

    def _any_machine(self) -> VirtualMachine | None:
        directory = self.host.directory
        return next((directory.open(entry) for entry in directory.entries if entry.managed), None)

    def find(self, reference: str) -> MachineEntry | None:
        """Return a machine: the declared one as it is by now, else one of the hypervisor's list."""
        declared = self.machines.get(reference)
        return declared.entry if declared is not None else self.host.directory.find(reference)


async def _describe(hypervisor: Hypervisor, directory: Directory, references: set[str]) -> Mapping[str, MachineDescription]:
    """Return the rosters and rights of machines, if their hypervisor tells them."""
    entries = [directory.find(reference) for reference in references]
    uuids = [entry.uuid for entry in entries if entry is not None and entry.managed]
    if len(uuids) < WORTHWHILE:
        return {}
    try:
        return await hypervisor.describe(uuids, (Part.ROSTER, Part.RIGHTS))
    except DescriptionsUnsupported:
        return {}
