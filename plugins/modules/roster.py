# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: roster
short_description: Declare who has machines and hypervisors among the contacts
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says who is in the roster of virtual machines or of their hypervisor.
  - Who is in an entity's roster is known to it, sees its presence, and may use the rights that everybody known has. All else takes
    rights that are granted with M(archipel.platform.permission).
  - Somebody who is taken in is asked by the entity for mutual subscription; the entity appears in his client once he agrees.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machines:
    description:
      - The machines whose roster it is about, by name, UUID or JID.
      - Without it, it is about the hypervisor itself.
    type: list
    elements: str
    aliases:
      - machine
  people:
    description:
      - The accounts of the people, such as V(student@example.org).
    type: list
    elements: str
    required: true
  state:
    description:
      - Whether the people are in the roster (V(present)) or not (V(absent)). Who is taken out loses the right V(presence) too.
    type: str
    choices:
      - present
      - absent
    default: present
  exclusive:
    description:
      - Whether nobody else is in the roster. Mind the account that you log in with, unless it is an administrator's.
    type: bool
    default: false
seealso:
  - module: archipel.platform.permission
"""

EXAMPLES = r"""
---
- name: A student has the machine among the contacts
  archipel.platform.roster:
    machine: web
    people:
      - student@example.org

- name: Nobody else has
  archipel.platform.roster:
    machines:
      - web
      - mail
    people:
      - student@example.org
      - guest@example.org
    exclusive: true

- name: Teachers see the hypervisor
  archipel.platform.roster:
    people:
      - teacher@example.org

- name: The course is over
  archipel.platform.roster:
    machine: web
    people:
      - student@example.org
    state: absent
"""

RETURN = r"""
entities:
  description: The machines, or the hypervisor, and who is in their rosters now (in check mode, who would be).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name, or the hypervisor's account.
      type: str
      sample: web
    jid:
      description: The account whose roster it is.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    contacts:
      description:
        - Everybody in the roster. The subscription (V(none), V(to), V(from), V(both)) says who sees whose presence; the entity sees
          that of the person after the person agreed.
      type: list
      elements: dict
      sample:
        - jid: student@example.org
          subscription: from
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: subscription_add
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.contacts import ROSTER, Contacts, refuse_roster
from ansible_collections.archipel.platform.plugins.module_utils.directory import ENTITY_ARGUMENTS, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

ARGUMENTS = {
    **connection_arguments(),
    **ENTITY_ARGUMENTS,
    **ROSTER,
}


async def enrol(run: Run) -> Mapping[str, Any]:
    entities = await find_entities(run.hypervisor, run.arguments["machines"])
    return await reconcile_all([Contacts(entity, run.arguments) for entity in entities], "entities", run)


MODULE = Module(ARGUMENTS, enrol, refuse=refuse_roster)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
