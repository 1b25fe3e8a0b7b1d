# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which definitions a machine's people may make: the domain policy, with this host's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archipel.agent.dispatch import Caller
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine


async def refuse_forbidden(machine: VirtualMachine, wanted: Domain, current: Domain | None, caller: Caller) -> None:
    """Raise :class:`PermissionDenied` with all that the policy forbids, unless the caller may pass it.

    Devices that stay exactly as they are in the present definition are not judged again: an adopted machine has what its
    administrator gave it, and its people may still change the rest.
    """
    if machine.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed:
        return
    raise PermissionDenied("no", DOMAIN_POLICY_BYPASS)
