# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a request becomes an action: the order of the checks, the answer to each outcome, the audit of it."""

from __future__ import annotations

import asyncio
import logging
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from archipel.agent.dispatch import Caller, Command, Registry, answer_iq, command, read_envelope
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import (
    DomainNotFound,
    LibvirtBusy,
    LibvirtError,
    LibvirtTimeout,
    LibvirtUnavailable,
    TooManyVcpus,
)
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, Condition, PermissionDenied, Unavailable, read_error
from archipel.protocol.payload import Payload, Request, at_least, attribute, child, payload
from archipel.protocol.rights import EntityKind
from archipel.xmpp.errors import Disconnected
from tests.unit.agent.fake_xmpp import parse_stanza
from tests.unit.agent.fakes import ADMIN, OWNER, STRANGER, STUDENT, VM, FakeAudit, command_iq

NAMESPACE = "archipel:test"
FAILURE = -77
VM_KIND, HYPERVISOR_KIND = EntityKind.VIRTUAL_MACHINE, EntityKind.HYPERVISOR


@payload
class Done(Payload, tag="done"):
    value: int = attribute()


@payload
class Act(Request[Done], namespace=NAMESPACE, action="act"):
    value: int = attribute(at_least(1))
    domain: ET.Element | None = child(default=None)


@payload
class Look(Request[None], namespace=NAMESPACE, action="look", reads=True):
    """A question that needs no right."""


