# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet
short_description: Declare a whole platform in one document
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Brings hypervisors to what a document, or a folder of YAML files, declares of them - machines, and everything else for which this
    collection has a module, with loops, defaults and profiles.
  - Everything is read first and compared, from all hypervisors at once in one XMPP session. The result is a plan, which check mode
    shows and does not carry out.
  - The plan is carried out in the order of dependencies, many objects at a time. What fails keeps back only what needs it; the
    rest goes on, and the next run takes up what is left.
  - The keys of an entry are the options of the module for its kind, such as M(archipel.platform.vm). An entry says its
    C(hypervisor); C(count) or C(foreach) make several objects of one entry, whose texts may have the fields C({n}), C({n:02}),
    C({item}) and C({hypervisor}). The guide "Declare a whole platform" tells all of the language.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  src:
    description:
      - A file, or a folder whose C(.yml) and C(.yaml) files, in folders too, are one declaration. On the control node.
      - Files are plain data. Nothing in them is a template.
      - One of O(src) and O(document) is needed.
    type: path
  document:
    description:
      - The declaration itself, as a mapping.
    type: dict
  label:
    description:
      - By what the hypervisors know what this declaration owns. The declaration's own C(fleet) unless given.
      - What the declaration makes, it owns. What was there before, it adopts. Without a label it owns nothing.
    type: str
  prune:
    description:
      - Whether what the declaration owns and no longer declares is removed. The drives of machines are kept unless O(prune_disks=true).
      - Rights, contacts, jobs and tags are owned one by one - a person or a right that is taken out of a list loses what the list gave.
        What somebody had before the declaration is adopted, as everything else is.
      - The account that prunes keeps its own rights, and the last one who has all rights on something keeps these.
      - Accounts (C(users)) and the server's C(groups) are never pruned. They go by C(state=absent). What stands in an entry of a machine
        or hypervisor and is not a thing of its own, such as a machine's C(tags), stays as it is when it is no longer said.
      - Nothing is removed from a hypervisor on which something failed.
      - Nor is a machine that is declared on another hypervisor now, and is not there yet.
    type: bool
    default: false
  prune_limit:
    description:
      - How much one run may remove, as a number of objects or as a share of those that the declaration owns, such as V(20%).
      - If more would go, the module fails before anything is done.
      - A machine with its drives, and with the rights, contacts, jobs and tags on it, is one object. So is all that somebody may do
        on one machine or hypervisor.
    type: str
    default: "10"
  prune_adopted:
    description:
      - Whether what was there before the declaration is removed as well when it is no longer declared.
    type: bool
    default: false
  prune_disks:
    description:
      - Whether the drives in the folder of a machine go with it when it is pruned. They are gone for good.
      - The plan tells them and what they take. A drive through which something else reads keeps itself and its machine, and is an error.
      - Golden images and volumes of pools are things of their own, and go only where the declaration owns these.
    type: bool
    default: false
  boots_at_once:
    description:
      - How many machines may be on their way from being started to running at the same time. Any number unless given.
    type: int
  limit:
    description:
      - Deal with these hypervisors and machines alone, by name or pattern; machines also by UUID or JID.
      - Nothing is removed from a hypervisor that is not named itself.
    type: list
    elements: str
  hypervisors:
    description:
      - Accounts of hypervisors by the short names that the declaration uses. They rule over those in the declaration, so that one
        declaration serves several platforms.
    type: dict
seealso:
  - module: archipel.platform.export_info
  - module: archipel.platform.vm
  - module: archipel.platform.permission
  - module: archipel.platform.roster
"""

EXAMPLES = r"""
---
- name: Four seats for students, and who may use them
  archipel.platform.fleet:
    document:
      fleet: course-101
      profiles:
        seat:
          memory: 64
          networks:
            - network: default
      vms:
        - name: seat-{n:02}
          count: 4
          profile: seat
          state: running
          roster: student@example.org
          permissions:
            - subject: student@example.org
              rights:
                - presence
                - info
                - create
                - shutdown

