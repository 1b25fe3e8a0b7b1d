# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchers of the stress test see what they must: a push that is lost, doubled, out of order or of another life of the agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from archipel.protocol import namespaces as ns
from archipel.protocol.events import Push, Topic, events_node
from benchmarks import watchers
from benchmarks.watchers import SERVICE, Watcher
from benchmarks.world import DOMAIN, HYPERVISOR

MACHINE = f"uuid-1@{DOMAIN}"


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Watcher:
    monkeypatch.setattr(watchers, "Stream", lambda *_: SimpleNamespace())
    monkeypatch.setattr(watchers, "client_context", lambda _: None)
    world: Any = SimpleNamespace(machines=["uuid-0", "uuid-1"], ejabberd=SimpleNamespace(ca_file=None))
    watcher = Watcher("someone", "secret", world)
    watcher.begin([("epoch", 0), ("epoch", 4)])
    return watcher


def tell(watcher: Watcher, sequence: int, change: str, epoch: str = "epoch") -> None:
    message = ET.Element(f"{{{ns.CLIENT}}}message", {"from": SERVICE})
    event = ET.SubElement(message, f"{{{ns.PUBSUB_EVENT}}}event")
    items = ET.SubElement(event, f"{{{ns.PUBSUB_EVENT}}}items", {"node": events_node(MACHINE)})
    ET.SubElement(items, f"{{{ns.PUBSUB_EVENT}}}item").append(Push(Topic.VM_CONTROL, change, sequence, epoch).write())
    watcher._take_message(message)


def test_what_comes_in_order_is_counted(watcher: Watcher) -> None:
    for sequence, change in ((5, "shutdown"), (6, "created"), (7, "shutdown")):
        tell(watcher, sequence, change)
    assert (watcher.heard, watcher.faults) == ([0, 3], [])


@pytest.mark.parametrize(
    "sequence, change, epoch",
    [(7, "created", "epoch"), (5, "shutdown", "epoch"), (6, "shutdown", "epoch"), (6, "created", "another")],
    ids=["lost", "doubled", "wrong", "another life"],
)
def test_what_is_not_the_next_is_noted(watcher: Watcher, sequence: int, change: str, epoch: str) -> None:
    tell(watcher, 5, "shutdown")
    tell(watcher, sequence, change, epoch)
    [fault] = watcher.faults
    assert "machine 1: " in fault


def test_the_last_presence_is_remembered_and_a_leave_is_noted(watcher: Watcher) -> None:
    presence = f"<presence xmlns='{ns.CLIENT}' from='{MACHINE}/{HYPERVISOR}'><status>Running</status></presence>"
    watcher._take_presence(ET.fromstring(presence))
    assert (watcher.shown, watcher.faults) == ({1: "Running"}, [])
    watcher._take_presence(ET.fromstring(presence.replace("from=", "type='unavailable' from=")))
    assert len(watcher.faults) == 1
