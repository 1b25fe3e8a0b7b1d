# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's connections are cut, again and again, while requests are under way: each is answered all the same, once."""

from __future__ import annotations

import asyncio
import random

from tests.wire.matching import show
from tests.wire.platform import ADMIN, CONTROL, Platform

PER_MACHINE = 10


async def assert_survives_cuts(platform: Platform, machines: int, rounds: int, seed: int) -> None:
    """The server keeps the sessions (XEP-0198): nobody may notice more than a delay."""
    assert platform.proxy is not None
    chance = random.Random(seed)
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    made = [await platform.make_machine(admin) for _ in range(machines)]
    for machine in made:
        await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
        await admin.expect_shown(machine.bare, None, "Running")
    since = len(admin.received)
    for _ in range(rounds):
        keys = []
        cut = chance.randrange(PER_MACHINE)
        for number in range(PER_MACHINE):
            for machine in made:
                action = chance.choice(["info", "xmldesc", "memory' value='40000"])
                keys.append(admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='{action}'/></query>"))
            if number == cut:
                await asyncio.sleep(chance.uniform(0, 0.02))
                assert platform.proxy.cut() >= 1
        await admin.until(lambda keys=keys: all(admin.answers(key) for key in keys), "all answers")
        wrong = [show(admin.answers(key)[0]) for key in keys if admin.answers(key)[0].get("type") != "result"]
        assert wrong == [], "\n".join(wrong[:5])
    await admin.assert_one_answer_each()
    gone = [show(got) for machine in made for got in admin.presences(machine.bare, since) if got.get("type") == "unavailable"]
    assert gone == [], "a machine left and came back"
    assert "logged in elsewhere" not in platform.log
