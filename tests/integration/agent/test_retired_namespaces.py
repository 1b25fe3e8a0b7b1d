# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces of the founders' that are gone: who is known is told so, strangers learn nothing."""

from __future__ import annotations

import pytest

from tests.wire.matching import assert_error, assert_stranger_refused
from tests.wire.person import Person
from tests.wire.platform import Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

NUAGE = "archipel:hypervisor:nuage:network"
NETWORK = "<nuage_network name='a' type='ipv4' domain='d' zone='z'/>"


async def test_networks_of_nuages_controller_are_gone(platform: Platform, admin: Person, student: Person, machine: Machine):
    for to in (platform.host, machine.full):
        for action in ("create", "delete", "update", "get", "getnames"):
            request = f"<archipel action='{action}' name='a'>{NETWORK}</archipel>"
            assert_stranger_refused(await student.command(to, NUAGE, request))
            answer = await admin.command(to, NUAGE, request, "get")
            assert_error(answer, code=501, condition="feature-not-implemented", action=action)
    await platform.grant(admin, machine.full, student, "info")
    answer = await student.command(machine.full, NUAGE, "<archipel action='getnames'/>")
    assert_error(answer, code=501, condition="feature-not-implemented", action="getnames")
