# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network of libvirt as module ``network`` declares it: defined, changed while it runs where libvirt can, started, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.libvirt_resource import (
    ABSENT,
    ACTIVE,
    INACTIVE,
    NEEDS_RESTART,
    PRESENT,
    StartedResource,
    next_definition,
)
from ansible_collections.archipel.platform.plugins.module_utils.network_arguments import NETWORK as KIND
from ansible_collections.archipel.platform.plugins.module_utils.network_arguments import NETWORK_OPTIONS
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Values
from ansible_collections.archipel.platform.plugins.module_utils.xml_specification import (
    SingleOptions,
    Specification,
    WholeDefinition,
    parse_definition,
)

try:
    from archipel.protocol import network_options
    from archipel.protocol.network_definition import read_network
    from archipel.protocol.network_updates import carry_over
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from archipel.client import Hypervisor
    from archipel.protocol.network import NetworkDescription

__all__ = ["KIND", "DeclaredNetwork", "describe_all"]
# What libvirt chooses for a network whose definition leaves it out, and would choose anew with each definition.
_KEPT = {"bridge": ("name",), "mac": ("address",)}


def read_specification(arguments: Mapping[str, Any]) -> Specification:
    """Return what is declared; raises :class:`ValueError`, which names the option."""
    if arguments["definition"] is not None:
        written = parse_definition(arguments["definition"], "network")
        if not written.findtext("name"):
            _name(written, arguments["name"])
        return WholeDefinition(read_network(written).element, _KEPT, "name")
    declared = network_options.read_declaration({name: arguments[name] for name in NETWORK_OPTIONS})
    return SingleOptions(network_options.NETWORK, declared, network_options.make_network, network_options.change_network)


def _name(element: ET.Element, name: str) -> None:
    for old in element.findall("name"):
        element.remove(old)
    named = element.makeelement("name", {})
    named.text = name
    element.insert(0, named)


class DeclaredNetwork(StartedResource):
    """One network; its values are the declared options, and whether it waits for a restart."""

    what = "network"
    specify = staticmethod(read_specification)

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        super().__init__(arguments)
        self.networks = hypervisor.networks
        self.force = bool(arguments["force"])
        self.check_mode = check_mode
        self._found: NetworkDescription | None = None
        self._refused: tuple[str, ...] = ()
        self._foreseen = False  # that something would wait for a restart

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return what is declared, as it stands in the definition of the next start."""
        found = self._found = await self.networks.describe(self.title)
        self.waiting = []
        if found is None:
            return {"state": ABSENT}
        self.refuse_other(found.uuid)
        if self.state == ABSENT:
            return {"state": PRESENT}
        stored = _definition_of(found)
        if found.active and found.running is not None:
            self.waiting = self.specification.differences(found.running, stored)
        return self.with_restart(self.describe(stored, self.state_of(active=found.active, persistent=found.persistent), found.autostart))

    @property
    def definition(self) -> ET.Element | None:
        """The definition of the next start."""
        return None if self._found is None else _definition_of(self._found)

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return the declared values; refuse to cut machines off unless that is wanted."""
        if self.state == ABSENT:
            self._refuse_cut(stops=True)
            return {"state": ABSENT}
        wanted = self.wanted_definition()
        waiting = self._will_wait(wanted)
        self._foreseen = bool(waiting)
        self._refuse_cut(stops=self.state == INACTIVE or bool(waiting and self.restart))
        self.waiting = [] if self.restart else waiting
        return self.with_restart(self.describe(wanted, self.state, self.autostart))

    def _will_wait(self, wanted: ET.Element) -> list[str]:
        """Return what is declared and a network that goes on running will not have."""
        found = self._found
        if found is None or found.running is None or not found.active or self.state == INACTIVE:
            return []
        return self.specification.differences(carry_over(found.running, wanted), wanted)

    def _refuse_cut(self, *, stops: bool) -> None:
        found = self._found
        connected = int(found.running.get("connections", "0")) if found is not None and found.running is not None else 0
        if stops and connected and not self.force:
            cards = f"{connected} network card{'s' if connected > 1 else ''} of running machines"
            raise ValueError(
                f"{self.title}: {cards} would be cut off, and libvirt plugs them in again only when the machines start anew: "
                "shut the machines down first, or say force: true"
            )

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Define the network, change it while it runs, and bring it to its declared state."""
        if self.state == ABSENT:
            await self._remove()
            return
        found, wanted = self._found, self.wanted_definition()
        if self.redefines(current, desired):
            self._refused = await self._define(wanted)
        active = found is not None and found.active
        waits = active and self.restart and (self._foreseen or await self._waits_still())
        if active and (waits or self.state == INACTIVE):
            self._refuse_cut(stops=True)  # more waits than was foreseen if libvirt refused an update
            await self.networks.stop(self.title)
        if waits:  # not all drivers of libvirt take on at the next start what was stored while the network ran
            await self.networks.define(wanted, autostart=self.autostart)
        if (waits and self.state == PRESENT) or (self.state == ACTIVE and (waits or not active)):
            await self.networks.start(self.title)

    async def _define(self, wanted: ET.Element) -> tuple[str, ...]:
        if self._found is None or not self._found.active:
            await self.networks.define(wanted, autostart=self.autostart)
            return ()
        refused = await self.networks.update(wanted, autostart=self.autostart)
        return tuple(f"{one.what}: libvirt refuses it while the network runs ({one.why})" for one in refused)

    async def _waits_still(self) -> bool:
        return NEEDS_RESTART in await self.read()

    async def _remove(self) -> None:
        found = self._found
        if found is not None and found.active:
            await self.networks.stop(self.title)
        if found is not None and found.persistent:
            await self.networks.undefine(self.title)

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the network as it was last read, and why it should be restarted."""
        found = self._found
        known: dict[str, Any] = {"name": self.title, "uuid": None, "state": ABSENT, "autostart": None, "bridge": None}
        if found is not None:
            state = ACTIVE if found.active else INACTIVE
            bridge = _definition_of(found).find("bridge")
            known |= {"uuid": found.uuid, "state": state, "autostart": found.autostart}
            known["bridge"] = None if bridge is None else bridge.get("name")
        return {**known, **self.tell_waiting(*self._refused)}


def _definition_of(found: NetworkDescription) -> ET.Element:
    return next_definition(found, found.name, DeclaredNetwork.what)


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return all networks that are defined, in the words of ``KIND``."""
    names = [network.name for network in await hypervisor.networks.list()]
    found = await asyncio.gather(*(hypervisor.networks.describe(name) for name in names))
    return [_declare(network) for network in found if network is not None and network.persistent]


def _declare(found: NetworkDescription) -> dict[str, Any]:
    definition = _definition_of(found)
    described = {"name": found.name, "state": ACTIVE if found.active else INACTIVE, "autostart": found.autostart}
    return {**described, **network_options.describe_network(definition)}