class Trouble:
    """What the handler of a test does: raise this, if it is there; ``done`` counts what it did."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.done = 0


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
async def vm(machine: VirtualMachine, trouble: Trouble) -> VirtualMachine:
    """The machine, with two commands; the owner has all rights, the student is known by a grant that helps him nothing."""

    @command(Act, on=VM_KIND, right="create", failure=FAILURE)
    async def act(_vm: VirtualMachine, request: Act, _caller: Caller) -> Done:
        """Do it."""
        if trouble.error is not None:
            raise trouble.error
        trouble.done += 1
        return Done(value=request.value)

    @command(Look, on=VM_KIND, right=None, failure=FAILURE)
    async def look(_vm: VirtualMachine, _request: Look, _caller: Caller) -> None:
        """Look at it."""

    machine.services.registry = Registry()
    machine.services.registry.add(module_with(act=act, look=look))
    await machine.services.rights.grant(VM, STUDENT.bare, "info", granted_by=OWNER.bare)
    return machine


def module_with(**contents: object) -> ModuleType:
    module = ModuleType("capability")
    vars(module).update(contents)
    return module


async def ask(vm: VirtualMachine, archipel: str, caller: Caller = OWNER, namespace: str = NAMESPACE, kind: str = "set") -> ET.Element:
    """Return the answer; what the loop was asked to do afterwards is done."""
    answer = await answer_iq(vm, parse_stanza(command_iq(namespace, archipel, caller, kind=kind)), caller)
    await asyncio.sleep(0)
    return answer


GOOD = "<archipel action='act' value='3'/>"
MALFORMED = "<archipel action='act' value='x'/>"
NOT_WELL_FORMED = "a request is <query xmlns='...'><archipel action='...'/></query>"


# -- answers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_a_good_request_is_done_and_answered(vm: VirtualMachine, trouble: Trouble, kind: str) -> None:
    """Founding clients send some changes as ``get``."""
    answer = await ask(vm, GOOD, kind=kind)
    assert (answer.get("type"), answer.get("to")) == ("result", OWNER.full)
    assert [child.tag for child in answer] == [f"{{{NAMESPACE}}}query"]
    assert answer[0][0].attrib == {"value": "3"}
    assert trouble.done == 1


async def test_an_answer_carries_the_id_of_its_request(vm: VirtualMachine) -> None:
    iq = parse_stanza(command_iq(NAMESPACE, GOOD))
    assert (await answer_iq(vm, iq, OWNER)).get("id") == iq.get("id")


@pytest.mark.parametrize(
    "caller,archipel,freeing,condition,text",
    [
        # who asks comes before what he asks, and that before the state of the machine
        (STRANGER, MALFORMED, True, Condition.FORBIDDEN, "not known"),
        (STRANGER, GOOD, False, Condition.FORBIDDEN, "not known"),
        (STUDENT, MALFORMED, True, Condition.FORBIDDEN, "lacks the right 'create'"),
        (STUDENT, GOOD, False, Condition.FORBIDDEN, "lacks the right 'create'"),
        (OWNER, MALFORMED, True, Condition.BAD_REQUEST, "value: must be a whole number, not 'x'"),
        (OWNER, "<archipel action='act' value='0'/>", False, Condition.BAD_REQUEST, "value: must be 1 or more, not 0"),
        (OWNER, "<archipel action='act'/>", False, Condition.BAD_REQUEST, "value: is missing"),
        (OWNER, GOOD, True, Condition.SERVICE_UNAVAILABLE, "is being freed"),
        (ADMIN, GOOD, True, Condition.SERVICE_UNAVAILABLE, "is being freed"),
    ],
)
async def test_the_checks_come_in_their_order(
    vm: VirtualMachine, trouble: Trouble, caller: Caller, archipel: str, freeing: bool, condition: Condition, text: str
) -> None:
    vm.freeing = freeing
    error = read_error(await ask(vm, archipel, caller))
    assert (error.condition, trouble.done) == (condition, 0)
    assert text in error.text


async def test_who_is_known_is_told_which_right_he_lacks_and_a_stranger_is_not(vm: VirtualMachine) -> None:
    lacking, unknown = read_error(await ask(vm, GOOD, STUDENT)), read_error(await ask(vm, GOOD, STRANGER))
    assert isinstance(lacking, PermissionDenied)
    assert isinstance(unknown, PermissionDenied)
    assert (lacking.right, unknown.right) == ("create", None)
    assert "create" not in unknown.text


async def test_a_command_without_a_right_is_for_all_who_are_known(vm: VirtualMachine) -> None:
    look = "<archipel action='look'/>"
    assert (await ask(vm, look, STUDENT)).get("type") == "result"
    assert isinstance(read_error(await ask(vm, look, STRANGER)), PermissionDenied)


@pytest.mark.parametrize(
    "caller,condition,code",
    [
        (ADMIN, Condition.FEATURE_NOT_IMPLEMENTED, 501),
        (OWNER, Condition.FEATURE_NOT_IMPLEMENTED, 501),
        (STUDENT, Condition.FORBIDDEN, -1),
        (STRANGER, Condition.FORBIDDEN, -1),
    ],
)
@pytest.mark.parametrize("namespace,action", [(NAMESPACE, "nonsense"), ("archipel:nonsense", "act")])
async def test_only_who_may_everything_learns_that_there_is_no_such_action(
    vm: VirtualMachine, caller: Caller, condition: Condition, code: int, namespace: str, action: str
) -> None:
    error = read_error(await ask(vm, f"<archipel action='{action}'/>", caller, namespace))
    assert (error.condition, error.code) == (condition, code)


@pytest.mark.parametrize("archipel", ["", "<other/>", "<archipel/>", "<archipel action=''/>", "<x><archipel action='act'/></x>"])
async def test_what_is_no_request_says_what_one_is(vm: VirtualMachine, archipel: str) -> None:
    error = read_error(await ask(vm, archipel))
    assert (error.text, error.condition, error.code) == (NOT_WELL_FORMED, Condition.BAD_REQUEST, -42)


async def test_an_iq_without_a_query_is_answered_too(vm: VirtualMachine) -> None:
    iq = parse_stanza(f"<iq type='set' id='1' from='{OWNER.full}'><x xmlns='{NAMESPACE}'/></iq>")
    assert read_envelope(iq) is None
    answer = await answer_iq(vm, iq, OWNER)
    assert (answer.get("type"), len(answer), read_error(answer).text) == ("error", 1, NOT_WELL_FORMED)


# -- what goes wrong below ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raised,text,code,condition,namespace",
    [
        (CommandError("no", 5, Condition.CONFLICT), "no", 5, Condition.CONFLICT, ns.ERROR_GENERIC),
        (CommandError("no", condition=Condition.CONFLICT), "no", FAILURE, Condition.CONFLICT, ns.ERROR_GENERIC),
        (BadRequest("no"), "no", FAILURE, Condition.BAD_REQUEST, ns.ERROR_GENERIC),
        (PermissionDenied("no", "define"), "no", -1, Condition.FORBIDDEN, ns.ERROR_PERMISSION),
        (Unavailable("later"), "later", 503, Condition.SERVICE_UNAVAILABLE, ns.ERROR_GENERIC),
        (LibvirtError(55, 10, "not running"), "not running", 55, Condition.INTERNAL_SERVER_ERROR, ns.ERROR_LIBVIRT),
        (DomainNotFound(42, 10, "gone"), "gone", 42, Condition.INTERNAL_SERVER_ERROR, ns.ERROR_LIBVIRT),
        (LibvirtUnavailable("no connection"), "no connection", 503, Condition.SERVICE_UNAVAILABLE, ns.ERROR_GENERIC),
        (LibvirtBusy("x", "hangs"), "libvirt was not asked for x: hangs", 503, Condition.SERVICE_UNAVAILABLE, ns.ERROR_GENERIC),
        (
            LibvirtTimeout("x", 5),
            "libvirt did not answer x within 5 s; it may still take effect",
            FAILURE,
            Condition.REMOTE_SERVER_TIMEOUT,
            ns.ERROR_GENERIC,
        ),
        (Disconnected("gone"), "the XMPP server failed: gone", 503, Condition.SERVICE_UNAVAILABLE, ns.ERROR_GENERIC),
        (StoreError("disk full"), "disk full", FAILURE, Condition.INTERNAL_SERVER_ERROR, ns.ERROR_GENERIC),
        (TooManyVcpus(4, 2), str(TooManyVcpus(4, 2)), FAILURE, Condition.INTERNAL_SERVER_ERROR, ns.ERROR_GENERIC),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_each_trouble_has_its_answer(
    vm: VirtualMachine, trouble: Trouble, raised: Exception, text: str, code: int, condition: Condition, namespace: str
) -> None:
    trouble.error = raised
    error = read_error(await ask(vm, GOOD))
    assert (error.text, error.code, error.condition, error.namespace) == (text, code, condition, namespace)


async def test_a_fault_of_ours_is_answered_without_its_details_and_logged_with_them(
    vm: VirtualMachine, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.error = RuntimeError("/etc/archipel/secret: hunter2")
    answer = await ask(vm, GOOD)
    error = read_error(answer)
    assert (error.condition, error.text) == (Condition.INTERNAL_SERVER_ERROR, "internal error: RuntimeError")
    assert "hunter2" not in ET.tostring(answer, "unicode")
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True]


async def test_a_cancelled_command_is_cancelled(vm: VirtualMachine, trouble: Trouble, audit: FakeAudit) -> None:
    """The agent stops: nothing is answered, and the audit has it all the same."""
    trouble.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await ask(vm, GOOD)
    assert len(audit.entries) == 1


# -- what an error gives back -------------------------------------------------------------------------------------------


async def test_an_error_gives_the_request_back_without_what_it_held(vm: VirtualMachine) -> None:
    """A definition may hold a console's password."""
    domain = "<domain><devices><graphics passwd='hunter2'/></devices></domain>"
    answer = await ask(vm, f"<archipel action='act' value='0'>{domain}</archipel>")
    query, error = answer
    assert query.tag == f"{{{NAMESPACE}}}query"
    assert [(child.tag, child.attrib, len(child)) for child in query] == [("archipel", {"action": "act", "value": "0"}, 0)]
    assert error.tag == f"{{{ns.CLIENT}}}error"
    assert "hunter2" not in ET.tostring(answer, "unicode")


