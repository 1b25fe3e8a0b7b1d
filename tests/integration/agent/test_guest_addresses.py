# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:vm:control addresses on the wire: what the host's DHCP server knows of a guest (the test driver makes leases up)."""

from __future__ import annotations

import pytest

from tests.wire.matching import assert_payload
from tests.wire.person import Person
from tests.wire.platform import CONTROL, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

CARD = (
    "<devices><interface type='network'><mac address='52:54:00:0a:0b:0c'/><source network='default'/><target dev='tap9'/></interface>"
    "</devices>"
)
REQUEST = "<archipel action='addresses'/>"
ADDRESS = "<address interface='tap9' mac='52:54:00:0a:0b:0c' address='*' prefix='24' source='lease'/>"


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_a_running_machine_has_addresses(platform: Platform, admin: Person, student: Person, kind: str):
    machine = await platform.make_machine(admin, more=CARD)
    await platform.grant(admin, machine.full, student, "networkinfo")
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    assert_payload(await student.command(machine.full, CONTROL, REQUEST, kind), CONTROL, ADDRESS)


@pytest.mark.parametrize("defined", [True, False])
async def test_a_machine_that_is_off_has_none(platform: Platform, admin: Person, defined: bool):
    machine = await platform.make_machine(admin, more=CARD, defined=defined)
    assert_payload(await admin.command(machine.full, CONTROL, REQUEST, "get"), CONTROL, "")
