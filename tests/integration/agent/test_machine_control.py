# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:vm:control on the wire: what a machine's state allows, and what its answers say (refusals: test_every_action.py)."""

from __future__ import annotations

import pytest

from tests.wire.actions.core import CARD
from tests.wire.matching import LIBVIRT, assert_error, assert_payload, child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

NO_DOMAIN = 42  # libvirt's VIR_ERR_NO_DOMAIN


async def bring(admin: Person, machine: Machine, state: str) -> None:
    """Let the machine be ``off``, ``running`` or ``paused``."""
    for action in {"off": (), "running": ("create",), "paused": ("create", "suspend")}[state]:
        answer = await admin.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
        assert answer.get("type") == "result", show(answer)


@pytest.mark.parametrize("envelope", ["xmlns='archipel:vm:control'", "xmlns=''", "xmlns='http://www.gajim.org/xmlns/undeclared'", ""])
async def test_the_namespace_of_the_command_element_does_not_matter(machine: Machine, admin: Person, envelope: str):
    answer = await admin.command(machine.full, CONTROL, f"<archipel {envelope} action='create'/>", "get")
    assert_payload(answer, CONTROL, "<domain id='*'/>")


# -- what a machine's state allows ------------------------------------------------------------------------------------


async def test_a_machine_without_definition_answers_info_with_nothing(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, defined=False)
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get"), CONTROL, "")


async def test_a_machine_without_definition_says_not_defined(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, defined=False)
    answer = await admin.command(machine.full, CONTROL, "<archipel action='xmldesc'/>", "get")
    assert_payload(answer, CONTROL, "<not-defined/>")
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='networkinfo'/>", "get"), CONTROL, "")


async def test_a_machine_without_definition_does_not_start(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, defined=False)
    answer = await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    assert_error(answer, code=-1001, condition="item-not-found", mentions="define it first", action="create")


@pytest.mark.parametrize(
    "action, value",
    [
        *((action, "") for action in ("shutdown", "destroy", "reboot", "suspend", "resume")),
        ("autostart", "1"),
        ("memory", "32768"),
        ("setvcpus", "1"),
    ],
)
async def test_what_needs_a_domain_fails_without_one(platform: Platform, admin: Person, action: str, value: str):
    machine = await platform.make_machine(admin, defined=False)
    answer = await admin.command(machine.full, CONTROL, f"<archipel action='{action}' value='{value}'/>")
    assert_error(answer, code=NO_DOMAIN, condition="internal-server-error", namespace=LIBVIRT, action=action)


async def test_destroy_of_a_machine_that_is_off_is_done_already(machine: Machine, admin: Person):
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='destroy'/>"), CONTROL, "")


@pytest.mark.parametrize("action", ["suspend", "resume", "reboot", "shutdown"])
async def test_what_needs_a_running_machine_fails_in_libvirts_words(machine: Machine, admin: Person, action: str):
    answer = await admin.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
    error = child(answer, "error")
    assert_error(
        answer, code=int(error.get("code", "0")), condition="internal-server-error", mentions="not ", namespace=LIBVIRT, action=action
    )
    assert int(error.get("code", "0")) > 0, "libvirt's own error number"


async def test_a_second_start_fails_in_libvirts_words(machine: Machine, admin: Person):
    await bring(admin, machine, "running")
    answer = await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    code = int(child(answer, "error").get("code", "0"))
    assert_error(answer, code=code, condition="internal-server-error", mentions="already running", namespace=LIBVIRT, action="create")


async def test_counters_of_a_machine_that_is_off_are_an_error(platform: Platform, admin: Person):
    for more in ("", CARD):
        machine = await platform.make_machine(admin, more=more)
        answer = await admin.command(machine.full, CONTROL, "<archipel action='networkinfo'/>", "get")
        assert_error(answer, code=-1017, condition="unexpected-request", mentions="not running", action="networkinfo")


async def test_more_cpus_than_defined_are_refused(machine: Machine, admin: Person):
    answer = await admin.command(machine.full, CONTROL, "<archipel action='setvcpus' value='3'/>")
    assert_error(answer, code=-1016, condition="not-acceptable", mentions="allows 2", action="setvcpus")


async def test_autostart_takes_the_founders_words_and_shows_in_info(machine: Machine, admin: Person):
    for value, shown in (("1", "1"), ("0", "0"), ("True", "1"), ("false", "0"), ("yes", "1"), ("no", "0")):
        await admin.command(machine.full, CONTROL, f"<archipel action='autostart' value='{value}'/>")
        answer = await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
        assert child(child(answer, "query"), "info").get("autostart") == shown


async def test_the_description_is_the_domain_as_libvirt_has_it(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, more=CARD)
    [domain] = child(await admin.command(machine.full, CONTROL, "<archipel action='xmldesc'/>", "get"), "query")
    assert name_of(domain) == "domain"
    assert {name_of(part): part.text for part in domain if name_of(part) in {"name", "uuid"}} == {
        "name": machine.name,
        "uuid": machine.uuid,
    }
    assert [name_of(part) for part in domain if name_of(part) == "description"] == []


async def test_the_description_of_the_next_start_can_be_asked_for(machine: Machine, admin: Person):
    await bring(admin, machine, "running")
    await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{machine.definition().replace('65536', '32768')}</archipel>")
    found = {}
    for attributes in ("", "inactive='1'"):
        [domain] = child(await admin.command(machine.full, CONTROL, f"<archipel action='xmldesc' {attributes}/>", "get"), "query")
        found[attributes] = child(domain, "memory").text
    assert found == {"": "65536", "inactive='1'": "32768"}


# -- free ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_the_holder_of_free_may_end_the_machine(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    await platform.grant(admin, machine.full, student, "free")
    assert_payload(await student.command(machine.full, CONTROL, "<archipel xmlns='archipel:vm:control' action='free'/>", kind), CONTROL, "")
    await admin.expect_push(platform.hypervisor, "hypervisor", "free")
    assert platform.definition_in_libvirt(machine.uuid) is None
    assert machine.full not in await platform.roster_of_machines(admin)
