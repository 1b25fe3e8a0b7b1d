# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several machines are surveyed by one question to their hypervisor, with the same result as by questions to each."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, UUID, Answer, command, error, no_right
from tests.unit.plugins.inventory.test_survey import INFO, SCRIPT, Ask, ask, card, guest, host, query, vcard

__all__ = ["ask"]

SECOND = "6f0c0000-0000-4000-8000-000000000002"
SECOND_FULL = f"{SECOND}@example.org/hyp"
LISTED = f"<item managed='True' name='web'>{MACHINE_FULL}</item><item managed='True' name='db'>{SECOND_FULL}</item>"
DESCRIBE = command("get", HYPERVISOR_FULL, ns.DECLARATION, "<archipel parts='info organisation addresses' action='describe'/>")
TOLD = "".join(f"<address interface='net0' address='{ip}' source='agent'/>" for ip in ("127.0.0.1", "192.0.2.7", "fe80::1", "2001:db8::7"))
ADDRESSES = f"<part name='addresses'>{TOLD}</part>"
OWNED = "<organisation userid='bob@example.org'/>"
OFF = INFO.replace("state='1'", "state='5'")


def second(request: str) -> str:
    return command("get", SECOND_FULL, ns.VM_CONTROL, request)


def machine(uuid: str, name: str, info: str, online: int = 1, addresses: str = ADDRESSES) -> str:
    told = f"<part name='info'>{info}</part>" if info.startswith("<") or not info else f"<part name='info' {info}/>"
    rest = f"<part name='organisation'>{OWNED}</part>{addresses}"
    return f"<machine uuid='{uuid}' name='{name}' jid='{uuid}@example.org/hyp' online='{online}'>{told}{rest}</machine>"


def page(*machines: str) -> str:
    return query(ns.DECLARATION, f"<machines>{''.join(machines)}</machines>")


EACH: dict[str, Answer] = {
    host("<archipel action='rostervm'/>"): query(ns.HYPERVISOR_CONTROL, LISTED),
    vcard(f"{SECOND}@example.org"): card("db", "bob@example.org"),
    second("<archipel action='info'/>"): query(ns.VM_CONTROL, OFF),
}
SILENT = set(SCRIPT) & {guest("<archipel action='info'/>"), guest("<archipel action='addresses'/>"), vcard(f"{UUID}@example.org")}


def machines(survey: dict[str, Any]) -> list[dict[str, Any]]:
    [hypervisor] = survey["hypervisors"]
    found: list[dict[str, Any]] = hypervisor["machines"]
    return found


def test_one_answer_is_as_good_as_one_of_each(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    old = ask({**EACH, DESCRIBE: error("feature-not-implemented", code=501)})
    assert [(found["name"], found["state"]) for found in machines(old)] == [("web", "running"), ("db", "off")]
    for request in SILENT:
        monkeypatch.delitem(SCRIPT, request)  # who asks for it now fails the test
    roster = {host("<archipel action='rostervm'/>"): EACH[host("<archipel action='rostervm'/>")]}
    new = ask({**roster, DESCRIBE: page(machine(UUID, "web", INFO), machine(SECOND, "db", OFF))})
    assert new == old


@pytest.mark.parametrize(
    "told",
    ["", machine(SECOND, "db", "denied='info'"), machine(SECOND, "db", "failed='no answer'"), machine(SECOND, "db", OFF, online=0)],
    ids=["not known", "denied", "failed", "not online"],
)
def test_who_is_not_described_is_asked(ask: Ask, told: str) -> None:
    answers = {**EACH, DESCRIBE: page(machine(UUID, "web", INFO), told)}
    assert [found["state"] for found in machines(ask(answers))] == ["running", "off"]
    answers[second("<archipel action='info'/>")] = no_right("info")
    survey = ask(answers)
    assert (survey["failures"], [found["state"] for found in machines(survey)]) == ([], ["running", "unknown"])


def test_a_hypervisor_that_cannot_describe_just_now_hides_nothing(ask: Ask) -> None:
    survey = ask({**EACH, DESCRIBE: error("internal-server-error", code=500)})
    assert (survey["failures"], [found["state"] for found in machines(survey)]) == ([], ["running", "off"])


def test_a_machine_without_domain_is_not_defined(ask: Ask) -> None:
    survey = ask({**EACH, DESCRIBE: page(machine(UUID, "web", INFO), machine(SECOND, "db", ""))})
    assert machines(survey)[1]["state"] == "not defined"


@pytest.mark.parametrize("told", ["denied='networkinfo'", "failed='the guest of web did not answer within 3 s'"])
def test_addresses_that_could_not_be_read_are_not_known_and_not_asked_for_again(
    ask: Ask, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SCRIPT, guest("<archipel action='addresses'/>"))
    web = machine(UUID, "web", INFO, addresses=f"<part name='addresses' {told}/>")
    survey = ask({**EACH, DESCRIBE: page(web, machine(SECOND, "db", OFF))})
    assert (survey["failures"], [found["addresses"] for found in machines(survey)]) == ([], [None, None])


def test_an_agent_that_knows_no_addresses_of_many_is_asked_for_those_of_each(ask: Ask) -> None:
    refusal = error("bad-request", f"<text xmlns='{ns.STANZAS}'>parts: must be some of info, organisation</text>")
    known = DESCRIBE.replace(" addresses", "")
    pages = page(machine(UUID, "web", INFO, addresses=""), machine(SECOND, "db", OFF, addresses=""))
    survey = ask({**EACH, DESCRIBE: refusal, known: pages})
    assert [found["addresses"] for found in machines(survey)] == [["192.0.2.7", "2001:db8::7"], None]


@pytest.mark.parametrize(
    "told, system",
    [
        ("><guest os='debian' hostname='web'/></part>", {"os": "debian", "hostname": "web"}),
        (" denied='guest_info'/>", None),
        (" failed='the guest of web did not answer within 3 s'/>", None),
    ],
    ids=["told", "denied", "failed"],
)
def test_systems_come_in_the_same_answer(ask: Ask, told: str, system: dict[str, str] | None) -> None:
    off = machine(SECOND, "db", OFF, addresses=f"{ADDRESSES}<part name='system'/>")
    pages = page(machine(UUID, "web", INFO, addresses=f"{ADDRESSES}<part name='system'{told}"), off)
    survey = ask({**EACH, DESCRIBE.replace("addresses", "addresses system"): pages}, gather_system=True)
    assert [found["system"] for found in machines(survey)] == [system, None]
