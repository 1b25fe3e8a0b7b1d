# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: export_info
short_description: Read a live platform as a document for fleet
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Returns what there is on hypervisors, machines and everything else that M(archipel.platform.fleet) can declare, as the document
    that it takes. Declaring that document changes nothing.
  - Disks that lie in their machine's folder are told as C(drives), with their sizes and golden images, so that another hypervisor makes
    such. What is in them is not part of the document.
  - Accounts (C(users)) and groups of the server are told where this account may read them. For groups the server's API is asked,
    whose address the environment has in E(ARCHIPEL_API_URL). Accounts have no passwords - declaring those that are there changes
    nothing, and a new one is refused until it gets one.
  - A machine is told by single options where they say all of its definition, else by its whole definition. Passwords of displays
    are never part of it.
  - What this account may not see, or what cannot be told, is left out and named in RV(incomplete).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.reads
options:
  hypervisors:
    description:
      - Accounts of the hypervisors by the short names that the document shall use for them.
      - The hypervisor of O(hypervisor) or of the O(profile) unless given.
    type: dict
  sections:
    description:
      - Tell these sections of the document alone. All of them unless given.
    type: list
    elements: str
  include_unmanaged:
    description:
      - Whether libvirt domains that Archipel does not manage are part of the document, as machines to adopt (C(state=adopted)).
    type: bool
    default: false
seealso:
  - module: archipel.platform.fleet
"""

EXAMPLES = r"""
---
- name: Everything there is
  archipel.platform.export_info:
  register: platform

- name: Keep it as a file
  ansible.builtin.copy:
    content: "{{ platform.document | to_nice_yaml(indent=2, width=140, sort_keys=false) }}"
    dest: "{{ playbook_dir }}/platform.yml"
    mode: "0600"

- name: Declaring it changes nothing
  archipel.platform.fleet:
    src: "{{ playbook_dir }}/platform.yml"

- name: The machines of a hypervisor that the document calls paris, with those that virsh made
  archipel.platform.export_info:
    hypervisors:
      paris: "{{ lookup('ansible.builtin.env', 'ARCHIPEL_HYPERVISOR') }}"
    sections:
      - vms
    include_unmanaged: true

- name: Who may do what on the hypervisor itself
  archipel.platform.export_info:
    sections:
      - rosters
      - permissions
"""

RETURN = r"""
document:
  description: The document. It has no C(fleet), so that declaring it owns nothing.
  returned: success
  type: dict
  sample:
    hypervisors:
      hypervisor: hypervisor@example.org
    vms:
      - name: web
        hypervisor: hypervisor
        uuid: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
        state: running
        memory: "512"
        vcpus: 1
incomplete:
  description: What is not in the document, and why.
  returned: success
  type: list
  elements: dict
  sample:
    - hypervisor: hypervisor
      name: web
      part: rights
      reason: "you lack the right 'permission_get' on web"
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.fleet.exporting import export
from ansible_collections.archipel.platform.plugins.module_utils.fleet.kinds import KINDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import nearest

ARGUMENTS = {
    **connection_arguments(),
    "hypervisors": {"type": "dict"},
    "sections": {"type": "list", "elements": "str"},
    "include_unmanaged": {"type": "bool", "default": False},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    known = [kind.section for kind in KINDS]
    for section in arguments["sections"] or ():
        if section not in known:
            raise ValueError(f"sections: {section!r} is no section of a document{nearest(section, known)}")


async def read(run: Run) -> Mapping[str, Any]:
    named = run.arguments["hypervisors"]
    if named:
        hypervisors = {name: run.session.hypervisor(jid) for name, jid in named.items()}
    else:
        hypervisors = {str(run.hypervisor.jid.node): run.hypervisor}
    found = await export(hypervisors, run.arguments["sections"], unmanaged=run.arguments["include_unmanaged"])
    for missing in found.incomplete:
        run.warn(f"{missing['name']}: {missing['part']} is not part of the document: {missing['reason']}")
    return {"changed": False, "document": found.document, "incomplete": found.incomplete}


MODULE = Module(ARGUMENTS, read, refuse=refuse)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
