# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people said to the founding agents, said to this one: the capability answers, and does it."""

from __future__ import annotations

import re

import pytest

from tests.conformance.inventory import ROWS
from tests.conformance.row import Kind, Row
from tests.integration.agent.test_every_action import Scene, define_behind
from tests.wire.action import Action
from tests.wire.actions import ACTIONS
from tests.wire.actions.core import CARD
from tests.wire.person import Person
from tests.wire.phrases import REPLIES
from tests.wire.platform import Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

SURE = "Say yes if you mean it."
SAID = [row for row in ROWS if row.kind is Kind.PHRASE and (*row.on, *row.asks) in REPLIES]


def asked_for(row: Row) -> Action:
    """The row of tests/wire/actions/ of what a phrase asks for: it says what must be there for that."""
    return next(action for action in ACTIONS if action.key == (*row.on, *row.asks))


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in SAID])
async def test_what_founding_people_said_is_answered_by_the_capability(platform: Platform, admin: Person, row: Row):
    reply, action = REPLIES[(*row.on, *row.asks)], asked_for(row)
    with define_behind(platform) as other:
        scene = Scene(platform, admin, await platform.make_machine(admin, more=CARD), other, admin)
        words = {**scene.words(), "name": scene.machine.name, "domain": platform.domain, "machines": str(platform.agent.machines)}
        await scene.bring(action)
        if action.prepare is not None:
            with platform.libvirt() as connection:
                action.prepare(connection)
        said = " ".join([*(word for word in row.says.split() if word.islower()), *([reply.value.format(**words)] if reply.value else [])])
        answer = await admin.say(scene.address(action), said)
        if SURE in answer:
            answer = await admin.say(scene.address(action), "yes")
        told = reply.told.format(**{name: re.escape(word) for name, word in words.items()})
        assert re.fullmatch(told, answer, re.DOTALL), answer
        if reply.shown:
            await admin.until(lambda: (admin.shown(scene.machine.bare) or ("", ""))[1] == reply.shown, reply.shown)
        if action.effect is not None:
            with platform.libvirt() as connection:
                assert action.effect(connection.lookupByUUIDString(scene.machine.uuid))
