# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the machines of one run share: their hypervisor's list and descriptions, the platform's tags, who runs domains on the host."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

try:
    from archipel.client.declaration import DescriptionsUnsupported
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory

    from archipel.client import Hypervisor
    from archipel.client.declaration import MachineDescription
    from archipel.protocol.declaration import Part

_BEST_FIRST = ("kvm", "qemu", "test")
WORTHWHILE = 2
"""So many machines are described faster by their hypervisor than by themselves."""


class Host:
    """The hypervisor of a run; what its machines need of it is asked once, and only if one of them does need it."""

    def __init__(self, directory: Directory, boots: AbstractAsyncContextManager[Any] | None = None) -> None:
        self.directory = directory
        self.boots = boots or contextlib.nullcontext()
        """What a machine waits for before it is started."""
        self.new_uuids: dict[str, str] = {}
        """The UUIDs that new machines get, by name; others get one from the agent."""
        self._descriptions: dict[str, MachineDescription] = {}
        self._tags: asyncio.Task[Mapping[str, tuple[str, ...]]] | None = None
        self._domain_type: asyncio.Task[str] | None = None

    @property
    def hypervisor(self) -> Hypervisor:
        """The hypervisor itself."""
        return self.directory.hypervisor

    async def preload(self, uuids: Iterable[str], parts: Iterable[Part]) -> None:
        """Ask for these parts of many machines at once, for the first read of each (:meth:`take_description`).

        Older agents, and machines that do not know this account, leave nothing here: they are asked one by one.
        """
        wanted = list(uuids)
        if len(wanted) < WORTHWHILE:
            return
        try:
            self._descriptions |= await self.hypervisor.describe(wanted, parts)
        except DescriptionsUnsupported:
            return

    def take_description(self, uuid: str, *parts: Part) -> MachineDescription | None:
        """Return what was preloaded of a machine, once, since it changes; ``None`` unless these parts are all in it.

        A machine that is not online has no description, either: who asks it is told so.
        """
        found = self._descriptions.pop(uuid, None)
        return found if found is not None and found.online and found.gives(*parts) else None

    async def tags_of(self, bare: str) -> tuple[str, ...]:
        """Return the tags of a machine (bare JID), as the platform's node had them when first asked."""
        if self._tags is None:
            self._tags = asyncio.ensure_future(self.hypervisor.session.tags())
        return (await asyncio.shield(self._tags)).get(bare, ())

    def forget_tags(self) -> None:
        """Ask again next time: tags were changed."""
        self._tags = None

    async def domain_type(self) -> str:
        """Return who runs new machines: KVM where the host can (right ``capabilities``)."""
        if self._domain_type is None:
            self._domain_type = asyncio.ensure_future(self._find_domain_type())
        return await asyncio.shield(self._domain_type)

    async def _find_domain_type(self) -> str:
        offered = domain_types(await self.hypervisor.capabilities())
        if not offered:
            raise ValueError(f"domain_type: libvirt on {self.hypervisor.bare} names nobody who runs machines; say domain_type")
        return offered[0]


def domain_types(capabilities: ET.Element) -> list[str]:
    """Return who runs domains on a host, by libvirt's capabilities of it, the best first."""
    offered = {domain.get("type", "") for domain in capabilities.iterfind("guest/arch/domain")}
    known = [kind for kind in _BEST_FIRST if kind in offered]
    return known + sorted(offered.difference(known))
