# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of ``archipel:vm:disk``: drives of machines, CD images, golden drives."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

GOLDEN = "archipel:hypervisor:golden"
DISK = "archipel:vm:disk"
MADE = ((DISK, "<archipel action='create' name='data' size='4' unit='M' format='qcow2'/>"),)
OUTSIDE = ("", "/etc/hostname", "../data.qcow2", "sub/data.qcow2", ".hidden.qcow2", "/proc/self/fd/3", "permissions.sqlite3")
NAMES = ("", ".hidden", "x" * 151)
FILES = ("", "..", "../other.qcow2", "/etc/hostname")


def request(*left_out: str, **other: str) -> str:
    """The attributes of a request to create, with others, or without some."""
    attributes = {"name": "never", "size": "4", "unit": "M", "format": "qcow2", **other}
    return " ".join(f"{name}='{value}'" for name, value in attributes.items() if name not in left_out)


def on_drive(field: str = "path", paths: tuple[str, ...] = OUTSIDE[1:2], **others: str) -> tuple[Wrong, ...]:
    """What names no drive of the machine."""
    rest = " ".join(f"{name}='{value}'" for name, value in others.items())
    return (Wrong(field, rest), *(Wrong(field, f"{field}='{path}' {rest}") for path in paths))


ROWS = (
    Action(HYPERVISOR, GOLDEN, "get", "golden_images", -3121, answer=None),
    Action(
        HYPERVISOR,
        GOLDEN,
        "delete",
        "golden_imagedelete",
        -3122,
        "name='never.qcow2'",
        refusal=(-3122, "item-not-found"),
        malformed=(Wrong("name"), *(Wrong("name", f"name='{name}'") for name in (*FILES, ".hidden.qcow2"))),
    ),
    Action(
        MACHINE,
        DISK,
        "create",
        "drives_create",
        -3001,
        request(preallocation="metadata"),
        malformed=(
            *(Wrong(field, request(field)) for field in ("name", "size", "unit", "format")),
            *(Wrong("name", request(name=name)) for name in NAMES),
            *(Wrong("size", request(size=size)) for size in ("0", "1.5", "1000000000")),
            Wrong("size", request(size="10000", unit="G")),
            *(Wrong("unit", request(unit=unit)) for unit in ("", "m")),
            *(Wrong("format", request(format=name)) for name in ("", "cow")),
            Wrong("preallocation", request(preallocation="full")),
            *(Wrong("golden", request(golden=name)) for name in FILES),
            Wrong("golden", request(golden="base.qcow2", format="raw")),
            Wrong("golden", request(golden="base.qcow2", preallocation="metadata")),
        ),
    ),
    Action(
        MACHINE,
        DISK,
        "delete",
        "drives_delete",
        -3002,
        "name='data.qcow2' undefine='yes'",
        before=MADE,
        malformed=(*on_drive("name", OUTSIDE), Wrong("undefine", "name='data.qcow2' undefine='maybe'")),
    ),
    Action(
        MACHINE,
        DISK,
        "get",
        "drives_get",
        -3003,
        before=MADE,
        answer="<disk name='data' path='*' format='qcow2' virtualSize='4194304' diskSize='*' modified='*'/>",
    ),
    Action(MACHINE, DISK, "getiso", "drives_getiso", -3004, answer=None),
    Action(
        MACHINE,
        DISK,
        "convert",
        "drives_convert",
        -3005,
        "path='data.qcow2' format='raw'",
        before=MADE,
        malformed=(
            *on_drive(format="raw"),
            Wrong("format", "path='data.qcow2'"),
            *(Wrong("format", f"path='data.qcow2' format='{name}'") for name in ("", "cow", "vdi")),
        ),
    ),
    Action(
        MACHINE,
        DISK,
        "rename",
        "drives_rename",
        -3006,
        "path='data.qcow2' newname='other'",
        before=MADE,
        malformed=(
            *on_drive(newname="other"),
            Wrong("newname", "path='data.qcow2'"),
            *(Wrong("newname", f"path='data.qcow2' newname='{name}'") for name in NAMES),
        ),
    ),
    Action(
        MACHINE,
        DISK,
        "resize",
        "drives_resize",
        -3009,
        "path='data.qcow2' size='8' unit='M'",
        before=MADE,
        malformed=(
            *on_drive(size="8", unit="M"),
            *(Wrong("size", f"path='data.qcow2' unit='M' {size}") for size in ("", "size='0'")),
            *(Wrong("unit", f"path='data.qcow2' size='8' {unit}") for unit in ("", "unit=''", "unit='K'")),
            Wrong("shrink", "path='data.qcow2' size='8' unit='M' shrink='a lot'"),
        ),
    ),
    Action(MACHINE, DISK, "getgolden", "drives_getgolden", -3007, answer=None),
    Action(
        MACHINE,
        DISK,
        "setgolden",
        "drives_setgolden",
        -3008,
        "path='data.qcow2' name='{uuid}.qcow2'",
        before=MADE,
        malformed=(
            *on_drive(name="base.qcow2"),
            Wrong("name", "path='data.qcow2'"),
            *(Wrong("name", f"path='data.qcow2' name='{name}'") for name in (*FILES, "base.raw", "base.qcow", "base")),
            Wrong("replace", "path='data.qcow2' name='base.qcow2' replace='please'"),
        ),
    ),
)
