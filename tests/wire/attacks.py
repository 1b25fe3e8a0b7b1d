# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that the founding platform did not withstand, as requests: one entry for each of its known weaknesses.

S are those of its core, M those of its modules. Each request must be answered with an error, and change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

HOST, SEAT, OTHER = "host", "seat", "other"
CONTROL, HYPERVISOR, DEFINITION = "archipel:vm:control", "archipel:hypervisor:control", "archipel:vm:definition"
DISK, SNAPSHOTS, CASTS = "archipel:vm:disk", "archipel:virtualmachine:snapshoting", "archipel:hypervisor:vmcasting"
PARKING, CENTRAL, SCHEDULER = "archipel:hypervisor:vmparking", "archipel:centralagent", "archipel:entity:scheduler"
PERMISSIONS, USERS, TAGS = "archipel:permissions", "archipel:xmppserver:users", "archipel:tags"
ALL_DRIVES = ("drives_create", "drives_delete", "drives_get", "drives_getgolden", "drives_convert", "drives_rename", "drives_setgolden")
SQL = "' OR '1'='1"


@dataclass(frozen=True)
class Attack:
    """Requests of one who may see, start and stop his own seat; ``on_seat`` and ``on_host`` are rights that somebody gave him besides.

    A request is whom it goes to, its namespace and its command, in which stand ``{seat}`` and ``{other}`` for UUIDs, ``{domain}`` for
    that of the server, ``{me}`` for the attacker, ``{outside}`` for a file that is none of his business.
    """

    number: str
    what: str
    requests: tuple[tuple[str, str, str], ...]
    on_seat: tuple[str, ...] = ()
    on_host: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.number}-{'-'.join(self.what.split())}"


def command(action: str, attributes: str = "", inner: str = "") -> str:
    return f"<archipel action='{action}' {attributes}>{inner}</archipel>"


def definition(devices: str = "", more: str = "") -> str:
    """A definition of the seat."""
    return command(
        "define",
        "",
        "<domain type='test' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>{seat_name}</name><uuid>{seat}</uuid>"
        f"<memory>65536</memory><vcpu>1</vcpu>{more or '<os><type>hvm</type></os>'}<devices>{devices}</devices></domain>",
    )


def permission(name: str) -> str:
    return f"<permission permission_type='user' permission_target='{{me}}' permission_name='{name}' permission_value='1'/>"


SOFT_ALLOC = command("soft_alloc", "jid='{other}@{domain}' password='x' hypervisor='{me}'", "<domain><name>x</name></domain>")
DEVICES = (
    "<disk type='block'><source dev='/dev/sda'/><target dev='vda'/></disk>",
    "<disk type='file'><source file='/dev/sda'/><target dev='vda'/></disk>",
    "<disk type='file'><source file='{outside}'/><target dev='vda'/></disk>",
    "<disk type='network'><source protocol='nbd' name='x'><host name='127.0.0.1'/></source><target dev='vda'/></disk>",
    "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0' slot='2' function='0'/></source></hostdev>",
    "<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem>",
    "<emulator>/bin/sh</emulator>",
    "<serial type='file'><source path='{outside}'/></serial>",
    "<interface type='direct'><source dev='lo'/></interface>",
)
KERNEL = "<os><type>hvm</type><kernel>/etc/shadow</kernel></os>"
COMMANDLINE = "<os><type>hvm</type></os><qemu:commandline><qemu:arg value='-S'/></qemu:commandline>"
PATHS = ("{outside}", "/etc/passwd", "../{other}/victim.qcow2", "../../outside", "/proc/self/environ")

