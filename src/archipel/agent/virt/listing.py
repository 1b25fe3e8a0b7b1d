# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt listed, looked at one by one, while others go on removing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

import libvirt

from archipel.agent.virt.binding import VirFailure, describe

GONE: Final = frozenset({libvirt.VIR_ERR_NO_NETWORK, libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_NO_STORAGE_VOL})

Listed = TypeVar("Listed")
Description = TypeVar("Description")


def those_there(look_at: Callable[[Listed], Description], listed: Iterable[Listed]) -> Iterator[Description]:
    """Yield what is seen of each network, pool or volume, but for those that somebody removed after libvirt listed them."""
    for entry in listed:
        try:
            yield look_at(entry)
        except VirFailure as failure:
            if describe(failure).code not in GONE:
                raise
