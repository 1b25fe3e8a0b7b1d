# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entities tell their rosters who did what (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

import pytest

from tests.wire.matching import CLIENT, assert_payload
from tests.wire.person import Person
from tests.wire.platform import CONTROL, SUBSCRIPTION, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

PREFERENCES = "archipel:contact:preferences"
CREATE, SUSPEND = "<archipel action='create'/>", "<archipel action='suspend'/>"


def told(person: Person, bare: str) -> list[str]:
    return [stanza.findtext(f"{{{CLIENT}}}body") or "" for stanza in person.heard(bare)]


async def befriend(platform: Platform, admin: Person, machine: Machine, person: Person, *rights: str) -> None:
    """Let somebody have a machine in his roster, and be in its."""
    await platform.grant(admin, machine.full, person, "presence", "message", *rights)
    await admin.command(machine.full, SUBSCRIPTION, f"<archipel action='add' jid='{person.bare}'/>")
    await person.until(lambda: person.shown(machine.bare), "the machine's presence")


async def test_who_asks_for_it_is_told_who_did_what(platform: Platform, admin: Person, student: Person, machine: Machine):
    await befriend(platform, admin, machine, student, "create", "suspend")
    assert "everything" in await student.say(machine.full, "tell me everything")
    assert "nothing" not in await admin.say(machine.full, "tell me changes")
    await student.command(machine.full, CONTROL, CREATE)
    name = student.bare.partition("@")[0]
    await admin.until(lambda: f"{name} started me." in told(admin, machine.bare), "who started the machine")
    await admin.command(machine.full, CONTROL, SUSPEND)
    await student.until(lambda: "admin paused me." in told(student, machine.bare), "who paused the machine")
    assert f"{name} started me." not in told(student, machine.bare)
    assert "nothing" in await student.say(machine.full, "be quiet")


async def test_a_play_that_starts_many_machines_is_one_digest(platform: Platform, admin: Person):
    player = await platform.enter()
    machines = [await platform.make_machine(admin) for _ in range(8)]
    for machine in machines:
        await platform.grant(admin, machine.full, player, "create")
        assert_payload(await admin.command(machine.full, PREFERENCES, "<archipel action='set' verbosity='changes'/>"), PREFERENCES, ANSWER)
    before = len(admin.received)
    await asyncio.gather(*(player.command(machine.full, CONTROL, CREATE) for machine in machines))
    name = player.bare.partition("@")[0]

    def digests() -> list[ET.Element]:
        heard = admin.heard(platform.hypervisor, before, "headline") + admin.heard(platform.hypervisor, before)
        return [stanza for stanza in heard if f"{name} started" in (stanza.findtext(f"{{{CLIENT}}}body") or "")]

    [digest] = await admin.until(digests, "a digest of the hypervisor", 60)
    assert all(machine.name in (digest.findtext(f"{{{CLIENT}}}body") or "") for machine in machines)
    assert not [text for machine in machines for text in told(admin, machine.bare)]


ANSWER = "<preferences verbosity='changes' quiet='' zone='*' alarms='1' origin='own'/>"
