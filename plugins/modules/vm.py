# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: vm
short_description: Declare virtual machines
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Makes, changes, starts, stops, adopts and frees virtual machines on a hypervisor that an Archipel agent serves.
  - A machine is declared by single options, or by a whole libvirt definition. Only what is declared is compared and changed; the
    rest stays as it is. A new machine gets sensible values for what is not declared.
  - A running machine is changed in place where libvirt can. What cannot be changed so is stored for the next start, and the
    result says RV(needs_restart).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
  - archipel.platform.machine
seealso:
  - module: archipel.platform.vm_info
  - module: archipel.platform.permission
"""

EXAMPLES = r"""
---
- name: A machine that runs
  archipel.platform.vm:
    name: web
    state: running
    memory: 512
    max_memory: 1 GiB
    vcpus: 1
    max_vcpus: 2
    networks:
      - network: default
    tags:
      - course-101

- name: The same machine with more memory, at once
  archipel.platform.vm:
    name: web
    memory: 1 GiB

- name: Forty machines, one session
  archipel.platform.vm:
    state: present
    memory: 64
    networks:
      - network: default
    machines: "{{ range(1, 41) | map('regex_replace', '^', 'name: seat-') | map('from_yaml') }}"

- name: A machine with a disk that the agent makes, of 10 GiB
  archipel.platform.vm:
    name: files
    memory: 256
    drives:
      - name: system
        size: 10 GiB

- name: A machine from a template of its whole definition
  archipel.platform.vm:
    name: lab
    definition: "{{ lookup('ansible.builtin.template', 'domain.xml.j2') }}"

- name: A domain that somebody made with virsh
  archipel.platform.vm:
    name: legacy
    state: adopted

- name: More processors than the running machine can have, with a restart
  archipel.platform.vm:
    name: web
    state: running
    vcpus: 4
    max_vcpus: 4
    restart: true
    shutdown_timeout: 60
    force: true

- name: The machine goes, its disks stay
  archipel.platform.vm:
    name: lab
    state: absent
"""

RETURN = r"""
machine:
  description: The machine, as it was read last.
  returned: success, unless O(machines) is given
  type: dict
  sample:
    name: web
    uuid: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
    jid: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    state: running
    memory: 512
    max_memory: 1024
    vcpus: 1
    autostart: false
    needs_restart: false
    restart_reasons: []
machines:
  description: All machines of the run.
  returned: success, and as far as they were dealt with on failure
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: web
    uuid:
      description: The UUID; null if there is no such machine.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11
    jid:
      description: The account.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    state:
      description:
        - What libvirt said when it was last asked (V(running), V(paused), V(off), V(shutting down), V(crashed), V(asleep)), or
          V(not defined), or V(absent). Null if it was not asked.
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
    needs_restart:
      description: Whether something that is declared waits for the machine to be restarted.
      type: bool
      sample: true
    restart_reasons:
      description: What waits, in words.
      type: list
      elements: str
      sample:
        - the most processors a machine can have is fixed while it runs
needs_restart:
  description: Whether any of the machines waits for a restart.
  returned: success
  type: bool
  sample: false
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: alloc
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import DEFINITION_OR_HARDWARE, MACHINE, read_wishes
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import DeclaredMachine
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import Host
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.results import tell_restarts, tell_single

ARGUMENTS = {
    **connection_arguments(),
    **MACHINE,
    "machines": {
        "type": "list",
        "elements": "dict",
        "options": dict(MACHINE),
        "mutually_exclusive": DEFINITION_OR_HARDWARE,
        "required_one_of": [("name", "uuid")],
    },
}


async def declare(run: Run) -> Mapping[str, Any]:
    wishes = read_wishes(run.arguments)
    host = Host(await Directory.load(run.hypervisor, [wish.reference for wish in wishes]))
    machines = [DeclaredMachine(wish, host) for wish in wishes]
    await DeclaredMachine.preload(machines)
    result = await reconcile_all(machines, "machines", run)
    result = tell_restarts(result, "machines", run, "at its next start; restart=true restarts it")
    return tell_single(result, "machines", "machine", run)


MODULE = Module(
    ARGUMENTS,
    declare,
    constraints={
        "mutually_exclusive": [*DEFINITION_OR_HARDWARE, ("machines", "name"), ("machines", "uuid")],
        "required_one_of": [("name", "uuid", "machines")],
    },
    log_arguments=False,  # the system's log would get a definition with its passwords; the result shows all but those
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
