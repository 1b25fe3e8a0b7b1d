# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: hypervisor_info
short_description: Read what a hypervisor is and has
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Reads what a hypervisor's host is made of, what libvirt can do there, and which machines there are, managed or not.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.reads
options:
  gather:
    description:
      - What to read. Each part but V(tags) and V(organisation) takes the right that stands behind it.
      - V(node) - what the host is made of (V(nodeinfo)).
      - V(address) - its address (V(ip)).
      - V(capabilities) - what libvirt can do there (V(capabilities)).
      - V(machines) - the machines (V(rostervm)).
      - V(rights) - which rights exist on the hypervisor (V(permission_list)).
      - V(tags), V(organisation) - its tags, and the fields of its vCard.
    type: list
    elements: str
    choices:
      - node
      - address
      - capabilities
      - machines
      - rights
      - tags
      - organisation
    default:
      - node
      - address
      - capabilities
      - machines
  managed:
    description:
      - Take only machines that are managed (V(true)), or only those that are not (V(false)), into RV(hypervisor.machines).
    type: bool
seealso:
  - module: archipel.platform.vm_info
"""

EXAMPLES = r"""
---
- name: Read everything that is read unless said otherwise
  archipel.platform.hypervisor_info:
  register: host

- name: Does the host have KVM?
  ansible.builtin.assert:
    that: host.hypervisor.capabilities.domain_types | length > 0

- name: List libvirt domains that could be adopted
  archipel.platform.hypervisor_info:
    gather:
      - machines
    managed: false

- name: Read whose it is, and which rights exist there
  archipel.platform.hypervisor_info:
    gather:
      - tags
      - organisation
      - rights
"""

RETURN = r"""
hypervisor:
  description: The hypervisor, with the parts that were asked for.
  returned: success
  type: dict
  contains:
    jid:
      description: The account.
      type: str
      sample: hypervisor@example.org
    full_jid:
      description: The address that takes commands.
      type: str
      sample: hypervisor@example.org/host1
    node:
      description: What the host is made of; C(memory) in MiB, C(mhz) of the processors, C(cpus) those that are online.
      returned: if asked for
      type: dict
      sample:
        model: x86_64
        memory: 15990
        cpus: 8
        mhz: 2400
        nodes: 1
        sockets: 1
        cores: 4
        threads: 2
    address:
      description: The address of the host, as configured or found.
      returned: if asked for
      type: str
      sample: 192.0.2.7
    capabilities:
      description: What libvirt can do there; C(domain_types) the best first, C(xml) as libvirt gave it.
      returned: if asked for
      type: dict
      sample:
        architecture: x86_64
        domain_types:
          - kvm
          - qemu
        xml: <capabilities>...</capabilities>
    machines:
      description: The machines, managed or not.
      returned: if asked for
      type: list
      elements: dict
      sample:
        - name: web
          uuid: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
          jid: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
          managed: true
    rights:
      description: Which rights exist on the hypervisor; C(default) for those that everybody has whom it knows.
      returned: if asked for
      type: list
      elements: dict
      sample:
        - name: alloc
          description: Make virtual machines
          default: false
    tags:
      description: The tags.
      returned: if asked for
      type: list
      elements: str
      sample:
        - building-a
    organisation:
      description: The fields of the vCard.
      returned: if asked for
      type: dict
      sample:
        orgname: University
        orgunit: ""
        locality: ""
        userid: ""
        categories: ""
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import domain_types

if TYPE_CHECKING:
    from archipel.client import Hypervisor

DEFAULT_PARTS = ["node", "address", "capabilities", "machines"]
ARGUMENTS = {
    **connection_arguments(),
    "gather": {
        "type": "list",
        "elements": "str",
        "choices": [*DEFAULT_PARTS, "rights", "tags", "organisation"],
        "default": DEFAULT_PARTS,
    },
    "managed": {"type": "bool"},
}


async def read_node(hypervisor: Hypervisor) -> dict[str, Any]:
    return asdict(await hypervisor.node_info())


async def read_capabilities(hypervisor: Hypervisor) -> dict[str, Any]:
    capabilities = await hypervisor.capabilities()
    return {
        "architecture": capabilities.findtext("host/cpu/arch"),
        "domain_types": domain_types(capabilities),
        "xml": ET.tostring(capabilities, encoding="unicode"),
    }


async def read_machines(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    entries = sorted(await hypervisor.machines(), key=lambda entry: entry.name)
    return [{"name": entry.name, "uuid": entry.uuid, "jid": entry.bare, "managed": entry.managed} for entry in entries]


async def read_rights(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    return [asdict(right) for right in await hypervisor.list_rights()]


async def read_organisation(hypervisor: Hypervisor) -> dict[str, Any]:
    return asdict((await hypervisor.vcard()).organisation)


async def read_tags(hypervisor: Hypervisor) -> list[str]:
    return list(await hypervisor.tags())


async def read_address(hypervisor: Hypervisor) -> str:
    return await hypervisor.ip_address()


PARTS = {
    "node": read_node,
    "address": read_address,
    "capabilities": read_capabilities,
    "machines": read_machines,
    "rights": read_rights,
    "tags": read_tags,
    "organisation": read_organisation,
}


async def read(run: Run) -> Mapping[str, Any]:
    hypervisor, managed = run.hypervisor, run.arguments["managed"]
    parts = list(dict.fromkeys(run.arguments["gather"]))
    full = await hypervisor.full_jid()
    values = dict(zip(parts, await asyncio.gather(*(PARTS[part](hypervisor) for part in parts)), strict=True))
    if managed is not None and "machines" in values:
        values["machines"] = [entry for entry in values["machines"] if entry["managed"] is managed]
    return {"changed": False, "hypervisor": {"jid": hypervisor.bare, "full_jid": full, **values}}


MODULE = Module(ARGUMENTS, read)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
