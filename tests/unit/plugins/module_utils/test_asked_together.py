# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who wants to know the same at a time shares an answer, and nobody gets one that is older than his question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together


class Session:
    """What questions belong to; it counts those that were asked, and answers each with its number when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def count(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        return number


def ask(session: Session, what: str = "pools", question: Callable[[], Awaitable[int]] | None = None) -> asyncio.Task[int]:
    return asyncio.ensure_future(ask_together(session, what, question or session.count))


async def pass_turns() -> None:
    for _turn in range(5):
        await asyncio.sleep(0)


async def test_those_who_ask_at_a_time_share_an_answer() -> None:
    session = Session()
    session.may_answer.set()
    assert await asyncio.gather(*(ask(session) for _ in range(40))) == [1] * 40


async def test_those_who_come_while_it_is_asked_share_the_next() -> None:
    session = Session()
    first = ask(session)
    await pass_turns()
    later = [ask(session), ask(session)]
    await pass_turns()
    assert session.asked == 1
    session.may_answer.set()
    assert await asyncio.gather(first, *later) == [1, 2, 2]


async def test_who_asks_after_an_answer_gets_a_new_one() -> None:
    session = Session()
    session.may_answer.set()
    assert [await ask(session), await ask(session)] == [1, 2]


async def test_other_questions_and_other_sessions_have_their_own() -> None:
    one, other = Session(), Session()
    one.may_answer.set()
    other.may_answer.set()
    assert await asyncio.gather(ask(one), ask(one, "volumes"), ask(other)) == [1, 2, 1]


async def test_a_failure_is_told_to_all_who_share_it_and_ends_there() -> None:
    session = Session()
    session.may_answer.set()

    async def fail() -> int:
        raise ConnectionError("gone")

    told = await asyncio.gather(ask(session, question=fail), ask(session, question=fail), return_exceptions=True)
    assert [str(failure) for failure in told] == ["gone", "gone"]
    assert await ask(session) == 1


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    session = Session()
    hurried, patient = ask(session), ask(session)
    await pass_turns()
    hurried.cancel()
    session.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await hurried
    assert await patient == 1
