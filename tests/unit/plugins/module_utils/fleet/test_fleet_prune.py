# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.fleet import prune
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.kinds import KINDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.ownership import ADOPTED, OwnedByAnother, Ownership, proper_label
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step
from hypothesis import given
from hypothesis import strategies as st

from archipel.client import MachineEntry
from archipel.protocol.errors import CommandError, Condition, PermissionDenied

UUID = "6f0c0000-0000-4000-8000-000000000001"
NET = Kind(
    "network",
    "networks",
    {"name": {"type": "str"}, "state": {"type": "str"}},
    declare=lambda ground, item: None,  # type: ignore[arg-type,return-value]  # nobody reads or changes one here
)
MACHINE = next(kind for kind in KINDS if kind.name == "machine")
HERE, THERE = {"state": "absent"}, {"state": "present"}


@dataclass
class FakeHypervisor:
    """Keeps owners, or is too old for that."""

    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    refuses: CommandError | None = None
    bare: str = "hyp@example.org"

    async def owned(self) -> list[Any]:
        if self.refuses is not None:
            raise self.refuses
        return [SimpleNamespace(kind=kind, key=key, label=label) for (kind, key), label in self.owners.items()]

    async def own(self, label: str, add: list[tuple[str, str]], remove: list[tuple[str, str]]) -> None:
        for claim in remove:
            assert self.owners.pop(claim) == label
        self.owners |= dict.fromkeys(add, label)


def make_ground(hypervisor: FakeHypervisor, *machines: MachineEntry) -> Any:
    directory = SimpleNamespace(find=lambda reference: next((entry for entry in machines if entry.answers_to(reference)), None))
    return SimpleNamespace(name="hyp", hypervisor=hypervisor, host=SimpleNamespace(directory=directory, new_uuids={}))


def read(hypervisor: FakeHypervisor, *machines: MachineEntry) -> Ownership:
    owned: Ownership = asyncio.run(Ownership.read(make_ground(hypervisor, *machines), "course"))
    return owned


