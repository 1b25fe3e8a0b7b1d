# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from ansible_collections.archipel.platform.plugins.plugin_utils import survey as surveying

from archipel.client import ConnectionSettings, Session
from archipel.protocol import namespaces as ns
from archipel.xmpp.errors import NoAnswer, ServerUnreachable, WireError
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import (
    HYPERVISOR,
    HYPERVISOR_FULL,
    MACHINE,
    MACHINE_FULL,
    OWN,
    PUBSUB,
    Answer,
    ScriptedStream,
    command,
    error,
    no_right,
)

Survey = dict[str, Any]
NODE = "model='x86_64' memory='2048' nrCPU='4' mHzCPU='2000' nrNumaNodes='1' nrSockets='1' nrCoreperSocket='4' nrThreadperCore='1'"
INFO = "<info state='1' maxMem='131072' memory='65536' nrVirtCpu='2' hypervisor='hyp@example.org/host' autostart='1'/>"


def vcard(jid: str) -> str:
    return f"<iq type='get' to='{jid}'><vCard xmlns='vcard-temp'/></iq>"


def card(name: str, owner: str = "") -> str:
    return f"<vCard xmlns='vcard-temp'><FN>{name}</FN><EMAIL><USERID>{owner}</USERID></EMAIL></vCard>"


def host(request: str) -> str:
    return command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, request)


def guest(request: str) -> str:
    return command("get", MACHINE_FULL, ns.VM_CONTROL, request)


def query(namespace: str, content: str) -> str:
    return f"<query xmlns='{namespace}'>{content}</query>"


