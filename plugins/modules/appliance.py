# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: appliance
short_description: Declare appliances on hosts and in virtual machines
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Downloads an appliance of the hypervisor's feeds, deletes it, makes a machine of it, or lets a machine forget which one it was made of.
  - A machine that is made of an appliance keeps its name and its UUID; its definition is that of the appliance, and its drives are copies.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  name:
    description:
      - The appliance, by the name that its feed gives it, or by its UUID.
    type: str
    required: true
    aliases:
      - uuid
  state:
    description:
      - Whether it is on the host (V(downloaded)) or not (V(absent)); or the O(machine) is made of it (V(installed), it is downloaded before
        if need be), or does not count as made of it (V(released), its drives and its definition stay).
    type: str
    choices:
      - downloaded
      - installed
      - released
      - absent
    default: downloaded
  machine:
    description:
      - The machine, by name, UUID or JID. Needed with O(state=installed) and O(state=released). B(Its definition is replaced) when an
        appliance is installed; no drive that it has is overwritten.
    type: str
  work_timeout:
    description:
      - How many seconds a download, or an installation, may take. What takes longer goes on, and the task fails.
    type: float
    default: 3600
seealso:
  - module: archipel.platform.appliance_feed
  - module: archipel.platform.vm
"""

EXAMPLES = r"""
---
- name: An appliance is there when it is needed
  archipel.platform.appliance:
    name: web

- name: A machine is made of it
  archipel.platform.appliance:
    name: web
    machine: shop
    state: installed

- name: The machine is an ordinary one
  archipel.platform.appliance:
    name: web
    machine: shop
    state: released

- name: Nobody needs the download any more
  archipel.platform.appliance:
    name: web
    state: absent
"""

RETURN = r"""
appliance:
  description: The appliance, as it was read last.
  returned: success
  type: dict
  contains:
    name:
      description: Its name or UUID, as it was given.
      type: str
      sample: web
    uuid:
      description: Its UUID; null if there is none of that name.
      type: str
      sample: 22222222-2222-4222-8222-222222222222
    state:
      description: Whether it is there, or the machine is made of it.
      type: str
      sample: downloaded
    path:
      description: Its file on the host; null if it is not downloaded.
      type: str
      sample: /vm/vmcasts/web.xvm2
    description:
      description: What its feed says of it.
      type: str
      sample: a web server
    sha256:
      description: The digest of the file, in hexadecimal.
      type: str
      sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    machine:
      description: The machine that it is about; null if it is about the host.
      type: str
      sample: shop
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: vmcasting_downloadappliance
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.appliances import APPLIANCE, DeclaredAppliance
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.results import reconcile_one

ARGUMENTS = {**connection_arguments(), **APPLIANCE}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["machine"] is not None and arguments["state"] not in {"installed", "released"}:
        raise ValueError("machine: goes with state: installed or released")


async def declare(run: Run) -> Mapping[str, Any]:
    appliance = DeclaredAppliance(run.hypervisor, run.arguments, check_mode=run.check_mode, tell=run.tell)
    return await reconcile_one(appliance, "appliance", run)


MODULE = Module(
    ARGUMENTS,
    declare,
    refuse=refuse,
    constraints={"required_if": [("state", "installed", ["machine"]), ("state", "released", ["machine"])]},
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
