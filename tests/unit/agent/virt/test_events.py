# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio

import pytest

from archipel.agent.virt.events import DomainEvents
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent


def make(event: LifecycleEvent, name: str = "web") -> DomainEvent:
    return DomainEvent.decode("u", name, event, 0)


async def test_a_queue_gets_events_in_their_order_as_long_as_it_is_open() -> None:
    events = DomainEvents()
    sent = [make(LifecycleEvent.SUSPENDED if number % 2 else LifecycleEvent.RESUMED, str(number)) for number in range(100)]
    with events.queue() as queue:
        for event in sent:
            events.take(event)
        assert [await queue.get() for _ in sent] == sent
    events.take(sent[0])
    await asyncio.sleep(0)
    assert queue.empty()


async def test_an_error_of_one_listener_takes_nothing_from_the_others() -> None:
    events, heard, errors = DomainEvents(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["exception"]))

    def fail(_event: DomainEvent) -> None:
        raise ValueError("listener")

    events.listen(fail)
    events.listen(heard.append)
    events.take(make(LifecycleEvent.STARTED))
    await asyncio.sleep(0)
    assert [event.event for event in heard] == [LifecycleEvent.STARTED]
    assert [str(error) for error in errors] == ["listener"]


async def test_a_listener_that_ended_hears_nothing_and_ending_twice_is_harmless() -> None:
    events, heard = DomainEvents(), []
    end = events.listen(heard.append)
    end()
    end()
    events.take(make(LifecycleEvent.STARTED))
    await asyncio.sleep(0)
    assert heard == []


async def test_stopped_is_held_back_and_delivered_by_the_loops_clock() -> None:
    events = DomainEvents(hold=0.01)
    with events.queue() as queue:
        events.take(make(LifecycleEvent.STOPPED))
        await asyncio.sleep(0)
        assert queue.empty()
        assert (await queue.get()).event is LifecycleEvent.STOPPED


async def test_clear_forgets_a_stop_that_is_held_back() -> None:
    events = DomainEvents(hold=0)
    with events.queue() as queue:
        events.take(make(LifecycleEvent.STOPPED))
        events.clear()
        events.take(make(LifecycleEvent.RESUMED))
        assert (await queue.get()).event is LifecycleEvent.RESUMED
        await asyncio.sleep(0.01)
        with pytest.raises(asyncio.QueueEmpty):
            queue.get_nowait()
