# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What module ``permission`` takes, but for where it holds; ``fleet`` takes the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.rules import needs_rules

PERMISSION: Mapping[str, Mapping[str, Any]] = {
    "subjects": {"type": "list", "elements": "str", "aliases": ["subject"]},
    "groups": {"type": "list", "elements": "str", "aliases": ["group"]},
    "rights": {"type": "list", "elements": "str"},
    "roles": {"type": "list", "elements": "str", "aliases": ["role"]},
    "scope": {"type": "str", "default": "entity"},
    "expires": {"type": "str"},
    "reason": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent", "denied"], "default": "present"},
    "exclusive": {"type": "bool", "default": False},
}
CONSTRAINTS: Mapping[str, Any] = {
    "required_if": [("state", "present", ["rights", "roles"], True), ("state", "denied", ["rights", "roles"], True)],
    "required_one_of": [("subjects", "groups")],
}


def refuse_permission(arguments: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError` for what contradicts itself."""
    rules = needs_rules(arguments)
    if arguments["exclusive"] and arguments["state"] == "absent":
        raise ValueError("exclusive: goes with state: present; state: absent without rights revokes all of them")
    if rules and arguments["exclusive"]:
        raise ValueError("exclusive: goes with rights of subjects alone, not with groups, roles, scope, expires or state: denied")
    if rules and not (arguments["rights"] or arguments["roles"]):
        raise ValueError("rights, roles: name what is no longer granted or denied")
