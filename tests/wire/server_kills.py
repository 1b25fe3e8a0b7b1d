# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ejabberd is killed at random moments while people use their machines."""

from __future__ import annotations

import asyncio
import contextlib
import random

from slixmpp.xmlstream.xmlstream import NotConnectedError

from tests.wire.matching import show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, HOST, Machine, Platform
from tests.wire.waiting import eventually

ASK_AGAIN = 0.5  # seconds
REQUESTS = ("info", "suspend", "resume", "xmldesc", "memory' value='40000")


async def assert_survives_server_kills(platform: Platform, machines: int, rounds: int, seed: int) -> None:
    """Kill and start it again and again; each time every machine must answer and show itself as it is."""
    chance = random.Random(seed)
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    made = [await platform.make_machine(admin) for _ in range(machines)]
    for machine in made:
        await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    agent = platform.agent.pid
    for _ in range(rounds):
        load = asyncio.create_task(ask_until_lost(admin, made, chance))
        await asyncio.sleep(chance.uniform(0, 0.5))
        platform.ejabberd.kill()
        await load
        await asyncio.to_thread(platform.ejabberd.start)
        admin = await platform.enter(ADMIN)
        await assert_all_answer(platform, admin, made)
        assert platform.agent.pid == agent
    assert "logged in elsewhere" not in platform.log
    assert "Traceback" not in platform.log
    assert "exception was never retrieved" not in platform.log


async def ask_until_lost(person: Person, machines: list[Machine], chance: random.Random) -> None:
    """Ask at random, without waiting for answers, until the session is gone."""
    with contextlib.suppress(NotConnectedError):
        while not person.lost.done():
            for _ in range(10):
                action = chance.choice(REQUESTS)
                person.request(chance.choice(machines).full, f"<query xmlns='{CONTROL}'><archipel action='{action}'/></query>")
            await asyncio.sleep(0.005)


async def assert_all_answer(platform: Platform, admin: Person, machines: list[Machine]) -> None:
    """Check that the hypervisor and every machine are online, answer, and show the state that libvirt tells."""
    with platform.libvirt() as connection:
        running = {machine: connection.lookupByUUIDString(machine.uuid).state()[0] == 1 for machine in machines}
    wanted = {machine: (None, "Running") if running[machine] else ("away", "Paused") for machine in machines}

    async def seen() -> bool:
        missing = [machine for machine, status in wanted.items() if admin.shown(machine.bare) != status]
        for machine in missing:
            admin.send(f"<presence to='{machine.bare}'/>")
        await asyncio.sleep(ASK_AGAIN if missing else 0)
        return not missing

    # What a server that is killed has written last to its roster may be lost: who is not told any more asks, as a visitor.
    await eventually(seen, f"all machines show themselves: {wanted}")
    addresses = [(platform.host, HOST, "rostervm"), *((machine.full, CONTROL, "info") for machine in machines)]

    async def answer() -> bool:
        replies = [
            await admin.command(address, namespace, f"<archipel action='{action}'/>", "get") for address, namespace, action in addresses
        ]
        wrong = [show(reply) for reply in replies if reply.get("type") != "result"]
        return not wrong

    await eventually(answer, "all entities answer")
    await admin.assert_one_answer_each()
