# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to an inventory for a host, done beforehand where a wrong name does no harm."""

from __future__ import annotations

from typing import Any

from ansible.inventory.data import InventoryData
from ansible.inventory.host import Host

ON_TRIAL = "\0"  # what a host is called meanwhile, whatever its name is to be: no group can be called so
Steps = list[tuple[str, tuple[Any, ...]]]


class Rehearsal(InventoryData):
    """An inventory that nobody sees and that remembers what was done to it, for an inventory in earnest.

    ``source`` is the inventory's file.
    """

    def __init__(self, source: str | None) -> None:
        self.steps: Steps = []
        super().__init__()
        self.current_source = source

    def begin(self, name: str) -> str:
        """Take up a host that is to have this name, alone; return what to call it meanwhile."""
        self.hosts.clear()
        host: Host = self.hosts[super().add_host(ON_TRIAL)]
        host.name = host.address = name
        self.steps = []
        return ON_TRIAL

    def add_group(self, group: str) -> str:
        self.steps.append(("add_group", (group,)))
        return str(super().add_group(group))

    def add_host(self, host: str, group: str | None = None, port: int | str | None = None) -> str:
        self.steps.append(("add_host", (host, group, port)))
        return str(super().add_host(host, group, port))

    def add_child(self, group: str, child: str) -> bool:
        self.steps.append(("add_child", (group, child)))
        return bool(super().add_child(group, child))

    def set_variable(self, entity: str, varname: str, value: Any) -> None:
        self.steps.append(("set_variable", (entity, varname, value)))
        super().set_variable(entity, varname, value)


def repeat_steps(steps: Steps, inventory: Any, name: str) -> None:
    """Do to an inventory what was rehearsed, for the host of this name."""
    for method, arguments in steps:
        getattr(inventory, method)(*(name if isinstance(argument, str) and argument == ON_TRIAL else argument for argument in arguments))