REQUESTED: tuple[Attack, ...] = (
    Attack("S1", "soft_alloc and migrationinfo of anybody", ((HOST, HYPERVISOR, SOFT_ALLOC), (HOST, HYPERVISOR, command("migrationinfo")))),
    Attack(
        "S2",
        "a name of an account as a folder",
        (
            (HOST, HYPERVISOR, command("alloc", "uuid='../../outside' name='x'")),
            (HOST, HYPERVISOR, command("free", "jid='../../../etc@{domain}'")),
            (HOST, HYPERVISOR, command("manage", "", "<item jid='..@{domain}'/>")),
        ),
        on_host=("alloc", "free", "manage"),
    ),
    Attack(
        "S3",
        "SQL in a JID",
        tuple(
            (HOST, HYPERVISOR, command(action, f'jid="{SQL}@{{domain}}"' if action != "alloc" else f'uuid="{SQL}" name="x"'))
            for action in ("free", "alloc", "clone")
        ),
        on_host=("alloc", "free", "clone"),
    ),
    Attack("S5", "rights of others seen by anybody", ((OTHER, PERMISSIONS, command("get", "permission_target='admin@{domain}'")),)),
    Attack(
        "S6",
        "all rights given to oneself",
        tuple((SEAT, PERMISSIONS, command(action, "", permission(name))) for action in ("setown", "set") for name in ("all", "xmldesc")),
        on_seat=("permission_setown", "permission_set"),
    ),
    Attack(
        "S9",
        "a definition that reaches the host",
        tuple((SEAT, DEFINITION, text) for text in (*map(definition, DEVICES), definition(more=KERNEL), definition(more=COMMANDLINE))),
        on_seat=("define",),
    ),
    Attack("S11", "a machine of others copied", ((HOST, HYPERVISOR, command("clone", "jid='{other}@{domain}'")),), on_host=("clone",)),
    Attack(
        "M3",
        "orders of a false central agent",
        tuple((where, CENTRAL, command("get_existing_vms_instances")) for where in (HOST, SEAT)),
    ),
    Attack(
        "M4",
        "the central agent's actions of anybody",
        tuple((HOST, CENTRAL, command(name)) for name in ("read_vms", "register_vms", "update_vms", "unregister_vms", "request")),
    ),
    Attack(
        "M5",
        "SQL in what is looked for",
        (
            (HOST, PARKING, command("delete", "", f'<entry identifier="{SQL}"/>')),
            (HOST, PARKING, command("unpark", "", f'<entry identifier="{SQL}"/>')),
            (HOST, CASTS, command("unregister", f'uuid="{SQL}"')),
            (HOST, CASTS, command("getappliances", f'uuid="{SQL}"')),
        ),
        on_host=("vmparking_delete", "vmparking_unpark", "vmcasting_unregister", "vmcasting_getappliances"),
    ),
    Attack(
        "M6",
        "files of others and of the host as drives",
        tuple(
            (SEAT, DISK, text)
            for path in PATHS
            for text in (
                command("convert", f"path='{path}' format='raw'"),
                command("rename", f"path='{path}' newname='mine'"),
                command("setgolden", f"path='{path}'"),
                command("delete", f"name='{path}'"),
                command("create", f"name='x' size='1' unit='M' format='qcow2' golden='{path}'"),
            )
        ),
        on_seat=ALL_DRIVES,
    ),
    Attack(
        "M7",
        "feeds that are files of the host or lie inside of the net",
        tuple(
            (HOST, CASTS, command("register", f"url='{url}'"))
            for url in ("file:///etc/passwd", "http://169.254.169.254/", "https://10.0.0.1/rss", "ftp://127.0.0.1/", "https://[::1]/")
        ),
        on_host=("vmcasting_register",),
    ),
    Attack(
        "M8",
        "an appliance deleted that was not downloaded",
        ((HOST, CASTS, command("deleteappliance", "uuid='00000000-0000-4000-8000-000000000001'")),),
        on_host=("vmcasting_deleteappliance",),
    ),
    Attack(
        "M9",
        "a machine deleted as if it were parked",
        tuple((HOST, PARKING, command("delete", "", f"<entry identifier='{name}'/>")) for name in ("{other}", "../../outside", "..")),
        on_host=("vmparking_delete",),
    ),
    Attack("M12", "soft_alloc of anybody", ((HOST, HYPERVISOR, SOFT_ALLOC), (SEAT, HYPERVISOR, SOFT_ALLOC))),
)
"""Attacks that are requests, and nothing else."""