# -- audit --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "caller,archipel,rule,outcome",
    [
        (OWNER, GOOD, "holder of all", "ok"),
        (ADMIN, GOOD, "administrator", "ok"),
        (STUDENT, "<archipel action='look'/>", "known", "ok"),
        (OWNER, MALFORMED, "holder of all", "error: value: must be a whole number, not 'x'"),
        (OWNER, "<archipel action='nonsense'/>", "holder of all", "error: virtualmachine knows no action 'nonsense'"),
        (STRANGER, "<archipel action='nonsense'/>", "not known to the entity", f"error: {STRANGER.bare} may not 'nonsense' here"),
    ],
)
async def test_each_request_is_audited_once_with_the_rule_that_decided(
    vm: VirtualMachine, audit: FakeAudit, caller: Caller, archipel: str, rule: str, outcome: str
) -> None:
    await ask(vm, archipel, caller)
    (entry,) = audit.entries
    assert (entry["caller"], entry["entity"], entry["namespace"]) == (caller.full, VM, NAMESPACE)
    assert (str(entry["rule"]), entry["outcome"]) == (rule, outcome)
    assert entry["seconds"] >= 0


@pytest.mark.parametrize("caller,rule", [(STUDENT, "not granted"), (STRANGER, "not known to the entity")])
async def test_a_refusal_is_audited_with_the_rule_that_refused(vm: VirtualMachine, audit: FakeAudit, caller: Caller, rule: str) -> None:
    await ask(vm, GOOD, caller)
    assert [str(entry["rule"]) for entry in audit.entries] == [rule]


