# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine as it is, as far as somebody wants to know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

try:
    from archipel.client import MachineState
    from archipel.protocol.declaration import Part
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.machine.host import Host

    from archipel.client import VirtualMachine
    from archipel.client.declaration import MachineDescription
    from archipel.protocol.domain.domain import Domain
    from archipel.protocol.vcard import Organisation
    from archipel.protocol.virtual_machine import Info

REPORTED = ("name", "uuid", "jid", "state", "memory", "max_memory", "vcpus", "autostart")
_KIB = 1024


@dataclass(frozen=True)
class Snapshot:
    """A managed machine; what was not asked for is ``None``.

    ``stored`` is the definition of the next start, ``running`` that of the machine if it runs, ``description`` what the hypervisor told
    in the machine's stead, if it did.
    """

    machine: VirtualMachine
    info: Info | None
    stored: Domain | None = None
    running: Domain | None = None
    organisation: Organisation | None = None
    description: MachineDescription | None = None

    @classmethod
    async def take(
        cls, machine: VirtualMachine, host: Host | None = None, *, definitions: bool = False, organisation: bool = False
    ) -> Self:
        """Return what the host preloaded of the machine, or else ask the machine itself."""
        parts = parts_for(definitions=definitions, organisation=organisation)
        description = None if host is None else host.take_description(machine.uuid, *parts)
        if description is None:
            return await cls.ask(machine, definitions=definitions, organisation=organisation)
        return cls(
            machine,
            description.info,
            description.stored if definitions else None,
            description.running if definitions else None,
            description.organisation if organisation else None,
            description,
        )

    @classmethod
    async def ask(cls, machine: VirtualMachine, *, definitions: bool = False, organisation: bool = False) -> Self:
        """Ask the machine; a definition of a machine that does not run is asked for once only."""
        info, stored, card = await asyncio.gather(
            machine.info(),
            machine.definition(inactive=True) if definitions else _nothing(),
            machine.vcard() if organisation else _nothing(),
        )
        active = is_active(MachineState.of(info))
        running = await machine.definition() if definitions and active else None
        return cls(machine, info, stored, running, None if card is None else card.organisation)

    @property
    def state(self) -> MachineState:
        """The state that libvirt told."""
        return MachineState.of(self.info)

    @property
    def active(self) -> bool:
        """Whether there is a running machine, paused or not."""
        return is_active(self.state)

    def report(self) -> dict[str, Any]:
        """Return what the modules' results say of every machine; memory in MiB."""
        known = {"name": self.machine.name, "uuid": self.machine.uuid, "jid": self.machine.bare, "state": str(self.state)}
        return {**dict.fromkeys(REPORTED), **known, **({} if self.info is None else describe_resources(self.info))}


def parts_for(*, definitions: bool, organisation: bool) -> tuple[Part, ...]:
    """Return the parts of a description that :meth:`Snapshot.take` needs."""
    more = {Part.DEFINITION: definitions, Part.ORGANISATION: organisation}
    return (Part.INFO, *(part for part, needed in more.items() if needed))


def describe_resources(info: Info) -> dict[str, Any]:
    """Return what libvirt says that a machine has; memory in MiB."""
    return {
        "memory": info.memory // _KIB,
        "max_memory": info.max_memory // _KIB,
        "vcpus": info.vcpus,
        "autostart": info.autostart,
    }


async def _nothing() -> None:
    """Stand in for a question that nobody has."""


def is_active(state: MachineState) -> bool:
    """Whether a machine in this state has a running half."""
    return state not in {MachineState.OFF, MachineState.CRASHED, MachineState.NOT_DEFINED}
