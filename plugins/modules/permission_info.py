# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: permission_info
short_description: Read who may do what, and why
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Reads which rights people effectively have on virtual machines or on their hypervisor, by which rule each is allowed or refused, and
    all grants and rules that reach these entities.
  - One run answers for many people and many machines; RV(matrix) is the short form for a table.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.reads
options:
  machines:
    description:
      - The machines, by name, UUID or JID.
      - Without it, it is about the hypervisor itself.
    type: list
    elements: str
    aliases:
      - machine
  subjects:
    description:
      - The accounts of the people, such as V(student@example.org).
      - Without it, it is the account that logs in. For others it takes the right V(permission_get).
    type: list
    elements: str
    aliases:
      - subject
  rights:
    description:
      - The rights to read about. Without it, all that exist on the machine or hypervisor, each of which is one request for each person;
        name some where it is about many.
      - In place of a right, words by which something is asked for in a chat will do.
    type: list
    elements: str
  rules:
    description:
      - Whether to read grants and rules, too; it takes the right V(permission_get).
    type: bool
    default: true
seealso:
  - module: archipel.platform.permission
  - module: archipel.platform.role
"""

EXAMPLES = r"""
---
- name: May a student start this machine, and why?
  archipel.platform.permission_info:
    machine: web
    subject: student@example.org
    rights:
      - create
  register: answer

- name: Say it
  ansible.builtin.debug:
    msg: "{{ answer.decisions[0].reason }}"

- name: Who may do what on the machines of a class
  archipel.platform.permission_info:
    machines:
      - web
      - mail
    subjects:
      - student@example.org
      - guest@example.org
    rights:
      - info
      - create
      - shutdown
  register: table

- name: Nobody but students may switch machines on
  ansible.builtin.assert:
    that: "'create' not in table.matrix.web['guest@example.org']"

- name: Everything that I may on the hypervisor
  archipel.platform.permission_info:
    rules: false
"""

RETURN = r"""
matrix:
  description:
    - By the name of the machine (or the hypervisor's account) and by person, the rights that he effectively has, of those asked about.
  returned: success
  type: dict
  sample:
    web:
      student@example.org:
        - create
        - info
      guest@example.org: []
decisions:
  description: What was decided for each person and right, on each machine.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name, or the hypervisor's account.
      type: str
      sample: web
    jid:
      description: The account that the right is about.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    subject:
      description: The person.
      type: str
      sample: student@example.org
    right:
      description: The right.
      type: str
      sample: create
    allowed:
      description: Whether he has it.
      type: bool
      sample: true
    rule:
      description: The kind of rule that decided.
      type: str
      sample: granted
    reason:
      description: Why, in words.
      type: str
      sample: granted; given by teacher@example.org on 2026-11-22 01:02:03 UTC
entities:
  description: The machines, or the hypervisor, with the grants and rules that count there, whoever they are about.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The machine's name, or the hypervisor's account.
      type: str
      sample: web
    jid:
      description: The account.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    rules:
      description:
        - The rules, each with its effect, whom it is about, what it gives or denies, where it counts and was made, by whom, when, until
          when and why.
        - C(note) says why a rule means nothing there.
      returned: with O(rules=true)
      type: list
      elements: dict
      sample:
        - effect: allow
          subject: student@example.org
          right: create
          scope: entity
          entity: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
          given_by: teacher@example.org
          given_at: "2026-11-22T01:02:03Z"
          expires: never
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: permission_get
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import ENTITY_ARGUMENTS, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run

try:
    from archipel.client.addresses import bare_address
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedEntity

    from archipel.protocol.rules import Rule

ARGUMENTS = {
    **connection_arguments(),
    **ENTITY_ARGUMENTS,
    "subjects": {"type": "list", "elements": "str", "aliases": ["subject"]},
    "rights": {"type": "list", "elements": "str"},
    "rules": {"type": "bool", "default": True},
}


def describe_rule(rule: Rule) -> dict[str, Any]:
    return {name: value for name, value in vars(rule).items() if value not in {None, ""}}


async def decide(named: NamedEntity, subject: str, right: str) -> dict[str, Any]:
    decision = await named.entity.why(right, subject)
    told = {name: getattr(decision, name) for name in ("right", "allowed", "rule", "reason")}
    return {"name": named.name, "jid": named.entity.bare, "subject": subject, **told}


async def look_at(named: NamedEntity, subjects: list[str], run: Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rights = run.arguments["rights"]
    if rights is None:
        rights = [right.name for right in await named.entity.list_rights()]
    decisions = await asyncio.gather(*(decide(named, subject, right) for subject in subjects for right in dict.fromkeys(rights)))
    rules = {"rules": [describe_rule(rule) for rule in await named.entity.rules()]} if run.arguments["rules"] else {}
    return {"name": named.name, "jid": named.entity.bare, **rules}, decisions


async def explain(run: Run) -> Mapping[str, Any]:
    subjects = list(dict.fromkeys(bare_address(subject) for subject in run.arguments["subjects"] or [run.session.jid]))
    entities = await find_entities(run.hypervisor, run.arguments["machines"])
    found = await asyncio.gather(*(look_at(named, subjects, run) for named in entities))
    decisions = [decision for _entity, decided in found for decision in decided]
    matrix: dict[str, dict[str, list[str]]] = {named.name: {subject: [] for subject in subjects} for named in entities}
    for decision in decisions:
        if decision["allowed"]:
            matrix[decision["name"]][decision["subject"]].append(decision["right"])
    return {"changed": False, "matrix": matrix, "decisions": decisions, "entities": [entity for entity, _decided in found]}


MODULE = Module(ARGUMENTS, explain)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
