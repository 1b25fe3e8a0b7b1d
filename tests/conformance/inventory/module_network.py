# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hypervisor_network."""

from __future__ import annotations

from tests.conformance.row import EVERY, HYPERVISOR, MACHINE, action, option, phrases, pushes, tokens

NS = "archipel:hypervisor:network"
H, VM = (HYPERVISOR,), (MACHINE,)

ROWS = (
    action(
        NS,
        "define",
        H,
        "define a network of libvirt's, anew if it is there",
        better="a network that is saved badly is as it was, also after the `undefine` that clients send before; what reaches the host takes a right of its own",
        tests=(
            "tests/integration/agent/test_networks.py::test_a_network_that_is_saved_badly_is_as_it_was",
            "tests/integration/agent/test_networks.py::test_what_reaches_the_host_takes_the_right_to_pass_the_policy",
        ),
    ),
    action(
        NS,
        "undefine",
        H,
        "remove a network, by name or UUID",
        better="the definition is kept for a while for who saves it anew",
        tests=("tests/integration/agent/test_networks.py::test_a_network_that_is_saved_well_keeps_identity_and_autostart",),
    ),
    action(
        NS,
        "create",
        H,
        "start a network",
        tests=("tests/integration/agent/test_networks.py::test_a_life_of_a_network_is_done_pushed_and_shouted",),
    ),
    action(
        NS,
        "destroy",
        H,
        "stop a network",
        tests=("tests/integration/agent/test_networks.py::test_a_life_of_a_network_is_done_pushed_and_shouted",),
    ),
    action(
        NS,
        "get",
        H,
        "all networks, those that run and those that do not",
        tests=("tests/integration/agent/test_networks.py::test_networks_stand_in_their_groups_with_their_autostart",),
    ),
    action(
        NS,
        "bridges",
        EVERY,
        "the host's bridges, the kernel's and Open vSwitch's",
        tests=("tests/unit/agent/test_host_interfaces.py::test_bridges_are_told_with_what_makes_them",),
    ),
    action(
        NS,
        "getnames",
        EVERY,
        "the names of the networks that run",
        tests=("tests/integration/agent/test_networks.py::test_only_networks_that_run_have_their_names_told",),
    ),
    action(
        NS,
        "getnics",
        EVERY,
        "the host's network devices",
        tests=("tests/integration/agent/test_networks.py::test_a_machine_tells_what_its_hypervisor_tells",),
    ),
    action(
        NS,
        "getnwfilters",
        VM,
        "the names of libvirt's network filters",
        better="asked of libvirt, not of its files; of hypervisors too",
        tests=("tests/integration/agent/test_networks.py::test_a_machine_tells_what_its_hypervisor_tells",),
    ),
    *pushes("network", "defined", "undefined", "created", "destroyed", meaning="networks changed"),
    *phrases(HYPERVISOR, (NS, "get"), "list networks"),
    *phrases(HYPERVISOR, (NS, "create"), "create network X", "start network X"),
    *phrases(HYPERVISOR, (NS, "destroy"), "destroy network X", "stop network X"),
    *phrases(HYPERVISOR, (NS, "getnics"), "nics", "network cards"),
    *tokens(H, "network_define", "network_undefine", "network_create", "network_destroy", "network_get", "network_getnics"),
    *tokens(H, "network_getnwfilters", meaning="guarded nothing: hypervisors had no such action"),
    *tokens(EVERY, "network_getnames", "network_bridges"),
    *tokens(VM, "network_getnics", "network_getnwfilters", meaning="asked for and never made: only administrators got an answer"),
    option("NETWORKS", "libvirt_nw_filters_path", "/etc/libvirt/nwfilter", meaning="where libvirt keeps the filters"),
)
