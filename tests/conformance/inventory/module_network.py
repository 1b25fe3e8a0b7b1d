# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hypervisor_network."""

from __future__ import annotations

from tests.conformance.row import EVERY, HYPERVISOR, MACHINE, action, option, phrases, pushes, tokens

NS = "archipel:hypervisor:network"
H, VM = (HYPERVISOR,), (MACHINE,)

ROWS = (
    action(NS, "define", H, "define a network of libvirt's, anew if it is there"),
    action(NS, "undefine", H, "remove a network, by name or UUID"),
    action(NS, "create", H, "start a network"),
    action(NS, "destroy", H, "stop a network"),
    action(NS, "get", H, "all networks, those that run and those that do not"),
    action(NS, "bridges", EVERY, "the host's bridges, the kernel's and Open vSwitch's"),
    action(NS, "getnames", EVERY, "the names of the networks that run"),
    action(NS, "getnics", EVERY, "the host's network devices"),
    action(NS, "getnwfilters", VM, "the names of libvirt's network filters"),
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
