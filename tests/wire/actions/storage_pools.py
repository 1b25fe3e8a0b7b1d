# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of ``archipel:hypervisor:storage``: pools of libvirt and their volumes."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, Action, Wrong

STORAGE = "archipel:hypervisor:storage"
NAMED = "name='pool-{uuid}'"
VOLUME = "pool='pool-{uuid}' name='data.img'"
NEW = "pool='pool-{uuid}' name='new.img' unit='M'"
LONG = "x" * 256


def pool(name: str = "pool-{uuid}", path: str | None = None, kind: str = "dir") -> str:
    return f"<pool type='{kind}'><name>{name}</name><target><path>{path or '/srv/' + name}</path></target></pool>"


DEFINED = (STORAGE, f"<archipel action='pooldefine'>{pool()}</archipel>")
STARTED = (DEFINED, (STORAGE, f"<archipel action='poolcreate' {NAMED}/>"))
MADE = (*STARTED, (STORAGE, f"<archipel action='volumecreate' {VOLUME} size='4' unit='M'/>"))
FIGURES = "capacity='*' allocation='*' available='*'"


def names(field: str, rest: str = "") -> tuple[Wrong, ...]:
    return (Wrong(field, rest), *(Wrong(field, f"{field}='{name}' {rest}") for name in ("", LONG)))


def on_pool(action: str, code: int, *before: tuple[str, str], malformed: tuple[Wrong, ...] = ()) -> Action:
    return Action(HYPERVISOR, STORAGE, action, f"storage_{action}", code, NAMED, before=before, malformed=(*names("name"), *malformed))


SIZES = tuple(Wrong("size", f"{VOLUME} unit='M' {size}") for size in ("", "size='0'", "size='1000000000'"))
UNITS = tuple(Wrong("unit", f"{VOLUME} size='1' {unit}") for unit in ("", "unit='K'"))
VOLUME_NAMES = (Wrong("pool", "name='data.img' size='1' unit='M'"), Wrong("name", "pool='pool-{uuid}' size='1' unit='M'"))

ROWS = (
    Action(HYPERVISOR, STORAGE, "pools", "storage_pools", -3101, answer=None),
    Action(
        HYPERVISOR,
        STORAGE,
        "pooldescribe",
        "storage_pools",
        -3111,
        NAMED,
        before=(DEFINED,),
        answer=None,
        malformed=names("name"),
    ),
    Action(
        HYPERVISOR,
        STORAGE,
        "pooldefine",
        "storage_pooldefine",
        -3102,
        "autostart='1'",
        # within [STORAGE] pool_folders that takes no other right; a folder elsewhere does: test_storage_pools.py
        pool(path="{pools}/pool-{uuid}"),
        malformed=(
            Wrong("pool"),
            Wrong("pool", inner="<pool/>"),
            *(Wrong("pool", inner=pool(kind=kind)) for kind in ("iscsi", "rbd", "")),
            *(Wrong("pool", inner=pool(name=name, path="/srv/x")) for name in ("", "a/b", "..", "x y")),
            *(Wrong("pool", inner=pool(path=path)) for path in ("relative", "/", "/srv/../etc", "/srv//x", "/srv/x/")),
            Wrong("pool", inner="<pool type='dir'><name>x</name><uuid>1</uuid><target><path>/srv/x</path></target></pool>"),
            Wrong("pool", inner="<pool type='dir'><name>x</name></pool>"),
            Wrong("autostart", "autostart='maybe'", pool()),
        ),
    ),
    on_pool("poolcreate", -3103, DEFINED, malformed=(Wrong("build", f"{NAMED} build='maybe'"),)),
    on_pool("pooldestroy", -3104, *STARTED),
    on_pool("poolundefine", -3105, DEFINED),
    on_pool("poolrefresh", -3106, *STARTED),
    Action(
        HYPERVISOR,
        STORAGE,
        "volumes",
        "storage_volumes",
        -3107,
        "pool='pool-{uuid}'",
        before=MADE,
        answer="<volume name='data.img' path='/srv/pool-{uuid}/data.img' format='raw' capacity='4194304' allocation='*'/>",
        malformed=names("pool"),
    ),
    Action(
        HYPERVISOR,
        STORAGE,
        "volumecreate",
        "storage_volumecreate",
        -3108,
        f"{VOLUME} size='4' unit='M' format='qcow2'",
        before=STARTED,
        malformed=(
            *VOLUME_NAMES,
            *(Wrong("name", f"pool='pool-{{uuid}}' name='{name}' size='1' unit='M'") for name in ("../x", ".x", "a b")),
            *SIZES,
            *UNITS,
            Wrong("format", f"{VOLUME} size='1' unit='M' format='vmdk'"),
            *(Wrong("allocation", f"{VOLUME} size='1' unit='M' allocation='{room}'") for room in ("-1", "2", "much")),
            *(Wrong("backing", f"{NEW} backing='{name}' backingformat='raw'") for name in ("", LONG, "/etc/passwd", "/srv/../x")),
            *(Wrong("backingformat", f"{NEW} backing='data.img' {which}") for which in ("", "backingformat='vmdk'")),
            Wrong("backingformat", f"{NEW} size='1' backingformat='raw'"),
            Wrong("backingpool", f"{NEW} size='1' backingpool='x'"),
            Wrong("backingpool", f"{NEW} backing='/srv/x' backingpool='x' backingformat='raw'"),
            Wrong("format", f"{NEW} format='raw' backing='data.img' backingformat='raw'"),
        ),
    ),
    Action(HYPERVISOR, STORAGE, "volumedelete", "storage_volumedelete", -3109, VOLUME, before=MADE, malformed=VOLUME_NAMES),
    Action(
        HYPERVISOR,
        STORAGE,
        "volumeresize",
        "storage_volumeresize",
        -3110,
        f"{VOLUME} size='8' unit='M'",
        before=MADE,
        unsupported=True,
        malformed=(*VOLUME_NAMES, *SIZES, *UNITS, Wrong("shrink", f"{VOLUME} size='1' unit='M' shrink='maybe'")),
    ),
)
