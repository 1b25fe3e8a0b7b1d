# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session for many rounds, as long as it is good."""

from __future__ import annotations

import asyncio
import multiprocessing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.archipel.platform.plugins.plugin_utils import kept_session
from ansible_collections.archipel.platform.plugins.plugin_utils.kept_session import KeptSession

from archipel.client import ConnectionSettings, Session

ALICE = ConnectionSettings(jid="alice@example.org", password="secret")


@dataclass
class Fake:
    """A session that knows whether it is open."""

    settings: ConnectionSettings
    state: str = "new"
    ended: bool = False

    async def __aenter__(self) -> Fake:
        self.state = "open"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.state = "closed"


@dataclass
class Door:
    """Opens sessions and remembers them."""

    opened: list[Fake] = field(default_factory=list)

    def __call__(self, settings: ConnectionSettings) -> Session:
        self.opened.append(Fake(settings))
        return cast(Session, self.opened[-1])

    @property
    def states(self) -> list[str]:
        return [session.state for session in self.opened]


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def kept(door: Door) -> Any:
    kept = KeptSession(door)
    yield kept
    kept.close()


async def work(session: Session) -> Any:
    return session


async def fail(_session: Session) -> None:
    raise PermissionError("not you")


def test_rounds_with_the_same_settings_share_a_session(kept: KeptSession, door: Door) -> None:
    first, second = kept.run(ALICE, work), kept.run(replace(ALICE), work)
    assert first is second
    assert door.states == ["open"]


def test_another_account_is_another_session_and_the_first_is_left(kept: KeptSession, door: Door) -> None:
    kept.run(ALICE, work)
    kept.run(replace(ALICE, jid="bob@example.org"), work)
    assert door.states == ["closed", "open"]


def test_who_failed_leaves_and_the_next_round_logs_in_anew(kept: KeptSession, door: Door) -> None:
    with pytest.raises(PermissionError, match="not you"):
        kept.run(ALICE, fail)
    assert door.states == ["closed"]
    kept.run(ALICE, work)
    assert door.states == ["closed", "open"]


def test_what_a_failed_round_left_running_does_not_go_on_in_the_next(kept: KeptSession) -> None:
    tasks: list[asyncio.Task[None]] = []

    async def leave_something(_session: Session) -> None:
        tasks.append(asyncio.create_task(asyncio.sleep(60)))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept.run(ALICE, leave_something)
    assert tasks[0].cancelled()


def test_a_session_that_was_lost_meanwhile_is_not_used(kept: KeptSession, door: Door) -> None:
    kept.run(ALICE, work)
    door.opened[0].ended = True
    assert kept.run(ALICE, work) is cast(Any, door.opened[1])


def test_a_farewell_that_came_meanwhile_is_heard_first(kept: KeptSession, door: Door) -> None:
    """Reading, closing and telling are a step of the event loop each."""

    async def be_told_soon(_session: Session) -> None:
        soon = asyncio.get_running_loop().call_soon
        soon(lambda: soon(lambda: soon(setattr, door.opened[0], "ended", True)))

    kept.run(ALICE, be_told_soon)
    kept.run(ALICE, work)
    assert len(door.opened) == 2


def test_after_a_long_pause_a_session_is_not_trusted(kept: KeptSession, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(kept_session.time, "monotonic", lambda: clock[0])
    for pause in (kept_session.TRUSTED - 1, kept_session.TRUSTED + 1):
        kept.run(ALICE, work)
        clock[0] += pause
    kept.run(ALICE, work)
    assert door.states == ["closed", "open"]


def test_long_work_does_not_make_its_session_old(kept: KeptSession, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(kept_session.time, "monotonic", lambda: clock[0])

    async def take_long(_session: Session) -> None:
        clock[0] += 600

    kept.run(ALICE, take_long)
    kept.run(ALICE, work)
    assert len(door.opened) == 1


def test_a_login_that_fails_is_tried_anew(door: Door) -> None:
    class Refusing(Fake):
        async def __aenter__(self) -> Fake:
            raise ConnectionError("refused")

    answers = [Refusing(ALICE), Fake(ALICE)]
    kept = KeptSession(lambda _settings: cast(Session, answers.pop(0)))
    with pytest.raises(ConnectionError):
        kept.run(ALICE, work)
    assert cast(Any, kept.run(ALICE, work)).state == "open"
    kept.close()


def test_the_end_of_a_process_like_ansibles_ends_the_session_however_often_it_was_opened(tmp_path: Path) -> None:
    note = tmp_path / "note"

    class Telling(Fake):
        async def __aexit__(self, *_error: object) -> None:
            with note.open("a") as file:
                file.write(f"left {self.settings.jid}\n")

    def play() -> None:
        kept = KeptSession(lambda settings: cast(Session, Telling(settings)))
        kept.run(ALICE, work)
        kept.close()
        kept.run(replace(ALICE, jid="bob@example.org"), work)

    worker = multiprocessing.get_context("fork").Process(target=play)
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0
    assert note.read_text().splitlines() == ["left alice@example.org", "left bob@example.org"]
