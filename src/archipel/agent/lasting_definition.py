# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a machine outlives its domain: who parks or moves it takes that along, and must lose nothing beside it."""

from __future__ import annotations

from archipel.agent.definition import read_stored, strip_founding_description
from archipel.agent.virt.domain import DomainInfo
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virt.stored_state import kept_beside
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import CommandError, Condition


async def read_lasting(machine: VirtualMachine, fate: str) -> tuple[DomainInfo, Domain]:
    """Return how a machine's domain is, and its lasting definition with secrets, without a founding description.

    Raises :class:`CommandError` if it has none, or if libvirt keeps something beside it, whose ``fate`` the text tells.
    """
    try:
        info = await machine.domain.info()
        lost = await machine.domain.read("what is kept beside the definition", kept_beside)
        definition = read_stored(await machine.domain.xml(secure=True, inactive=True))
    except DomainNotFound:
        raise CommandError(f"{machine.name} has no definition: define it first", condition=Condition.ITEM_NOT_FOUND) from None
    if not info.persistent:
        raise CommandError(f"{machine.name} has no lasting definition: define it first", condition=Condition.UNEXPECTED_REQUEST)
    if lost:
        text = f"{machine.name} has {' and '.join(lost)}, {fate}: remove that first"
        raise CommandError(text, condition=Condition.UNEXPECTED_REQUEST)
    strip_founding_description(definition.element)
    return info, definition
