# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:vm:oom on the wire (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import pytest

from tests.wire.matching import assert_error, assert_payload
from tests.wire.person import Person
from tests.wire.platform import CONTROL, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

OOM = "archipel:vm:oom"
SET, GET = "<archipel action='setadjust' adjust='{}'/>", "<archipel action='getadjust'/>"


async def test_what_founding_clients_send_is_kept_and_pushed_where_they_listen(platform: Platform, admin: Person, machine: Machine):
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    since = len(admin.received)
    assert_payload(await admin.command(machine.full, OOM, SET.format(-17)), OOM, "")
    assert_payload(await admin.command(machine.full, OOM, GET, "get"), OOM, "<oom adjust='-17' score='0' kernel='-1000'/>")
    for topic in ("virtualmachine:oom", "oom"):
        await admin.expect_push(machine.bare, topic, "adjusted", since)
    assert_payload(await admin.command(machine.full, OOM, SET.format(0)), OOM, "")
    assert_payload(await admin.command(machine.full, OOM, GET, "get"), OOM, "<oom adjust='0' score='0' kernel='0'/>")


async def test_each_scale_has_its_attribute(admin: Person, machine: Machine):
    for sent, told in (("adjust='8'", "adjust='8' score='0' kernel='470'"), ("kernel='-17'", "adjust='0' score='0' kernel='-17'")):
        assert_payload(await admin.command(machine.full, OOM, f"<archipel action='setadjust' {sent}/>"), OOM, "")
        assert_payload(await admin.command(machine.full, OOM, GET, "get"), OOM, f"<oom {told}/>")


async def test_a_machine_without_a_process_says_so_while_it_runs(admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    for request in (GET, SET.format(5)):
        answer = await admin.command(machine.full, OOM, request)
        assert_error(answer, code=-1, condition="feature-not-implemented", mentions="no process of its own")
