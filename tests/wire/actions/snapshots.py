# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a machine."""

from __future__ import annotations

from tests.wire.action import MACHINE, Action, Wrong

SNAPSHOTS = "archipel:virtualmachine:snapshoting"
NAMED = "<domainsnapshot><name>before</name><description>the update</description></domainsnapshot>"
TAKEN = ((SNAPSHOTS, f"<archipel action='take'>{NAMED}</archipel>"),)
OTHERS = ("disks", "memory", "domain", "inactiveDomain", "parent", "cookie")
NO_NAMES = ("", "name=''", "name='  '")


def snapshots(domain: object) -> list[str]:
    """What libvirt calls them."""
    return sorted(snapshot.getName() for snapshot in domain.listAllSnapshots())


def named(action: str) -> tuple[Wrong, ...]:
    return tuple(Wrong("name", attributes) for attributes in NO_NAMES) + (
        (Wrong("children", "name='before' children='all'"),) if action == "delete" else ()
    )


ROWS = (
    Action(
        MACHINE,
        SNAPSHOTS,
        "take",
        "snapshot_take",
        -2001,
        inner=NAMED,
        effect=lambda domain: snapshots(domain) == ["before"],
        malformed=(
            *(Wrong("name", f"name='{name}'") for name in ("a/b", ".hidden", "a&#9;b", "x" * 201, "é" * 101)),
            *(Wrong(name, f"{name}='perhaps'") for name in ("memory", "external", "quiesce")),
            *(Wrong("domainsnapshot", inner=f"<domainsnapshot><{name}/></domainsnapshot>", mentions=f"<{name}>") for name in OTHERS),
            Wrong("domainsnapshot", inner="<domainsnapshot><name>../a</name></domainsnapshot>", mentions="name"),
            Wrong(
                "domainsnapshot", inner=f"<domainsnapshot><description>{'x' * 2001}</description></domainsnapshot>", mentions="description"
            ),
        ),
    ),
    Action(MACHINE, SNAPSHOTS, "get", "snapshot_get", -2002, answer=""),
    Action(MACHINE, SNAPSHOTS, "current", "snapshot_current", -2003, answer=""),
    Action(
        MACHINE,
        SNAPSHOTS,
        "delete",
        "snapshot_delete",
        -2004,
        "name='before'",
        before=TAKEN,
        effect=lambda domain: snapshots(domain) == [],
        malformed=named("delete"),
    ),
    Action(
        MACHINE,
        SNAPSHOTS,
        "revert",
        "snapshot_revert",
        -2005,
        "name='before'",
        before=TAKEN,
        effect=lambda domain: snapshots(domain) == ["before"],
        malformed=named("revert"),
    ),
)
