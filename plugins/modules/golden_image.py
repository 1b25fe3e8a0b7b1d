# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: golden_image
short_description: Declare golden images, on which drives of virtual machines stand
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Makes golden images of machines' drives and deletes them. A golden image is a copy, whole in itself, that nobody writes to; new
    drives of any machine of the host can stand on it (O(archipel.platform.vm_disk#module:golden)).
  - An image that is there stays as it is, unless O(replace) says otherwise. None is replaced or deleted while anything stands on it.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  name: &name
    description:
      - The name of the image's file, such as V(debian.qcow2). The ending may be left out.
    type: str
  state: &state
    description:
      - Whether there is such an image; V(present) unless given.
    type: str
    choices:
      - present
      - absent
  machine: &machine
    description:
      - The machine of whose drive it is made, by name, UUID or JID. Needed for a new image, and with O(replace). The machine must be off.
    type: str
  drive: &drive
    description:
      - The drive of the machine, by the name of its file, with or without ending. Not needed if it has just one.
    type: str
  replace: &replace
    description:
      - Whether an image is made anew if the drive was written after it was made. That takes the right V(domain_policy_bypass), as golden
        images are for all machines of the host.
    type: bool
  images:
    description:
      - Several images. What is said beside it holds for all of them, unless an entry says otherwise.
    type: list
    elements: dict
    suboptions:
      name: *name
      state: *state
      machine: *machine
      drive: *drive
      replace: *replace
seealso:
  - module: archipel.platform.vm_disk
  - module: archipel.platform.vm_clone
"""

EXAMPLES = r"""
---
- name: A golden image of a machine that was set up
  archipel.platform.golden_image:
    name: debian.qcow2
    machine: template
    drive: system

- name: It is made anew when the template was changed
  archipel.platform.golden_image:
    name: debian.qcow2
    machine: template
    drive: system
    replace: true

- name: Some that nobody needs any more
  archipel.platform.golden_image:
    state: absent
    images:
      - name: debian.qcow2
      - name: buster.qcow2
"""

RETURN = r"""
images:
  description: The golden images, as they were read last.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The name of its file.
      type: str
      sample: debian.qcow2
    state:
      description: Whether it is there.
      type: str
      sample: present
    path:
      description: Its file on the host; null if there is none.
      type: str
      sample: /vm/goldens/debian.qcow2
    size:
      description: The bytes that a guest sees.
      type: int
      sample: 10737418240
    disk_size:
      description: The bytes that it takes on the host.
      type: int
      sample: 912261120
    created:
      description: When it was made, in UTC.
      type: str
      sample: "2026-03-01T07:30:00Z"
    problem:
      description: Why its size, or who stands on it, is not known; null if it is.
      type: str
      sample: /vm/drives/x/data.qcow2 may stand on debian.qcow2, and cannot be read
    users:
      description: The images that stand on it, and the names of their machines as far as these are known.
      type: list
      elements: dict
      sample:
        - image: /vm/drives/5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11/system.qcow2
          machine: seat-01
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: golden_images
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.golden_image import IMAGES, DeclaredGoldenImage, read_images
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

ARGUMENTS = {
    **connection_arguments(),
    **IMAGES.options,
}


def refuse(arguments: Mapping[str, Any]) -> None:
    read_images(arguments)


async def declare(run: Run) -> Mapping[str, Any]:
    hypervisor, check_mode = run.hypervisor, run.check_mode
    entries = read_images(run.arguments)
    images = [DeclaredGoldenImage(hypervisor, entry, check_mode=check_mode, tell=run.tell) for entry in entries]
    return await reconcile_all(images, "images", run)


MODULE = Module(ARGUMENTS, declare, refuse=refuse, constraints={"required_one_of": [("name", "images")]})


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
