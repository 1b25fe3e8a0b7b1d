# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Core: rights."""

from __future__ import annotations

from tests.conformance.row import EVERY, HYPERVISOR, MACHINE, tokens

AGENT = "tests/integration/agent"
H, VM = (HYPERVISOR,), (MACHINE,)

ROWS = (
    *tokens(
        EVERY,
        "all",
        better="but for the right to pass the domain policy, which is granted by name",
        tests=(f"{AGENT}/test_permissions.py::test_the_right_to_pass_the_domain_policy_is_given_only_by_who_has_it",),
    ),
    *tokens(EVERY, "presence", tests=(f"{AGENT}/test_permissions.py::test_presence_follows_the_right_to_see_it",)),
    *tokens(EVERY, "message", tests=(f"{AGENT}/test_chats.py::test_who_may_not_talk_gets_a_polite_refusal_and_nothing_else",)),
    *tokens(
        EVERY,
        "permission_get",
        better="the default of those whom the entity knows; it was everybody's",
        tests=(f"{AGENT}/test_strangers.py::test_every_action_is_refused_and_nothing_changes",),
    ),
    *tokens(
        EVERY,
        "permission_getown",
        meaning="asked for by clients only, before they show the rights",
        tests=(f"{AGENT}/test_permissions.py::test_getown_needs_no_right_but_to_be_known",),
    ),
    *tokens(EVERY, "permission_list", "permission_set", "permission_setown", "subscription_add", "subscription_remove", "settags"),
    *tokens(EVERY, "getavatars", "setavatar"),
    *tokens(H, "alloc", "free", "rostervm", "clone", "ip", "migrationinfo", "capabilities", "nodeinfo", "manage", "unmanage", "setorginfo"),
    *tokens(VM, "info", "create", "shutdown", "destroy", "reboot", "suspend", "resume", "xmldesc", "autostart", "memory"),
    *tokens(VM, "migrate", tests=(f"{AGENT}/test_migrations.py::test_who_holds_the_right_to_migrate_may_and_who_lacks_it_is_told",)),
    *tokens(VM, "setvcpus", "networkinfo", "define", "undefine", "capabilities", "free", "screenshot"),
    *tokens(
        VM,
        "nodeinfo",
        meaning="guarded nothing: machines had no such action",
        different="can be granted, as clients show it, and guards nothing here either",
        tests=("tests/unit/agent/test_founding_rights.py::test_what_guards_nothing_is_granted_as_founding_clients_ask",),
    ),
    *tokens(
        VM,
        "roster",
        meaning="asked for in a chat, and never made",
        better="exists",
        tests=(f"{AGENT}/test_chats.py::test_what_a_machine_says_of_itself",),
    ),
    *tokens(
        EVERY,
        "sendfiles",
        meaning="never made: no entity took files",
        dropped="no entity takes files",
        tests=("tests/unit/protocol/test_rights.py::test_the_founding_rights_and_the_new_one_exist",),
    ),
)
