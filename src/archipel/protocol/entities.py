# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of entities, and what a right is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class EntityKind(enum.StrEnum):
    """What an entity is; the value is the ROLE of its vCard."""

    HYPERVISOR = "hypervisor"
    VIRTUAL_MACHINE = "virtualmachine"


ANY_ENTITY: Final = frozenset(EntityKind)
ON_HYPERVISOR: Final = frozenset({EntityKind.HYPERVISOR})
ON_VIRTUAL_MACHINE: Final = frozenset({EntityKind.VIRTUAL_MACHINE})


@dataclass(frozen=True)
class Token:
    """A right by its name; ``default``: everybody whom the entity knows has it without a grant.

    A ``reserved`` token is not covered by ``all``, and is granted only by those who have it themselves: ``all`` on one's own
    machine must not open the host.
    """

    name: str
    description: str
    entities: frozenset[EntityKind]
    default: bool = False
    reserved: bool = False
