# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_info
short_description: Read who did what
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - Reads the audit log - who asked for what, by which rule it was allowed or refused, how it ended and how long it took.
  - A machine tells what was asked of it. A hypervisor tells what was asked of it and of each of its machines, also of those that are
    gone; the right V(audit_get) on a hypervisor is granted by name, V(all) does not include it.
  - All filters that are given must fit.
extends_documentation_fragment:
  - archipel.platform.connection
  - archipel.platform.attributes
  - archipel.platform.attributes.reads
options:
  machines:
    description:
      - The machines whose log is read, by name, UUID or JID.
      - Without it, it is that of the hypervisor.
    type: list
    elements: str
    aliases:
      - machine
  who:
    description:
      - Only what this account asked for.
    type: str
  entity:
    description:
      - Only what was asked of this account, such as that of a machine that is gone. Of use with the hypervisor's log.
    type: str
  action:
    description:
      - Only this action, such as V(destroy).
    type: str
  since:
    description:
      - Not before this time, such as V(2026-11-21T08:00:00Z); without a zone it is UTC.
    type: str
  until:
    description:
      - Not after this time.
    type: str
  outcome:
    description:
      - Only what was done (V(ok)), or what was refused, failed or was not finished (V(failed)).
    type: str
    choices:
      - ok
      - failed
  limit:
    description:
      - How many entries, at most; the newest ones.
    type: int
    default: 100
  position:
    description:
      - Where to go on - RV(next) of an earlier run. Goes with the log of the hypervisor or of a single machine.
    type: str
seealso:
  - module: archipel.platform.permission_info
"""

EXAMPLES = r"""
---
- name: Read what was refused or failed of late
  archipel.platform.audit_info:
    outcome: failed
    limit: 20
  register: failures

- name: Read who switched a machine off
  archipel.platform.audit_info:
    machine: web
    action: destroy
    since: "2026-11-21T08:00:00Z"

- name: Read what a student did
  archipel.platform.audit_info:
    who: student@example.org
  register: log

- name: Go on where that ended
  archipel.platform.audit_info:
    who: student@example.org
    position: "{{ log.next }}"
  when: log.next is not none
"""

RETURN = r"""
entries:
  description: The entries, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    time:
      description: When the request was over (UTC).
      type: str
      sample: "2026-11-21T08:30:00.123456Z"
    who:
      description: The account that asked.
      type: str
      sample: student@example.org
    jid:
      description: The full JID that asked.
      type: str
      sample: student@example.org/desk
    entity:
      description: The account that was asked.
      type: str
      sample: 5a0cb3a0-5b2c-4b5b-9f0e-6f1f7b6d3f11@example.org
    namespace:
      description: The namespace of the action.
      type: str
      sample: archipel:vm:control
    action:
      description: What was asked for.
      type: str
      sample: destroy
    phrase:
      description: What was said, of what was asked for in a chat.
      type: str
      sample: switch off
    arguments:
      description: What was asked with, without secrets; C(null) where the action takes nothing.
      type: raw
      sample:
        value: "2"
    rule:
      description: The rule by which it was allowed or refused.
      type: str
      sample: granted
    outcome:
      description: V(ok), or how it ended otherwise.
      type: str
      sample: ok
    milliseconds:
      description: How long it took.
      type: float
      sample: 12.5
next:
  description: Where to go on with O(position), if there may be more; C(null) if not, or if the logs of several machines were read.
  returned: success
  type: str
  sample: 2026-11-21T08:30:00.123456Z/1
malformed:
  description: How many lines of the logs were passed over because they are no entries.
  returned: success
  type: int
  sample: 0
missing_right:
  description: The right that the account which logged in lacks.
  returned: when the agent refused for want of a right
  type: str
  sample: audit_get
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.directory import ENTITY_ARGUMENTS, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run

try:
    from archipel.client.addresses import bare_address
    from archipel.protocol.audit import MOST_ENTRIES, AuditEntry, GetAudit, parse_position, parse_time
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Entity

ARGUMENTS = {
    **connection_arguments(),
    **ENTITY_ARGUMENTS,
    "who": {"type": "str"},
    "entity": {"type": "str"},
    "action": {"type": "str"},
    "since": {"type": "str"},
    "until": {"type": "str"},
    "outcome": {"type": "str", "choices": ["ok", "failed"]},
    "limit": {"type": "int", "default": 100},
    "position": {"type": "str"},
}


def refuse(arguments: Mapping[str, Any]) -> None:
    if arguments["limit"] < 1:
        raise ValueError(f"limit: must be 1 or more, not {arguments['limit']}")
    if arguments["position"] is not None and len(arguments["machines"] or ()) > 1:
        raise ValueError("position: goes with the log of the hypervisor or of a single machine")
    for name, parse in (("since", parse_time), ("until", parse_time), ("position", parse_position)):
        try:
            if arguments[name] is not None:
                parse(arguments[name])
        except (ValueError, OverflowError):
            hint = "what an earlier run returned as 'next'" if name == "position" else "a time such as 2026-11-21T08:00:00Z"
            raise ValueError(f"{name}: must be {hint}, not {arguments[name]!r}") from None


def question(arguments: Mapping[str, Any]) -> dict[str, Any]:
    accounts = {name: bare_address(arguments[name]) for name in ("who", "entity") if arguments[name]}
    return {**accounts, "command": arguments["action"], **{name: arguments[name] for name in ("since", "until", "outcome")}}


async def read_log(entity: Entity, arguments: Mapping[str, Any]) -> tuple[list[AuditEntry], str | None, int]:
    entries: list[AuditEntry] = []
    position, malformed, asked = arguments["position"], 0, question(arguments)
    while len(entries) < arguments["limit"]:
        page = await entity.ask(GetAudit(**asked, limit=min(MOST_ENTRIES, arguments["limit"] - len(entries)), position=position))
        entries += page.entries
        malformed += page.malformed
        position = page.next
        if position is None:
            break
    return entries, position, malformed


def describe(entry: AuditEntry) -> dict[str, Any]:
    found = asdict(entry)
    return {"action": found.pop("command"), **found, "arguments": _read_json(entry.arguments)}


def _read_json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


async def read(run: Run) -> Mapping[str, Any]:
    entities = await find_entities(run.hypervisor, run.arguments["machines"])
    logs = await asyncio.gather(*(read_log(named.entity, run.arguments) for named in entities))
    found = sorted((entry for entries, _next, _malformed in logs for entry in entries), key=lambda entry: entry.time, reverse=True)
    return {
        "changed": False,
        "entries": [describe(entry) for entry in found[: run.arguments["limit"]]],
        "next": logs[0][1] if len(logs) == 1 else None,
        "malformed": sum(malformed for _entries, _next, malformed in logs),
    }


MODULE = Module(ARGUMENTS, read, refuse=refuse)


def main() -> None:
    MODULE.run()


if __name__ == "__main__":
    main()
