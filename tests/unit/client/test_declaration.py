# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one question, and whose declaration each thing is."""

from __future__ import annotations

import pytest

from archipel.client.declaration import MACHINES_AT_ONCE, DescriptionsUnsupported
from archipel.client.errors import MalformedAnswer
from archipel.client.hypervisor import Hypervisor
from archipel.protocol import namespaces as ns
from archipel.protocol.declaration import MOST_CLAIMS, USUAL_PARTS, Part
from archipel.protocol.errors import CommandError, LibvirtFailed, PermissionDenied
from archipel.protocol.vcard import Organisation
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, UUID, ScriptedStream, command, error, no_right, normal

SECOND = "6f0c0000-0000-4000-8000-000000000002"
INFO = f"<info state='1' maxMem='2048' memory='1024' nrVirtCpu='2' cpuPrct='0' hypervisor='{HYPERVISOR_FULL}' autostart='1'/>"
ALL = " ".join(USUAL_PARTS)


def describe(parts: str, inner: str = "") -> str:
    content = (
        f"<archipel parts='{parts}' action='describe'>{inner}</archipel>" if inner else f"<archipel parts='{parts}' action='describe'/>"
    )
    return command("get", HYPERVISOR_FULL, ns.DECLARATION, content)


def query(content: str) -> str:
    return f"<query xmlns='{ns.DECLARATION}'>{content}</query>"


def machine(*parts: str, uuid: str = UUID) -> str:
    return f"<machine uuid='{uuid}' name='web' jid='{MACHINE_FULL}' online='1'>{''.join(parts)}</machine>"


def part(name: str, inner: str = "", more: str = "") -> str:
    return f"<part name='{name}' {more}>{inner}</part>"


def page(*machines: str, following: str = "") -> str:
    return query(f"<machines>{''.join(machines)}{following}</machines>")


def definition(name: str) -> str:
    return f"<domain type='test'><name>{name}</name></domain>"


