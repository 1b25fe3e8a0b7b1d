# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_info
short_description: Read which virtual machines there are, and how they are
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Reads the machines that a hypervisor manages, as libvirt has them at this moment, with state, memory, processors and what O(gather)
    names. Domains of libvirt that Archipel does not manage are not among them; M(archipel.platform.hypervisor_info) tells these.
  - Takes the right C(rostervm) on the hypervisor unless O(names) are UUIDs or JIDs, and C(info) on each machine that is read. Where a
    right is missing the task fails and names it; name the machines that you have it on with O(names).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.reads
options:
  names:
    description:
      - The machines to read, by name, UUID or JID. All managed machines unless given.
      - It is an error if one of them does not exist.
    type: list
    elements: str
    aliases:
      - name
  states:
    description:
      - Only machines in one of these states, in the words of RV(machines[].state).
    type: list
    elements: str
    choices:
      - running
      - paused
      - shutting down
      - "off"
      - crashed
      - asleep
      - not defined
      - unknown
  tags:
    description:
      - Only machines that have all these tags.
    type: list
    elements: str
  gather:
    description:
      - What to read besides. An empty list reads nothing more.
      - V(definition) - the libvirt definition (XML) of the next start. Takes the right C(xmldesc) on the machine.
      - V(addresses) - the guest's addresses, as far as anybody knows them. Takes the right C(networkinfo).
      - V(counters) - the counters of the network cards of running machines. Takes the right C(networkinfo).
      - V(roster) - which people are contacts of the machine. Takes the right C(getroster).
      - V(tags) - the tags. Everybody may read them.
      - V(organisation) - the organisation, place, owner and categories of the machine (its vCard). Everybody may read them.
    type: list
    elements: str
    choices:
      - definition
      - addresses
      - counters
      - roster
      - tags
      - organisation
    default:
      - tags
      - organisation
seealso:
  - module: archipel.platform.vm
  - module: archipel.platform.hypervisor_info
"""

EXAMPLES = r"""
---
- name: Read all machines
  archipel.platform.vm_info:
  register: all

- name: Read one machine, with its definition and addresses
  archipel.platform.vm_info:
    name: web
    gather:
      - definition
      - addresses
      - counters
      - roster

- name: Read the running machines of a course
  archipel.platform.vm_info:
    states:
      - running
    tags:
      - course-101
"""

RETURN = r"""
machines:
  description: The machines, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: web
    uuid:
      description: The UUID.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
    jid:
      description: The account.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    state:
      description:
        - The state that libvirt tells - one of those that O(states) can name. V(not defined) means that the machine has an account but
          no domain, V(unknown) that libvirt could not tell.
      type: str
      sample: running
    memory:
      description: The memory in use, in MiB.
      type: int
      sample: 512
    max_memory:
      description: The most memory that it can have now, in MiB.
      type: int
      sample: 1024
    vcpus:
      description: The number of virtual processors.
      type: int
      sample: 1
    autostart:
      description: Whether it starts with its host.
      type: bool
      sample: false
    definition:
      description: libvirt's definition (XML) for the next start, without passwords; null if there is none.
      returned: if asked for
      type: str
      sample: <domain type='kvm'>...</domain>
    addresses:
      description: The addresses, and who told them (V(lease), V(agent) or V(arp)).
      returned: if asked for
      type: list
      elements: dict
      sample:
        - interface: vnet0
          mac: 52:54:00:12:34:56
          address: 192.168.122.20
          prefix: 24
          source: lease
    counters:
      description: The counters of the network cards since the machine was started; nothing while it is off.
      returned: if asked for
      type: list
      elements: dict
      sample:
        - name: net0
          rx_bytes: 1
          rx_packets: 1
          rx_errs: 0
          rx_drop: 0
          tx_bytes: 1
          tx_packets: 1
          tx_errs: 0
          tx_drop: 0
    roster:
      description: Who is in the roster.
      returned: if asked for
      type: list
      elements: dict
      sample:
        - jid: student@example.org
          subscription: both
    tags:
      description: The tags, sorted.
      returned: if asked for, or filtered by
      type: list
      elements: str
      sample:
        - course-101
    organisation:
      description: The fields of the vCard.
      returned: if asked for
      type: dict
      sample:
        orgname: University
        orgunit: Mathematics
        locality: ""
        userid: teacher@example.org
        categories: ""
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.machine.reading import read_machines

STATES = ["running", "paused", "shutting down", "off", "crashed", "asleep", "not defined", "unknown"]
ARGUMENTS = {
    **connection_arguments(),
    "names": {"type": "list", "elements": "str", "aliases": ["name"]},
    "states": {"type": "list", "elements": "str", "choices": STATES},
    "tags": {"type": "list", "elements": "str"},
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": ["definition", "addresses", "counters", "roster", "tags", "organisation"],
        "default": ["tags", "organisation"],
    },
}


async def read(run: Run) -> Mapping[str, Any]:
    return {"changed": False, "machines": await read_machines(run.hypervisor, run.arguments)}


MODULE = Module(ARGUMENTS, read)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
