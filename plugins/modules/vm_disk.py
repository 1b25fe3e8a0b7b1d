# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_disk
short_description: Declare the drives that the agent keeps for virtual machines
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Makes, attaches, enlarges, converts, renames and deletes drives, which are image files in a machine's folder on its host.
  - A drive is attached to a running machine at once where libvirt can plug it in. Otherwise it is there from the next start, and the
    result says RV(needs_restart).
  - For disks elsewhere (a volume of a pool, a block device) use the option O(archipel.platform.vm#module:disks) of
    M(archipel.platform.vm).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machines:
    description:
      - The machines, by name, UUID or JID. Each of them gets the drives.
    type: list
    elements: str
    required: true
    aliases:
      - machine
  name: &name
    description:
      - The name of the drive, without ending; the ending of its file is the O(format).
    type: str
  state: &state
    description:
      - Whether there is such a drive. With V(absent) B(what is on it is lost); it is taken out of the machine first.
      - V(present) unless given.
    type: str
    choices:
      - present
      - absent
  size: &size
    description:
      - The size that the guest sees, such as V(500 MiB), V(10 GiB) or V(1 TiB); a number alone is of MiB. Needed for a new drive.
      - A drive grows while its machine runs.
    type: str
  shrink: &shrink
    description:
      - Whether a drive that is larger than O(size) is made smaller, which cuts off what is at its end. Without it that is an error.
    type: bool
  format: &format
    description:
      - The format of the image; V(qcow2) for a new drive unless given. A drive of another format is converted while the machine is off.
    type: str
    choices:
      - qcow2
      - raw
      - qcow
      - vmdk
  preallocate: &preallocate
    description:
      - Whether a new qcow2 drive gets its tables at once.
    type: bool
  golden: &golden
    description:
      - The file name of the golden image that a new drive stands on, such as V(debian.qcow2). A drive that is there is never moved to
        another one; that is an error.
    type: str
  renamed_from: &renamed_from
    description:
      - The name that the drive had before. If there is no drive O(name) and one of this name, that is renamed; the machine must be off.
    type: str
  attached: &attached
    description:
      - Whether the machine has the drive as a disk; V(true) unless given.
    type: bool
  bus: &bus
    description:
      - The bus of the disk in the guest; V(virtio) for a new disk unless given.
    type: str
    choices:
      - virtio
      - sata
      - scsi
      - ide
      - usb
  target: &target
    description:
      - The name of the disk on that bus, such as V(vdb); the first free one for a new disk unless given.
    type: str
  disks:
    description:
      - Several drives. What is said beside it holds for all of them, unless an entry says otherwise.
    type: list
    elements: dict
    suboptions:
      name: *name
      state: *state
      size: *size
      shrink: *shrink
      format: *format
      preallocate: *preallocate
      golden: *golden
      renamed_from: *renamed_from
      attached: *attached
      bus: *bus
      target: *target
seealso:
  - module: archipel.platform.vm
  - module: archipel.platform.golden_image
"""

EXAMPLES = r"""
---
- name: A disk for data
  archipel.platform.vm_disk:
    machine: web
    name: data
    size: 20 GiB

- name: It becomes larger, whether the machine runs or not
  archipel.platform.vm_disk:
    machine: web
    name: data
    size: 30 GiB

- name: Two disks for each machine
  archipel.platform.vm_disk:
    machines:
      - web
      - mail
    format: qcow2
    disks:
      - name: logs
        size: 1 GiB
      - name: cache
        size: 2 GiB
        bus: sata

- name: A disk in another format, under another name
  archipel.platform.vm_disk:
    machine: mail
    name: archive
    renamed_from: cache
    format: raw

- name: The data go
  archipel.platform.vm_disk:
    machine: web
    name: data
    state: absent
"""

RETURN = r"""
disks:
  description: The drives, as they were read last.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    machine:
      description: The machine's name.
      type: str
      sample: web
    name:
      description: The drive's name.
      type: str
      sample: data
    state:
      description: Whether it is there.
      type: str
      sample: present
    path:
      description: Its file on the host; null if there is none.
      type: str
      sample: /vm/drives/5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11/data.qcow2
    format:
      description: Its format.
      type: str
      sample: qcow2
    size:
      description: The bytes that the guest sees; null if that cannot be read.
      type: int
      sample: 21474836480
    disk_size:
      description: The bytes that it takes on the host.
      type: int
      sample: 196624
    golden:
      description: The file name of the image that it stands on; null if it stands alone.
      type: str
      sample: debian.qcow2
    attached:
      description: Whether the machine's definition has it as a disk.
      type: bool
      sample: true
    bus:
      description: The bus of that disk.
      type: str
      sample: virtio
    target:
      description: The name of that disk.
      type: str
      sample: vdb
    needs_restart:
      description: Whether the running machine has it otherwise than its definition says.
      type: bool
      sample: false
needs_restart:
  description: Whether any of the machines waits for a restart.
  returned: success
  type: bool
  sample: false
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: drives_create
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import find_machines
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.machine_disk import DISKS, DeclaredDisk, read_disks
from ansible_collections.archipel.platform.plugins.module_utils.machine_drives import MachineDrives
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

ARGUMENTS = {
    **connection_arguments(),
    "machines": {"type": "list", "elements": "str", "required": True, "aliases": ["machine"]},
    **DISKS.options,
}


def refuse(arguments: Mapping[str, Any]) -> None:
    read_disks(arguments)


async def declare(run: Run) -> Mapping[str, Any]:
    machines = [MachineDrives(named.name, named.entity) for named in await find_machines(run.hypervisor, run.arguments["machines"])]
    disks = [DeclaredDisk(drives, entry, tell=run.tell) for drives in machines for entry in read_disks(run.arguments)]
    result = await reconcile_all(disks, "disks", run)
    for disk in disks:
        for reason in disk.waiting:
            run.warn(f"{disk.title}: it is there from the next start on: {reason}")
    return {**result, "needs_restart": any(disk["needs_restart"] for disk in result["disks"])}


MODULE = Module(ARGUMENTS, declare, refuse=refuse, constraints={"required_one_of": [("name", "disks")]})


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
