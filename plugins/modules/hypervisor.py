# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hypervisor
short_description: Declare which domains a hypervisor manages, its maintenance and its tags
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - With O(state=adopted), domains that libvirt has already, made with virsh or any other program, become machines of the platform, as
    they are and while they run. With O(state=unmanaged) they are let go again; libvirt keeps them as they are.
  - With O(state=maintenance), machines that run move to other hypervisors, so that the host can be mended. With O(state=active) they
    come back. Which they are is told by tags, which travel with the machines (V(evacuated-from:ACCOUNT), or
    V(stopped-for-maintenance) for those that were stopped); so both can be repeated after a failure, by anybody, and go on where they
    were. The hypervisor has the tag V(maintenance) meanwhile. Nothing keeps people from starting machines there.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  state:
    description:
      - What to see to. V(present), as which it counts unless given, is about O(tags) alone.
    type: str
    choices:
      - present
      - adopted
      - unmanaged
      - maintenance
      - active
  machines:
    description:
      - Which domains are adopted or let go, by name, UUID, JID, or a pattern of names with C(*) and C(?).
      - All of them with O(state=adopted) unless given.
    type: list
    elements: str
    aliases:
      - machine
  exclude:
    description:
      - Which of those are left alone, written as for O(machines).
    type: list
    elements: str
  tags:
    description:
      - The tags of the hypervisor, and no others. The tag V(maintenance) is left out of this.
    type: list
    elements: str
  destinations:
    description:
      - The accounts of the hypervisors that take the machines. Each machine goes to the one with the fewest.
    type: list
    elements: str
  unmovable:
    description:
      - What becomes of a machine that cannot move, or of all if there are no O(destinations). V(fail) leaves it and fails, when all others
        have moved; V(leave) leaves it; V(stop) stops it, and O(state=active) starts it again. V(fail) unless given.
    type: str
    choices:
      - fail
      - leave
      - stop
  include_stopped:
    description:
      - Whether machines that are off move too.
    type: bool
  offline:
    description:
      - Whether a machine that runs is shut down, moved, and started at its new place.
    type: bool
  at_once:
    description:
      - How many machines are on their way at the same time; V(1) unless given.
    type: int
  migration_timeout:
    description:
      - How many seconds one machine may take to arrive; V(3600) unless given. One that takes longer stays.
    type: float
  shutdown_timeout:
    description:
      - How many seconds a guest may take to shut down, where it has to; V(120) unless given.
    type: float
  force:
    description:
      - Whether a guest that does not shut down in time is switched off.
    type: bool
seealso:
  - module: archipel.platform.hypervisor_info
  - module: archipel.platform.vm_migrate
"""

EXAMPLES = r"""
---
- name: All that was made with virsh is managed, but for the infrastructure
  archipel.platform.hypervisor:
    state: adopted
    exclude:
      - infra-*

- name: The host gets new memory tonight, its machines move
  archipel.platform.hypervisor:
    state: maintenance
    destinations:
      - second@example.org

- name: The machines come back
  archipel.platform.hypervisor:
    state: active

- name: The hypervisor can be found by where it stands
  archipel.platform.hypervisor:
    tags:
      - room-12

- name: One domain is left to virsh again
  archipel.platform.hypervisor:
    state: unmanaged
    machine: legacy
"""

RETURN = r"""
hypervisor:
  description: The hypervisor, as far as something is declared of it (in check mode, as it would be).
  returned: success
  type: dict
  contains:
    jid:
      description: Its account.
      type: str
      sample: hypervisor@example.org
    managed:
      description: The names of the chosen domains that are managed; null if it is not about these.
      type: list
      elements: str
      sample:
        - legacy
    state:
      description: Whether it is in service (V(active)) or in V(maintenance); null if it is not about that.
      type: str
      sample: maintenance
    machines:
      description: Where the machines are that maintenance concerns, by name, the account of a hypervisor or V(stopped).
      type: dict
      sample:
        web: second@example.org
    tags:
      description: Its tags, without V(maintenance); null if it is not about them.
      type: list
      elements: str
      sample:
        - room-12
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: manage
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.hypervisor_state import (
    HYPERVISOR,
    DeclaredHypervisor,
    refuse_contradictions,
)
from ansible_collections.archipel.platform.plugins.module_utils.results import reconcile_one

ARGUMENTS = {**connection_arguments(), **HYPERVISOR}


async def declare(run: Run) -> Mapping[str, Any]:
    declared = DeclaredHypervisor(run.hypervisor, run.arguments, check_mode=run.check_mode, tell=run.tell)
    result = await reconcile_one(declared, "hypervisor", run)
    for warning in () if declared.evacuation is None else declared.evacuation.warnings:
        run.warn(warning)
    return result


MODULE = Module(ARGUMENTS, declare, refuse=refuse_contradictions, constraints={"required_one_of": [("state", "tags")]})


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
