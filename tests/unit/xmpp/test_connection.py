# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One account's connection: up for ever, patient where that helps, and never in the way of others."""

from __future__ import annotations

import asyncio
import logging

import pytest

from archipel.protocol.errors import CommandError
from archipel.xmpp.connection import (
    CONFLICT_REST,
    FIRST_RETRY,
    JITTER,
    LONGEST_RETRY,
    REFUSED_RETRY,
    Connection,
    ConnectionState,
    Server,
    with_jitter,
)
from archipel.xmpp.errors import Disconnected, LoginFailed, LoginRefused, ServerUnreachable, UntrustedServer, WireError
from tests.unit.xmpp.fake_stream import Account, FakeServer
from tests.unit.xmpp.virtual_time import now, run

LEAST = 1 - JITTER  # share of a wait that is certain


def start(account: Account) -> Connection:
    account.connection.start()
    return account.connection


def test_a_connection_is_connecting_then_online_until_it_is_stopped() -> None:
    async def main() -> None:
        account = Account()
        states = [account.connection.state]
        start(account)
        await asyncio.sleep(0)
        states.append(account.connection.state)
        await asyncio.sleep(1)
        states.append(account.connection.state)
        await account.connection.stop()
        states.append(account.connection.state)
        closed, connecting, online = ConnectionState.CLOSED, ConnectionState.CONNECTING, ConnectionState.ONLINE
        assert states == [closed, connecting, online, closed]
        assert account.told == ["online", "offline"]
        assert account.stream.logged_out
        assert not account.stream.lost.cancelled()  # the logout waits for the end of the session

    run(main())


def test_the_server_says_how_long_a_login_and_the_pause_between_probes_may_take() -> None:
    async def main() -> None:
        server = Server([], login_deadline=7, probe_interval=20)
        account = Account(server, FakeServer(up=False))
        start(account)
        await asyncio.sleep(100)
        assert set(account.stream.deadlines) == {7}
        assert all(20 * LEAST <= gap <= 20 for gap in account.gaps)
        assert account.gaps
        await account.connection.stop()

    run(main())


def test_a_connection_that_was_never_started_can_be_stopped() -> None:
    async def main() -> None:
        account = Account()
        await account.connection.stop()
        assert account.told == []

    run(main())


def test_a_lost_session_is_made_anew_at_once() -> None:
    async def main() -> None:
        account = Account()
        start(account)
        await asyncio.sleep(1)
        account.stream.resumes = True
        account.stream.lose()
        await asyncio.sleep(1)
        assert account.told == ["online", "offline", "resumed"]
        assert account.stream.logins[1] == 1
        await account.connection.stop()

    run(main())


def test_a_connection_tells_whether_its_session_may_be_resumed() -> None:
    async def main() -> None:
        account = Account()
        assert not account.connection.may_resume
        account.stream.end_session_on_disconnect = False
        assert account.connection.may_resume

    run(main())


def test_the_session_of_a_process_that_died_is_ended_by_one_that_tells_nobody() -> None:
    async def main() -> None:
        account = Account()
        await account.connection.end_former()
        assert (len(account.stream.logins), account.stream.logged_out, account.told) == (1, True, [])
        account.stream.refusals.append(LoginFailed("the server is busy"))
        with pytest.raises(LoginFailed):
            await account.connection.end_former()

    run(main())


# -- waiting ------------------------------------------------------------------------------------------------------------


def test_a_wait_is_shortened_by_a_random_share_at_most() -> None:
    waits = [with_jitter(10) for _ in range(1000)]
    assert 10 * LEAST <= min(waits) < max(waits) <= 10
    assert max(waits) - min(waits) > 2


def within(wait: float, longest: float) -> bool:
    """Whether ``wait`` is ``longest`` seconds, shortened by the jitter at most; the clock's floats are inexact."""
    return longest * LEAST - 1e-6 <= wait <= longest + 1e-6


def test_failed_logins_are_tried_again_after_twice_the_time() -> None:
    async def main() -> None:
        account = Account()
        account.stream.refusals = [LoginFailed("broke") for _ in range(9)]
        connection = start(account)
        await asyncio.sleep(600)
        assert connection.state is ConnectionState.ONLINE
        longest = [min(FIRST_RETRY * 2**number, LONGEST_RETRY) for number in range(9)]
        assert all(within(wait, most) for wait, most in zip(account.gaps, longest, strict=True)), account.gaps
        await connection.stop()

    run(main())


