# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that the founding platform did not withstand, as requests: one entry for each of its known weaknesses.

S are those of its core, M those of its modules. Each request must be answered with the error that it says, and change nothing: an error
about something else would only show that the attack was never tried.
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
class Try:
    """A request, and with which code and words it is refused to who holds all rights that the attack asks for.

    In the command stand ``{seat}`` and ``{other}`` for UUIDs, ``{domain}`` for that of the server, ``{me}`` for the attacker,
    ``{outside}`` for a file that is none of his business, ``{offered}`` for an appliance that is known and not downloaded.
    """

    who: str
    namespace: str
    command: str
    code: int
    words: str


@dataclass(frozen=True)
class Attack:
    """Requests of one who may see, start and stop his own seat; ``on_seat`` and ``on_host`` are rights that somebody gave him besides."""

    number: str
    what: str
    requests: tuple[Try, ...]
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
DEVICES = {  # and the words of the refusal
    "<disk type='block'><source dev='/dev/sda'/><target dev='vda'/></disk>": "disk",
    "<disk type='file'><source file='/dev/sda'/><target dev='vda'/></disk>": "disk",
    "<disk type='file'><source file='{outside}'/><target dev='vda'/></disk>": "disk",
    "<disk type='network'><source protocol='nbd' name='x'><host name='127.0.0.1'/></source><target dev='vda'/></disk>": "disk",
    "<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0' slot='2' function='0'/></source></hostdev>": "hostdev",
    "<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem>": "filesystem",
    "<emulator>/bin/sh</emulator>": "emulator",
    "<serial type='file'><source path='{outside}'/></serial>": "serial",
    "<interface type='direct'><source dev='lo'/></interface>": "interface",
}
KERNEL = "<os><type>hvm</type><kernel>/etc/shadow</kernel></os>"
COMMANDLINE = "<os><type>hvm</type></os><qemu:commandline><qemu:arg value='-S'/></qemu:commandline>"
PATHS = ("{outside}", "/etc/passwd", "../{other}/victim.qcow2", "../../outside", "/proc/self/environ")

FORBIDDEN = -1  # the code of what a right is lacking for
UNSERVED = (FORBIDDEN, "may not")  # what no agent does is refused to whom the entity does not trust, before it is said that it is unknown


def lacking(who: str, namespace: str, *commands: str) -> tuple[Try, ...]:
    """Requests that nothing but a right which is never given would let through."""
    return tuple(Try(who, namespace, text, FORBIDDEN, "right") for text in commands)