async def test_a_machine_is_described_by_typed_parts(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    parts = (
        part("info", INFO),
        part("definition", f"<stored>{definition('web')}</stored><running>{definition('old')}</running>"),
        part("organisation", "<organisation orgname='Lab'/>"),
        part("roster", "<item jid='ada@example.org' subscription='both'/>"),
        part("rights", "<rule subject='ada@example.org' right='info' expires='2030-01-01T00:00:00Z' reason='exam'/>"),
        part("tags", "<tag>red</tag><tag>blue</tag>"),
        part("snapshots", "<domainsnapshot current='1'><name>before</name></domainsnapshot>"),
        part("schedule", "<job action='create' uid='1' date='*'/>"),
    )
    stream.answer(describe(ALL), page(machine(*parts)))
    found = (await hypervisor.describe())[UUID]
    assert (found.uuid, found.name, found.jid, found.online, found.whole) == (UUID, "web", MACHINE_FULL, True, True)
    assert found.info is not None
    assert (found.info.memory, found.info.autostart) == (1024, True)
    assert found.stored is not None
    assert found.running is not None
    assert (found.stored.name, found.running.name) == ("web", "old")
    assert found.organisation == Organisation(orgname="Lab")
    assert [contact.jid for contact in found.roster] == ["ada@example.org"]
    assert [(rule.right, rule.reason) for rule in found.rights] == [("info", "exam")]
    assert found.tags == ("red", "blue")
    assert [snapshot.name for snapshot in found.snapshots] == ["before"]
    assert [job.action for job in found.schedule] == ["create"]


async def test_a_machine_without_domain_has_no_state_and_no_definition(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(describe("info definition organisation"), page(machine(part("info"), part("definition"), part("organisation"))))
    found = (await hypervisor.describe(None, [Part.INFO, Part.DEFINITION, Part.ORGANISATION]))[UUID]
    assert (found.info, found.stored, found.running, found.organisation) == (None, None, None, Organisation())
    with pytest.raises(KeyError):
        _ = found.tags


async def test_what_is_denied_or_failed_is_raised_when_it_is_looked_at(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    parts = (
        part("info", more="denied='info'"),
        part("definition", more="failed='disk on fire' code='38'"),
        part("tags", more="failed='no room'"),
        part("roster"),
    )
    stream.answer(describe("info definition tags roster"), page(machine(*parts)))
    found = (await hypervisor.describe(None, [Part.INFO, Part.DEFINITION, Part.TAGS, Part.ROSTER]))[UUID]
    assert not found.whole
    assert [part for part in found.parts if found.gives(part)] == [Part.ROSTER]
    with pytest.raises(PermissionDenied, match="'info' on web") as denied:
        _ = found.info
    assert denied.value.right == "info"
    with pytest.raises(LibvirtFailed, match="disk on fire") as failed:
        _ = found.stored
    assert failed.value.code == 38
    with pytest.raises(CommandError, match="no room"):
        _ = found.tags


async def test_pages_are_gathered_and_a_machine_in_two_of_them_is_one(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(describe("info tags"), page(machine(part("info", INFO)), following=f"<next uuid='{UUID}' part='tags'/>"))
    rest = page(machine(part("tags", "<tag>red</tag>")), machine(part("info"), part("tags"), uuid=SECOND))
    stream.answer(describe("info tags", f"<next uuid='{UUID}' part='tags'/>"), rest)
    found = await hypervisor.describe(None, [Part.INFO, Part.TAGS])
    assert list(found) == [UUID, SECOND]
    assert (found[UUID].tags, found[SECOND].tags) == (("red",), ())
    assert found[UUID].info is not None


async def test_on_later_pages_only_what_is_left_is_named(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    both = "".join(f"<machine uuid='{uuid}'/>" for uuid in (UUID, SECOND))
    stream.answer(describe("info", both), page(machine(part("info")), following=f"<next uuid='{SECOND}'/>"))
    stream.answer(describe("info", f"<next uuid='{SECOND}'/><machine uuid='{SECOND}'/>"), page(machine(part("info"), uuid=SECOND)))
    assert set(await hypervisor.describe([SECOND.upper(), UUID, UUID], [Part.INFO])) == {UUID, SECOND}


async def test_very_many_machines_are_asked_for_in_several_questions(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.anything = page()
    uuids = [f"6f0c0000-0000-4000-8000-{number:012}" for number in range(MACHINES_AT_ONCE + 1)]
    assert await hypervisor.describe(uuids, [Part.INFO]) == {}
    assert [text.count("<machine ") for text in stream.asked] == [MACHINES_AT_ONCE, 1]


async def test_no_machines_are_no_question(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    assert await hypervisor.describe([]) == {}
    assert stream.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        error("feature-not-implemented", f"<archipel-error-generic xmlns='{ns.ERROR_GENERIC}'/>", code=501),
        error("feature-not-implemented", code=501),
        error("forbidden", f"<archipel-error-permission xmlns='{ns.ERROR_PERMISSION}'/>", code=-1),
    ],
    ids=["an older agent", "another program", "an older agent, asked by who may not do everything"],
)
async def test_who_does_not_describe_is_told_apart(hypervisor: Hypervisor, stream: ScriptedStream, answer: str) -> None:
    stream.answer(describe(ALL), answer)
    with pytest.raises(DescriptionsUnsupported, match="describes no machines"):
        await hypervisor.describe()


async def test_other_errors_stay_what_they_are(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(describe(ALL), error("internal-server-error", f"<archipel-error-generic xmlns='{ns.ERROR_GENERIC}'/>"))
    with pytest.raises(CommandError):
        await hypervisor.describe()


async def test_what_guests_are_asked_for_is_told_in_the_same_answer(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    address = "<address interface='eth0' mac='52:54:00:0a:0b:0c' address='192.0.2.7' prefix='24' source='agent'/>"
    parts = (part("addresses", address), part("system", "<guest os='debian' hostname='web'/>"))
    off = machine(part("addresses"), part("system"), uuid=SECOND)
    stream.answer(describe("addresses system"), page(machine(*parts), off))
    found = await hypervisor.describe(None, [Part.ADDRESSES, Part.SYSTEM])
    assert [(address.address, address.source) for address in found[UUID].addresses] == [("192.0.2.7", "agent")]
    assert found[UUID].system is not None
    assert (found[UUID].system.os, found[UUID].system.hostname) == ("debian", "web")
    assert (found[SECOND].addresses, found[SECOND].system) == ((), None)


async def test_an_agent_that_does_not_know_a_part_is_asked_for_the_others(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    refusal = f"<archipel-error-generic xmlns='{ns.ERROR_GENERIC}'/>"
    old = error("bad-request", f"<text xmlns='{ns.STANZAS}'>parts: must be some of info, tags</text>", refusal, code=-470001)
    stream.answer(describe("info addresses"), old)
    stream.answer(describe("info"), page(machine(part("info", INFO))))
    stream.answer(describe("addresses"), old)
    found = (await hypervisor.describe(None, [Part.INFO, Part.ADDRESSES]))[UUID]
    assert found.info is not None
    assert not found.gives(Part.ADDRESSES)
    with pytest.raises(KeyError):
        _ = found.addresses
    assert await hypervisor.describe(None, [Part.ADDRESSES]) == {}


@pytest.mark.parametrize(
    "following, inner",
    [
        (f"<next uuid='{UUID}'/>", f"<next uuid='{UUID}'/>"),
        ("<next uuid='6f0c0000-0000-4000-8000-000000000000'/>", f"<next uuid='{UUID}'/>"),
    ],
)
async def test_pages_without_end_are_no_answer(hypervisor: Hypervisor, stream: ScriptedStream, following: str, inner: str) -> None:
    stream.answer(describe("info"), page(following=inner))
    stream.answer(describe("info", inner), page(following=following))
    with pytest.raises(MalformedAnswer, match="no end"):
        await hypervisor.describe(None, [Part.INFO])


async def test_a_part_that_is_missing_is_no_answer(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(describe("info tags"), page(machine(part("info"))))
    with pytest.raises(MalformedAnswer, match="has no tags"):
        await hypervisor.describe(None, [Part.INFO, Part.TAGS])


# -- ownership ----------------------------------------------------------------------------------------------------------


def declaration(kind: str, archipel: str) -> str:
    return command(kind, HYPERVISOR_FULL, ns.DECLARATION, archipel)


async def test_what_is_owned_is_gathered_from_all_pages(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    item = "<item kind='{0}' key='{1}' label='lab' since='2030-01-01T00:00:00Z' by='ada@example.org'/>"
    stream.answer(
        declaration("get", "<archipel label='lab' action='owned'/>"),
        query(f"<owned more='1'>{item.format('machine', UUID)}</owned>"),
    )
    stream.answer(
        declaration("get", f"<archipel label='lab' action='owned'><after kind='machine' key='{UUID}'/></archipel>"),
        query(f"<owned more='0'>{item.format('network', 'lab')}</owned>"),
    )
    found = await hypervisor.owned("lab")
    assert [(item.kind, item.key, item.label, item.by) for item in found] == [
        ("machine", UUID, "lab", "ada@example.org"),
        ("network", "lab", "lab", "ada@example.org"),
    ]


async def test_owning_is_one_request(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    content = "<add kind='network' key='lab'/><remove kind='pool' key='old'/>"
    request = declaration("set", f"<archipel label='lab' take='1' action='own'>{content}</archipel>")
    stream.answer(request, query(""))
    await hypervisor.own("lab", [("network", "lab"), ("network", "lab")], [("pool", "old")], take=True)
    assert stream.asked == [normal(request)]


async def test_very_many_items_are_several_requests(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.anything = query("")
    await hypervisor.own("lab", [("network", str(number)) for number in range(MOST_CLAIMS)], [("network", "old")])
    assert [text.count("<add ") + text.count("<remove ") for text in stream.asked] == [MOST_CLAIMS, 1]
    await hypervisor.own("lab")
    assert len(stream.asked) == 2


async def test_a_missing_right_is_named(hypervisor: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(declaration("get", "<archipel action='owned'/>"), no_right("ownership_get"))
    with pytest.raises(PermissionDenied) as denied:
        await hypervisor.owned()
    assert denied.value.right == "ownership_get"