def test_after_a_good_session_the_waits_are_short_again() -> None:
    async def main() -> None:
        account = Account()
        account.stream.refusals = [LoginFailed("broke") for _ in range(5)]
        connection = start(account)
        await asyncio.sleep(100)
        account.stream.refusals = [LoginFailed("broke")]
        account.stream.lose()
        await asyncio.sleep(10)
        assert within(account.gaps[-1], FIRST_RETRY)
        await connection.stop()

    run(main())


@pytest.mark.parametrize("error", [LoginRefused("wrong password"), UntrustedServer("whose certificate is that?")])
def test_a_refused_login_waits_long(error: WireError) -> None:
    async def main() -> None:
        account = Account()
        account.stream.refusals = [error, error]
        connection = start(account)
        await asyncio.sleep(1)
        assert (connection.state, connection.last_error) == (ConnectionState.WAITING, error)
        await asyncio.sleep(3 * REFUSED_RETRY)
        assert all(within(wait, REFUSED_RETRY) for wait in account.gaps)
        assert connection.state is ConnectionState.ONLINE
        assert connection.last_error is None
        await connection.stop()

    run(main())


def test_a_refusal_that_was_mended_is_tried_again_at_once() -> None:
    async def main() -> None:
        mendings = []

        async def mend() -> bool:
            mendings.append(now())
            return len(mendings) < 3

        account = Account(mend=mend)
        account.stream.refusals = [LoginRefused("no such account") for _ in range(3)]
        connection = start(account)
        await asyncio.sleep(REFUSED_RETRY / 2)
        assert len(mendings) == 3
        assert account.gaps == pytest.approx([0, 0])
        await asyncio.sleep(REFUSED_RETRY)
        assert connection.state is ConnectionState.ONLINE
        await connection.stop()

    run(main())


@pytest.mark.parametrize("error", [UntrustedServer("x"), LoginFailed("x"), ServerUnreachable("x")])
def test_only_refusals_are_mended(error: WireError) -> None:
    async def main() -> None:
        async def mend() -> bool:
            raise AssertionError("nothing to mend")

        account = Account(mend=mend)
        account.stream.refusals = [error]
        connection = start(account)
        await asyncio.sleep(2 * REFUSED_RETRY)
        assert connection.state is ConnectionState.ONLINE
        await connection.stop()

    run(main())


def test_somebody_else_with_the_same_account_is_given_a_rest(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account()
        connection = start(account)
        await asyncio.sleep(1)
        account.stream.lose("replaced by new connection", conflict=True)
        await asyncio.sleep(1)
        assert account.connection.state is ConnectionState.WAITING
        await asyncio.sleep(CONFLICT_REST)
        assert within(account.stream.logins[1] - 1, CONFLICT_REST)
        assert connection.state is ConnectionState.ONLINE
        await connection.stop()

    run(main())
    assert "logged in elsewhere with the same resource" in caplog.text


@pytest.mark.parametrize("error", [Disconnected("gone"), CommandError("roster refused"), ValueError("a fault of ours")])
def test_a_session_that_could_not_be_set_up_is_ended_and_not_repeated_in_a_storm(error: Exception) -> None:
    async def main() -> None:
        account = Account()
        account.trouble = [error] * 4
        connection = start(account)
        await asyncio.sleep(60)
        assert account.told == ["online", "offline"] * 4 + ["online"]
        assert account.stream.aborted == 4
        longest = [FIRST_RETRY * 2**number for number in range(4)]
        assert all(within(wait, most) for wait, most in zip(account.gaps, longest, strict=True)), account.gaps
        assert connection.state is ConnectionState.ONLINE
        await connection.stop()

    run(main())


def test_a_fault_of_ours_is_in_the_log_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        account = Account()
        account.trouble = [ValueError("a fault of ours")]
        start(account)
        await asyncio.sleep(1)
        await account.connection.stop()

    run(main())
    assert "Traceback" in caplog.text


def test_the_first_failure_is_a_warning_and_its_repetitions_are_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "archipel.xmpp.connection")

    async def main() -> None:
        account = Account()
        account.stream.refusals = [LoginFailed("broke") for _ in range(4)]
        connection = start(account)
        await asyncio.sleep(60)
        account.stream.refusals = [LoginFailed("broke")]
        account.stream.lose()
        await asyncio.sleep(60)
        await connection.stop()

    run(main())
    levels = [record.levelname for record in caplog.records if "broke" in record.message]
    assert levels == ["WARNING", "DEBUG", "DEBUG", "DEBUG", "WARNING"]
    assert "web@lab.example/hyp: broke; next try in 1 s" in caplog.text
