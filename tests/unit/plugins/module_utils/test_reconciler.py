# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.execution import PartlyFailed, Run, describe_failure
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import (
    Change,
    Resource,
    Values,
    reconcile,
    reconcile_all,
    to_yaml,
)

from archipel.client import MachineState
from archipel.protocol.errors import BadRequest, PermissionDenied


class Lamp(Resource):
    """A resource with one value; ``deaf`` ones take no change in."""

    def __init__(self, title: str, light: str, wanted: str, *, deaf: bool = False, error: Exception | None = None) -> None:
        self.title, self.light, self.wanted, self.deaf, self.error = title, light, wanted, deaf, error
        self.applied: list[tuple[Values, Values]] = []

    async def read(self) -> Values:
        return {"light": self.light}

    def desired(self, current: Values) -> Values:
        return {"light": self.wanted}

    async def apply(self, current: Values, desired: Values) -> None:
        self.applied.append((current, desired))
        if self.error is not None:
            raise self.error
        if not self.deaf:
            self.light = desired["light"]

    def report(self, change: Change) -> dict[str, Any]:
        return {"name": self.title, **change.after}


def run_that_shows(*, diff: bool) -> Run:
    return Run({}, Mock(), check_mode=False, diff_mode=diff, warn=print, tell=print)


async def test_what_differs_is_applied_once() -> None:
    lamp = Lamp("hall", "off", "on")
    change = await reconcile(lamp, check_mode=False)
    assert (change.changed, change.before, change.after) == (True, {"light": "off"}, {"light": "on"})
    assert lamp.applied == [({"light": "off"}, {"light": "on"})]
    assert not (await reconcile(lamp, check_mode=False)).changed


async def test_check_mode_tells_and_does_nothing() -> None:
    lamp = Lamp("hall", "off", "on")
    change = await reconcile(lamp, check_mode=True)
    assert (change.changed, change.after, lamp.applied) == (True, {"light": "on"}, [])


async def test_what_is_told_was_read() -> None:
    change = await reconcile(Lamp("hall", "off", "on", deaf=True), check_mode=False)
    assert (change.changed, change.after) == (False, {"light": "off"})


async def test_all_are_told_in_the_order_declared() -> None:
    result = await reconcile_all([Lamp("hall", "off", "on"), Lamp("attic", "on", "on")], "lamps", run_that_shows(diff=True))
    assert result == {
        "changed": True,
        "diff": [
            {"before_header": "hall", "after_header": "hall", "before": "light: 'off'\n", "after": "light: 'on'\n"},
            {"before_header": "attic", "after_header": "attic", "before": "light: 'on'\n", "after": "light: 'on'\n"},
        ],
        "lamps": [{"name": "hall", "light": "on"}, {"name": "attic", "light": "on"}],
    }


async def test_a_failure_does_not_hide_what_was_done() -> None:
    lamps = [Lamp("hall", "off", "on"), Lamp("attic", "off", "on", error=PermissionDenied("may not", "climb"))]
    with pytest.raises(PartlyFailed, match=r"1 of 2 failed: attic: may not \(missing right: climb\)") as caught:
        await reconcile_all(lamps, "lamps", run_that_shows(diff=False))
    failure = describe_failure(caught.value)
    assert (failure["changed"], failure["lamps"]) == (True, [{"name": "hall", "light": "on"}])


async def test_the_failure_of_the_only_one_is_its_own() -> None:
    with pytest.raises(BadRequest, match="wrong"):
        await reconcile_all([Lamp("hall", "off", "on", error=BadRequest("wrong"))], "lamps", run_that_shows(diff=False))


def test_a_failure_names_right_and_condition() -> None:
    assert describe_failure(PermissionDenied("no", "alloc")) == {
        "msg": "no (missing right: alloc)",
        "missing_right": "alloc",
        "condition": "forbidden",
    }
    assert describe_failure(ValueError("name: is missing")) == {"msg": "name: is missing"}


def test_values_are_shown_as_people_read_them() -> None:
    values = {"b": MachineState.OFF, "a": ("x", {"y": None}), "text": "two\nlines\n"}
    assert to_yaml(values) == "b: 'off'\na:\n- x\n- y: null\ntext: |\n  two\n  lines\n"
    assert to_yaml({}) == ""
