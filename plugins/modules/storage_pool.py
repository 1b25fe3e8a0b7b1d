# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_pool
short_description: Declare the storage pools of a host
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Defines, starts, stops and forgets libvirt's storage pools on a hypervisor that an Archipel agent serves.
  - Only what is declared is compared and changed. What a pool is made of stays when it is forgotten.
  - Without the right V(domain_policy_bypass) pools are folders that the agent's configuration allows, and a pool that is there is not
    defined anew.
  - What changes in a pool that is active is stored for its next start, and the result says RV(needs_restart).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  name: &name
    description:
      - The name of the pool, which is its identity on the hypervisor.
    type: str
  uuid: &uuid
    description:
      - The UUID of a new pool; libvirt chooses one if none is given. A pool that is there with another one is an error.
    type: str
  state: &state
    description:
      - V(present) - the pool is defined. Whether it is active is left alone.
      - V(active), V(inactive) - it is defined, and its volumes can be used or cannot. A pool on whose volumes machines run is not
        stopped.
      - V(absent) - it is neither defined nor active.
      - V(present) unless said otherwise.
    type: str
    choices:
      - present
      - active
      - inactive
      - absent
  autostart: &autostart
    description:
      - Whether the pool starts with its host.
    type: bool
  type: &type
    description:
      - What the pool is - a folder (V(dir)), a file system on a device (V(fs)), a folder of an NFS server (V(netfs)), a volume group
        of LVM (V(logical)). A new pool needs it.
    type: str
    choices:
      - dir
      - fs
      - netfs
      - logical
  source: &source
    description:
      - What the pool is made of.
    type: dict
    suboptions:
      devices:
        description:
          - The host's devices, of V(fs) and V(logical), such as V(/dev/sdb).
        type: list
        elements: str
      host:
        description:
          - The server of V(netfs).
        type: str
      dir:
        description:
          - The folder on that server.
        type: str
      name:
        description:
          - The name of the volume group.
        type: str
      format:
        description:
          - The file system, such as V(ext4) or V(nfs), or V(lvm2).
        type: str
  path: &path
    description:
      - The folder of the host in which the volumes appear. A new pool needs it unless it is V(logical).
    type: str
  permissions: &permissions
    description:
      - Whose that folder is when O(build) makes it. Takes the right V(domain_policy_bypass).
    type: dict
    suboptions:
      mode:
        description:
          - The octal mode, in quotes, such as V('0711').
        type: str
      owner:
        description:
          - The number of the owner.
        type: int
      group:
        description:
          - The number of the group.
        type: int
  build: &build
    description:
      - Whether to make the folder or the volume group before a pool that is not active is started. A file system is never made.
    type: bool
  restart: &restart
    description:
      - Whether to start an active pool anew if something that is declared waits for that.
    type: bool
  refresh:
    description:
      - Whether libvirt looks again what is in the pools that are active. That is no change.
    type: bool
    default: false
  storage_pools:
    description:
      - Many pools in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      name: *name
      uuid: *uuid
      state: *state
      autostart: *autostart
      type: *type
      source: *source
      path: *path
      permissions: *permissions
      build: *build
      restart: *restart
seealso:
  - module: archipel.platform.storage_volume
  - name: libvirt's storage pools
    description: What each part of a definition means.
    link: https://libvirt.org/formatstorage.html
"""

EXAMPLES = r"""
---
- name: A folder of the host is a pool that starts with it
  archipel.platform.storage_pool:
    name: lab
    type: dir
    path: /srv/pools/lab
    state: active
    autostart: true
    build: true

- name: The images of a server
  archipel.platform.storage_pool:
    name: images
    type: netfs
    source:
      host: nfs.example.org
      dir: /export/images
    path: /srv/pools/images

- name: A volume group of LVM
  archipel.platform.storage_pool:
    name: fast
    type: logical
    source:
      name: vg-fast
      devices:
        - /dev/nvme1n1

- name: The course is over; what is in the pools stays
  archipel.platform.storage_pool:
    state: absent
    storage_pools:
      - name: lab
      - name: images
      - name: fast
"""

RETURN = r"""
storage_pool:
  description: The pool, as it was read last.
  returned: success, unless O(storage_pools) is given
  type: dict
  sample:
    name: lab
    uuid: 6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69
    state: active
    autostart: true
    type: dir
    path: /srv/pools/lab
    capacity: 102400
    allocation: 20480
    available: 81920
    needs_restart: false
    restart_reasons: []
storage_pools:
  description: All pools of the run.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: lab
    uuid:
      description: The UUID; null if there is no such pool.
      type: str
      sample: 6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69
    state:
      description: Whether it can be used (V(active)), cannot (V(inactive)), or is not there (V(absent)).
      type: str
      sample: active
    autostart:
      description: Whether it starts with its host.
      type: bool
      sample: true
    type:
      description: What it is.
      type: str
      sample: dir
    path:
      description: Where its volumes appear.
      type: str
      sample: /srv/pools/lab
    capacity:
      description: How much room it has in all, in MiB; null if it is not active.
      type: int
      sample: 102400
    allocation:
      description: How much of it is taken, in MiB; null if it is not active.
      type: int
      sample: 20480
    available:
      description: How much is free, in MiB; null if it is not active.
      type: int
      sample: 81920
    needs_restart:
      description: Whether something that is declared waits for the pool to be started anew.
      type: bool
      sample: false
    restart_reasons:
      description: What waits, in words.
      type: list
      elements: str
      sample:
        - path takes effect at the next start
needs_restart:
  description: Whether any of the pools waits for a restart.
  returned: success
  type: bool
  sample: false
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: storage_pooldefine
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.libvirt_resource import ACTIVE
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.results import tell_restarts, tell_single
from ansible_collections.archipel.platform.plugins.module_utils.storage_pool import KIND, DeclaredPool

POOLS = EntryList(KIND, "storage_pools", what="pool")
ARGUMENTS = {
    **connection_arguments(),
    **POOLS.options,
    "refresh": {"type": "bool", "default": False},
}


async def declare(run: Run) -> Mapping[str, Any]:
    hypervisor = run.hypervisor
    resources = [DeclaredPool(hypervisor, entry, check_mode=run.check_mode) for entry in POOLS.read(run.arguments)]
    result = await reconcile_all(resources, "storage_pools", run)
    if run.arguments["refresh"] and not run.check_mode:
        active = [pool["name"] for pool in result["storage_pools"] if pool["state"] == ACTIVE]
        await asyncio.gather(*map(hypervisor.storage_pools.refresh, active))
    result = tell_restarts(result, "storage_pools", run, "when the pool is started anew; restart=true does that")
    return tell_single(result, "storage_pools", "storage_pool", run)


MODULE = Module(
    ARGUMENTS,
    declare,
    constraints=POOLS.constraints,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
