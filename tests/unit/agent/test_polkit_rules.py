# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules for polkit allow every call of libvirt that the agent makes, and nothing more."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import libvirt
import libvirt_qemu

CLASSES = [found for name, found in vars(libvirt).items() if name.startswith("vir") and isinstance(found, type)]
# What libvirt asks for each call of its API (its src/remote/remote_protocol.x), by the names of the methods, of whichever class.
_SEARCH_DOMAINS = ("connect.search-domains", "domain.getattr")
_CHANGE = ("domain.write", "domain.save")
NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("registerCloseCallback", "unregisterCloseCallback"), ("connect.getattr",)),
    **dict.fromkeys(("getHostname", "getLibVersion", "getType", "getURI", "getVersion"), ("connect.getattr",)),
    **dict.fromkeys(("getCapabilities", "getInfo"), ("connect.read",)),
    **dict.fromkeys(("domainEventDeregisterAny", "networkEventDeregisterAny"), ("connect.read",)),
    "domainEventRegisterAny": _SEARCH_DOMAINS,
    "listAllDomains": _SEARCH_DOMAINS,
    "getAllDomainStats": ("connect.search-domains", "domain.read"),
    "listAllNetworks": ("connect.search-networks", "network.getattr"),
    "networkEventRegisterAny": ("connect.search-networks", "network.getattr"),
    "listAllNWFilters": ("connect.search-nwfilters", "nwfilter.getattr"),
    "listAllStoragePools": ("connect.search-storage-pools", "storage-pool.getattr"),
    **dict.fromkeys(("lookupByName", "lookupByUUIDString"), ("domain.getattr",)),
    **dict.fromkeys(("networkLookupByName", "networkLookupByUUIDString"), ("network.getattr",)),
    "nwfilterLookupByName": ("nwfilter.getattr",),
    **dict.fromkeys(("storagePoolLookupByName", "storagePoolLookupByVolume"), ("storage-pool.getattr",)),
    **dict.fromkeys(("storageVolLookupByName", "storageVolLookupByPath"), ("storage-vol.getattr",)),
    "listAllVolumes": ("storage-pool.search-storage-vols", "storage-vol.getattr"),
    # of domains, networks, pools, volumes and filters
    "XMLDesc": ("domain.read", "domain.read-secure", "network.read", "storage-pool.read", "storage-vol.read", "nwfilter.read"),
    "autostart": ("domain.read", "network.read", "storage-pool.read"),
    "isActive": ("domain.read", "network.read", "storage-pool.read"),
    "isPersistent": ("domain.read", "network.read", "storage-pool.read"),
    "info": ("domain.read", "storage-pool.read", "storage-vol.read"),
    "path": ("storage-vol.read",),
    "setAutostart": ("domain.write", "network.write", "storage-pool.write"),
    "create": ("domain.start", "network.start", "storage-pool.start"),
    "destroy": ("domain.stop", "network.stop", "storage-pool.stop"),
    "undefine": ("domain.delete", "network.delete", "storage-pool.delete", "nwfilter.delete"),
    "delete": ("domain.snapshot", "storage-vol.delete"),
    "defineXMLFlags": _CHANGE,
    "networkDefineXML": ("network.write", "network.save"),
    "nwfilterDefineXML": ("nwfilter.write", "nwfilter.save"),
    "storagePoolDefineXML": ("storage-pool.write", "storage-pool.save"),
    "createXML": ("storage-vol.create",),
    "build": ("storage-pool.format",),
    "refresh": ("storage-pool.refresh",),
    "resize": ("storage-vol.resize",),
    "DHCPLeases": ("network.read",),
    # of domains
    **dict.fromkeys(("blockInfo", "interfaceAddresses", "interfaceStats", "isUpdated", "state", "vcpusFlags"), ("domain.read",)),
    **dict.fromkeys(("hasManagedSaveImage", "listAllSnapshots", "snapshotCurrent", "snapshotLookupByName", "getTime"), ("domain.read",)),
    "getXMLDesc": ("domain.read", "domain.read-secure"),
    **dict.fromkeys(("attachDeviceFlags", "detachDeviceFlags", "updateDeviceFlags", "rename", "setMemoryFlags", "setVcpusFlags"), _CHANGE),
    "undefineFlags": ("domain.delete",),
    **dict.fromkeys(("reboot", "shutdown"), ("domain.init-control",)),
    **dict.fromkeys(("resume", "suspend"), ("domain.suspend",)),
    "blockResize": ("domain.block-write",),
    "migrateToURI3": ("domain.migrate", "domain.start", "domain.write"),  # at the other host, too
    "migrateSetMaxDowntime": ("domain.migrate",),
    "createWithFlags": ("domain.start",),
    "jobStats": ("domain.read",),
    "abortJob": ("domain.write",),
    "openConsole": ("domain.open-device",),
    "screenshot": ("domain.screenshot",),
    **dict.fromkeys(("revertToSnapshot", "snapshotCreateXML"), ("domain.snapshot",)),
    **dict.fromkeys(("agentSetResponseTimeout", "guestInfo", "qemuAgentCommand"), ("domain.write",)),
    **dict.fromkeys(("fsFreeze", "fsThaw"), ("domain.fs-freeze",)),
    "setTime": ("domain.set-time",),
    "setUserPassword": ("domain.set-password",),
}
# Nobody is asked: what libvirt's library knows by itself, and what goes on with a stream that was opened.
UNASKED = {"ID", "UUID", "UUIDString", "name", "getName", "connect", "close", "isAlive", "setKeepAlive", "newStream"}
UNASKED |= {"abort", "finish", "recv", "send", "eventAddCallback", "eventRemoveCallback", "eventUpdateCallback"}
# Words that the agent has for other things than libvirt's objects.
OTHERS = {"domain", "hostname", "key", "metadata", "network", "parameters", "parent", "reset", "save", "update", "value", "vcpus"}
RULES = "src/archipel/agent/polkit/50-archipel.rules"
# The whole of the rules but for their comments: what polkit makes of them is tried in tests/e2e/test_host_setup.py.
PROGRAM = re.compile(
    r"""polkit\.addRule\(function\(action, subject\) \{
    if \(subject\.user != "archipel" \|\| action\.id\.indexOf\("org\.libvirt\."\) != 0\) \{
        return polkit\.Result\.NOT_HANDLED;
    \}
    var allowed = \{
(        "org\.libvirt\.[a-z.-]+": true,
)+        "org\.libvirt\.[a-z.-]+": true
    \};
    return allowed\[action\.id\] === true \? polkit\.Result\.YES : polkit\.Result\.NO;
\}\);
"""
)
TO_CONNECT = {"org.libvirt.unix.manage", "org.libvirt.api.connect.getattr", "org.libvirt.api.connect.read"}