TAGS = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='/archipel/tags'/></pubsub></iq>"
TAGGED = (
    f"<pubsub xmlns='{ns.PUBSUB}'><items node='/archipel/tags'><item id='{MACHINE}'>"
    f"<tag xmlns='{ns.TAGS}' jid='{MACHINE}' tags='b;;a'/></item></items></pubsub>"
)
SCRIPT: dict[str, Answer] = {
    TAGS: TAGGED,
    vcard(HYPERVISOR): card("host"),
    vcard(MACHINE): card("web", "bob@example.org"),
    host("<archipel action='nodeinfo'/>"): query(ns.HYPERVISOR_CONTROL, f"<nodeinfo {NODE}/>"),
    host("<archipel action='ip'/>"): query(ns.HYPERVISOR_CONTROL, "<ip>192.0.2.1</ip>"),
    host("<archipel action='rostervm'/>"): query(
        ns.HYPERVISOR_CONTROL, f"<item managed='True' name='web'>{MACHINE_FULL}</item><item managed='False' name='x'>{MACHINE}</item>"
    ),
    guest("<archipel action='info'/>"): query(ns.VM_CONTROL, INFO),
    guest("<archipel action='addresses'/>"): query(
        ns.VM_CONTROL,
        "".join(
            f"<address interface='net0' address='{ip}' source='agent'/>"
            for ip in ("127.0.0.1", "192.0.2.7", "fe80::1", "::1", "2001:db8::7")
        ),
    ),
}
Ask = Callable[..., Survey]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Survey one server that answers by the script, changed here and there."""

    def survey_once(changes: dict[str, Answer] | None = None, refusal: WireError | None = None, **options: Any) -> Survey:
        def open_session(settings: ConnectionSettings) -> Session:
            stream = ScriptedStream()
            stream.refusal = refusal
            for iq, answer in {**SCRIPT, **(changes or {})}.items():
                stream.answer(iq, answer)
            return Session(settings, stream=cast(Stream, stream))

        monkeypatch.setattr(surveying, "Session", open_session)
        endpoint = {
            "xmpp_jid": OWN,
            "xmpp_password": "x",
            "hypervisors": [HYPERVISOR_FULL],
            "endpoint_timeout": 5,
            "gather_addresses": True,
            "gather_system": False,
        }
        found: Survey = asyncio.run(surveying.survey_endpoint({**endpoint, **options}))
        return found

    return survey_once


def only_machine(survey: Survey) -> dict[str, Any]:
    (hypervisor,) = survey["hypervisors"]
    (machine,) = hypervisor["machines"]
    return cast(dict[str, Any], machine)


def test_everything_is_read(ask: Ask) -> None:
    survey = ask()
    assert survey["failures"] == []
    (hypervisor,) = survey["hypervisors"]
    assert (hypervisor["name"], hypervisor["state"], hypervisor["node"]["memory"], hypervisor["addresses"]) == (
        "host",
        "online",
        2048,
        ["192.0.2.1"],
    )
    machine = only_machine(survey)
    assert (machine["name"], machine["jid"], machine["hypervisor"], machine["state"]) == ("web", MACHINE, HYPERVISOR, "running")
    assert (machine["memory"], machine["max_memory"], machine["vcpus"], machine["autostart"]) == (64, 128, 2, True)
    assert (machine["tags"], machine["organisation"]["userid"]) == (["a", "b"], "bob@example.org")
    assert machine["addresses"] == ["192.0.2.7", "2001:db8::7"]


def test_addresses_are_read_only_where_somebody_wants_them(ask: Ask) -> None:
    assert only_machine(ask(gather_addresses=False))["addresses"] is None


@pytest.mark.parametrize("answer", [no_right("networkinfo"), NoAnswer("slow")])
def test_addresses_that_nobody_tells_are_not_known(answer: Answer, ask: Ask) -> None:
    survey = ask({guest("<archipel action='addresses'/>"): answer})
    assert only_machine(survey)["addresses"] is None
    assert survey["failures"] == []


GET_GUEST = command("get", MACHINE_FULL, ns.VM_GUEST, "<archipel action='info'/>")


@pytest.mark.parametrize(
    "answer, system",
    [
        (query(ns.VM_GUEST, "<guest os='debian' version='13' hostname='web'/>"), {"os": "debian", "version": "13", "hostname": "web"}),
        (query(ns.VM_GUEST, "<guest/>"), {}),
        (no_right("guest_info"), None),
        (error("internal-server-error"), None),
        (NoAnswer("slow"), None),
    ],
)
def test_the_system_is_what_the_guest_says(answer: Answer, system: dict[str, str] | None, ask: Ask) -> None:
    survey = ask({GET_GUEST: answer}, gather_system=True)
    assert only_machine(survey)["system"] == system
    assert survey["failures"] == []


def test_what_may_not_be_seen_is_no_failure(ask: Ask) -> None:
    refused = {guest("<archipel action='info'/>"): no_right("info"), host("<archipel action='nodeinfo'/>"): no_right("nodeinfo")}
    survey = ask(refused)
    assert survey["failures"] == []
    assert survey["hypervisors"][0]["node"] is None
    assert only_machine(survey)["state"] == "unknown"


def test_a_machine_that_does_not_answer_hides_no_other(ask: Ask) -> None:
    survey = ask({guest("<archipel action='info'/>"): error("service-unavailable")})
    assert only_machine(survey)["state"] == "unreachable"
    assert len(survey["failures"]) == 1
    assert survey["failures"][0].startswith(f"web ({MACHINE}): ")


def test_a_hypervisor_whose_machines_may_not_be_listed_is_a_failure(ask: Ask) -> None:
    survey = ask({host("<archipel action='rostervm'/>"): no_right("rostervm")})
    assert survey["hypervisors"] == [{"jid": HYPERVISOR, "name": "host", "state": "unreachable", "machines": []}]
    assert "rostervm" in survey["failures"][0]


def test_a_server_that_is_away_is_a_failure_with_its_name(ask: Ask) -> None:
    survey = ask(refusal=ServerUnreachable("no route"), hypervisors=["one@example.org"])
    assert survey["failures"] == [f"{OWN}: no route ({OWN} at the server that DNS names for example.org)"]
    assert [(hypervisor["jid"], hypervisor["state"]) for hypervisor in survey["hypervisors"]] == [("one@example.org", "unreachable")]


def test_a_server_that_takes_too_long_is_a_failure(ask: Ask) -> None:
    silent = "silent@example.org"
    survey = ask({vcard(silent): card("silent")}, hypervisors=[silent], endpoint_timeout=0.05)
    assert survey["failures"] == [f"{OWN}: no answer within 0.05 s"]


def test_a_wrong_option_is_a_failure_of_its_server_alone(ask: Ask) -> None:
    survey = ask(xmpp_jid="no jid", hypervisors=[])
    assert survey["hypervisors"] == []
    assert "'no jid'" in survey["failures"][0]
