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

from archipel.client import MachineNotFound, MachineState
from archipel.protocol.errors import BadRequest, CommandError, LibvirtFailed, PermissionDenied, RemoteError


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


async def test_the_failure_of_the_only_one_is_its_own_and_says_what_it_is_about() -> None:
    with pytest.raises(BadRequest, match=r"\Ahall: wrong\Z"):
        await reconcile_all([Lamp("hall", "off", "on", error=BadRequest("wrong"))], "lamps", run_that_shows(diff=False))


async def test_the_words_of_libvirt_follow_what_they_are_about_and_its_hypervisor() -> None:
    session = Mock()
    session.hypervisor.return_value.bare = "hyp@example.org"
    run = Run({"hypervisor": "hyp@example.org"}, session, check_mode=False, diff_mode=False, warn=print, tell=print)
    with pytest.raises(LibvirtFailed, match=r"\Ahall on hyp@example.org: no current\Z"):
        await reconcile_all([Lamp("hall", "off", "on", error=LibvirtFailed("no current"))], "lamps", run)


@pytest.mark.parametrize("error", [PermissionDenied("a lacks the right 'b' on c", "b"), RemoteError("no"), LibvirtFailed("hall: no")])
async def test_who_names_what_it_is_about_already_is_left_as_it_is(error: CommandError) -> None:
    with pytest.raises(type(error), match=rf"\A{error}\Z"):
        await reconcile_all([Lamp("hall", "off", "on", error=error)], "lamps", run_that_shows(diff=False))


class HalfDone(Lamp):
    """A lamp that changes, and then fails; a ``lost`` one cannot be read any more."""

    lost = False

    async def read(self) -> Values:
        if self.lost and self.applied:
            raise BadRequest("dark")
        return await super().read()

    async def apply(self, current: Values, desired: Values) -> None:
        self.light = "dim"
        await super().apply(current, desired)


async def test_what_was_changed_before_a_failure_is_told() -> None:
    lamp = HalfDone("hall", "off", "on", error=LibvirtFailed("no current"))
    with pytest.raises(PartlyFailed) as caught:
        await reconcile_all([lamp], "lamps", run_that_shows(diff=False))
    assert describe_failure(caught.value) == {
        "msg": "hall: no current; something was changed before that",
        "changed": True,
        "condition": "internal-server-error",
    }


async def test_what_one_of_several_changed_before_its_failure_is_told() -> None:
    lamps = [HalfDone("hall", "off", "on", error=LibvirtFailed("no current")), Lamp("attic", "on", "on")]
    with pytest.raises(PartlyFailed, match="1 of 2 failed: hall: no current") as caught:
        await reconcile_all(lamps, "lamps", run_that_shows(diff=False))
    assert describe_failure(caught.value)["changed"] is True


async def test_nothing_is_told_of_what_cannot_be_read_after_a_failure() -> None:
    lamp = HalfDone("hall", "off", "on", error=LibvirtFailed("no current"))
    lamp.lost = True
    with pytest.raises(LibvirtFailed):
        await reconcile(lamp, check_mode=False)


def test_a_failure_names_right_and_condition() -> None:
    assert describe_failure(PermissionDenied("no", "alloc")) == {
        "msg": "no (missing right: alloc)",
        "missing_right": "alloc",
        "condition": "forbidden",
    }
    assert describe_failure(ValueError("name: is missing")) == {"msg": "name: is missing"}


@pytest.mark.parametrize("check_mode, words", [(True, "no machine 'a' (this is check mode"), (False, "no machine 'a'")])
def test_who_is_missing_in_check_mode_may_be_made_by_an_earlier_task(check_mode: bool, words: str) -> None:
    told = describe_failure(MachineNotFound("no machine 'a'"), check_mode=check_mode)["msg"]
    assert told.startswith(words)
    assert ("check mode" in told) is check_mode


def test_values_are_shown_as_people_read_them() -> None:
    values = {"b": MachineState.OFF, "a": ("x", {"y": None}), "text": "two\nlines\n"}
    assert to_yaml(values) == "b: 'off'\na:\n- x\n- y: null\ntext: |\n  two\n  lines\n"
    assert to_yaml({}) == ""
