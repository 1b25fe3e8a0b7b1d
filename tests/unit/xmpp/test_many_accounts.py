# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of accounts of one server: logins paced, one prober while it is down, all back when it is."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from archipel.xmpp.connection import JITTER, PROBE_INTERVAL, REFUSED_RETRY, ConnectionState, Server
from archipel.xmpp.errors import LoginFailed, LoginRefused
from tests.unit.xmpp.fake_stream import Account, FakeServer
from tests.unit.xmpp.virtual_time import run

LEAST = 1 - JITTER  # share of a wait that is certain


async def start_many(count: int, server: Server, fake: FakeServer) -> list[Account]:
    accounts = [Account(server, fake) for _ in range(count)]
    for account in accounts:
        account.connection.start()
    await asyncio.sleep(0)
    return accounts


async def stop_all(accounts: list[Account]) -> None:
    await asyncio.gather(*(account.connection.stop() for account in accounts))


def online(accounts: list[Account]) -> int:
    return sum(account.connection.state is ConnectionState.ONLINE for account in accounts)


def test_three_hundred_accounts_log_in_twenty_at_once() -> None:
    async def main() -> None:
        fake = FakeServer(login_takes=1)
        accounts = await start_many(300, Server([], 20), fake)
        await asyncio.sleep(14.5)
        assert (online(accounts), fake.most) == (280, 20)
        await asyncio.sleep(1)
        assert online(accounts) == 300
        await stop_all(accounts)

    run(main())


def test_one_of_three_hundred_probes_a_server_that_is_down_and_all_follow_when_it_is_back() -> None:
    async def main() -> None:
        fake, server = FakeServer(), Server([], 20)
        accounts = await start_many(300, server, fake)
        await asyncio.sleep(10)
        fake.up = False
        fake.logins.clear()
        for account in accounts:
            account.stream.lose()
        await asyncio.sleep(120)
        assert server.up is False
        storm = [moment for moment in fake.logins if moment < 10 + PROBE_INTERVAL * LEAST]
        assert len(storm) <= 20, "those that were let in together cannot know of each other's failure"
        probes = fake.logins[len(storm) :]
        gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
        assert all(PROBE_INTERVAL * LEAST <= gap <= PROBE_INTERVAL + 0.1 for gap in gaps), "one at a time, and never sooner"
        fake.up = True
        await asyncio.sleep(PROBE_INTERVAL + 1)
        assert online(accounts) == 300
        assert server.up
        await stop_all(accounts)

    run(main())


def test_a_prober_that_is_stopped_leaves_the_probing_to_another() -> None:
    async def main() -> None:
        fake, server = FakeServer(up=False), Server([], 20)
        accounts = await start_many(3, server, fake)
        await asyncio.sleep(10)
        for account in accounts[:2]:
            await account.connection.stop()
        fake.logins.clear()
        await asyncio.sleep(10)
        assert len(fake.logins) >= 4
        fake.up = True
        await asyncio.sleep(5)
        assert accounts[2].connection.state is ConnectionState.ONLINE
        await stop_all(accounts)

    run(main())


def test_a_server_that_refuses_an_account_is_up_for_the_others() -> None:
    async def main() -> None:
        fake, server = FakeServer(up=False), Server([], 20)
        accounts = await start_many(10, server, fake)
        await asyncio.sleep(10)
        for account in accounts:
            account.stream.refusals = [LoginRefused("no")]
        fake.up = True
        await asyncio.sleep(5)
        assert server.up
        await asyncio.sleep(2 * REFUSED_RETRY)
        assert online(accounts) == 10
        await stop_all(accounts)

    run(main())


def test_a_login_that_hangs_does_not_keep_the_others_from_following() -> None:
    """A probe that found the server frozen says nothing about whether it listens."""

    async def main() -> None:
        fake, server = FakeServer(up=False), Server([], 20)
        accounts = await start_many(10, server, fake)
        await asyncio.sleep(10)
        for account in accounts:
            account.stream.refusals = [LoginFailed("the login did not end within 30 s")]
        fake.up = True
        await asyncio.sleep(60)
        assert online(accounts) == 10
        await stop_all(accounts)

    run(main())


def test_the_addresses_of_a_server_are_tried_in_turn() -> None:
    async def main() -> None:
        fake = FakeServer(up=False)
        server = Server([("one.example", 5222), ("two.example", 5223)])
        accounts = await start_many(1, server, fake)
        await asyncio.sleep(5)
        assert fake.addresses[:3] == [("one.example", 5222), ("two.example", 5223), ("one.example", 5222)]
        await stop_all(accounts)

    run(main())


def test_without_an_address_the_domain_s_records_decide() -> None:
    async def main() -> None:
        fake = FakeServer()
        accounts = await start_many(1, Server([]), fake)
        await asyncio.sleep(1)
        assert fake.addresses == [(None, None)]
        await stop_all(accounts)

    run(main())


def test_a_server_that_is_down_and_back_is_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        fake, server = FakeServer(up=False), Server([], 20)
        accounts = await start_many(50, server, fake)
        await asyncio.sleep(60)
        fake.up = True
        await asyncio.sleep(10)
        await stop_all(accounts)

    run(main())
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "XMPP server is down: connection refused; trying every 2 s until it is back",
        "XMPP server is back",
    ]
