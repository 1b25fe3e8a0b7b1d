# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parked machines."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

PARKING, OWN = "archipel:hypervisor:vmparking", "archipel:vm:vmparking"
PARKED = ((PARKING, "<archipel action='park'><item uuid='{uuid}'/></archipel>"),)
NO_UUIDS = ("", " {0}=''", " {0}='web'", " {0}='../{{uuid}}'", " {0}='/etc'")
TOO_LONG = "x" * 4001


def no_uuid(name: str, inner: str = "") -> tuple[Wrong, ...]:
    """Items that name no machine, least of all a folder."""
    items = (text.format(name) for text in NO_UUIDS)
    return tuple(Wrong(name, inner=f"<item{item}>{inner}</item>") for item in items)


def edit(action: str) -> Action:
    wrong_uuids = tuple(Wrong("identifier", text.format("identifier"), "{definition}") for text in NO_UUIDS)
    return Action(
        HYPERVISOR,
        PARKING,
        action,
        f"vmparking_{action}",
        -11004,
        "identifier='{uuid}'",
        "{definition}",
        before=PARKED,
        malformed=(*wrong_uuids, *(Wrong("domain", "identifier='{uuid}'", domain) for domain in ("", "<network/>"))),
    )


ROWS = (
    Action(
        HYPERVISOR,
        PARKING,
        "list",
        "vmparking_list",
        -11001,
        answer=None,
        before=PARKED,
        malformed=(
            *(Wrong("page", f"page='{page}'") for page in ("-1", "first", "1.5", "100001")),
            Wrong("filter", f"filter='{'x' * 201}'"),
        ),
    ),
    Action(
        HYPERVISOR,
        PARKING,
        "park",
        "vmparking_park",
        -11002,
        inner="<item uuid='{uuid}'/>",
        state="off",
        malformed=(*no_uuid("uuid"), Wrong("uuid", mentions="item"), Wrong("named", f"named='{TOO_LONG}'")),
    ),
    Action(
        HYPERVISOR,
        PARKING,
        "unpark",
        "vmparking_unpark",
        -11003,
        inner="<item identifier='{uuid}' start='yes'/>",
        before=PARKED,
        malformed=(
            *no_uuid("identifier"),
            Wrong("identifier", mentions="item"),
            Wrong("start", inner="<item identifier='{uuid}' start='perhaps'/>"),
            Wrong("named", f"named='{TOO_LONG}'"),
        ),
    ),
    Action(
        HYPERVISOR,
        PARKING,
        "delete",
        "vmparking_delete",
        -11004,
        inner="<item identifier='{uuid}'/>",
        before=PARKED,
        malformed=(*no_uuid("identifier"), Wrong("identifier", mentions="item")),
    ),
    edit("edit_definition"),
    edit("updatexml"),
    Action(
        HYPERVISOR,
        PARKING,
        "create_parked",
        "vmparking_create_parked",
        -11005,
        inner="<item uuid='{uuid}'>{definition}</item>",
        refusal=(-11005, "conflict"),  # it is managed
        malformed=(*no_uuid("uuid", "{definition}"), Wrong("domain", inner="<item uuid='{uuid}'/>"), Wrong("domain", mentions="item")),
    ),
    Action(MACHINE, OWN, "park", "vmparking_park", -11002, "force='True'", state="running", malformed=(Wrong("force", "force='perhaps'"),)),
)
