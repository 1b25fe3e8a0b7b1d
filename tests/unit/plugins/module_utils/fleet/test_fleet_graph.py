# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.fleet.graph import build_graph
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.kinds import KINDS, needs_of_machine
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import DeclarationProblems, Place
from hypothesis import given
from hypothesis import strategies as st

NEEDS = "needs"
THING = Kind(
    "thing",
    "things",
    {},
    declare=lambda ground, item: None,  # type: ignore[arg-type,return-value]  # nobody reads or changes one here
    refer=lambda item: (("thing", name) for name in item.arguments[NEEDS]),
)


def thing(name: str, needs: Iterable[str]) -> Item:
    return Item(Key("thing", "hyp", name), {NEEDS: list(needs)}, Place("file.yml", int(name)))


@given(st.lists(st.sets(st.integers(0, 19)), min_size=1, max_size=20), st.randoms())
def test_everything_comes_after_what_it_needs_in_whatever_order_it_is_declared(needs: list[set[int]], order: random.Random) -> None:
    items = [thing(str(place), (str(need) for need in some if need < place)) for place, some in enumerate(needs)]
    order.shuffle(items)
    graph = build_graph({item.key: item for item in items}, [THING])
    places = {key: place for place, key in enumerate(graph)}
    assert set(places) == {item.key for item in items}
    assert all(places[need] < places[key] for key, some in graph.items() for need in some)


def test_what_needs_one_another_in_a_circle_is_refused_with_its_places() -> None:
    items = [thing("1", ["2"]), thing("2", ["3"]), thing("3", ["1"]), thing("4", ["4", "unknown"])]
    with pytest.raises(DeclarationProblems, match=r"file.yml:\d.*these need one another: .*thing 1 on hyp -> thing"):
        build_graph({item.key: item for item in items}, [THING])


def test_a_volume_needs_what_it_stands_on() -> None:
    volume = next(kind for kind in KINDS if kind.name == "volume")
    on_volume = {"volume": "base", "pool": None, "path": None}
    on_golden = {"volume": None, "pool": None, "path": "/vm/goldens/debian.qcow2"}
    for backing, needed in (
        (None, set()),
        (on_volume, {("pool", "lab"), ("volume", "lab/base")}),
        (on_golden, {("image", "debian.qcow2")}),
    ):
        arguments = {**dict.fromkeys(volume.options), "pool": "lab", "name": "web", "backing": backing}
        assert set(volume.refer(Item(Key("volume", "hyp", "lab/web"), arguments, Place("x")))) == needed


def test_a_machine_needs_networks_filters_pools_and_volumes() -> None:
    machine = next(kind for kind in KINDS if kind.name == "machine")
    card = {"network": "lab", "filter": "clean"}
    disks = [{"pool": "images", "volume": "web.qcow2"}, {"pool": None, "volume": None}]
    arguments = {**dict.fromkeys(machine.options), "name": "web", "networks": [card], "disks": disks}
    item = Item(Key("machine", "hyp", "web"), arguments, Place("x"))
    wanted = {("network", "lab"), ("filter", "clean"), ("pool", "images"), ("volume", "images/web.qcow2")}
    assert wanted <= set(needs_of_machine(item))
    definition = """<domain><devices>
      <interface type='network'><source network='lab'/><filterref filter='clean'/></interface>
      <disk type='volume'><source pool='images' volume='web.qcow2'/></disk><disk type='file'><source file='/x'/></disk>
    </devices></domain>"""
    for text, found in ((definition, wanted), ("<no xml", set[tuple[str, str]]())):
        whole = {**dict.fromkeys(machine.options), "name": "web", "definition": text}
        assert set(needs_of_machine(Item(item.key, whole, item.place))) == found
