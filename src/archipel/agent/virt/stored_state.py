# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt keeps of a domain beside its definition, and loses with it."""

from __future__ import annotations

from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirDomain, VirFailure


def kept_beside(domain: VirDomain) -> list[str]:
    """Return in words what would be lost if the domain were undefined; nothing where the driver knows nothing of the kind."""
    try:
        found = [f"{number} snapshots" for number in [len(domain.listAllSnapshots(0))] if number]
        return found + (["a saved state"] if domain.hasManagedSaveImage(0) == 1 else [])
    except VirFailure as failure:
        if binding.describe(failure).code not in binding.REFUSED_FLAGS:
            raise
        return []
