# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The arguments of module ``vm`` that say what a machine should be, and one machine's share of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList, definition_or, refuse_doubles
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_drives import DRIVE, complete_drives

# How long a guest may take to shut down before people look for another reason, in seconds.
SHUTDOWN_TIMEOUT = 120.0

STATES = ("present", "running", "stopped", "paused", "absent", "adopted")
BUSES = ("virtio", "sata", "scsi", "ide", "usb", "fdc")
ORGANISATION = ("orgname", "orgunit", "locality", "userid", "categories")

DISK = {
    "device": {"type": "str", "choices": ["disk", "cdrom", "floppy"], "default": "disk"},
    "path": {"type": "str"},
    "pool": {"type": "str"},
    "volume": {"type": "str"},
    "bus": {"type": "str", "choices": list(BUSES)},
    "target": {"type": "str"},
    "format": {"type": "str", "choices": ["raw", "qcow2", "qed", "vdi", "vmdk", "vpc", "vhdx"]},
    "readonly": {"type": "bool"},
    "shareable": {"type": "bool"},
    "cache": {"type": "str", "choices": ["default", "none", "writethrough", "writeback", "directsync", "unsafe"]},
    "serial": {"type": "str"},
    "boot_order": {"type": "int"},
}
NETWORK = {
    "network": {"type": "str"},
    "bridge": {"type": "str"},
    "user": {"type": "bool"},
    "model": {"type": "str"},
    "mac": {"type": "str"},
    "vlan": {"type": "int"},
    "filter": {"type": "str"},
    "boot_order": {"type": "int"},
}
GRAPHICS = {
    "type": {"type": "str", "choices": ["vnc", "spice"], "default": "vnc"},
    "listen": {"type": "str"},
    "port": {"type": "int"},
    "autoport": {"type": "bool"},
}

# What the definition is made of; the names are those of archipel.protocol.domain.declaration, but for domain_type (type there).
HARDWARE: Mapping[str, Mapping[str, Any]] = {
    "domain_type": {"type": "str", "choices": ["kvm", "qemu", "test"]},
    "arch": {"type": "str"},
    "machine": {"type": "str"},
    "firmware": {"type": "str", "choices": ["bios", "uefi"]},
    "memory": {"type": "str"},
    "max_memory": {"type": "str"},
    "vcpus": {"type": "int"},
    "max_vcpus": {"type": "int"},
    "cpu": {"type": "str"},
    "boot": {"type": "list", "elements": "str", "choices": ["hd", "cdrom", "network", "fd"]},
    "kernel": {"type": "str"},
    "initrd": {"type": "str"},
    "cmdline": {"type": "str"},
    "disks": {
        "type": "list",
        "elements": "dict",
        "options": DISK,
        "required_together": [("pool", "volume")],
        "mutually_exclusive": [("path", "volume")],
    },
    "cdrom": {"type": "str"},
    "networks": {
        "type": "list",
        "elements": "dict",
        "options": NETWORK,
        "required_one_of": [("network", "bridge", "user")],
        "mutually_exclusive": [("network", "bridge", "user")],
    },
    "graphics": {"type": "list", "elements": "dict", "options": GRAPHICS, "mutually_exclusive": [("port", "autoport")]},
    "video": {"type": "str", "choices": ["none", "virtio", "qxl", "vga", "cirrus", "bochs", "ramfb"]},
    "serial": {"type": "list", "elements": "str", "choices": ["pty", "null"]},
    "channels": {"type": "list", "elements": "str", "choices": ["guest_agent", "spice"]},
}
MACHINE: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "uuid": {"type": "str"},
    "state": {"type": "str", "choices": list(STATES)},
    "definition": {"type": "str"},
    **HARDWARE,
    "drives": {"type": "list", "elements": "dict", "options": DRIVE},
    "autostart": {"type": "bool"},
    "orgname": {"type": "str"},
    "orgunit": {"type": "str"},
    "locality": {"type": "str"},
    "userid": {"type": "str", "aliases": ["owner"]},
    "categories": {"type": "str"},
    "tags": {"type": "list", "elements": "str"},
    "restart": {"type": "bool"},
    "shutdown_timeout": {"type": "float"},
    "force": {"type": "bool"},
    "remove_disks": {"type": "bool"},
}
MACHINES = EntryList(MACHINE, "machines", parts=HARDWARE)
DEFINITION_OR_HARDWARE = [*definition_or(HARDWARE), ("drives", "disks")]


@dataclass(frozen=True)
class MachineWish:
    """What is declared of one machine; ``hardware`` holds the arguments that make a definition, without those not given."""

    name: str | None
    uuid: str | None
    state: str
    definition: str | None
    hardware: Mapping[str, Any]
    drives: tuple[Mapping[str, Any], ...]
    autostart: bool | None
    organisation: Mapping[str, str]
    tags: tuple[str, ...] | None
    restart: bool
    shutdown_timeout: float
    force: bool
    remove_disks: bool

    @property
    def reference(self) -> str:
        """By what the machine is found."""
        return self.uuid or self.name or ""

    @property
    def title(self) -> str:
        """By what people know the machine."""
        return self.name or self.uuid or ""

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> MachineWish:
        """Return the wish in the arguments of one machine; raises :class:`ValueError`, which names the argument."""
        given = {name: arguments[name] for name in MACHINE if arguments.get(name) is not None}
        if not given.get("name") and not given.get("uuid"):
            raise ValueError("name: say which machine, by its name or by its uuid")
        wish = cls(
            name=given.get("name"),
            uuid=given.get("uuid"),
            state=given.get("state", "present"),
            definition=given.get("definition"),
            hardware={name: given[name] for name in HARDWARE if name in given},
            drives=complete_drives(given.get("drives", ()), given.get("name") or given["uuid"]),
            autostart=given.get("autostart"),
            organisation={name: given[name] for name in ORGANISATION if name in given},
            tags=None if "tags" not in given else tuple(sorted(set(given["tags"]))),
            restart=given.get("restart", False),
            shutdown_timeout=given.get("shutdown_timeout", SHUTDOWN_TIMEOUT),
            force=given.get("force", False),
            remove_disks=given.get("remove_disks", False),
        )
        wish._refuse_contradictions()
        return wish

    def _refuse_contradictions(self) -> None:
        if self.definition is not None and self.hardware:
            raise ValueError(f"{self.title}: definition: give a whole definition or {', '.join(self.hardware)}, not both")
        if self.drives and "disks" in self.hardware:
            raise ValueError(f"{self.title}: drives: they are disks that the agent keeps; give drives or disks, not both")
        if self.state == "adopted" and (
            self.definition is not None or self.hardware or self.drives or self.organisation or self.autostart is not None
        ):
            raise ValueError(f"{self.title}: state: adopted takes a machine as it is; declare its parts in another task")


def read_wishes(arguments: Mapping[str, Any]) -> list[MachineWish]:
    """Return the wishes in a module's arguments: one, or those of ``machines``, for which the others are defaults.

    Raises :class:`ValueError`, which names the argument.
    """
    wishes = [MachineWish.of(merged) for merged in MACHINES.merge(arguments)]
    for field in ("name", "uuid"):
        refuse_doubles(MACHINES.many, (f"{field} {value}" for wish in wishes if (value := getattr(wish, field)) is not None))
    return wishes
