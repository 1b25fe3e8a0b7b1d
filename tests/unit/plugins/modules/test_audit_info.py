# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

NEXT = "2026-11-21T08:30:00.000000Z/1"


def entries(request: str) -> str:
    return f"<archipel {request} action='entries'/>"


def entry(time: str, arguments: str = "") -> str:
    return (
        f"<entry time='{time}' who='bob@example.org' jid='bob@example.org/desk' entity='{HYPERVISOR}' namespace='archipel:vm:control' "
        f"command='destroy' rule='granted' outcome='ok' milliseconds='1.5' {arguments}/>"
    )


def test_the_log_is_read_page_by_page_until_there_is_enough(wire: Wire) -> None:
    newest = entry("2", "arguments='[1]'")
    first = f"<audit next='{NEXT}' malformed='2'>{newest}</audit>"
    wire.entity(HYPERVISOR_FULL, "get", ns.AUDIT, entries("limit='2'"), first)
    wire.entity(HYPERVISOR_FULL, "get", ns.AUDIT, entries(f"limit='1' position='{NEXT}'"), f"<audit>{entry('1')}</audit>")
    answer = wire.run("audit_info", limit=2)
    assert [(found["time"], found["action"], found["arguments"]) for found in answer["entries"]] == [
        ("2", "destroy", [1]),
        ("1", "destroy", None),
    ]
    assert (answer["next"], answer["malformed"], answer["changed"]) == (None, 2, False)


def test_all_that_is_asked_for_goes_along(wire: Wire) -> None:
    filters = "since='2026-11-21' until='2026-11-22' who='bob@example.org' entity='x@example.org' command='free' outcome='failed'"
    wire.entity(
        HYPERVISOR_FULL, "get", ns.AUDIT, entries(f"limit='1' {filters} position='{NEXT}'"), f"<audit next='{NEXT}'>{entry('1')}</audit>"
    )
    answer = wire.run(
        "audit_info",
        limit=1,
        since="2026-11-21",
        until="2026-11-22",
        who="Bob@example.org/desk",
        entity="x@example.org",
        action="free",
        outcome="failed",
        position=NEXT,
    )
    assert answer["next"] == NEXT


@pytest.mark.parametrize(
    "declared, words",
    [
        ({"limit": 0}, "limit: must be 1 or more"),
        ({"since": "soon"}, "since: must be a time such as"),
        ({"position": "here"}, "position: must be what an earlier run returned"),
        ({"position": NEXT, "machines": ["a", "b"]}, "position: goes with the log of the hypervisor"),
    ],
)
def test_what_makes_no_sense_is_refused(declared: dict[str, Any], words: str, wire: Wire) -> None:
    assert words in wire.run("audit_info", **declared)["msg"]
