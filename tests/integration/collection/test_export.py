# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A platform of fifty varied machines, told as a document: declaring it changes nothing, and makes the same platform of an empty one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.collection.platform import Platform
from tests.integration.collection.playbook import Ansible, Task

MACHINES = 50
SEED = 20260  # the same machines in each run
NAMES = ("machine-{n}", "Čistá-{n}", "{{n}}-{n}", "a.b_{n}+c", "Ω{n}", "yes-{n}", "x{n}-", "x[{n}]y*")
DEVICES = (
    "<sound model='ich6'/>",
    "<watchdog model='i6300esb' action='reset'/>",
    "<filesystem type='mount'><source dir='/srv'/><target dir='share'/></filesystem>",
    "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>",
    "<channel type='unix'><target type='virtio' name='org.example.{n}'/></channel>",
    "<interface type='direct'><mac address='52:54:00:fe:00:{n:02x}'/><source dev='eth0' mode='bridge'/><model type='virtio'/></interface>",
    "<disk type='network' device='disk'><source protocol='rbd' name='pool/image-{n}'><host name='ceph'/></source>"
    "<target dev='vdz' bus='virtio'/></disk>",
    "<graphics type='vnc' port='-1' autoport='yes' passwd='secret-word'/>",
    "<video><model type='qxl' vram='32768'/></video>",
    "",
)
MORE = (
    "<memoryBacking><hugepages/></memoryBacking>",
    "<cputune><shares>2048</shares></cputune>",
    "<description>number {n}</description>",
    "",
)


def by_options(n: int, choose: random.Random) -> dict[str, Any]:
    """Return a machine as somebody declares it."""
    machine: dict[str, Any] = {"name": choose.choice(NAMES).replace("{n}", str(n)), "memory": choose.choice([32, 64, "96 MiB"])}
    maybe: dict[str, list[Any]] = {
        "state": ["running", "paused", "stopped"],
        "arch": ["i686"],
        "firmware": ["bios", "uefi"],
        "max_memory": [128],
        "vcpus": [1, 2],
        "max_vcpus": [4],
        "cpu": ["host-passthrough", "host-model", "Nehalem"],
        "boot": [["hd"], ["network", "hd"], ["cdrom"]],
        "kernel": ["/boot/vmlinuz"],
        "graphics": [
            [],
            [{"type": "spice", "port": 5900 + n}],
            [{"type": "vnc", "listen": "0.0.0.0"}, {"type": "spice"}],  # noqa: S104 - libvirt's test driver listens nowhere
        ],
        "video": ["virtio", "qxl", "none"],
        "serial": [[], ["pty"], ["null"]],
        "channels": [[], ["guest_agent"]],
        "autostart": [True],
        "tags": [["one"], ["one", "two"]],
        "userid": ["student@example.org"],
        "orgunit": ["Physics & Co <1>"],
        "roster": [["student@example.org"], ["student@example.org", "teacher@example.org"]],
        "permissions": [
            [{"subject": "student@example.org", "rights": ["presence", "info"]}],
            [
                {"group": "class", "role": "student", "expires": "2090-07-01"},
                {"subject": "guest@example.org", "rights": ["info"], "state": "denied"},
            ],
        ],
    }
    machine |= {option: choose.choice(values) for option, values in maybe.items() if choose.random() < 0.4}
    targets = {"virtio": "vd", "sata": "sd", "scsi": "sd", "ide": "hd"}
    buses = [choose.choice(list(targets)) for _ in range(choose.randrange(3))]
    machine["disks"] = [
        {"path": f"/srv/{n}-{place}.qcow2", "bus": bus, "target": f"{targets[bus]}{'abc'[place]}", "format": "qcow2"}
        for place, bus in enumerate(buses)
    ]
    if n % 5 == 0:
        del machine["disks"]
        machine["drives"] = [{"name": f"system {n}", "size": "4 MiB", "format": choose.choice(["qcow2", "raw"]), "bus": "virtio"}]
        machine |= choose.choice([{}, {"cdrom": "none"}, {"cdrom": "/srv/install.iso"}])
    machine["networks"] = [choose.choice([{"network": "default", "model": "e1000"}, {"bridge": "br0", "vlan": 7}, {"user": True}])]
    return machine


