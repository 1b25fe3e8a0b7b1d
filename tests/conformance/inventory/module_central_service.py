# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Central agent: centraldb, xmppserver, platformrequest, defaultcomputingunit."""

from __future__ import annotations

from typing import Any

from tests.conformance.row import CENTRAL, EVERY, Row, action, option, pushes, tokens

DATABASE, PLATFORM = "archipel:centralagent", "archipel:centralagent:platform"
USERS, GROUPS = "archipel:xmppserver:users", "archipel:xmppserver:groups"
C = (CENTRAL,)
EVERY_ACTION = "tests/integration/agent/test_every_action.py"
ALONE = "known by the central agent; without one an entity answers the error -10000, as the founders' did"


def served(place: str, *names: str, meaning: str, on: tuple[str, ...] = C, **more: Any) -> tuple[Row, ...]:
    return tuple(action(place, name, on, meaning, central=True, **more) for name in names)


def asked(name: str) -> tuple[str, ...]:
    """Who holds the right is told that no central agent is there, who lacks it which right he lacks."""
    tests = ("test_who_holds_the_right_may", "test_who_lacks_the_right_is_told_which")
    return tuple(f"{EVERY_ACTION}::{test}[{kind}-xmppserver:users-{name}]" for test in tests for kind in EVERY)


ROWS = (
    *served(DATABASE, "read_hypervisors", "read_vms", "get_existing_vms_instances", meaning="what the platform has; by whoever asked"),
    *served(DATABASE, "register_hypervisors", "register_vms", "unregister_hypervisors", "unregister_vms", meaning="by whoever asked"),
    *served(DATABASE, "update_hypervisors", "update_vms", "update_vms_domain", meaning="by whoever asked"),
    *served(PLATFORM, "request", meaning="which hypervisor is least loaded; always an error"),
    *served(USERS, "register", "unregister", "changepassword", meaning="the server's accounts"),
    *served(
        USERS, "list", "filter", "number", meaning="the server's accounts; asked of hypervisors and machines too", on=EVERY, different=ALONE
    ),
    *served(GROUPS, "create", "delete", "list", "addusers", "deleteusers", meaning="the server's shared groups"),
    *pushes("xmppserver:users", "registered", "unregistered", "passwordchanged", central=True),
    *pushes("xmppserver:users", "registerationerror", "unregisterationerror", "changepassworderror", central=True),
    *pushes("xmppserver:groups", "created", "deleted", "usersadded", "usersdeleted", central=True),
    *tokens(C, "xmppserver_users_register", "xmppserver_users_unregister", "xmppserver_users_changepassword", central=True),
    *(
        right
        for name in ("list", "filter", "number")
        for right in tokens(EVERY, f"xmppserver_users_{name}", central=True, tests=asked(name))
    ),
    *tokens(C, "xmppserver_groups_create", "xmppserver_groups_delete", "xmppserver_groups_list", central=True),
    *tokens(C, "xmppserver_groups_addusers", "xmppserver_groups_deleteusers", central=True),
    *(
        option("XMPPSERVER", name, "", central=True)
        for name in ("use_xmlrpc_api", "xmlrpc_host", "xmlrpc_port", "xmlrpc_sslonly", "auto_group")
    ),
    *(
        option("XMPPSERVER", f"auto_group_{name}", "", central=True)
        for name in ("name_virtualmachines", "name_hypervisors", "name_users", "filter")
    ),
    *(option("CENTRALAGENT", name, "", central=True) for name in ("centralagent", "central_agent_xmpp_jid", "central_agent_xmpp_password")),
    *(option("CENTRALAGENT", name, "", central=True) for name in ("central_agent_default_avatar", "database")),
    *(option("CENTRALAGENT", name, "", central=True) for name in ("centralagent_permissions_database_path", "ping_hypervisors")),
    *(option("CENTRALAGENT", name, "", central=True) for name in ("keepalive_interval", "hypervisor_timeout_threshold")),
    option("CENTRALAGENT", "hypervisor_check_interval", "", central=True),
)
