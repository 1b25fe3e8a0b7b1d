# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: tag
short_description: Declare the tags of machines and hypervisors
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which tags virtual machines or their hypervisor have. Tags are words by which machines are found, and by which rules with
    the scope V(tag:NAME) give rights.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machines:
    description:
      - The machines that have the tags, by name, UUID or JID.
      - Without it, it is about the hypervisor itself.
    type: list
    elements: str
    aliases:
      - machine
  tags:
    description:
      - The tags. Their order does not matter.
    type: list
    elements: str
    required: true
  state:
    description:
      - Whether the tags are there (V(present)) or not (V(absent)).
    type: str
    choices:
      - present
      - absent
    default: present
  exclusive:
    description:
      - Whether there are no other tags than O(tags), which may be an empty list.
    type: bool
    default: false
seealso:
  - module: archipel.platform.vm
  - module: archipel.platform.permission
"""

EXAMPLES = r"""
---
- name: Two machines belong to a class
  archipel.platform.tag:
    machines:
      - web
      - mail
    tags:
      - tp1

- name: A machine has these tags and no others
  archipel.platform.tag:
    machine: web
    tags:
      - tp1
      - linux
    exclusive: true

- name: The hypervisor is in building A
  archipel.platform.tag:
    tags:
      - building-a

- name: The class is over
  archipel.platform.tag:
    machines:
      - web
      - mail
    tags:
      - tp1
    state: absent
"""

RETURN = r"""
entities:
  description: The machines, or the hypervisor, and all their tags as they are now (in check mode, as they would be).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name, or the hypervisor's account.
      type: str
      sample: web
    jid:
      description: The account that has the tags.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    tags:
      description: All tags, sorted.
      type: list
      elements: str
      sample:
        - linux
        - tp1
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: settags
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import ENTITY_ARGUMENTS, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.tags import WHAT, DeclaredTags

ARGUMENTS = {**connection_arguments(), **ENTITY_ARGUMENTS, **WHAT}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["exclusive"] and arguments["state"] == "absent":
        raise ValueError("exclusive: goes with state: present; an empty list of tags then takes all away")


async def tag(run: Run) -> Mapping[str, Any]:
    entities = await find_entities(run.hypervisor, run.arguments["machines"])
    declared = [DeclaredTags(run.hypervisor, run.arguments, check_mode=run.check_mode, named=entity) for entity in entities]
    return await reconcile_all(declared, "entities", run)


MODULE = Module(ARGUMENTS, tag, refuse=refuse)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
