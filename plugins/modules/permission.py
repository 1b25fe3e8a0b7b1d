# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: permission
short_description: Grant and revoke rights on machines and hypervisors
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which rights people have on virtual machines or on their hypervisor.
  - Only explicit grants are looked at. Administrators of the platform may everything, whatever is granted.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machines:
    description:
      - The machines on which the rights hold, by name, UUID or JID.
      - Without it the rights hold on the hypervisor itself.
    type: list
    elements: str
    aliases:
      - machine
  subjects:
    description:
      - The accounts of those who get or lose the rights, such as V(student@example.org).
    type: list
    elements: str
    required: true
    aliases:
      - subject
  rights:
    description:
      - The rights, by the names that the agent lists (C(archipel rights) shows them), such as V(create) or V(shutdown).
      - V(all) stands for everything but the rights that are granted one by one.
      - Needed with O(state=present). With O(state=absent) all rights of the subjects are revoked if none is named.
    type: list
    elements: str
  state:
    description:
      - Whether the subjects have the rights (V(present)) or do not (V(absent)).
    type: str
    choices:
      - present
      - absent
    default: present
  exclusive:
    description:
      - Whether the subjects have no other rights than O(rights), which may be an empty list.
    type: bool
    default: false
seealso:
  - module: archipel.platform.roster
"""

EXAMPLES = r"""
---
- name: Let a student work with one machine
  archipel.platform.permission:
    machine: web
    subject: student@example.org
    rights:
      - presence
      - info
      - create
      - shutdown

- name: Students may see two machines, and nothing else
  archipel.platform.permission:
    machines:
      - web
      - mail
    subjects:
      - student@example.org
      - guest@example.org
    rights:
      - presence
      - info
    exclusive: true

- name: A teacher makes and frees machines of the hypervisor
  archipel.platform.permission:
    subject: teacher@example.org
    rights:
      - presence
      - rostervm
      - alloc
      - free

- name: The course is over
  archipel.platform.permission:
    machine: web
    subject: student@example.org
    state: absent
"""

RETURN = r"""
entities:
  description: The machines, or the hypervisor, and the rights of the subjects on them as they are now (in check mode, as they would be).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name, or the hypervisor's account.
      type: str
      sample: web
    jid:
      description: The account that the rights are about.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    rights:
      description: By subject, the rights that were granted explicitly, sorted.
      type: dict
      sample:
        student@example.org:
          - create
          - info
          - presence
          - shutdown
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: permission_set
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import ENTITY_ARGUMENTS, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.execution import run
from ansible_collections.archipel.platform.plugins.module_utils.grants import GrantedRights
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

if TYPE_CHECKING:
    from archipel.client import Hypervisor

ARGUMENTS = {
    **connection_arguments(),
    **ENTITY_ARGUMENTS,
    "subjects": {"type": "list", "elements": "str", "required": True, "aliases": ["subject"]},
    "rights": {"type": "list", "elements": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "exclusive": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True, required_if=[("state", "present", ["rights"])])
    if module.params["exclusive"] and module.params["state"] == "absent":
        module.fail_json(msg="exclusive: goes with state: present; state: absent without rights revokes all of them")

    async def grant(hypervisor: Hypervisor) -> Mapping[str, Any]:
        entities = await find_entities(hypervisor, module.params["machines"])
        resources = [GrantedRights(entity, module.params, check_mode=module.check_mode) for entity in entities]
        return await reconcile_all(resources, "entities", check_mode=module.check_mode, diff_mode=module._diff)

    run(module, grant)


if __name__ == "__main__":
    main()
