# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: role
short_description: Declare named sets of rights
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which roles there are. A role is a named set of rights, which M(archipel.platform.permission) gives to people and groups with
    one word. When the role changes, so does what they may.
  - The built-in roles stay as they are.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  name: &name
    description:
      - The name of the role - lower-case letters, digits and hyphens.
    type: str
  rights: &rights
    description:
      - The rights of the role, all of them; those of machines and of hypervisors by the same name. C(archipel rights) shows them.
      - Needed with O(state=present).
    type: list
    elements: str
  description: &description
    description:
      - What the role is for. Without it a description that is there stays.
    type: str
  state: &state
    description:
      - Whether there is such a role. V(present) unless given.
      - A role that a rule uses cannot be removed.
    type: str
    choices:
      - present
      - absent
  roles:
    description:
      - Many roles in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      name: *name
      rights: *rights
      description: *description
      state: *state
  scope:
    description:
      - Who keeps the role.
      - V(hypervisor) - the hypervisor, for its own rules and those of its machines.
      - V(platform) - the platform's list of rules, for the rules of the platform and of all hypervisors. It takes an account that may
        write there (C(archipel platform init)).
    type: str
    choices:
      - hypervisor
      - platform
    default: hypervisor
  hypervisors:
    description:
      - The hypervisors that keep the role, by their accounts; V(all) stands for all that are among the contacts of the account.
      - Without it, it is the one of O(hypervisor).
    type: list
    elements: str
seealso:
  - module: archipel.platform.permission
  - module: archipel.platform.permission_info
"""

EXAMPLES = r"""
---
- name: Operators start and stop machines
  archipel.platform.role:
    name: operator
    description: Starts and stops machines
    rights:
      - presence
      - info
      - create
      - shutdown

- name: Two roles on two hypervisors
  archipel.platform.role:
    hypervisors:
      - hypervisor@example.org
    roles:
      - name: operator
        rights:
          - presence
          - info
          - create
          - shutdown
          - reboot
      - name: watcher
        rights:
          - presence
          - info

- name: A role for rules of the whole platform
  archipel.platform.role:
    scope: platform
    name: greeter
    description: Says hello
    rights:
      - presence
      - message

- name: Nobody needs it any more
  archipel.platform.role:
    scope: platform
    name: greeter
    state: absent
"""

RETURN = r"""
roles:
  description: The roles as they are now (in check mode, as they would be).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: operator
    "on":
      description: Who keeps it - the hypervisor's account, or the platform's list of rules.
      type: str
      sample: hypervisor@example.org
    present:
      description: Whether there is such a role.
      type: bool
      sample: true
    description:
      description: What it is for.
      returned: if declared
      type: str
      sample: Starts and stops machines
    rights:
      description: The rights, sorted.
      returned: if there is such a role
      type: list
      elements: str
      sample:
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

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.roles import KIND, DeclaredRole

try:
    from archipel.client.platform_rules import PlatformRules
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor

ALL_HYPERVISORS = "all"
ROLES = EntryList(KIND, "roles", what="role")
ARGUMENTS = {
    **connection_arguments(),
    **ROLES.options,
    "scope": {"type": "str", "choices": ["hypervisor", "platform"], "default": "hypervisor"},
    "hypervisors": {"type": "list", "elements": "str"},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["scope"] == "platform" and arguments["hypervisors"] is not None:
        raise ValueError("hypervisors: a role of the platform is kept by no hypervisor")


async def find_places(run: Run) -> list[Hypervisor | PlatformRules]:
    named = run.arguments["hypervisors"]
    if run.arguments["scope"] == "platform":
        return [PlatformRules(run.session)]
    if named is None:
        return [run.hypervisor]
    jids = await run.session.find_hypervisors() if ALL_HYPERVISORS in named else named
    if not jids:
        raise ValueError("hypervisors: none is among the contacts of the account; name them")
    return [run.session.hypervisor(jid) for jid in dict.fromkeys(jids)]


async def define(run: Run) -> Mapping[str, Any]:
    entries = ROLES.read(run.arguments)
    places = await find_places(run)
    declared = [DeclaredRole(place, entry, check_mode=run.check_mode) for place in places for entry in entries]
    return await reconcile_all(declared, "roles", run)


MODULE = Module(
    ARGUMENTS,
    define,
    constraints=ROLES.constraints,
    refuse=refuse,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
