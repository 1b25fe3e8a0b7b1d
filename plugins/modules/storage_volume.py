# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_volume
short_description: Declare the volumes of a host's storage pools
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Makes, resizes and deletes volumes of libvirt's storage pools on a hypervisor that an Archipel agent serves.
  - A volume that a machine has as a disk, or that an image stands on, is neither resized nor deleted. The agent knows who uses it only
    when it is asked to, so a run may fail where check mode foresees a change.
  - The pool must be active. libvirt gives volumes of a pool of LVM no other size.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  pool: &pool
    description:
      - The name of the storage pool.
    type: str
  name: &name
    description:
      - The name of the volume in its pool, such as V(data.qcow2).
    type: str
  state: &state
    description:
      - Whether there is such a volume. V(present) unless said otherwise. What is in a volume that goes is lost for ever.
    type: str
    choices:
      - present
      - absent
  size: &size
    description:
      - How much a guest sees, as a number of MiB or a text such as V(4 GiB). A new volume needs it,
        but one with O(backing) is as large as that if nothing is said, and never smaller.
      - A larger one makes the volume grow, a smaller one needs O(shrink).
    type: str
  format: &format
    description:
      - The format, V(raw) in a new volume, V(qcow2) in one with O(backing). It cannot change.
    type: str
    choices:
      - raw
      - qcow2
  allocation: &allocation
    description:
      - How much room a new volume has from the start, as a number of MiB or a text such as V(1 GiB); the rest comes as it is written.
        V(0) unless said otherwise. Not compared. Volumes of LVM have all their room.
    type: str
  shrink: &shrink
    description:
      - Whether the volume may become smaller, which cuts off its end with what is there.
    type: bool
  backing: &backing
    description:
      - The file that the volume stands on (libvirt's C(backingStore)). The volume holds what differs from it. It cannot change.
      - It is a plain file in a folder for golden images, or in a pool that C([POLICY] allowed_pools) of the agent names; who has the
        right V(domain_policy_bypass) may use all pools. The same goes for every file that it stands on itself.
      - No machine may have it as a disk that it writes to. As long as a volume stands on it, it is neither resized nor deleted.
      - Volumes of one run may stand on one another. Check mode does not look for a O(backing.path).
    type: dict
    suboptions:
      volume:
        description:
          - The name of a volume.
        type: str
      pool:
        description:
          - The pool of O(backing.volume), O(pool) unless said otherwise.
        type: str
      path:
        description:
          - The path of a file on the hypervisor, instead of O(backing.volume).
        type: str
      format:
        description:
          - The format that the file is read in. What the file says itself may be a guest's word.
        type: str
        choices:
          - raw
          - qcow2
        required: true
  storage_volumes:
    description:
      - Many volumes in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      pool: *pool
      name: *name
      state: *state
      size: *size
      format: *format
      allocation: *allocation
      shrink: *shrink
      backing: *backing
seealso:
  - module: archipel.platform.storage_pool
  - module: archipel.platform.vm
"""

EXAMPLES = r"""
---
- name: A disk for a machine
  archipel.platform.storage_volume:
    pool: lab
    name: data.qcow2
    size: 4 GiB
    format: qcow2

- name: Forty disks, one session
  archipel.platform.storage_volume:
    pool: lab
    size: 64
    storage_volumes: "{{ range(1, 41) | map('regex_replace', '^', 'name: seat-') | map('from_yaml') }}"

- name: One that has its room from the start
  archipel.platform.storage_volume:
    pool: lab
    name: log.raw
    size: 128 MiB
    allocation: 128 MiB

- name: A base, and two disks that hold what differs from it
  archipel.platform.storage_volume:
    pool: lab
    storage_volumes:
      - name: base.qcow2
        size: 2 GiB
        format: qcow2
      - name: left.qcow2
        backing: &base
          volume: base.qcow2
          format: qcow2
      - name: right.qcow2
        backing: *base

- name: What is in it is lost for ever
  archipel.platform.storage_volume:
    pool: lab
    name: data.qcow2
    state: absent
"""

RETURN = r"""
storage_volume:
  description: The volume, as it was read last.
  returned: success, unless O(storage_volumes) is given
  type: dict
  sample:
    pool: lab
    name: data.qcow2
    state: present
    path: /srv/pools/lab/data.qcow2
    format: qcow2
    capacity: 4294967296
    allocation: 200704
    backing:
      path: /srv/pools/lab/base.qcow2
      format: qcow2
storage_volumes:
  description: All volumes of the run.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    pool:
      description: The pool.
      type: str
      sample: lab
    name:
      description: The name.
      type: str
      sample: data.qcow2
    state:
      description: Whether it is there (V(present)) or not (V(absent)).
      type: str
      sample: present
    path:
      description: Where it is on the hypervisor; null if it is not there.
      type: str
      sample: /srv/pools/lab/data.qcow2
    format:
      description: The format; null if it is not there.
      type: str
      sample: qcow2
    capacity:
      description: How much a guest sees, in bytes; null if it is not there.
      type: int
      sample: 4294967296
    allocation:
      description: How much room it takes, in bytes; null if it is not there.
      type: int
      sample: 200704
    backing:
      description: The file that it stands on; null if there is none, or the volume is not there.
      type: dict
      sample:
        path: /srv/pools/lab/base.qcow2
        format: qcow2
      contains:
        path:
          description: Where that file is on the hypervisor.
          type: str
          sample: /srv/pools/lab/base.qcow2
        format:
          description: The format that it is read in; null if the volume does not say.
          type: str
          sample: qcow2
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: storage_volumecreate
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.results import tell_single
from ansible_collections.archipel.platform.plugins.module_utils.storage_volume import KIND, DeclaredVolume, order

VOLUMES = EntryList(KIND, "storage_volumes", known_by=("pool", "name"))
ARGUMENTS = {
    **connection_arguments(),
    **VOLUMES.options,
}


async def declare(run: Run) -> Mapping[str, Any]:
    hypervisor = run.hypervisor
    resources = [DeclaredVolume(hypervisor, entry, check_mode=run.check_mode) for entry in VOLUMES.read(run.arguments)]
    order(resources)
    result = await reconcile_all(resources, "storage_volumes", run)
    return tell_single(result, "storage_volumes", "storage_volume", run)


MODULE = Module(
    ARGUMENTS,
    declare,
    constraints=VOLUMES.constraints,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