def methods_of_libvirt() -> set[str]:
    found = {name for known in CLASSES for name, value in vars(known).items() if callable(value) and not name.startswith("_")}
    return found | {name for name, value in vars(libvirt_qemu).items() if callable(value)}


def words_of_agent(root: Path) -> set[str]:
    """Every attribute that the agent's code looks at."""
    files = (root / "src/archipel/agent").rglob("*.py")
    return {node.attr for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}


def allowed(root: Path) -> set[str]:
    return set(re.findall(r'"(org\.libvirt\.[a-z.-]+)": true', (root / RULES).read_text()))


def test_it_is_known_of_every_call_what_libvirt_asks_for(root: Path) -> None:
    called = methods_of_libvirt() & words_of_agent(root)
    assert called - UNASKED - OTHERS - NEEDED.keys() == set(), "add the call here, and what it needs to the rules"
    assert NEEDED.keys() - called == set(), "the agent does not call these any more: take them out, here and of the rules"


def test_the_rules_allow_what_the_agent_calls_and_nothing_more(root: Path) -> None:
    needed = {f"org.libvirt.api.{permission}" for permissions in NEEDED.values() for permission in permissions} | TO_CONNECT
    assert allowed(root) == needed


def test_the_rules_are_a_program(root: Path) -> None:
    lines = (root / RULES).read_text().splitlines(keepends=True)
    assert PROGRAM.fullmatch("".join(line for line in lines if not line.startswith("//")))
