# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machines of a hypervisor by name, UUID or JID; listed once for a whole run."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

try:
    from archipel.client import AmbiguousMachine, MachineEntry, MachineNotFound, VirtualMachine
    from archipel.client.addresses import as_uuid, bare_address
    from archipel.client.errors import MalformedAddress
    from archipel.protocol.errors import PermissionDenied
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Entity, Hypervisor

ENTITY_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "machines": {"type": "list", "elements": "str", "aliases": ["machine"]},
}


def read_accounts(accounts: Iterable[str], option: str) -> list[str]:
    """Return the accounts that an option names, each once; raises :class:`ValueError`, which names the option."""
    try:
        return list(dict.fromkeys(bare_address(account) for account in accounts))
    except MalformedAddress as error:
        raise ValueError(f"{option}: {error}") from None


class Directory:
    """What a hypervisor lists, managed machines and others."""

    def __init__(self, hypervisor: Hypervisor, entries: Iterable[MachineEntry]) -> None:
        self.hypervisor = hypervisor
        self.entries = tuple(entries)

    @classmethod
    async def load(cls, hypervisor: Hypervisor, references: Iterable[str]) -> Directory:
        """Ask the hypervisor for its list (right ``rostervm``).

        Who may not see the list can still name machines by UUID or JID: then ``references`` stand for themselves.
        """
        try:
            return cls(hypervisor, await hypervisor.machines())
        except PermissionDenied:
            uuids = [_uuid_in(reference) for reference in references]
            if not uuids or None in uuids:
                raise
            domain = hypervisor.jid.domain
            return cls(hypervisor, [MachineEntry("", str(uuid), f"{uuid}@{domain}", managed=True) for uuid in uuids])

    def find(self, reference: str) -> MachineEntry | None:
        """Return the machine of that name, UUID or JID, managed or not; raises :class:`AmbiguousMachine`."""
        for wanted in (reference, _proper(reference), _proper(reference).replace(" ", "-")):
            found = self._answering(wanted)
            managed = [entry for entry in found if entry.managed] or found
            if len(managed) > 1:
                jids = ", ".join(entry.jid for entry in managed)
                raise AmbiguousMachine(f"several machines are called {reference!r}: {jids}; give the uuid")
            if managed:
                return managed[0]
        return None

    def _answering(self, reference: str) -> list[MachineEntry]:
        """Return the entries that :meth:`archipel.client.MachineEntry.answers_to` the reference, without asking each of a thousand."""
        by_uuid = self._by_uuid.get(as_uuid(reference) or "", ())
        return list(dict.fromkeys((*self._by_word.get(reference, ()), *by_uuid)))

    @functools.cached_property
    def _by_word(self) -> Mapping[str, list[MachineEntry]]:
        words = ((word, entry) for entry in self.entries for word in dict.fromkeys((entry.name, entry.jid, entry.bare)))
        return _gather(words)

    @functools.cached_property
    def _by_uuid(self) -> Mapping[str, list[MachineEntry]]:
        return _gather((entry.uuid, entry) for entry in self.entries)

    def machine(self, reference: str) -> VirtualMachine:
        """Return the managed machine of that name, UUID or JID; raises :class:`MachineNotFound` or :class:`AmbiguousMachine`."""
        entry = self.find(reference)
        if entry is None or not entry.managed:
            known = "; libvirt has such a domain: adopt it with archipel.platform.vm and state: adopted" if entry else ""
            raise MachineNotFound(f"{self.hypervisor.bare} manages no machine {reference!r}{known}")
        return self.open(entry)

    def open(self, entry: MachineEntry) -> VirtualMachine:
        """Return the machine of an entry."""
        return VirtualMachine(self.hypervisor.session, entry.jid, entry.name)


def _gather(pairs: Iterable[tuple[str, MachineEntry]]) -> Mapping[str, list[MachineEntry]]:
    found: dict[str, list[MachineEntry]] = {}
    for word, entry in pairs:
        found.setdefault(word, []).append(entry)
    return found


def _proper(name: str) -> str:
    """Return a name as an agent writes it (composed characters, no blanks at its ends); some agents also take ``-`` for blanks."""
    return unicodedata.normalize("NFC", name).strip()


def _uuid_in(reference: str) -> str | None:
    return as_uuid(reference.partition("/")[0].partition("@")[0])


@dataclass(frozen=True)
class NamedEntity:
    """An entity and the name by which people know it."""

    name: str
    entity: Entity


@dataclass(frozen=True)
class NamedMachine(NamedEntity):
    """A machine and the name by which people know it."""

    entity: VirtualMachine


async def find_entities(hypervisor: Hypervisor, machines: list[str] | None) -> list[NamedEntity]:
    """Return the machines named, or the hypervisor itself where none is; all that are missing are told at once."""
    return [NamedEntity(hypervisor.bare, hypervisor)] if machines is None else [*await find_machines(hypervisor, machines)]


async def find_machines(hypervisor: Hypervisor, machines: Sequence[str]) -> list[NamedMachine]:
    """Return the machines named; all that are missing are told at once."""
    directory = await Directory.load(hypervisor, machines)
    found, missing = [], []
    for reference in dict.fromkeys(machines):
        try:
            machine = directory.machine(reference)
        except MachineNotFound as error:
            missing.append(str(error))
        else:
            found.append(NamedMachine(machine.name or reference, machine))
    if missing:
        raise MachineNotFound("; ".join(missing))
    return found
