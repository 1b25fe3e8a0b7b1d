# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_migrate
short_description: Declare on which hypervisor virtual machines are
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Moves machines from O(hypervisor) to O(destination), with their disks, accounts, rights, rosters and tags. A machine that is there
    already stays there.
  - A machine that runs goes on running while it moves, one that is off stays off. How far each is can be seen while the task runs.
  - Check mode tells which machines would move, not whether both hosts can do it; only they find that out.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machines:
    description:
      - The machines, by name, UUID or JID.
    type: list
    elements: str
    required: true
    aliases:
      - machine
  destination:
    description:
      - The account of the hypervisor where the machines shall be, such as V(second@example.org).
    type: str
    required: true
  offline:
    description:
      - Whether a machine that runs is shut down, moved, and started at its new place, for hosts between which none can move while it
        runs. If the move fails it is started where it was.
    type: bool
    default: false
  shutdown_timeout:
    description:
      - How many seconds a guest may take to shut down, with O(offline).
    type: float
    default: 120
  force:
    description:
      - Whether a guest that does not shut down in time is switched off, with O(offline).
    type: bool
    default: false
  at_once:
    description:
      - How many machines are on their way at the same time.
    type: int
    default: 2
  migration_timeout:
    description:
      - How many seconds one machine may take to arrive.
    type: float
    default: 3600
  cancel_on_timeout:
    description:
      - Whether a move that takes longer is called off, so that the machine stays where it is. Otherwise it goes on. The task fails either
        way.
    type: bool
    default: true
seealso:
  - module: archipel.platform.hypervisor
  - module: archipel.platform.vm
"""

EXAMPLES = r"""
---
- name: The web server is on the second host
  archipel.platform.vm_migrate:
    machine: web
    destination: second@example.org

- name: Two machines move, one after the other, and none takes longer than ten minutes
  archipel.platform.vm_migrate:
    machines:
      - web
      - mail
    destination: second@example.org
    at_once: 1
    migration_timeout: 600

- name: A machine comes back, shut down on its way if it runs
  archipel.platform.vm_migrate:
    hypervisor: second@example.org
    machine: web
    destination: hypervisor@example.org
    offline: true
"""

RETURN = r"""
machines:
  description: The machines, and where they are (in check mode, where they would be).
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name.
      type: str
      sample: web
    uuid:
      description: Its UUID.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
    jid:
      description: Its account, which is the same everywhere.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    hypervisor:
      description: The account of the hypervisor where it is.
      type: str
      sample: second@example.org
    state:
      description: What libvirt said when it was last asked, such as V(running) or V(off).
      type: str
      sample: running
    moved:
      description: Whether it moved.
      type: bool
      sample: true
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: migrate
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.migrations import MovedMachine, Places, Way
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

ARGUMENTS = {
    **connection_arguments(),
    "machines": {"type": "list", "elements": "str", "required": True, "aliases": ["machine"]},
    "destination": {"type": "str", "required": True},
    "offline": {"type": "bool", "default": False},
    "shutdown_timeout": {"type": "float", "default": 120},
    "force": {"type": "bool", "default": False},
    "at_once": {"type": "int", "default": 2},
    "migration_timeout": {"type": "float", "default": 3600},
    "cancel_on_timeout": {"type": "bool", "default": True},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["at_once"] < 1:
        raise ValueError("at_once: must be 1 or more")
    if arguments["migration_timeout"] <= 0:
        raise ValueError("migration_timeout: must be more than 0 seconds")


async def migrate(run: Run) -> Mapping[str, Any]:
    source, destination = run.hypervisor, run.session.hypervisor(run.arguments["destination"])
    if source.bare == destination.bare:
        raise ValueError(f"destination: {destination.bare} is where the machines are said to be: name another hypervisor")
    places = await Places.load(source, destination)
    turn, way = asyncio.Semaphore(run.arguments["at_once"]), Way.of(run.arguments, run.tell)
    machines = dict.fromkeys(run.arguments["machines"])
    return await reconcile_all([MovedMachine(reference, places, way, turn) for reference in machines], "machines", run)


MODULE = Module(ARGUMENTS, migrate, refuse=refuse)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