REQUESTED: tuple[Attack, ...] = (
    Attack("S1", "soft_alloc and migrationinfo of anybody", lacking(HOST, HYPERVISOR, SOFT_ALLOC, command("migrationinfo"))),
    Attack(
        "S2",
        "a name of an account as a folder",
        (
            Try(HOST, HYPERVISOR, command("alloc", "uuid='../../outside' name='x'"), -9001, "UUID"),
            Try(HOST, HYPERVISOR, command("free", "jid='../../../etc@{domain}'"), -9002, "no managed machine"),
            Try(HOST, HYPERVISOR, command("manage", "", "<item jid='..@{domain}'/>"), -9010, "jid"),
        ),
        on_host=("alloc", "free", "manage"),
    ),
    Attack(
        "S3",
        "SQL in a JID",
        (
            Try(HOST, HYPERVISOR, command("free", f'jid="{SQL}@{{domain}}"'), -9002, "no managed machine"),
            Try(HOST, HYPERVISOR, command("alloc", f'uuid="{SQL}" name="x"'), -9001, "UUID"),
            Try(HOST, HYPERVISOR, command("clone", f'jid="{SQL}@{{domain}}"'), -9004, "no managed machine"),
        ),
        on_host=("free", "alloc", "clone"),
    ),
    Attack("S5", "rights of others seen by anybody", lacking(OTHER, PERMISSIONS, command("get", "permission_target='admin@{domain}'"))),
    Attack(
        "S6",
        "all rights given to oneself",
        tuple(
            Try(SEAT, PERMISSIONS, command(action, "", permission(name)), FORBIDDEN, f"'{name}'")
            for action in ("setown", "set")
            for name in ("all", "xmldesc")
        ),
        on_seat=("permission_setown", "permission_set"),
    ),
    Attack(
        "S9",
        "a definition that reaches the host",
        tuple(
            Try(SEAT, DEFINITION, text, FORBIDDEN, words)
            for text, words in (
                *((definition(devices), words) for devices, words in DEVICES.items()),
                (definition(more=KERNEL), "kernel"),
                (definition(more=COMMANDLINE), "commandline"),
            )
        ),
        on_seat=("define",),
    ),
    Attack(
        "S11",
        "a machine of others copied",
        (Try(HOST, HYPERVISOR, command("clone", "jid='{other}@{domain}'"), FORBIDDEN, "xmldesc"),),
        on_host=("clone",),
    ),
    Attack(
        "M3",
        "orders of a false central agent",
        tuple(Try(where, CENTRAL, command("get_existing_vms_instances"), *UNSERVED) for where in (HOST, SEAT)),
    ),
    Attack(
        "M4",
        "the central agent's actions of anybody",
        tuple(
            Try(HOST, CENTRAL, command(name), *UNSERVED) for name in ("read_vms", "register_vms", "update_vms", "unregister_vms", "request")
        ),
    ),
    Attack(
        "M5",
        "SQL in what is looked for",
        (
            Try(HOST, PARKING, command("delete", "", f'<item identifier="{SQL}"/>'), -11004, "identifier"),
            Try(HOST, PARKING, command("unpark", "", f'<item identifier="{SQL}"/>'), -11003, "identifier"),
            Try(HOST, PARKING, command("unpark", f'named="{SQL}"'), -11003, "no machine"),
            Try(HOST, CASTS, command("unregister", f'uuid="{SQL}"'), -6003, "uuid"),
            Try(HOST, CASTS, command("getappliances", f'uuid="{SQL}"'), -6006, "uuid"),
        ),
        on_host=("vmparking_delete", "vmparking_unpark", "vmcasting_unregister", "vmcasting_getappliances"),
    ),
    Attack(
        "M6",
        "files of others and of the host as drives",
        tuple(
            Try(SEAT, DISK, text, code, words)
            for path in PATHS
            for text, code, words in (
                (command("convert", f"path='{path}' format='raw'"), -3005, "path"),
                (command("rename", f"path='{path}' newname='mine'"), -3006, "path"),
                (command("setgolden", f"path='{path}' name='mine.qcow2'"), -3008, "path"),
                (command("delete", f"name='{path}'"), -3002, "name"),
                (command("create", f"name='x' size='1' unit='M' format='qcow2' golden='{path}'"), -3001, "golden"),
            )
        ),
        on_seat=ALL_DRIVES,
    ),
    Attack(
        "M7",
        "feeds that are files of the host or lie inside of the net",
        tuple(
            Try(HOST, CASTS, command("register", f"url='{url}'"), -6002, words)
            for url, words in (
                ("file:///etc/passwd", "url"),
                ("http://169.254.169.254/", "is not https"),
                ("https://10.0.0.1/rss", "is not read here"),
                ("ftp://127.0.0.1/", "url"),
                ("https://[::ffff:192.168.0.1]/", "is not read here"),
            )
        ),
        on_host=("vmcasting_register",),
    ),
    Attack(
        "M8",
        "an appliance deleted that was not downloaded",
        (Try(HOST, CASTS, command("deleteappliance", "uuid='{offered}'"), -6007, "nothing of web is downloaded"),),
        on_host=("vmcasting_deleteappliance",),
    ),
    Attack(
        "M9",
        "a machine deleted as if it were parked",
        (
            Try(HOST, PARKING, command("delete", "", "<item identifier='{other}'/>"), -11004, "no machine with the UUID {other} is parked"),
            *(
                Try(HOST, PARKING, command("delete", "", f"<item identifier='{name}'/>"), -11004, "identifier")
                for name in ("../../outside", "..")
            ),
        ),
        on_host=("vmparking_delete",),
    ),
    Attack("M12", "soft_alloc of anybody", (*lacking(HOST, HYPERVISOR, SOFT_ALLOC), Try(SEAT, HYPERVISOR, SOFT_ALLOC, *UNSERVED))),
)
"""Attacks that are requests, and nothing else."""
