# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.fleet import carry_out as carrying_out
from ansible_collections.archipel.platform.plugins.module_utils.fleet.carry_out import carry_out
from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.outcome import tell_outcome
from ansible_collections.archipel.platform.plugins.module_utils.fleet.plan import make_plan
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values
from hypothesis import given
from hypothesis import strategies as st


@dataclass
class World:
    """What there is, who breaks, and in which order things were made."""

    there: dict[str, str] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()
    made: list[str] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0


class Thing(Resource):
    """Something with a color."""

    def __init__(self, world: World, name: str, color: str) -> None:
        self.world, self.title, self.color = world, name, color

    async def read(self) -> Values:
        await asyncio.sleep(0)
        if self.title in self.world.unreadable:
            raise ValueError(f"{self.title} cannot be read")
        return {"color": self.world.there[self.title]} if self.title in self.world.there else {"state": "absent"}

    def desired(self, current: Values) -> Values:
        return {"color": self.color}

    async def apply(self, current: Values, desired: Values) -> None:
        self.world.busy += 1
        self.world.most_busy = max(self.world.most_busy, self.world.busy)
        await asyncio.sleep(0)
        self.world.busy -= 1
        if self.title in self.world.broken:
            raise ValueError(f"{self.title} breaks")
        self.world.made.append(self.title)
        self.world.there[self.title] = self.color

    def report(self, change: Change) -> dict[str, Any]:
        return {}


def make_steps(world: World, needs: Mapping[str, list[str]], hypervisor: str = "hyp") -> dict[Key, Step]:
    kind = Kind("thing", "things", {}, declare=lambda ground, item: Thing(world, item.key.name, "red"))
    steps = {}
    for name, some in needs.items():
        key = Key("thing", hypervisor, name)
        needed = tuple(Key("thing", hypervisor, need) for need in some)
        ground = Ground("hyp", None, {}, None, None)  # type: ignore[arg-type]  # things ask no agent
        steps[key] = Step(Item(key, {}, Place("file.yml", 1)), kind, ground, needed)
    return steps


def run(steps: Mapping[Key, Step], *, check: bool = False) -> dict[str, Any]:
    """Plan and carry out; return what the module would say."""

    async def work() -> None:
        await make_plan(steps)
        if not check:
            await carry_out(steps, lambda step: None)

    asyncio.run(work())
    return dict(tell_outcome(list(steps.values()), check_mode=check, diff=True).result)


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


CHAIN = {"network": [], "machine": ["network"], "right": ["machine"], "other": []}


def test_all_is_made_in_order_and_then_nothing_is_left_to_do() -> None:
    world = World()
    predicted, first, second = (run(make_steps(world, CHAIN), check=check) for check in (True, False, False))
    assert predicted["plan"] == first["plan"]
    assert predicted["diff"] == first["diff"]
    assert (predicted["changed"], first["changed"], second["changed"]) == (True, True, False)
    assert (predicted["done"], names(first["done"]), second["done"]) == ([], list(CHAIN), [])
    assert [world.made.index(name) for name in ("network", "machine", "right")] == sorted(
        map(world.made.index, ("network", "machine", "right"))
    )
    assert second["counts"] == {"create": 0, "change": 0, "restart": 0, "remove": 0, "forget": 0, "none": 4, "failed": 0, "skipped": 0}
    assert first["plan"][0] == {
        "action": "create", "kind": "thing", "name": "network", "hypervisor": "hyp", "keys": ["color", "state"],
        "before": {"state": "absent"}, "after": {"color": "red"}, "reason": "",
    }  # fmt: skip


def test_what_depends_on_a_failure_is_skipped_and_the_rest_goes_on() -> None:
    world = World(broken=frozenset({"network"}))
    result = run(make_steps(world, CHAIN))
    assert world.made == ["other"]
    assert [(row["name"], row["msg"], row["declared_at"]) for row in result["failed_objects"]] == [
        ("network", "network breaks", "file.yml:1")
    ]
    because = "skipped because thing network on hyp failed"
    assert [(row["name"], row["reason"]) for row in result["skipped_objects"]] == [("machine", because), ("right", because)]
    assert result["counts"] | {"failed": 1, "skipped": 2, "create": 1} == result["counts"]
    outcome = tell_outcome(list(make_steps(world, {}).values()), check_mode=False, diff=False)
    assert outcome.failure is None


def test_a_second_run_takes_up_what_was_left() -> None:
    world = World(broken=frozenset({"network"}))
    run(make_steps(world, CHAIN))
    world.broken = frozenset()
    assert names(run(make_steps(world, CHAIN))["done"]) == ["network", "machine", "right"]


def test_what_cannot_be_read_fails_in_check_mode_too() -> None:
    result = run(make_steps(World(unreadable=frozenset({"machine"})), CHAIN), check=True)
    assert (names(result["failed_objects"]), names(result["skipped_objects"])) == (["machine"], ["right"])
    assert names(result["plan"]) == ["network", "other"]


@given(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=12), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_exactly_what_needs_a_failure_is_skipped(needs: list[set[int]], broken: set[int], there: set[int]) -> None:
    graph = {str(place): [str(need) for need in some if need < place] for place, some in enumerate(needs)}
    world = World(dict.fromkeys(map(str, there), "red"), frozenset(map(str, broken)))
    result = run(make_steps(world, graph))
    failed, skipped = set(names(result["failed_objects"])), set(names(result["skipped_objects"]))
    bad: set[str] = set()
    for name, some in graph.items():
        if bad & set(some):
            assert name in skipped
            bad.add(name)
        elif name in world.broken and int(name) not in there:
            assert name in failed
            bad.add(name)
    assert bad == failed | skipped
    assert set(world.made) == set(graph) - bad - set(map(str, there))


def test_no_more_is_changed_at_once_than_a_hypervisor_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying_out, "AT_ONCE", 3)
    world = World()
    run(make_steps(world, {str(number): [] for number in range(20)}))
    assert (len(world.made), world.most_busy) == (20, 3)


def test_what_is_in_something_new_is_foreseen_and_read_when_that_is_there() -> None:
    world = World(unreadable=frozenset({"volume"}))
    steps = make_steps(world, {"pool": [], "volume": ["pool"]})
    volume = steps[Key("thing", "hyp", "volume")]
    volume.item = Item(volume.key, {}, Place("x"), within=Key("thing", "hyp", "pool"))
    volume.kind = Kind("thing", "things", {}, declare=volume.kind.declare, absent={"state": "absent"})
    result = run(steps, check=True)
    assert [(row["name"], row["action"]) for row in result["plan"]] == [("pool", "create"), ("volume", "create")]
    world.unreadable = frozenset()
    assert names(run(steps)["done"]) == ["pool", "volume"]