- name: The same with three seats; the fourth goes
  archipel.platform.fleet:
    prune: true
    prune_limit: 1
    document:
      fleet: course-101
      defaults:
        vms:
          memory: 64
      vms:
        - name: seat-{n:02}
          count: 3
          state: running
          roster: student@example.org
          permissions:
            - subject: student@example.org
              rights:
                - presence
                - info
                - create
                - shutdown

- name: A folder of declarations, two machines booting at a time
  archipel.platform.fleet:
    src: "{{ playbook_dir }}/declarations"
    boots_at_once: 2

- name: One machine of it is brought back to what is declared
  archipel.platform.fleet:
    src: "{{ playbook_dir }}/declarations"
    limit:
      - mail
"""

RETURN = r"""
plan:
  description:
    - What is to be done to each object, or was done. Objects that failed or were skipped are not in it.
  returned: when the hypervisors could be asked
  type: list
  elements: dict
  contains:
    action:
      description:
        - V(create), V(change), V(restart) (a change that takes effect with a restart of the machine, which O(document) asks for or
          which is left to you), V(remove), V(forget) (what the declaration owned is gone, and it owns it no more) or V(none).
      type: str
      sample: change
    kind:
      description: The kind of object, such as V(machine), V(network), V(contact) (people in a roster) or V(grant) (rights).
      type: str
      sample: machine
    name:
      description: The name.
      type: str
      sample: seat-01
    hypervisor:
      description: The short name of the hypervisor. Empty for what belongs to the server.
      type: str
      sample: paris
    keys:
      description: The options that differ.
      type: list
      elements: str
      sample:
        - memory
    before:
      description: Their values before.
      type: dict
      sample:
        memory: 64
    after:
      description: Their values now; in check mode, those that they would have.
      type: dict
      sample:
        memory: 128
    reason:
      description: Why an object is taken in, removed, or waits for a restart.
      type: str
      sample: ""
done:
  description: What was carried out. Empty in check mode.
  returned: when the hypervisors could be asked
  type: list
  elements: dict
  sample:
    - action: change
      kind: machine
      name: seat-01
      hypervisor: paris
failed_objects:
  description: What failed, with the reason, where it is declared, and which of its options were to change.
  returned: when the hypervisors could be asked
  type: list
  elements: dict
  sample:
    - kind: machine
      name: seat-02
      hypervisor: paris
      declared_at: declarations/seats.yml:4
      keys: []
      msg: you lack the right 'alloc' on hypervisor
      missing_right: alloc
skipped_objects:
  description: What was left because something that it needs failed.
  returned: when the hypervisors could be asked
  type: list
  elements: dict
  sample:
    - kind: grant
      name: "seat-02: student@example.org: info"
      hypervisor: paris
      reason: skipped because machine seat-02 on paris failed
needs_restart:
  description: Machines that wait for a restart, and for what.
  returned: when the hypervisors could be asked
  type: list
  elements: dict
  sample:
    - kind: machine
      name: seat-03
      hypervisor: paris
      reasons:
        - the most processors a machine can have is fixed while it runs
counts:
  description: How many objects there are of each action, and how many failed or were skipped.
  returned: when the hypervisors could be asked
  type: dict
  sample:
    create: 0
    change: 1
    restart: 0
    remove: 0
    forget: 0
    none: 39
    failed: 0
    skipped: 0
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.fleet.run import FleetRun

ARGUMENTS = {
    **connection_arguments(),
    "src": {"type": "path"},
    "document": {"type": "dict"},
    "label": {"type": "str"},
    "prune": {"type": "bool", "default": False},
    "prune_limit": {"type": "str", "default": "10"},
    "prune_adopted": {"type": "bool", "default": False},
    "prune_disks": {"type": "bool", "default": False},
    "boots_at_once": {"type": "int"},
    "limit": {"type": "list", "elements": "str"},
    "hypervisors": {"type": "dict"},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["boots_at_once"] is not None and arguments["boots_at_once"] < 1:
        raise ValueError("boots_at_once: must be 1 or more")


async def declare(run: Run) -> Mapping[str, Any]:
    return await FleetRun(run).work()


MODULE = Module(
    ARGUMENTS,
    declare,
    constraints={"mutually_exclusive": [("src", "document")], "required_one_of": [("src", "document")]},
    refuse=refuse,
    log_arguments=False,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
