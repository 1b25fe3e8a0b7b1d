# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:rights on the wire: roles, groups of the server's shared roster, denial, and that a killed agent keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd, EjabberdError
from tests.wire.matching import assert_payload, assert_refused, assert_stranger_refused, child, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, PERMISSIONS, TAGS, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

RIGHTS = "archipel:rights"
INFO = "<archipel action='info'/>"


async def change(person: Person, address: str, action: str, *rules: str) -> None:
    content = "".join(f"<rule {rule}/>" for rule in rules)
    assert_payload(await person.command(address, RIGHTS, f"<archipel action='{action}'>{content}</archipel>"), RIGHTS, "")


async def test_a_student_starts_stops_and_sees_his_own_seat_and_nothing_else(
    platform: Platform, admin: Person, student: Person, machine: Machine
):
    other = await platform.make_machine(admin)
    await change(admin, machine.full, "grant", f"subject='{student.bare}' role='student'")
    for action in ("create", "info", "destroy"):
        answer = await student.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
        assert answer.get("type") == "result", show(answer)
    assert_refused(await student.command(machine.full, CONTROL, "<archipel action='free'/>"), "free")
    assert_stranger_refused(await student.command(other.full, CONTROL, INFO, "get"))
    assert_stranger_refused(await student.command(platform.host, "archipel:hypervisor:control", "<archipel action='rostervm'/>", "get"))


@pytest_asyncio.fixture(loop_scope="session")
async def own_platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform that others do not share."""
    async with open_platform(tmp_path_factory.mktemp("rules"), authority, "rules.localhost") as platform:
        yield platform


async def test_what_was_acknowledged_survives_a_kill(own_platform: Platform):
    platform, admin, student = own_platform, await own_platform.enter(ADMIN), await own_platform.enter()
    machine = await platform.make_machine(admin)
    await change(admin, machine.full, "grant", f"subject='{student.bare}' role='student'")
    await change(admin, machine.full, "deny", f"subject='{student.bare}' right='destroy' reason='exam'")
    platform.agent.kill()
    await asyncio.to_thread(platform.agent.start)

    async def is_denied() -> bool:
        answer = await admin.command(machine.full, RIGHTS, f"<archipel action='why' right='destroy' subject='{student.bare}'/>", "get")
        return answer.get("type") == "result" and child(answer, "query")[0].get("rule") == "denied"

    await eventually(is_denied)
    assert_refused(await student.command(machine.full, CONTROL, "<archipel action='destroy'/>"), "destroy")
    assert (await student.command(machine.full, CONTROL, INFO, "get")).get("type") == "result"


def make_group(ejabberd: Ejabberd, group: str, description: str, shows: str) -> None:
    """Make a group that shows another one; which ones it shows is a list since ejabberd 23.10."""
    told = {"group": group, "host": ejabberd.domain, "label": group, "description": description}
    try:
        ejabberd.call("srg_create", **told, display=shows.split())
    except EjabberdError:
        ejabberd.call("srg_create", **told, display=shows)


@pytest_asyncio.fixture(loop_scope="session")
async def shared_group(platform: Platform) -> AsyncIterator[str]:
    """A group of the server that the hypervisor's account sees; empty yet."""
    call, host = platform.ejabberd.call, platform.domain
    make_group(platform.ejabberd, "tp1", "practical work", "")
    make_group(platform.ejabberd, "agents", "", "tp1")
    call("srg_user_add", user="hypervisor", host=host, group="agents", grouphost=host)
    yield "tp1"
    for group in ("agents", "tp1"):
        call("srg_delete", group=group, host=host)


async def test_the_server_s_shared_groups_hold_rights(
    platform: Platform, admin: Person, student: Person, machine: Machine, tags_node: None, shared_group: str
):
    assert_payload(await admin.command(machine.full, TAGS, "<archipel action='settags' tags='seats'/>"), TAGS, "")
    await change(admin, platform.host, "grant", f"group='{shared_group}' role='student' scope='tag:seats'")
    assert_stranger_refused(await student.command(machine.full, CONTROL, INFO, "get"))
    who = {"user": student.bare.partition("@")[0], "host": platform.domain, "group": shared_group, "grouphost": platform.domain}

    async def may() -> bool:
        return (await student.command(machine.full, CONTROL, INFO, "get")).get("type") == "result"

    async def may_not() -> bool:
        return not await may()

    platform.ejabberd.call("srg_user_add", **who)
    await eventually(may)
    await student.subscribe_to_events(machine.bare, platform.pubsub)
    own = f"<archipel action='getown' permission_type='user' permission_target='{student.bare}'/>"
    told = child(await student.command(machine.full, PERMISSIONS, own, "get"), "query")
    assert {"info", "create"} <= {right.get("name") for right in told}
    platform.ejabberd.call("srg_user_del", **who)
    await eventually(may_not)
    await change(admin, platform.host, "withdraw", f"group='{shared_group}' role='student' scope='tag:seats'")
    await eventually(lambda: platform.rows("SELECT * FROM rules WHERE subject = 'tp1'") == [])
