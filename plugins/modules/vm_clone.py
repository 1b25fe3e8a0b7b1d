# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_clone
short_description: Declare copies of a virtual machine
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Copies a machine that is off, once or many times, in one session. A copy has the same hardware and the same drives, with a name, a
    UUID, MAC addresses and an account of its own.
  - A copy is known by its name. A machine of that name that is there stays as it is; if it is not known to be a copy of O(machine),
    there is a warning, and the result's C(copy_of) says more.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  machine:
    description:
      - The machine to copy, by name, UUID or JID. It must be off, if anything is left to copy.
    type: str
    required: true
  names:
    description:
      - The names of the copies.
      - Either this or O(pattern) is needed.
    type: list
    elements: str
    aliases:
      - name
  pattern:
    description:
      - The name of each of O(count) copies, with V({n}) where the number goes; V({n:02}) writes it with two digits.
    type: str
  count:
    description:
      - How many copies are named by O(pattern).
    type: int
  start:
    description:
      - The number of the first of them.
    type: int
    default: 1
  linked:
    description:
      - Whether drives that stand on a golden image go on standing on it, so that only what differs is copied. All drives must then
        stand on one. It counts for new copies.
    type: bool
    default: false
  state:
    description:
      - Whether the copies are there, or run.
    type: str
    choices:
      - present
      - running
    default: present
  at_once:
    description:
      - How many copies are made at the same time. The agent copies few files at once, whatever is said here.
    type: int
    default: 4
  clone_timeout:
    description:
      - How many seconds a copy may take. One that takes longer goes on, and the task fails.
    type: float
    default: 3600
seealso:
  - module: archipel.platform.golden_image
  - module: archipel.platform.vm
"""

EXAMPLES = r"""
---
- name: A copy to try something
  archipel.platform.vm_clone:
    machine: template
    name: template-test

- name: A class of seats
  archipel.platform.vm_clone:
    machine: template
    pattern: seat-{n:02}
    count: 4
    state: running

- name: Two more, by name, one after the other
  archipel.platform.vm_clone:
    machine: template
    names:
      - teacher
      - spare
    at_once: 1
"""

RETURN = r"""
machines:
  description: The copies, in the order of their names or numbers.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The copy's name.
      type: str
      sample: seat-01
    uuid:
      description: Its UUID; null if it is not there.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
    jid:
      description: Its account.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    state:
      description: What libvirt said when it was last asked, such as V(running) or V(off); V(absent) if it is not there.
      type: str
      sample: running
    copy_of:
      description: The UUID of the machine that it was copied from; null if its definition says nothing of that.
      type: str
      sample: 0d5e7c52-7e3f-4f5e-9a52-1f2b6a1c7f10
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: clone
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.clones import DeclaredClone, Origin, read_names
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

ARGUMENTS = {
    **connection_arguments(),
    "machine": {"type": "str", "required": True},
    "names": {"type": "list", "elements": "str", "aliases": ["name"]},
    "pattern": {"type": "str"},
    "count": {"type": "int"},
    "start": {"type": "int", "default": 1},
    "linked": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "running"], "default": "present"},
    "at_once": {"type": "int", "default": 4},
    "clone_timeout": {"type": "float", "default": 3600},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    read_names(arguments)
    if arguments["at_once"] < 1:
        raise ValueError("at_once: must be 1 or more")


async def declare(run: Run) -> Mapping[str, Any]:
    names = read_names(run.arguments)
    directory = await Directory.load(run.hypervisor, [run.arguments["machine"], *names])
    origin = Origin(directory, run.arguments, run.tell)
    clones = [DeclaredClone(name, origin) for name in names]
    result = await reconcile_all(clones, "machines", run)
    for clone in (clone for clone in clones if clone.strange):
        of = f"it is a copy of {clone.copy_of}" if clone.copy_of else "its definition does not say that it is a copy"
        run.warn(f"{clone.title} was there already, and is not known to be a copy of {run.arguments['machine']}: {of}")
    return result


MODULE = Module(
    ARGUMENTS,
    declare,
    refuse=refuse,
    constraints={
        "mutually_exclusive": [("names", "pattern")],
        "required_one_of": [("names", "pattern")],
        "required_together": [("pattern", "count")],
    },
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