def net(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Step:
    return Step(Item(Key("network", "hyp", name), {}, Place("x")), NET, before=before, after=after)


def test_what_is_made_is_owned_and_what_was_there_is_adopted() -> None:
    hypervisor = FakeHypervisor()
    ownership = read(hypervisor)
    new, old = net("new", HERE, THERE), net("old", THERE, THERE)
    for step in (new, old):
        ownership.claim(step)
    assert (new.adopts, old.adopts, old.action) == (None, "course", "change")
    assert old.row() | {"keys": ["owner"], "before": {"owner": None}, "after": {"owner": "course"}} == old.row()
    asyncio.run(ownership.settle())
    assert hypervisor.owners == {("network", "new"): "course", ("network", "old"): "course/adopted"}
    again = read(hypervisor)
    for step in (net("new", THERE, THERE), net("old", THERE, THERE)):
        again.claim(step)
        assert (step.adopts, step.changes) == (None, False)


def test_what_another_declaration_owns_is_refused() -> None:
    ownership = read(FakeHypervisor({("network", "lab"): "other"}))
    with pytest.raises(OwnedByAnother, match="network lab on hyp belongs to the declaration 'other'"):
        ownership.claim(net("lab", THERE, THERE))


@pytest.mark.parametrize("label", [f"course{ADOPTED}", ADOPTED, " ", "a\nb", "x" * 93])
def test_no_label_can_be_taken_for_another(label: str) -> None:
    with pytest.raises(ValueError, match=r"^label: "):
        proper_label(label)


def test_a_label_is_as_agents_keep_it() -> None:
    assert (proper_label(" course "), proper_label("x" * 92), proper_label(None)) == ("course", "x" * 92, None)


def test_claims_end_with_what_is_declared_to_be_absent() -> None:
    hypervisor = FakeHypervisor({("network", "lab"): "course", ("network", "old"): "course/adopted", ("network", "theirs"): "other"})
    ownership = read(hypervisor)
    ownership.claim(net("lab", THERE, HERE))
    asyncio.run(ownership.settle({*ownership.ended, ("network", "theirs"), ("network", "unknown")}))
    assert hypervisor.owners == {("network", "old"): "course/adopted", ("network", "theirs"): "other"}


@pytest.mark.parametrize(
    "error", [PermissionDenied("no such namespace", None), CommandError("unknown", condition=Condition.FEATURE_NOT_IMPLEMENTED)]
)
def test_an_older_agent_keeps_no_owners(error: CommandError) -> None:
    ownership = read(FakeHypervisor(refuses=error))
    assert ownership.unsupported
    ownership.claim(net("new", HERE, THERE))
    assert (ownership.new, ownership.owned_by_label(adopted=True)) == (set(), [])


def test_a_missing_right_is_an_error() -> None:
    with pytest.raises(PermissionDenied):
        read(FakeHypervisor(refuses=PermissionDenied("no", "ownership_get")))


def gone(ownership: Ownership, declared: list[Step], *, adopted: bool = False) -> list[str]:
    return [str(step.key) for step in prune.removals(ownership, declared, {"network": NET, "machine": MACHINE}, adopted=adopted)]


def test_only_what_is_owned_and_not_declared_goes() -> None:
    machine = MachineEntry("web", UUID, f"{UUID}@example.org/hyp", managed=True)
    owners = {
        ("network", "lab"): "course",
        ("network", "kept"): "course",
        ("network", "theirs"): "other",
        ("network", "old"): "course/adopted",
        ("strange", "thing"): "course",
        ("machine", UUID): "course",
    }
    ownership = read(FakeHypervisor(owners), machine)
    declared = [net("kept", THERE, THERE)]
    assert gone(ownership, declared) == ["machine web on hyp", "network lab on hyp"]
    assert gone(ownership, declared, adopted=True) == ["machine web on hyp", "network lab on hyp", "network old on hyp"]
    web = Step(Item(Key("machine", "hyp", "web"), dict.fromkeys(MACHINE.options), Place("x")), MACHINE)
    assert gone(ownership, [*declared, web]) == ["network lab on hyp"]
    [removal, _] = prune.removals(ownership, declared, {"network": NET, "machine": MACHINE}, adopted=False)
    assert (removal.item.arguments["uuid"], removal.item.arguments["state"], removal.reason) == (UUID, "absent", "it is no longer declared")


def test_machines_go_before_what_they_stand_on() -> None:
    steps = [Step(Item(Key(kind.name, "hyp", "x"), {}, Place("x")), kind) for kind in KINDS]
    order = [group[0].key.kind for group in prune.order_removals(steps, KINDS)]
    assert order == [kind.name for kind in reversed(KINDS)]


class UsedNetwork:
    """A network that is there, and used by a machine."""

    async def read(self) -> Mapping[str, Any]:
        return THERE

    def desired(self, current: Mapping[str, Any]) -> Mapping[str, Any]:
        raise ValueError("a card would be cut off")


@pytest.mark.parametrize("machine_goes", [True, False])
def test_a_network_whose_machines_go_before_it_is_foreseen_to_go(machine_goes: bool) -> None:
    used = next(kind for kind in KINDS if kind.name == "network")
    used = replace(used, declare=lambda _ground, _item: UsedNetwork())  # type: ignore[arg-type,return-value]  # as much as is read of it
    network = Step(Item(Key("network", "hyp", "lab"), {}, Place("x")), used)
    machine = Step(Item(Key("machine", "hyp" if machine_goes else "other", "web"), {}, Place("x")), MACHINE, error=ValueError("not asked"))
    asyncio.run(prune.read_removals([network, machine]))
    assert (network.foreseen, prune.will_go(network)) == (machine_goes, machine_goes)
    assert (network.error is None) == machine_goes


def test_a_removal_that_failed_holds_back_only_what_it_may_stand_on() -> None:
    kinds = {kind.name: kind for kind in KINDS}

    def removal(kind: str, name: str, hypervisor: str = "hyp", **arguments: str) -> Step:
        named = {**dict.fromkeys(kinds[kind].options), "name": name, **arguments}
        return Step(Item(Key(kind, hypervisor, name), named, Place("x")), kinds[kind])

    pool, network = removal("pool", "fast"), removal("network", "lab")
    volume, image = removal("volume", "fast/data", pool="fast"), removal("image", "base.qcow2")
    machine, far = removal("machine", "web"), removal("machine", "web", "other")
    assert [prune.holds_back(failed, pool) for failed in (volume, image, machine, far)] == [True, False, True, False]
    assert [prune.holds_back(failed, network) for failed in (volume, image, machine, far)] == [False, False, True, False]


@given(st.integers(0, 100), st.integers(0, 10**4))
def test_a_share_is_one_of_what_is_owned(percent: int, owned: int) -> None:
    assert prune.read_limit(f"{percent}%", owned) == percent * owned // 100
    assert prune.read_limit(f" {percent} ", owned) == percent


def test_claims_on_what_is_not_there_raise_no_share() -> None:
    there, broken, gone = (Step(Item(Key("network", "hyp", name), {}, Place("x")), NET) for name in ("a", "b", "c"))
    there.before, there.after, broken.error = THERE, HERE, ValueError("no")
    owned = read(FakeHypervisor({("network", name): label for name, label in zip("abcd", ["course"] * 4, strict=True)}))
    for step, name in zip((there, broken, gone), "abc", strict=True):
        step.claims = (("network", name),)
    assert prune.count_owned([owned], [there, broken, gone], {}, adopted=False) == 3


def test_no_limit_is_none_and_nonsense_is_refused() -> None:
    assert prune.read_limit(None, 7) is None
    for text in ("some", "-1", "101%", "1.5", "%", ""):
        with pytest.raises(ValueError, match="prune_limit: "):
            prune.read_limit(text, 7)