async def test_a_granted_right_is_the_rule(vm: VirtualMachine, audit: FakeAudit) -> None:
    await vm.services.rights.grant(VM, STUDENT.bare, "create", granted_by=OWNER.bare)
    await ask(vm, GOOD, STUDENT)
    assert str(audit.entries[0]["rule"]) == "granted"
    assert audit.entries[0]["arguments"] == Act(value=3)


async def test_a_stranger_s_arguments_are_not_even_read(vm: VirtualMachine, audit: FakeAudit) -> None:
    await ask(vm, GOOD, STRANGER)
    assert audit.entries[0]["arguments"] is None


@pytest.mark.parametrize("caller,stranger", [(STRANGER, True), (STUDENT, False)])
@pytest.mark.parametrize("archipel", [GOOD, "<archipel action='nonsense'/>"])
async def test_the_audit_is_told_who_is_a_stranger(
    vm: VirtualMachine, audit: FakeAudit, caller: Caller, archipel: str, stranger: bool
) -> None:
    await ask(vm, archipel, caller)
    assert [entry["stranger"] for entry in audit.entries] == [stranger]


async def test_an_endless_action_is_given_back_shortened(vm: VirtualMachine, audit: FakeAudit) -> None:
    error = read_error(await ask(vm, f"<archipel action='{'x' * 100_000}'/>", STRANGER))
    assert len(error.text) < 1000
    assert len(audit.entries[0]["outcome"]) < 1000


async def test_a_fault_of_ours_is_audited_as_one(vm: VirtualMachine, trouble: Trouble, audit: FakeAudit) -> None:
    trouble.error = RuntimeError("details")
    await ask(vm, GOOD)
    assert [entry["outcome"] for entry in audit.entries] == ["error: internal error: RuntimeError"]


# -- the registry -------------------------------------------------------------------------------------------------------


def declare(on: EntityKind | tuple[EntityKind, ...] = VM_KIND) -> object:
    @command(Act, on=on, right="create", failure=FAILURE)
    async def act(_vm: VirtualMachine, request: Act, _caller: Caller) -> Done:
        """Do it.

        In detail.
        """
        return Done(value=request.value)

    return act


def test_a_command_is_found_by_kind_namespace_and_action() -> None:
    registry = Registry()
    registry.add(module_with(act=declare(), other=42))
    found = registry.find(VM_KIND, NAMESPACE, "act")
    assert isinstance(found, Command)
    assert (found.request, found.right, found.help) == (Act, "create", "Do it.")
    assert registry.find(HYPERVISOR_KIND, NAMESPACE, "act") is None
    assert registry.find(VM_KIND, "urn:x", "act") is None
    assert (registry.serves(VM_KIND, NAMESPACE), registry.serves(HYPERVISOR_KIND, NAMESPACE)) == (True, False)
    assert list(registry.commands(VM_KIND)) == [found]


def test_an_action_has_one_owner() -> None:
    registry = Registry()
    registry.add(module_with(act=declare()))
    with pytest.raises(ValueError, match="virtualmachine: archipel:test act is answered twice"):
        registry.add(module_with(act=declare((HYPERVISOR_KIND, VM_KIND))))


def test_each_kind_of_entity_may_have_its_own() -> None:
    registry = Registry()
    registry.add(module_with(one=declare(VM_KIND), two=declare(HYPERVISOR_KIND)))
    assert registry.find(VM_KIND, NAMESPACE, "act") is not registry.find(HYPERVISOR_KIND, NAMESPACE, "act")


def test_a_command_that_two_modules_have_by_import_is_one() -> None:
    registry, act = Registry(), declare()
    registry.add(module_with(act=act))
    registry.add(module_with(act=act))
    assert len(list(registry.commands(VM_KIND))) == 1


async def test_a_command_that_ended_with_its_entity_is_not_written_down_as_done(
    vm: VirtualMachine, trouble: Trouble, audit: FakeAudit
) -> None:
    trouble.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await ask(vm, GOOD)
    assert [entry["outcome"] for entry in audit.entries] == ["unfinished: the entity went offline meanwhile"]
