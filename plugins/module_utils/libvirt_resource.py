# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is declared alike of all that libvirt keeps a definition of: networks, filters, pools."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource, Values

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from ansible_collections.archipel.platform.plugins.module_utils.xml_specification import Specification

    from archipel.protocol.network import NetworkDescription
    from archipel.protocol.storage_pools import PoolDescription

ABSENT, PRESENT, ACTIVE, INACTIVE, TRANSIENT = "absent", "present", "active", "inactive", "transient"
NEEDS_RESTART = "needs_restart"


class LibvirtResource(Resource):
    """Something that has a name, a UUID and a definition; ``what`` is what people call it."""

    what: ClassVar[str]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.title: str = arguments["name"]
        self.uuid: str | None = arguments["uuid"]
        self.state: str = arguments["state"] or PRESENT
        try:
            self.specification = self.specify(arguments)
        except ValueError as error:
            raise ValueError(f"{self.title}: {error}") from None

    @staticmethod
    @abstractmethod
    def specify(arguments: Mapping[str, Any]) -> Specification:
        """Return what is declared of the definition; raises :class:`ValueError`, which names the option."""

    @property
    @abstractmethod
    def definition(self) -> ET.Element | None:
        """The definition as it was read; ``None`` if there is nothing of that name."""

    def wanted_definition(self) -> ET.Element:
        """Return the definition as it shall be."""
        present = self.definition
        return self.specification.make(self.title, self.uuid) if present is None else self.specification.change(present)

    def refuse_other(self, uuid: str | None) -> None:
        """Raise :class:`ValueError` if what has the name has another UUID than the declared one."""
        if self.uuid is not None and uuid != self.uuid:
            unchanging = f"the {self.what} has {uuid}, which cannot change"
            raise ValueError(f"{self.title}: uuid: {unchanging}: leave it out, or remove the {self.what}")


def next_definition(found: NetworkDescription | PoolDescription, title: str, what: str) -> ET.Element:
    """Return the definition of the next start; what has none is known by what runs."""
    definition = found.stored if found.stored is not None else found.running
    if definition is None:
        raise ValueError(f"{title}: the agent told no definition of the {what}")
    return definition


class StartedResource(LibvirtResource):
    """Something that is started and stopped besides, and may wait for a restart to be what its definition says."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__(arguments)
        self.autostart: bool | None = arguments["autostart"]
        self.restart = bool(arguments["restart"])
        self.waiting: list[str] = []
        """Which of the declared options take effect at the next start."""

    def describe(self, definition: ET.Element, state: str, autostart: bool | None) -> dict[str, Any]:
        """Return the values of what is declared."""
        started = {} if self.autostart is None else {"autostart": autostart}
        return {"state": state, **started, **self.specification.describe(definition)}

    def with_restart(self, values: Values) -> Values:
        """Return values that say whether something waits for a restart."""
        return {**values, NEEDS_RESTART: True} if self.waiting else values

    def state_of(self, *, active: bool, persistent: bool) -> str:
        """Return which of the states that can be declared it is in."""
        if not persistent:
            return TRANSIENT
        return (ACTIVE if active else INACTIVE) if self.state in {ACTIVE, INACTIVE} else PRESENT

    def redefines(self, current: Values, desired: Values) -> bool:
        """Whether the definition, or whether it starts with its host, is to be another."""
        differ = {name for name, value in desired.items() if current.get(name) != value}
        return current["state"] in {ABSENT, TRANSIENT} or bool(differ - {"state", NEEDS_RESTART})

    def tell_waiting(self, *besides: str) -> dict[str, Any]:
        """Return whether a restart is needed, and why; ``besides`` are further reasons, which come first."""
        reasons = [*(besides if self.waiting else ()), *(f"{part} takes effect at the next start" for part in self.waiting)]
        return {NEEDS_RESTART: bool(self.waiting), "restart_reasons": reasons}
