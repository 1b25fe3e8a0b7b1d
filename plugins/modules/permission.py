# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: permission
short_description: Declare who has which rights on machines and hypervisors
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which rights people have on virtual machines or on their hypervisor.
  - Only explicit grants are looked at. Administrators of the platform may everything, whatever is granted.
  - With O(groups), O(roles), O(scope), O(expires), O(reason) or O(state=denied) it declares rules of the agent, which the founding
    agents do not have.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
  - archipel.platform.rights
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
      - One of O(subjects) and O(groups) is needed.
    type: list
    elements: str
    aliases:
      - subject
  groups:
    description:
      - Groups whose members get or lose the rights, kept by the hypervisor or by the server's shared roster.
    type: list
    elements: str
    aliases:
      - group
  scope:
    description:
      - Where the rights hold.
      - V(platform) stands for every hypervisor and every machine, also those to come. It is a rule of the platform's list, which takes an
        account that may write there (C(archipel platform init)), and goes without O(machines). If O(hypervisor) is known as well, the
        module waits until that follows, and warns if it does not.
      - V(entity) stands for what O(machines) names, or the hypervisor itself.
      - Without O(machines) it may be V(own) (machines that the subject made or has all rights on), V(tag:NAME), V(golden:NAME)
        (machines whose disks stand on that golden image) or V(hypervisor) (all its machines), with later ones too.
    type: str
    default: entity
  expires:
    description:
      - When the rights end, such as V(2030-07-01) or V(2030-07-01T12:00:00+02:00), or V(never).
      - Without it an end that is there stays.
    type: str
  reason:
    description:
      - Why; told to those who ask. Kept with what is made or changed, not compared.
    type: str
  state:
    description:
      - Whether the subjects have the rights (V(present)), do not have them (V(absent)), or are denied them whatever else gives
        them (V(denied)).
      - With O(groups), O(roles), O(reason) or another O(scope), V(absent) needs O(rights) or O(roles), and lifts denials too.
    type: str
    choices:
      - present
      - absent
      - denied
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

- name: Whoever is in a group of the server runs the machines with a tag, until July
  archipel.platform.permission:
    group: tp1
    role: student
    scope: tag:tp1
    expires: "2090-07-01"
    reason: practical work

- name: Auditors look at everything, everywhere
  archipel.platform.permission:
    subject: teacher@example.org
    role: auditor
    scope: platform
    reason: keeps the books

- name: One of them may not switch a machine off, whatever else he may
  archipel.platform.permission:
    machine: web
    subject: student@example.org
    rights:
      - destroy
    state: denied

- name: The course is over
  archipel.platform.permission:
    machine: web
    subject: student@example.org
    state: absent
"""

RETURN = r"""
entities:
  description:
    - The machines, or the hypervisor, and the rights of the subjects on them as they are now (in check mode, as they would be).
    - With O(scope=platform) there is one entry, whose C(jid) is the name of the platform's list.
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
    rules:
      description: The rules that were declared and are there, with their ends.
      returned: if rules of the agent were declared
      type: list
      elements: dict
      sample:
        - effect: allow
          group: tp1
          role: student
          scope: tag:tp1
          expires: "2090-07-01T00:00:00Z"
    rights:
      description: By subject, the rights that were granted explicitly, sorted.
      returned: if nothing but rights of subjects was declared
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
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments, names_hypervisor
from ansible_collections.archipel.platform.plugins.module_utils.directory import ENTITY_ARGUMENTS, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.grants import GrantedRights
from ansible_collections.archipel.platform.plugins.module_utils.permissions import CONSTRAINTS, PERMISSION, refuse_permission
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.rules import (
    DeclaredRules,
    find_platform,
    is_of_platform,
    needs_rules,
)

ARGUMENTS = {
    **connection_arguments(),
    **ENTITY_ARGUMENTS,
    **PERMISSION,
}


def refuse(arguments: Mapping[str, Any]) -> None:
    if is_of_platform(arguments) and arguments["machines"] is not None:
        raise ValueError("scope: platform is everywhere; leave machines out")
    refuse_permission(arguments)


async def grant_everywhere(run: Run) -> Mapping[str, Any]:
    platform = find_platform(run.session)
    result = await reconcile_all([DeclaredRules(platform, run.arguments, check_mode=run.check_mode)], "entities", run)
    if result["changed"] and not run.check_mode and names_hypervisor(run.arguments):
        for difference in await platform.entity.differences(run.hypervisor):
            run.warn(f"{run.hypervisor.bare}: {difference}")
    return result


async def grant(run: Run) -> Mapping[str, Any]:
    if is_of_platform(run.arguments):
        return await grant_everywhere(run)
    entities = await find_entities(run.hypervisor, run.arguments["machines"])
    kind = DeclaredRules if needs_rules(run.arguments) else GrantedRights
    resources = [kind(entity, run.arguments, check_mode=run.check_mode) for entity in entities]
    return await reconcile_all(resources, "entities", run)


MODULE = Module(ARGUMENTS, grant, constraints=CONSTRAINTS, refuse=refuse)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
