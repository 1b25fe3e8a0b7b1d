# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the collection and its peer as the table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_ROWS: Final = (
    ("{collection_machines} machines as declared, `fleet`", "1 s; 20 times", "collection_fleet_s", "collection_fleet_times_faster"),
    ("the same, `vm` with a list", "", "collection_vm_list_s", "collection_vm_list_times_faster"),
    ("the same, a loop of `vm`", "1 time", "collection_vm_loop_s", "collection_vm_loop_times_faster"),
    ("the same, the peer's loop", "", "collection_peer_loop_s", ""),
    ("one machine as declared, `vm`", "", "collection_vm_one_s", ""),
    ("as many made and started, `fleet`", "5 s", "collection_fleet_made_s", ""),
    ("the same, `vm` with a list", "", "collection_vm_list_made_s", ""),
    ("the same, the peer's loop", "", "collection_peer_made_s", ""),
    ("{collection_thousand_machines} machines as declared, `fleet`", "10 s", "collection_fleet_thousand_s", ""),
    ("the memory that this takes, in MB (an empty play: {collection_empty_play_mb})", "", "collection_fleet_thousand_mb", ""),
    (
        "inventory of 5 hypervisors, {collection_inventory_machines} machines, cold",
        "1.5 s; 5 times",
        "collection_inventory_cold_s",
        "collection_inventory_times_faster",
    ),
    ("the same, cached", "0.3 s", "collection_inventory_cached_s", "collection_inventory_cached_times_faster"),
    ("the same, the peer's inventory", "", "collection_inventory_peer_s", ""),
)


def table_of(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table of what was measured; nothing if that was neither."""
    rows = [row for row in _ROWS if row[2] in figures]
    if not rows:
        return
    told = {"load_before": "?", "load_after": "?", **figures}
    yield "\nSeconds above an empty play or inventory; load before {load_before} and after {load_after}:\n".format(**told)
    yield "| figure | goal | measured | times faster than the peer |"
    yield "| --- | --- | --- | --- |"
    for what, goal, name, ratio in rows:
        unit = "" if name.endswith("_mb") else " s"
        yield f"| {what.format(**told)} | {goal} | {figures[name]}{unit} | {figures.get(ratio, '')} |"
