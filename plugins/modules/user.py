# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: user
short_description: Declare accounts on the XMPP server
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Says which accounts of people there are on the XMPP server, and with which passwords.
  - It works through the server's service administration (XEP-0133), over the session that is there anyway. So there is no second port
    to open and no second secret to keep, and passwords travel inside TLS, never on a command line. The account that logs in must be
    an administrator of the server. Of ejabberd it takes C(mod_adhoc) and C(mod_configure), which Debian's packaged configuration has.
  - Accounts of machines are made by their hypervisors. Those, and the hypervisors' own, are refused here unless O(entities) says otherwise.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.changes
options:
  name: &name
    description:
      - The account, such as V(student@example.org), or its name alone, on the server that is logged in to.
    type: str
  password: &password
    description:
      - The password. Needed to make an account.
      - It is in no result, log or difference. Keep it in a vault.
    type: str
  update_password: &update_password
    description:
      - V(on_create) leaves the password of an account that is there as it is, so that people can change theirs. It is what counts unless
        given.
      - V(always) gives the account O(password) if it has another one. Whether it has is tried by a login, since nobody can read passwords;
        people's open sessions stay.
      - Each wrong one counts as an attempt at guessing with a server that bans addresses (C(mod_fail2ban)). The module tries one
        at a time, and logs in with its own account after each refusal, by which ejabberd forgets what it counted.
    type: str
    choices:
      - on_create
      - always
  state: &state
    description:
      - Whether there is such an account. V(present) unless given.
      - V(absent) removes the account with its roster and ends its sessions. Rights stay on the machines; revoke them with
        M(archipel.platform.permission), or whoever gets the same name later has them.
    type: str
    choices:
      - present
      - absent
  entities: &entities
    description:
      - Whether accounts of machines (whose names are UUIDs) and of hypervisors may be meant. An agent whose password is changed or
        whose account is gone loses its platform.
    type: bool
  users:
    description:
      - Many accounts in one run, which is one session. The options beside the list are defaults for its entries.
    type: list
    elements: dict
    suboptions:
      name: *name
      password: *password
      update_password: *update_password
      state: *state
      entities: *entities
seealso:
  - module: archipel.platform.group
  - module: archipel.platform.permission
  - module: archipel.platform.roster
"""

EXAMPLES = r"""
---
- name: A student has an account
  archipel.platform.user:
    name: ada@example.org
    password: "{{ vaulted_password | default('a-password-of-hers') }}"

- name: A class of three has accounts
  archipel.platform.user:
    users:
      - name: ada
        password: a-password-of-hers
      - name: bob
        password: a-password-of-his
      - name: eve
        password: another-password

- name: Somebody forgot his password
  archipel.platform.user:
    name: bob
    password: a-new-password
    update_password: always

- name: The course is over
  archipel.platform.user:
    state: absent
    users:
      - name: ada
      - name: bob
      - name: eve
"""

RETURN = r"""
users:
  description: The accounts as they are now (in check mode, as they would be).
  returned: success
  type: list
  elements: dict
  contains:
    jid:
      description: The account.
      type: str
      sample: ada@example.org
    present:
      description: Whether there is such an account.
      type: bool
      sample: true
    created:
      description: Whether this run made it.
      type: bool
      sample: true
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList, refuse_doubles
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import reconcile_all
from ansible_collections.archipel.platform.plugins.module_utils.users import KIND, DeclaredUser

USERS = EntryList(KIND, "users")
ARGUMENTS = {**connection_arguments(), **USERS.options}


def refuse(arguments: Mapping[str, Any]) -> None:
    USERS.read(arguments)


async def register(run: Run) -> Mapping[str, Any]:
    entries = USERS.read(run.arguments)
    declared = [DeclaredUser(run.session, entry, check_mode=run.check_mode) for entry in entries]
    refuse_doubles("users", (user.jid for user in declared))
    return await reconcile_all(declared, "users", run)


MODULE = Module(
    ARGUMENTS,
    register,
    constraints=USERS.constraints,
    refuse=refuse,
)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
