# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_snapshot
short_description: Declare snapshots of virtual machines, or go back to one
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which snapshots virtual machines have, or to which they go back.
  - A snapshot that is there stays as it is; its O(description), O(memory) and the rest count when it is taken.
  - Going back loses what the disks hold now. It is done unless the snapshot is the current one of the machine (the one that was
    taken or gone back to last); what was written since is not known, so it does not count. O(always) goes back every time.
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
  name:
    description:
      - The name of the snapshot. Needed unless O(state=absent) goes with O(pattern).
    type: str
  state:
    description:
      - Whether there is such a snapshot (V(present)) or not (V(absent)), or the machine is to go back to it (V(reverted)).
    type: str
    choices:
      - present
      - absent
      - reverted
    default: present
  description:
    description:
      - What a new snapshot is for.
    type: str
  memory:
    description:
      - Whether the memory is in a new snapshot. Without it, the memory of a running machine is.
    type: bool
  external:
    description:
      - Whether a new snapshot is kept in files of its own, in the machine's folder. Older versions of libvirt cannot go back to those.
    type: bool
  quiesce:
    description:
      - Whether the guest freezes its file systems for a moment. For a new O(external) snapshot of a running machine without O(memory);
        without it that is done where the guest agent is connected.
    type: bool
  children:
    description:
      - Whether what was taken after a snapshot that is deleted goes with it. Otherwise it stays.
    type: bool
  always:
    description:
      - Whether O(state=reverted) goes back even if that snapshot is the current one already. Every run is a change then.
    type: bool
  pattern:
    description:
      - The names of snapshots that may be deleted, with C(*) and C(?), such as V(nightly-*).
      - With O(state=absent), all of them are deleted but those that O(keep) and O(older_than) spare. With O(state=present) one of
        these two is needed, and the declared snapshot is never deleted.
    type: str
  keep:
    description:
      - How many of the newest with a name like O(pattern) stay; the declared one counts if its name is like that.
    type: int
  older_than:
    description:
      - The age from which one with a name like O(pattern) is deleted, such as V(12h), V(30d) or V(4w); a number alone is of seconds.
      - It is compared with the clock of the control node.
    type: str
seealso:
  - module: archipel.platform.vm
  - module: archipel.platform.vm_clone
"""

EXAMPLES = r"""
---
- name: A snapshot before the update
  archipel.platform.vm_snapshot:
    machine: web
    name: before the update
    description: The packages of March

- name: One for each day, of which a week stays
  archipel.platform.vm_snapshot:
    machines:
      - web
      - mail
    name: "daily-{{ now(fmt='%Y-%m-%d') }}"
    pattern: daily-*
    keep: 7

- name: The machine is as it was before
  archipel.platform.vm_snapshot:
    machine: web
    name: before the update
    state: reverted

- name: Nothing older than a month stays
  archipel.platform.vm_snapshot:
    machine: web
    state: absent
    pattern: "*"
    older_than: 30d

- name: The snapshot goes, and what was taken after it
  archipel.platform.vm_snapshot:
    machine: web
    name: before the update
    state: absent
    children: true
"""

RETURN = r"""
machines:
  description: The machines and their snapshots, as they were read last (in check mode, before the change).
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name.
      type: str
      sample: web
    jid:
      description: The machine's account.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    current:
      description: The snapshot that was taken or gone back to last; null if there is none.
      type: str
      sample: before the update
    snapshots:
      description:
        - All snapshots, parents before their children. C(state) is libvirt's word for the machine of that time, C(created) is in UTC,
          C(parent) the snapshot that it stands on.
      type: list
      elements: dict
      sample:
        - name: before the update
          description: The packages of March
          state: running
          created: "2026-03-01T07:30:00Z"
          parent: null
          current: true
          external: false
          memory: true
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: snapshot_take
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import find_machines
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.snapshots import SNAPSHOT, DeclaredSnapshot, refuse_contradictions

ARGUMENTS = {
    **connection_arguments(),
    "machines": {"type": "list", "elements": "str", "required": True, "aliases": ["machine"]},
    **SNAPSHOT,
}


async def declare(run: Run) -> Mapping[str, Any]:
    entities = await find_machines(run.hypervisor, run.arguments["machines"])
    return await reconcile_all([DeclaredSnapshot(entity, run.arguments, tell=run.tell) for entity in entities], "machines", run)


MODULE = Module(ARGUMENTS, declare, refuse=refuse_contradictions)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
