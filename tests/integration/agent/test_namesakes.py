# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine's name never means another machine."""

from __future__ import annotations

import uuid as uuids
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.wire.matching import assert_error, assert_payload, child
from tests.wire.person import Person
from tests.wire.platform import DEFINITION, HOST, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

FORMS = pytest.mark.parametrize("form", ["{uuid}@lab", "{uuid}@agents.localhost", "{uuid}", "{uuid}-2", "{{{uuid}}}", "{uuid}/x"])


@pytest_asyncio.fixture(loop_scope="session")
async def namesake(platform: Platform, admin: Person, machine: Machine) -> AsyncIterator[Machine]:
    """A domain that somebody gave a misleading name behind the agent's back, adopted."""
    other = Machine(str(uuids.uuid4()), f"{machine.uuid}@lab", platform.domain)
    with platform.libvirt() as connection:
        connection.defineXML(other.definition())
    answer = await admin.command(platform.host, HOST, f"<archipel action='manage'><item jid='{other.uuid}'/></archipel>")
    assert_payload(answer, HOST, "")
    yield other
    await admin.command(platform.host, HOST, f"<archipel action='free' jid='{other.uuid}'/>")


@FORMS
async def test_no_machine_gets_a_name_like_another_s_address(platform: Platform, admin: Person, machine: Machine, form: str):
    name = form.format(uuid=machine.uuid)
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' name='{name}'/>")
    assert_error(answer, code=-9001, condition="bad-request", mentions="name: ")
    domain = machine.definition(name=name)
    answer = await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{domain}</archipel>")
    assert_error(answer, code=-1007, condition="bad-request", mentions="name: ")
    assert machine.full in await platform.roster_of_machines(admin)


async def test_to_free_a_machine_by_a_misleading_name_harms_no_other(
    platform: Platform, admin: Person, machine: Machine, namesake: Machine
):
    answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{namesake.name}'/>")
    assert answer.get("type") == "result"
    assert child(answer, "query")[0].get("jid") == namesake.name
    machines = await platform.roster_of_machines(admin)
    assert (machine.full in machines, namesake.full in machines) == (True, False)


async def test_a_machine_of_a_misleading_name_is_reached_by_uuid_and_jid(
    platform: Platform, admin: Person, machine: Machine, namesake: Machine
):
    for reference in (namesake.uuid, namesake.bare, namesake.full, namesake.name):
        answer = await admin.command(
            platform.host, HOST, f"<archipel action='setorginfo' target='{reference}'><ORGNAME>x</ORGNAME></archipel>"
        )
        assert_payload(answer, HOST, f"<virtualmachine jid='{namesake.full}'/>")


@pytest.mark.parametrize("reference", ["{uuid}@elsewhere.example", "{uuid}@", "x@{uuid}"])
async def test_addresses_of_other_servers_mean_no_machine(platform: Platform, admin: Person, machine: Machine, reference: str):
    answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{reference.format(uuid=machine.uuid)}'/>")
    assert_error(answer, code=-9002, condition="item-not-found")
    assert machine.full in await platform.roster_of_machines(admin)
