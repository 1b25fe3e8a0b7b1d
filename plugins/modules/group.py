# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: group
short_description: Declare groups of people
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which groups there are and who is in them. M(archipel.platform.permission) gives rights to groups as it does to people.
  - V(server) groups are those of the shared roster of the XMPP server (C(mod_shared_roster)). Their members see each other, and whoever
    sees the group, among their contacts without asking anybody. A hypervisor whose account is in a group that displays it knows them, too.
  - V(hypervisor) groups are lists of people that a hypervisor keeps, for its own rules and those of its machines; nobody's contacts change.
  - XMPP has no commands for groups of the server, so those go through ejabberd's own API (C(mod_http_api), C(mod_admin_extra)), with the
    account and the password that log in. A group that is removed is taken out of O(displayed) of the others.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  name: &name
    description:
      - The name of the group.
    type: str
  label: &label
    description:
      - What clients show, the name unless given. Of groups of the server.
      - Hypervisors know a group of the server by what clients show, so M(archipel.platform.permission) names the label.
    type: str
  description: &description
    description:
      - What the group is for. Of groups of the server.
    type: str
  displayed: &displayed
    description:
      - The groups whose members the members of this one see among their contacts. A class that sees itself names itself here. They must be
        there, or be declared in the same list. Of groups of the server.
    type: list
    elements: str
  members: &members
    description:
      - The accounts that are in the group, such as V(student@example.org), or their names alone.
      - In a group of the server, V(@all@) stands for all accounts and V(@online@) for those that are online.
    type: list
    elements: str
  exclusive: &exclusive
    description:
      - Whether nobody else is in the group.
    type: bool
  state: &state
    description:
      - Whether there is such a group. V(present) unless given.
    type: str
    choices:
      - present
      - absent
  groups:
    description:
      - Many groups in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      name: *name
      label: *label
      description: *description
      displayed: *displayed
      members: *members
      exclusive: *exclusive
      state: *state
  kept_by:
    description:
      - Whether they are groups of the XMPP server's shared roster, or of O(hypervisor).
    type: str
    choices:
      - server
      - hypervisor
    default: server
  api_url:
    description:
      - Where ejabberd's API is, such as V(https://example.org:5443/api), or V(unix:/run/ejabberd/api.sock) for a socket on the
        control node. Without TLS it must be on the control node itself, such as V(http://127.0.0.1:5281/api).
      - The certificate must name the account's domain, as for XMPP, and O(xmpp_ca_file) is trusted.
      - If not given, the environment variable E(ARCHIPEL_API_URL) is used, then C(/api) on port 5443 of O(xmpp_host) or else of the
        account's domain, which is where Debian's packaged configuration has it.
    type: str
seealso:
  - module: archipel.platform.user
  - module: archipel.platform.permission
"""

EXAMPLES = r"""
---
- name: A class whose members see each other
  archipel.platform.group:
    name: tp1
    label: Practical work 1
    members:
      - student@example.org
      - guest@example.org
    displayed:
      - tp1

- name: Two groups, and nobody else in them
  archipel.platform.group:
    exclusive: true
    groups:
      - name: tp1
        members:
          - student@example.org
      - name: teachers
        description: Those who give lessons
        members:
          - teacher@example.org
        displayed:
          - tp1

- name: Helpers are known to one hypervisor only
  archipel.platform.group:
    kept_by: hypervisor
    name: helpers
    members:
      - student@example.org

- name: The course is over
  archipel.platform.group:
    name: tp1
    state: absent
"""

RETURN = r"""
groups:
  description: The groups as they are now (in check mode, as they would be).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: tp1
    "on":
      description: Who keeps it - the server's domain, or the hypervisor's account.
      type: str
      sample: example.org
    present:
      description: Whether there is such a group.
      type: bool
      sample: true
    group:
      description: The name, if there is such a group.
      returned: if there is such a group
      type: str
      sample: tp1
    label:
      description: What clients show.
      returned: if declared
      type: str
      sample: Practical work 1
    description:
      description: What it is for.
      returned: if declared
      type: str
      sample: Those who give lessons
    displayed:
      description: The groups that its members see.
      returned: if declared
      type: list
      elements: str
      sample:
        - tp1
    members:
      description: Everybody who is in it.
      type: list
      elements: str
      sample:
        - guest@example.org
        - student@example.org
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: permission_set
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList, is_present
from ansible_collections.archipel.platform.plugins.module_utils.environment import read_environment
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.groups import KIND, DeclaredGroup, KeptGroup, ServerGroup
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

GROUPS = EntryList(KIND, "groups", what="group")
ARGUMENTS = {
    **connection_arguments(),
    **GROUPS.options,
    "kept_by": {"type": "str", "choices": ["server", "hypervisor"], "default": "server"},
    "api_url": {"type": "str", "fallback": (read_environment, ["ARCHIPEL_API_URL"])},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    GROUPS.read(arguments)


def declare(run: Run, entry: Mapping[str, Any], beside: list[str]) -> DeclaredGroup:
    if run.arguments["kept_by"] == "hypervisor":
        return KeptGroup(run.hypervisor, entry, check_mode=run.check_mode)
    arguments = {**entry, "api_url": run.arguments["api_url"]}
    return ServerGroup(run.session, arguments, check_mode=run.check_mode, beside=beside)


async def form(run: Run) -> Mapping[str, Any]:
    entries = GROUPS.read(run.arguments)
    beside = [entry["name"] for entry in entries if is_present(entry)]
    return await reconcile_all([declare(run, entry, beside) for entry in entries], "groups", run)


MODULE = Module(
    ARGUMENTS,
    form,
    constraints=GROUPS.constraints,
    refuse=refuse,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
