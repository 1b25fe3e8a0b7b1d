# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_guest_info
short_description: Read what guests say of themselves
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Asks the guest agents of running virtual machines for system, addresses, users, file systems and time. Takes the right C(guest_info)
    on each machine.
  - The machine needs the channel V(guest_agent) (option O(archipel.platform.vm#module:channels)), and the guest a running
    C(qemu-guest-agent). The task fails if one of the guests does not answer, and says which.
  - What a guest says is its own word. Who rules in it can make it say anything.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.reads
options:
  machines:
    description:
      - The machines, by name, UUID or JID. They must run.
    type: list
    elements: str
    required: true
    aliases:
      - machine
  gather:
    description:
      - What to read.
      - V(system) - system, interfaces, users and file systems.
      - V(clock) - how far the guest's clock is from the host's.
      - V(frozen) - whether the guest's file systems are frozen. While they are, most guests answer nothing but this.
    type: list
    elements: str
    choices:
      - system
      - clock
      - frozen
    default:
      - system
seealso:
  - module: archipel.platform.vm_guest
  - plugin: archipel.platform.guest
    plugin_type: connection
"""

EXAMPLES = r"""
---
- name: Read what a guest says of itself
  archipel.platform.vm_guest_info:
    machine: web
  register: guest

- name: Read how far two clocks are off
  archipel.platform.vm_guest_info:
    machines:
      - web
      - mail
    gather:
      - clock

- name: Read whether a backup has left a guest frozen
  archipel.platform.vm_guest_info:
    machine: web
    gather:
      - frozen
"""

RETURN = r"""
guests:
  description: The guests, in the order of O(machines). What a guest does not say is null.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the machine.
      type: str
      sample: web
    jid:
      description: The account of the machine.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    system:
      description: The system.
      returned: if asked for
      type: dict
      sample:
        hostname: web
        os: debian
        name: Debian GNU/Linux 13 (trixie)
        version: "13"
        kernel: 6.12.0-amd64
        machine: x86_64
        timezone: UTC
    interfaces:
      description: The network interfaces, with their addresses and the lengths of their networks' prefixes.
      returned: if the system was asked for
      type: list
      elements: dict
      sample:
        - name: eth0
          mac: 52:54:00:12:34:56
          addresses:
            - address: 192.0.2.20
              prefix: 24
    users:
      description: Who is logged in, and since when (seconds since 1970).
      returned: if the system was asked for
      type: list
      elements: dict
      sample:
        - name: root
          login_time: 1790000000.5
    filesystems:
      description: The mounted file systems, sizes in bytes.
      returned: if the system was asked for
      type: list
      elements: dict
      sample:
        - mountpoint: /
          type: ext4
          total: 10737418240
          used: 2147483648
    clock_offset:
      description: How many seconds the guest's clock is ahead of the host's.
      returned: if asked for
      type: float
      sample: -0.2
    frozen:
      description: Whether nothing in the guest can write.
      returned: if asked for
      type: bool
      sample: false
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.guest.reading import read_guests

ARGUMENTS = {
    **connection_arguments(),
    "machines": {"type": "list", "elements": "str", "required": True, "aliases": ["machine"]},
    "gather": {"type": "list", "elements": "str", "choices": ["system", "clock", "frozen"], "default": ["system"]},
}


async def read(run: Run) -> Mapping[str, Any]:
    return {"changed": False, "guests": await read_guests(run.hypervisor, run.arguments["machines"], run.arguments["gather"])}


MODULE = Module(ARGUMENTS, read)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
