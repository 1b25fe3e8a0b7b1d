# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:vm:control on the wire: each action allowed, refused and malformed, asked with get and with set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt
import pytest

from tests.wire.matching import LIBVIRT, assert_error, assert_payload, assert_refused, child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

CARD = "<devices><interface type='network'><source network='default'/><target dev='tap7'/></interface></devices>"
COUNTERS = " ".join(f"{way}_{what}='*'" for way in ("rx", "tx") for what in ("bytes", "packets", "errs", "drop"))


def is_running(domain: Any) -> bool:
    return domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING


def is_paused(domain: Any) -> bool:
    return domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED


def is_off(domain: Any) -> bool:
    return domain.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF


@dataclass(frozen=True)
class Case:
    """An action, what it needs, what it answers (None: looked at elsewhere) and what libvirt has to say afterwards."""

    action: str
    code: int
    state: str = "off"
    attributes: str = ""
    answer: str | None = ""
    effect: Callable[[Any], bool] = lambda _domain: True
    malformed: tuple[str, ...] = ()

    @property
    def request(self) -> str:
        return f"<archipel action='{self.action}' {self.attributes}/>"

    def __str__(self) -> str:
        return self.action


CASES = [
    Case(
        "info",
        -1009,
        "running",
        answer="<info state='1' maxMem='65536' memory='65536' nrVirtCpu='2' cpuPrct='*' hypervisor='{host}' autostart='0' sequence='*' epoch='*'/>",
    ),
    Case("create", -1001, answer="<domain id='*'/>", effect=is_running),
    Case("shutdown", -1005, "running", effect=is_off),
    Case("destroy", -1004, "running", effect=is_off),
    Case("reboot", -1006, "running", effect=is_running),
    Case("suspend", -1002, "running", effect=is_paused),
    Case("resume", -1003, "paused", effect=is_running),
    Case("xmldesc", -1011, answer=None),
    Case(
        "autostart",
        -1015,
        attributes="value='1'",
        effect=lambda domain: domain.autostart() == 1,
        malformed=("", "value='maybe'", "value='2'"),
    ),
    Case(
        "memory",
        -1016,
        "running",
        "value='32768'",
        effect=lambda domain: domain.info()[2] == 32768,
        malformed=("", "value='9'", "value='-65536'", "value='lots'", "value='1e4'", "value='\u20ac'", "value=''", f"value='{'9' * 400}'"),
    ),
    Case(
        "setvcpus",
        -1016,
        "running",
        "value='1'",
        effect=lambda domain: domain.vcpusFlags() == 1,
        malformed=("", "value='0'", "value='two'", "value='1.5'", "value='\u0661'"),
    ),
    Case("networkinfo", -1017, "running", answer=f"<network name='*' {COUNTERS}/>"),
]
MALFORMED = [pytest.param(case, wrong, id=f"{case}-{wrong[:20] or 'missing'}") for case in CASES for wrong in case.malformed]


async def bring(admin: Person, machine: Machine, state: str) -> None:
    """Let the machine be ``off``, ``running`` or ``paused``."""
    for action in {"off": (), "running": ("create",), "paused": ("create", "suspend")}[state]:
        answer = await admin.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
        assert answer.get("type") == "result", show(answer)


def ask_libvirt(platform: Platform, machine: Machine, question: Callable[[Any], bool]) -> bool:
    with platform.libvirt() as connection:
        return question(connection.lookupByUUIDString(machine.uuid))


@pytest.mark.parametrize("kind", ["get", "set"])
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_who_holds_the_right_may(platform: Platform, admin: Person, student: Person, case: Case, kind: str):
    machine = await platform.make_machine(admin, more=CARD)
    await platform.grant(admin, machine.full, student, case.action)
    await bring(admin, machine, case.state)
    answer = await student.command(machine.full, CONTROL, case.request, kind)
    assert answer.get("type") == "result", show(answer)
    if case.answer is not None:
        assert_payload(answer, CONTROL, case.answer.format(host=platform.host))
    assert ask_libvirt(platform, machine, case.effect)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_who_is_known_but_lacks_the_right_is_told_which(platform: Platform, admin: Person, student: Person, case: Case):
    machine = await platform.make_machine(admin)
    others = [other.action for other in CASES if other.action != case.action]
    await platform.grant(admin, machine.full, student, *others)
    await bring(admin, machine, case.state)
    before = platform.definition_in_libvirt(machine.uuid)
    answer = await student.command(machine.full, CONTROL, case.request)
    assert_refused(answer, case.action)
    assert name_of(child(answer, "query")[0]) == "archipel"
    assert platform.definition_in_libvirt(machine.uuid) == before
    assert ask_libvirt(platform, machine, {"off": is_off, "running": is_running, "paused": is_paused}[case.state])


@pytest.mark.parametrize("case, wrong", MALFORMED)
async def test_a_wrong_value_is_named_and_changes_nothing(
    platform: Platform, machine: Machine, student: Person, admin: Person, case: Case, wrong: str
):
    await platform.grant(admin, machine.full, student, case.action)
    await bring(admin, machine, case.state)
    before = platform.definition_in_libvirt(machine.uuid)
    answer = await student.command(machine.full, CONTROL, f"<archipel action='{case.action}' {wrong}/>")
    assert_error(answer, code=case.code, condition="bad-request", mentions="value", action=case.action)
    assert platform.definition_in_libvirt(machine.uuid) == before


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


@pytest.mark.parametrize("case", [case for case in CASES if case.action not in {"info", "create", "xmldesc", "networkinfo"}], ids=str)
async def test_what_needs_a_domain_fails_without_one(platform: Platform, admin: Person, case: Case):
    machine = await platform.make_machine(admin, defined=False)
    answer = await admin.command(machine.full, CONTROL, case.request)
    assert answer.get("type") == "error", show(answer)
    assert child(answer, "error").get("code") in {"42", str(case.code)}, show(answer)  # libvirt's VIR_ERR_NO_DOMAIN


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


async def test_free_is_refused_without_its_right(platform: Platform, admin: Person, student: Person, machine: Machine):
    await platform.grant(admin, machine.full, student, "destroy", "undefine")
    assert_refused(await student.command(machine.full, CONTROL, "<archipel action='free'/>"), "free")
    assert platform.definition_in_libvirt(machine.uuid) is not None


async def test_free_with_an_unknown_wish_keeps_everything(platform: Platform, admin: Person, machine: Machine):
    answer = await admin.command(machine.full, CONTROL, "<archipel action='free' keep='everything'/>")
    assert_error(answer, code=-1020, condition="bad-request", mentions="keep", action="free")
    assert platform.definition_in_libvirt(machine.uuid) is not None