def by_hand(n: int, choose: random.Random) -> tuple[str, str]:
    """Return the name and the definition of a domain as virsh would take it, maybe with what no option says."""
    device, more = (choose.choice(texts).replace("{n:02x}", f"{n:02x}").replace("{n}", str(n)) for texts in (DEVICES, MORE))
    name = f"by-hand-{n}"
    return name, (
        f"<domain type='test'><name>{name}</name>{more}<memory unit='MiB'>{choose.choice([32, 64])}</memory><vcpu>1</vcpu>"
        f"<os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/srv/{name}.img'/>"
        f"<target dev='vda' bus='virtio'/></disk>{device}</devices></domain>"
    )


EXPORT: list[Task] = [
    {"name": "export", "archipel.platform.export_info": {}, "register": "platform"},
    {
        "name": "keep it",
        "ansible.builtin.copy": {
            "content": "{{ platform.document | to_nice_yaml(sort_keys=false) }}",
            "dest": "{{ playbook_dir }}/platform.yml",
        },
    },
]
APPLY: Task = {"name": "apply", "archipel.platform.fleet": {"src": "{{ playbook_dir }}/platform.yml"}}


def differences(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, by machine and option, what was and what is now."""
    found = {machine["name"]: machine for machine in after}
    return {
        f"{machine['name']} {option}": (machine.get(option), found[machine["name"]].get(option))
        for machine in before
        for option in machine.keys() | found[machine["name"]].keys()
        if machine.get(option) != found[machine["name"]].get(option)
    }


@pytest.fixture
def made(platform: Platform, ansible: Ansible) -> set[str]:
    """The names of fifty machines, made one way and another."""
    choose = random.Random(SEED)
    declared = [by_options(n, choose) for n in range(MACHINES // 2)]
    defined = [platform.define_domain(*by_hand(n, choose)) for n in range(MACHINES // 2)]
    adopted = [{"uuid": uuid, "state": "adopted"} for uuid in defined]
    [answer] = ansible.run([{"name": "make", "archipel.platform.fleet": {"document": {"vms": [*declared, *adopted]}}}])
    assert not answer.get("failed"), answer["msg"]
    return platform.domains()


def test_an_exported_platform_is_declared_already_and_can_be_made_anew(made: set[str], ansible: Ansible, platform: Platform) -> None:
    first, _kept, applied = ansible.run([*EXPORT, APPLY])
    assert not applied.get("failed"), applied["msg"]
    assert not applied["changed"], [row for row in applied["plan"] if row["action"] != "none"]
    document = first["document"]
    assert first["incomplete"] == []
    assert {machine["name"] for machine in document["vms"]} == made
    assert len(made) == MACHINES
    whole = {machine["name"] for machine in document["vms"] if "definition" in machine}
    assert whole
    assert all(name.startswith("by-hand-") for name in whole)
    assert "secret-word" not in yaml.safe_dump(document)

    with_drives = [machine for machine in document["vms"] if "drives" in machine]
    assert len(with_drives) == len(range(0, MACHINES // 2, 5))
    assert all(drive["size"] == "4 MiB" for machine in with_drives for drive in machine["drives"])

    kept = (ansible.folder / "platform.yml").read_text()
    platform.clear()
    assert platform.domains() == set()
    assert images(platform) == []
    again, second = ansible.run([APPLY, EXPORT[0]])
    assert not again.get("failed"), again["msg"]
    before: list[dict[str, Any]] = yaml.safe_load(kept)["vms"]
    for disk in (disk for machine in before for disk in machine.get("disks", ())):
        disk.setdefault("format", "raw")  # a definition that says nothing means that, and a new machine's says it
    assert differences(before, second["document"]["vms"]) == {}
    assert len(images(platform)) == len(with_drives)


def images(platform: Platform) -> list[str]:
    """Return the paths of all images in the folders of machines."""
    return [str(file) for ending in ("qcow2", "raw") for file in (platform.agent.folder / "vm").rglob(f"*.{ending}")]


GOLDEN: Task = {
    "name": "seats",
    "archipel.platform.fleet": {
        "document": {
            "vms": [
                {"name": "template", "memory": 32, "domain_type": "test", "drives": [{"name": "system", "size": "4 MiB"}]},
                {
                    "name": "seat",
                    "memory": 32,
                    "domain_type": "test",
                    "drives": [{"name": "own", "size": "8 MiB", "golden": "scene.qcow2"}],
                },
                {
                    "name": "mixed",
                    "memory": 32,
                    "domain_type": "test",
                    "drives": [{"name": "system", "size": "4 MiB"}],
                    "state": "stopped",
                },
            ],
            "images": [{"name": "scene", "machine": "template", "drive": "system"}],
        }
    },
}


def test_golden_images_are_told_and_what_no_drive_says_stays_a_path_and_is_named(ansible: Ansible, platform: Platform) -> None:
    made, found = ansible.run([GOLDEN, EXPORT[0]])
    assert not made.get("failed"), made["msg"]
    assert found["incomplete"] == []
    seat = next(machine for machine in found["document"]["vms"] if machine["name"] == "seat")
    [drive] = seat["drives"]
    assert drive | {"name": "own", "size": "8 MiB", "golden": "scene.qcow2"} == drive
    assert "disks" not in seat

    mixed = next(machine for machine in found["document"]["vms"] if machine["name"] == "mixed")
    beside = {
        "name": "another disk",
        "archipel.platform.vm": {
            "name": "mixed",
            "disks": [
                {"path": path, "bus": "virtio", "target": target}
                for path, target in ((next(file for file in images(platform) if mixed["uuid"] in file), "vda"), ("/srv/more.img", "vdb"))
            ],
        },
    }
    changed, told, _kept, again = ansible.run([beside, *EXPORT, APPLY])
    assert not changed.get("failed"), changed["msg"]
    [missing] = told["incomplete"]
    assert (missing["name"], missing["part"]) == ("mixed", "drives")
    assert "/srv/more.img is a disk, and no drive" in missing["reason"]
    assert "disks" in next(machine for machine in told["document"]["vms"] if machine["name"] == "mixed")
    assert (again.get("failed", False), again["changed"]) == (False, False), again


def test_accounts_and_groups_are_told_without_passwords_and_new_accounts_are_refused_by_name(ansible: Ansible) -> None:
    group = {"name": "class", "members": ["student@example.org"], "description": "of 2026"}
    made, found, applied, new = ansible.run(
        [
            {"name": "make", "archipel.platform.group": group},
            {"name": "export", "archipel.platform.export_info": {"sections": ["users", "groups"]}, "register": "platform"},
            {"name": "apply", "archipel.platform.fleet": {"document": "{{ platform.document }}"}},
            {"name": "new", "archipel.platform.fleet": {"document": {"users": [{"name": "nobody@example.org"}]}}},
        ]
    )
    assert not made.get("failed"), made["msg"]
    names = {user["name"] for user in found["document"]["users"]}
    assert {"student@example.org", "teacher@example.org"} <= names
    assert not {name for name in names if name.startswith("hypervisor@")}
    assert all(user.keys() == {"name"} for user in found["document"]["users"])
    assert [entry["name"] for entry in found["document"]["groups"]] == ["class"]
    assert (applied.get("failed", False), applied["changed"]) == (False, False), applied
    assert "nobody@example.org: password: there is no such account" in new["msg"]


def test_who_may_not_read_accounts_is_told_so(platform: Platform, root: Path, tmp_path: Path) -> None:
    student = Ansible(root, tmp_path, platform.environment("student"))
    [found] = student.run([{"name": "export", "archipel.platform.export_info": {"sections": ["users", "groups"]}}])
    assert not found.get("failed"), found["msg"]
    assert {missing["part"] for missing in found["incomplete"]} == {"users", "groups"}
    assert found["document"].keys() == {"hypervisors"}
