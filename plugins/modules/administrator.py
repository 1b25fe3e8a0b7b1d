# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: administrator
short_description: Declare who may do everything on the platform
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which accounts are on the platform's list of administrators. Those may everything on every hypervisor and every machine, whatever
    is granted or denied.
  - Whom the agents' own configuration names as administrators are so besides, and are not on the list.
  - The list is changed by the account that made it (C(archipel platform init)).
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  people:
    description:
      - The accounts, such as V(teacher@example.org).
    type: list
    elements: str
    required: true
  state:
    description:
      - Whether they are on the list (V(present)) or not (V(absent)).
    type: str
    choices:
      - present
      - absent
    default: present
  exclusive:
    description:
      - Whether nobody else is on the list. An empty list of O(people) then empties it.
    type: bool
    default: false
seealso:
  - module: archipel.platform.permission
"""

EXAMPLES = r"""
---
- name: A teacher may everything
  archipel.platform.administrator:
    people:
      - teacher@example.org

- name: These two and nobody else
  archipel.platform.administrator:
    people:
      - admin@example.org
      - teacher@example.org
    exclusive: true

- name: The teacher has left
  archipel.platform.administrator:
    people:
      - teacher@example.org
    state: absent
"""

RETURN = r"""
lists:
  description: The list as it is now (in check mode, as it would be).
  returned: success
  type: list
  elements: dict
  contains:
    list:
      description: The name of the list on the server.
      type: str
      sample: /archipel/adminaccounts
    administrators:
      description: Everybody on it.
      type: list
      elements: str
      sample:
        - admin@example.org
        - teacher@example.org
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.administrators import KIND, DeclaredAdministrators
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all

ARGUMENTS = {**connection_arguments(), **KIND}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["exclusive"] and arguments["state"] == "absent":
        raise ValueError("exclusive: goes with state: present; an empty list of people then takes everybody off")


async def name(run: Run) -> Mapping[str, Any]:
    return await reconcile_all([DeclaredAdministrators(run.session, run.arguments, check_mode=run.check_mode)], "lists", run)


MODULE = Module(ARGUMENTS, name, refuse=refuse)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
