# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line tools and programs."""

from __future__ import annotations

from tests.conformance.row import tool

NODES = "makes and corrects all shared nodes in one go; only accounts that are named may publish there"
PAGE = "tests/integration/collection/test_command_line.py::test_the_page_of_the_command_line_is_true"
INITIALISED = ("tests/unit/client/test_platform.py::test_missing_nodes_are_made_and_hypervisors_may_publish_tags_only", PAGE)

ROWS = (
    tool("core", "archipel-tagnode", "-c, -d, -l: the node of tags", needs="archipel platform init", better=NODES, tests=INITIALISED),
    tool("core", "archipel-rolesnode", "-c, -d, -l: the node of roles", needs="archipel platform init", better=NODES, tests=INITIALISED),
    tool(
        "core",
        "archipel-adminaccounts -c -d -l",
        "the node of administrators",
        needs="archipel platform init",
        better=NODES,
        tests=INITIALISED,
    ),
    tool(
        "core",
        "archipel-adminaccounts -a -u",
        "name an administrator, or take him off the list",
        needs="archipel admins add",
        better="only who may publish there can, and the command asks the hypervisors whether they follow",
        tests=(
            "tests/unit/cli/test_admins.py::test_an_administrator_is_named_and_the_hypervisors_take_him",
            "tests/unit/cli/test_admins.py::test_an_administrator_is_taken_off_wherever_he_stands",
            PAGE,
        ),
    ),
    tool("core", "archipel-centralagentnode", "-c, -d, -l: the node of the central agent's signs of life", central=True),
    tool(
        "core",
        "archipel-testxmppserver",
        "tries step by step whether the XMPP server can do what is needed",
        needs="archipel-agent",
        different="`archipel-agent --check` tries what the agent needs with the agent's own account and configuration, libvirt and "
        "folders too; no account is left behind, and nothing of ejabberd's XML-RPC is needed",
        tests=(
            "tests/unit/agent/test_check.py::test_all_is_well",
            "tests/unit/agent/test_check.py::test_a_pubsub_service_that_does_not_answer_is_told",
        ),
    ),
    tool(
        "core",
        "archipel-ejabberdadmin",
        "edits the list of the server's administrators, which the central agent's account must be on",
        central=True,
    ),
    tool(
        "agent",
        "archipel-command",
        "sends one request as XML and prints the answer",
        needs="archipel command",
        better="a machine goes by its name, and the request may be a query without the stanza around it",
        tests=("tests/unit/cli/test_command.py::test_a_request_is_sent_as_it_is_and_the_answer_printed", PAGE),
    ),
    tool(
        "agent",
        "archipel-commandsbytag",
        "says something to all entities with a tag (could not run)",
        needs="archipel chat --tag",
        better="runs; who does not reply is named, and does not keep the others from it",
        tests=(
            "tests/unit/cli/test_machine_commands.py::test_all_with_one_of_the_tags_are_told_and_each_one_replies_by_name",
            "tests/unit/cli/test_machine_commands.py::test_one_that_does_not_reply_does_not_keep_the_others_from_it",
            PAGE,
        ),
    ),
    tool(
        "agent",
        "archipel-importvirtualmachine",
        "writes an existing domain into the stopped agent's database",
        different="the action `manage` takes domains in while everything runs",
        tests=("tests/integration/agent/test_adoptions.py::test_a_domain_is_byte_for_byte_the_same_before_during_and_after",),
        needs="archipel-agent",
    ),
    tool(
        "agent",
        "archipel-updatedomain",
        "changes the XMPP domain in the database (could not run)",
        different="addresses are made at each start from the domain of the configuration; rights, rules, jobs and accounts are those of "
        "whole addresses and stay with the old domain: on another one they are given anew by the administrators",
        tests=(
            "tests/unit/agent/test_virtual_machine.py::test_the_address_is_made_of_uuid_and_hypervisor",
            "tests/unit/agent/test_virtual_machine.py::test_rights_stay_with_the_domain_that_they_were_given_on",
        ),
        needs="archipel-agent",
    ),
    tool(
        "agent",
        "archipel-initinstall",
        "installs service, folders and configuration; wiped what was there on demand",
        needs="archipel-agent-init",
        better="overwrites nothing unasked, tells before what it will do, checks the answers, and a second run has nothing to do; the "
        "service has a user of its own",
        tests=(
            "tests/unit/agent/test_installation.py::test_what_is_missing_is_made_with_its_owner_and_mode",
            "tests/unit/agent/test_installation.py::test_what_differs_is_told_and_left_alone",
            "tests/integration/test_installation.py::test_an_installed_agent_finds_everything_usable",
        ),
    ),
    tool(
        "agent",
        "runarchipel",
        "the agent: -c, -n, -v, -C, -p; statuses 0 to 7",
        needs="archipel-agent",
        different="a service manager starts it, so it never forks; `--version` replaces -v; diskless hosts mount their folders "
        "themselves (-C, -p); statuses 1 and 2 are the founders', 4 a state that cannot be used; a missing libvirt or server is waited for",
        tests=(
            "tests/unit/agent/test_daemon.py::test_what_keeps_the_agent_from_starting_is_one_line_and_a_status",
            "tests/integration/agent/test_libvirt_faults.py::test_an_agent_that_starts_without_libvirt_says_so_and_waits_for_it",
            "tests/integration/agent/test_server_faults.py::test_an_agent_that_starts_before_the_server_waits_for_it",
        ),
    ),
    tool("central agent", "archipel-central-agent-initinstall", "installs the central agent", central=True),
    tool("central agent", "runcentralagent", "the central agent", central=True),
    tool(
        "sources",
        "buildAgent, buildCentralAgent",
        "build packages, install for development",
        needs="pyproject.toml",
        different="a Python distribution as usual; `make bootstrap` installs it for development",
        tests=("tests/unit/agent/test_plugins.py::test_the_built_in_capabilities_are_entry_points_too",),
    ),
)
