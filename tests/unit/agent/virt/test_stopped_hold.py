# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent, StoppedDetail
from archipel.agent.virt.stopped_hold import HOLD, StoppedHold

STOPPED, STARTED = LifecycleEvent.STOPPED, LifecycleEvent.STARTED


class Clock:
    """A loop's ``call_later`` whose time a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Clock.Timer] = []

    class Timer:
        def __init__(self, at: float, run: Callable[[], None]) -> None:
            self.at, self.run, self.cancelled = at, run, False

        def cancel(self) -> None:
            self.cancelled = True

    def call_later(self, delay: float, run: Callable[[], None]) -> Clock.Timer:
        timer = Clock.Timer(self.now + delay, run)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.at <= self.now]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.run()


class Stage:
    def __init__(self) -> None:
        self.clock = Clock()
        self.delivered: list[DomainEvent] = []
        self.hold = StoppedHold(self.delivered.append, self.clock.call_later)

    def happens(self, event: LifecycleEvent, detail: int = 0, uuid: str = "a") -> None:
        self.hold.offer(DomainEvent.decode(uuid, "web", event, detail))

    @property
    def heard(self) -> list[LifecycleEvent]:
        return [event.event for event in self.delivered]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_stopped_is_delivered_after_the_hold(stage: Stage) -> None:
    stage.happens(STOPPED)
    stage.clock.advance(HOLD * 0.9)
    assert stage.heard == []
    stage.clock.advance(HOLD * 0.1)
    assert stage.heard == [STOPPED]


def test_stopped_is_dropped_when_started_follows(stage: Stage) -> None:
    stage.happens(STOPPED)
    stage.clock.advance(HOLD / 2)
    stage.happens(STARTED)
    stage.clock.advance(HOLD * 2)
    assert stage.heard == [STARTED]


def test_stopped_is_dropped_when_a_start_announces_itself_by_resumed(stage: Stage) -> None:
    for event in (STOPPED, LifecycleEvent.RESUMED, STARTED):  # QEMU's order
        stage.happens(event)
    stage.clock.advance(HOLD * 2)
    assert stage.heard == [LifecycleEvent.RESUMED, STARTED]


def test_other_events_pass_at_once(stage: Stage) -> None:
    for event in set(LifecycleEvent) - {STOPPED}:
        stage.happens(event)
        assert stage.heard.pop() is event
        stage.delivered.clear()


@pytest.mark.parametrize("detail", [StoppedDetail.DESTROYED, StoppedDetail.MIGRATED, StoppedDetail.SAVED, StoppedDetail.FAILED])
def test_a_final_stop_passes_at_once(stage: Stage, detail: StoppedDetail) -> None:
    stage.happens(STOPPED, detail)
    assert stage.heard == [STOPPED]


@pytest.mark.parametrize("detail", [StoppedDetail.SHUTDOWN, StoppedDetail.CRASHED, StoppedDetail.FROM_SNAPSHOT, 99])
def test_a_stop_that_a_start_may_follow_is_held(stage: Stage, detail: int) -> None:
    stage.happens(STOPPED, detail)
    assert stage.heard == []


def test_a_stop_that_the_agent_asked_for_passes_at_once_and_only_that_one(stage: Stage) -> None:
    with stage.hold.own_stop("a"):
        pass
    stage.happens(STOPPED)
    assert stage.heard == [STOPPED]
    stage.happens(STARTED)
    stage.happens(STOPPED)
    assert stage.heard == [STOPPED, STARTED]


def test_a_stop_that_was_refused_is_not_expected(stage: Stage) -> None:
    with pytest.raises(ValueError, match="refused"), stage.hold.own_stop("a"):
        raise ValueError("refused")
    stage.happens(STOPPED)
    assert stage.heard == []


def test_a_stop_that_was_asked_for_and_never_came_is_forgotten_with_the_next_start(stage: Stage) -> None:
    with stage.hold.own_stop("a"):
        pass
    stage.happens(STARTED)
    stage.happens(STOPPED)
    assert stage.heard == [STARTED]


def test_an_event_that_is_no_start_ends_the_hold_and_keeps_the_order(stage: Stage) -> None:
    stage.happens(STOPPED)
    stage.happens(LifecycleEvent.UNDEFINED)
    stage.clock.advance(HOLD * 2)
    assert stage.heard == [STOPPED, LifecycleEvent.UNDEFINED]


def test_domains_do_not_disturb_each_other(stage: Stage) -> None:
    stage.happens(STOPPED, uuid="a")
    stage.happens(STARTED, uuid="b")
    stage.clock.advance(HOLD)
    assert [(event.uuid, event.event) for event in stage.delivered] == [("b", STARTED), ("a", STOPPED)]


def test_clear_drops_what_is_held(stage: Stage) -> None:
    stage.happens(STOPPED)
    stage.hold.clear()
    stage.clock.advance(HOLD * 2)
    assert stage.heard == []


@given(st.lists(st.tuples(st.sampled_from(LifecycleEvent), st.integers(-1, 9), st.sampled_from("abc"), st.floats(0, HOLD))))
def test_each_domain_hears_its_events_in_order_without_the_stops_of_restarts(story: list[tuple[LifecycleEvent, int, str, float]]) -> None:
    stage = Stage()
    for event, detail, uuid, pause in story:
        stage.happens(event, detail, uuid)
        stage.clock.advance(pause)
    stage.clock.advance(HOLD)
    for uuid in "abc":
        sent = [DomainEvent.decode(uuid, "web", event, detail) for event, detail, whose, _ in story if whose == uuid]
        heard = [event for event in stage.delivered if event.uuid == uuid]
        rest = iter(sent)
        assert all(event in rest for event in heard), "heard is not a subsequence of sent"
        assert [event for event in sent if event.event is not STOPPED] == [event for event in heard if event.event is not STOPPED]
        assert not sent or sent[-1] in heard[-1:], "the last word must be heard"
