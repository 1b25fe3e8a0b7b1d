# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entities tell their rosters who did what: each contact as he wants it, nobody what he did himself, and never a storm."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.capabilities import notices as capability
from archipel.agent.chat import reply
from archipel.agent.dispatch import Caller, Registry
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.notices import teller as teller_module
from archipel.agent.notices.preferences import Preferences, Wish
from archipel.agent.notices.teller import MOST_KEPT, Teller
from archipel.agent.notices.words import SHOUTED, WORDS, Level, Notice, digest, show_person
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.protocol.events import Topic
from archipel.protocol.preferences import NO_HOURS, Verbosity, covers, read_hours, read_wish
from archipel.protocol.rights import EntityKind, TokenCatalogue
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp, parse_stanza
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STUDENT, VM, FakeHost
from tests.wire.waiting import eventually

CONTROL, PREFERENCES = "archipel:vm:control", "archipel:contact:preferences"
NIGHT = datetime(2030, 1, 2, 23, tzinfo=UTC)
MORNING = datetime(2030, 1, 3, 8, tzinfo=UTC)
START = "<archipel action='create'/>"


class Clock:
    """The time by which is told, and by which is counted."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 2, 12, tzinfo=UTC)

    def seconds(self) -> float:
        return self.now.timestamp()

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def teller(hypervisor: Hypervisor, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Teller:
    """What tells at this hypervisor, when a test lets it work."""
    preferences = Preferences(hypervisor.services.store, HYP, Verbosity.CHANGES, "UTC")
    teller = Teller(hypervisor, preferences, clock=clock.seconds, now=lambda: clock.now)
    monkeypatch.setattr(capability, "teller_of", lambda _hypervisor: teller)
    return teller


class House:
    """A hypervisor with a machine, both online; the student and the owner are in both rosters and may look."""

    def __init__(self, hypervisor: Hypervisor, machine: VirtualMachine, teller: Teller, xmpp: FakeXmpp) -> None:
        self.hypervisor, self.machine, self.teller, self.xmpp = hypervisor, machine, teller, xmpp

    def heard(self, who: Caller, entity: str = VM, kind: str = "") -> list[str]:
        """What somebody was told by an entity."""
        stanzas = [parse_stanza(text) for text in self.xmpp.streams[entity].sent]
        told = [stanza for stanza in stanzas if stanza.tag.endswith("message") and stanza.get("to") == who.bare]
        return [(stanza.findtext("{jabber:client}body") or "") for stanza in told if kind in ("", stanza.get("type"))]

    async def start(self, who: Caller = OWNER) -> None:
        await ask(self.machine, CONTROL, START, who)
        await self.teller.work()

    def come(self, who: Caller, kind: str = "") -> None:
        for bare in (HYP, VM):
            self.xmpp.streams[bare].deliver(f"<presence from='{who.full}' {kind and f'type={kind!r}'}/>")


@pytest.fixture
async def house(hypervisor: Hypervisor, machine: VirtualMachine, teller: Teller, xmpp: FakeXmpp) -> House:
    roster = {OWNER.bare: "both", STUDENT.bare: "both", ADMIN.bare: "from"}
    xmpp.rosters |= {HYP: dict(roster), VM: dict(roster)}
    for entity in (hypervisor, machine):
        await go_online(entity)
        for who in (OWNER, STUDENT):
            await hypervisor.services.rights.grant(entity.bare, who.bare, "presence", "message", granted_by=HYP)
    house = House(hypervisor, machine, teller, xmpp)
    house.come(OWNER)
    house.come(STUDENT)
    return house


async def wish(entity: Entity, who: Caller, **settings: object) -> None:
    await capability.teller_of(entity.hypervisor).preferences.change(entity.bare, who.bare, Wish(**settings))


# -- who is told what -----------------------------------------------------------------------------------------------------


async def test_the_roster_is_told_who_did_what_and_not_who_did_it(house: House):
    await house.start()
    assert house.heard(STUDENT) == house.heard(ADMIN) == ["owner started me."]
    assert house.heard(OWNER) == []


async def test_who_has_set_nothing_gets_headlines_and_who_has_gets_chat_messages(house: House):
    await wish(house.machine, STUDENT, verbosity=Verbosity.ALL)
    await house.start()
    assert house.heard(ADMIN, kind="headline") == house.heard(STUDENT, kind="chat") == ["owner started me."]


async def test_what_was_refused_or_failed_and_what_only_asks_is_told_nobody(house: House, host: FakeHost):
    await wish(house.machine, ADMIN, verbosity=Verbosity.ALL)
    with pytest.raises(CommandError):
        await ask(house.machine, CONTROL, START, STUDENT)
    await ask(house.machine, CONTROL, "<archipel action='info'/>", OWNER)
    await house.teller.work()
    assert house.heard(ADMIN) == []


async def test_who_is_not_known_any_more_is_told_nothing(house: House):
    await house.hypervisor.services.rights.revoke(VM, STUDENT.bare, "presence", "message")
    house.xmpp.streams[VM].deliver(
        f"<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='{STUDENT.bare}' subscription='none'/></query></iq>"
    )
    await house.start()
    assert house.heard(STUDENT) == []
    assert house.heard(ADMIN) == ["owner started me."]


@pytest.mark.parametrize(
    "verbosity, told",
    [
        (Verbosity.SILENT, []),
        (Verbosity.ALARMS, ["I have crashed."]),
        (Verbosity.CHANGES, ["owner started me.", "I have crashed."]),
        (Verbosity.ALL, ["owner started me.", "owner: Replace the tags.", "I have crashed."]),
    ],
)
async def test_each_hears_as_much_as_he_wants(house: House, verbosity: Verbosity, told: list[str], monkeypatch: pytest.MonkeyPatch):
    async def keep(_tags: tuple[str, ...]) -> None:
        """Publishing is looked at elsewhere."""

    monkeypatch.setattr(house.machine, "keep_tags", keep)
    await wish(house.machine, ADMIN, verbosity=verbosity)
    await house.start()
    await ask(house.machine, "archipel:tags", "<archipel action='settags' tags='a'/>", OWNER)
    house.machine.push(Topic.VM_CONTROL, "crashed")
    await house.teller.work()
    assert house.heard(ADMIN) == told


async def test_what_is_set_at_the_hypervisor_counts_for_its_machines_that_know_nothing_else(house: House):
    await wish(house.hypervisor, ADMIN, verbosity=Verbosity.SILENT)
    await wish(house.hypervisor, STUDENT, verbosity=Verbosity.SILENT)
    await wish(house.machine, STUDENT, verbosity=Verbosity.ALL)
    await house.start()
    assert (house.heard(ADMIN), house.heard(STUDENT)) == ([], ["owner started me."])


async def test_news_come_as_from_the_founders_to_who_has_set_nothing_and_else_as_he_likes(house: House):
    await wish(house.machine, STUDENT, verbosity=Verbosity.ALARMS)
    house.machine.shout(f"{OWNER.bare} took the snapshot s of web")
    await house.teller.work()
    assert house.heard(OWNER, kind="headline") == house.heard(ADMIN, kind="headline") == [f"{OWNER.bare} took the snapshot s of web"]
    assert house.heard(STUDENT) == []
    await wish(house.machine, STUDENT, verbosity=Verbosity.CHANGES)
    await wish(house.machine, OWNER, verbosity=Verbosity.CHANGES)
    house.machine.shout(f"{OWNER.bare} deleted the snapshot s of web")
    await house.teller.work()
    assert house.heard(STUDENT, kind="chat") == [f"{OWNER.bare} deleted the snapshot s of web"]
    assert len(house.heard(OWNER)) == 1


# -- when -----------------------------------------------------------------------------------------------------------------


async def test_quiet_hours_are_kept_and_end_with_one_digest(house: House, clock: Clock):
    await wish(house.hypervisor, ADMIN, quiet="22:00-07:00", zone="UTC")
    clock.now = NIGHT
    for _ in range(3):
        await house.start()
    house.machine.push(Topic.VM_CONTROL, "crashed")
    await house.teller.work()
    assert house.heard(ADMIN) == ["I have crashed."]
    clock.now = MORNING
    await house.teller.work()
    assert house.heard(ADMIN, HYP) == ["Meanwhile:\nowner started web"]
    await house.teller.work()
    assert len(house.heard(ADMIN, HYP)) == 1


async def test_in_quiet_hours_not_even_alarms_come_to_who_wants_none(house: House, clock: Clock):
    await wish(house.machine, ADMIN, quiet="22:00-07:00", zone="UTC", alarms=False)
    clock.now = NIGHT
    house.machine.push(Topic.VM_CONTROL, "crashed")
    await house.teller.work()
    assert house.heard(ADMIN) == []
    clock.now = MORNING
    await house.teller.work()
    assert house.heard(ADMIN, HYP) == ["Meanwhile:\nweb: I have crashed."]


async def test_who_is_away_hears_of_it_when_he_is_back_if_he_said_what_he_wants(house: House):
    await wish(house.machine, STUDENT, verbosity=Verbosity.ALL)
    house.come(STUDENT, "unavailable")
    await house.start()
    assert house.heard(STUDENT) == house.heard(STUDENT, HYP) == []
    house.come(STUDENT)
    await house.teller.work()
    assert house.heard(STUDENT, HYP) == ["Meanwhile:\nowner started web"]


async def test_who_is_away_and_has_said_nothing_is_spared(house: House):
    house.come(STUDENT, "unavailable")
    await house.start()
    house.come(STUDENT)
    await house.teller.work()
    assert house.heard(STUDENT) == house.heard(STUDENT, HYP) == []


async def test_of_a_long_night_the_end_is_told_and_the_rest_counted(house: House, clock: Clock):
    await wish(house.machine, ADMIN, quiet="22:00-07:00", zone="UTC")
    clock.now = NIGHT
    for number in range(MOST_KEPT + 5):
        house.teller.tell(Notice(VM, "web", Level.CHANGE, f"{number}"))
    await house.teller.work()
    clock.now = MORNING
    await house.teller.work()
    [text] = house.heard(ADMIN, HYP)
    assert text.endswith(f"and {MOST_KEPT - 20 + 5} more")


# -- storms ---------------------------------------------------------------------------------------------------------------


async def make_more(house: House, host: FakeHost, count: int) -> list[VirtualMachine]:
    machines = []
    for number in range(count):
        uuid = f"00000000-0000-4000-8000-{number:012}"
        record = MachineRecord(uuid=uuid, name=f"vm{number:02}", password=Secret("machine"), phase=Phase.ACTIVE)
        await house.hypervisor.services.store.add_machine(record)
        host.add(uuid, record.name)
        house.xmpp.accounts[uuid] = "machine"
        house.xmpp.rosters[f"{uuid}@lab.example"] = {ADMIN.bare: "from"}
        machine = house.hypervisor.adopt_record(record)
        await go_online(machine)
        await house.hypervisor.services.rights.grant(machine.bare, OWNER.bare, "all", granted_by=HYP)
        machines.append(machine)
    return machines


async def test_forty_machines_that_one_play_starts_are_one_digest_of_the_hypervisor(house: House, host: FakeHost):
    machines = await make_more(house, host, 40)
    for machine in machines:
        await ask(machine, CONTROL, START, OWNER)
    await house.teller.work()
    names = ", ".join(f"vm{number:02}" for number in range(10))
    assert house.heard(ADMIN, HYP) == [f"owner started {names} and 30 more (40 machines)"]
    assert [text for machine in machines for text in house.heard(ADMIN, machine.bare)] == []


async def test_changes_one_after_the_other_are_no_storm_either(house: House, clock: Clock):
    for _ in range(30):
        await house.start()
        clock.pass_time(1)
    told = len(house.heard(ADMIN)) + len(house.heard(ADMIN, HYP))
    assert told <= 3 + 2  # at once, and one each twenty seconds
    clock.pass_time(30)
    await house.teller.work()
    assert house.heard(ADMIN, HYP)[-1] == "owner started web"


async def test_requests_wait_for_nobody_who_is_told(house: House):
    """Between a request and its answer one notice is kept; who is concerned is found by somebody else, later."""
    await ask(house.machine, CONTROL, START, OWNER)
    assert house.heard(ADMIN) == []
    assert len(house.teller._incoming) == 1
    await house.teller.work()
    assert house.heard(ADMIN) == ["owner started me."]


async def test_the_teller_works_by_itself(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(teller_module, "GATHER", 0.0)
    task = asyncio.create_task(capability.tell(house.hypervisor))
    await ask(house.machine, CONTROL, START, OWNER)
    await eventually(lambda: house.heard(ADMIN))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# -- asking for it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, answer",
    [
        ("be quiet", "I tell you nothing."),
        ("tell me everything", "I tell you everything that is done to me."),
        ("tell me nothing", "I tell you nothing."),
        ("tell me alarms", "I tell you of alarms only."),
        ("quiet from 22 to 7", "From 22:00 to 07:00 (UTC) I am quiet: alarms come nevertheless"),
        ("quiet from 22:30 until 6 Europe/Berlin no alarms", "From 22:30 to 06:00 (Europe/Berlin) I am quiet: not even alarms"),
        ("quiet hours off", "I tell you who changes me, and of alarms."),
        ("tell me as usual", "whoever has not said otherwise"),
        ("what do you tell me", "whoever has not said otherwise"),
        ("tell me stories", "verbosity: must be one of nothing, everything, silent, alarms, changes, all"),
        ("tell me", "nothing would change"),
        ("quiet from dusk", "must be two times of day"),
        ("quiet from", "From when to when?"),
    ],
)
async def test_it_is_said_in_a_chat(house: House, words: str, answer: str):
    assert answer in await reply(house.machine, words, STUDENT)


async def test_it_outlasts_the_agent_and_ends_with_the_machine(house: House):
    await ask(house.machine, PREFERENCES, "<archipel action='set' verbosity='all' quiet='22:00-07:00' alarms='0'/>", STUDENT)
    again = Preferences(house.hypervisor.services.store, HYP, Verbosity.CHANGES, "UTC")
    await again.ready()
    found = again.of(VM, STUDENT.bare)
    assert (found.verbosity, found.quiet, found.alarms, found.origin) == (Verbosity.ALL, "22:00-07:00", False, "own")
    await capability.forget(house.machine)
    await (after := Preferences(house.hypervisor.services.store, HYP, Verbosity.CHANGES, "UTC")).ready()
    assert after.of(VM, STUDENT.bare).origin == "default"


async def test_one_setting_leaves_the_others_alone_and_off_is_a_setting(house: House):
    await wish(house.hypervisor, STUDENT, quiet="22:00-07:00", verbosity=Verbosity.ALARMS)
    answer = await ask(house.machine, PREFERENCES, "<archipel action='set' quiet=''/>", STUDENT)
    assert answer[0].attrib == {"verbosity": "alarms", "quiet": "", "zone": "UTC", "alarms": "1", "origin": "own"}
    with pytest.raises(CommandError, match="verbosity"):
        await ask(house.machine, PREFERENCES, "<archipel action='set'/>", STUDENT)


async def test_hours_stay_in_the_zone_in_which_they_were_said(house: House):
    assert "07:00 (UTC)" in await reply(house.machine, "quiet from 22 to 7", STUDENT)
    await reply(house.hypervisor, "quiet from 21 to 6 Europe/Berlin", STUDENT)
    assert "07:00 (UTC)" in await reply(house.machine, "what do you tell me", STUDENT)
    assert "08:00 (UTC)" in await reply(house.machine, "quiet from 22 to 8", STUDENT)
    await ask(house.machine, PREFERENCES, "<archipel action='set' zone='Asia/Tokyo'/>", STUDENT)
    assert "09:00 (Asia/Tokyo)" in await reply(house.machine, "quiet from 22 to 9", STUDENT)


# -- hours and words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hours, zone, hour, quiet",
    [
        ("22:00-07:00", "UTC", 23, True),
        ("22:00-07:00", "UTC", 6, True),
        ("22:00-07:00", "UTC", 7, False),
        ("22:00-07:00", "UTC", 12, False),
        ("12:00-13:00", "UTC", 12, True),
        ("12:00-13:00", "UTC", 13, False),
        ("22:00-07:00", "Asia/Tokyo", 14, True),
        (NO_HOURS, "UTC", 3, False),
    ],
)
def test_quiet_hours_go_over_midnight_and_by_their_zone(hours: str, zone: str, hour: int, quiet: bool):
    assert covers(hours, ZoneInfo(zone), datetime(2030, 1, 1, hour, tzinfo=UTC)) is quiet


@given(st.times(), st.times())
def test_each_moment_is_in_hours_or_in_the_rest_of_the_day(begin: object, end: object):
    with contextlib.suppress(ValueError):
        there, back = read_hours(f"{begin:%H:%M}-{end:%H:%M}"), read_hours(f"{end:%H:%M}-{begin:%H:%M}")
        noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
        assert covers(there, ZoneInfo("UTC"), noon) != covers(back, ZoneInfo("UTC"), noon)


@given(st.text(max_size=60))
def test_whatever_is_said_of_hours_is_understood_or_refused(words: str):
    with contextlib.suppress(ValueError):
        hours, _zone, _alarms = read_wish(words)
        assert read_hours(hours) == hours


def test_commands_that_have_words_exist_and_none_is_told_twice(capabilities: tuple[TokenCatalogue, Registry]):
    _catalogue, registry = capabilities
    known = {(command.request.namespace, command.request.action) for kind in EntityKind for command in registry.commands(kind)}
    assert set(WORDS) - known <= {(CONTROL, "migrate")}
    assert SHOUTED - known == set()
    assert not SHOUTED & set(WORDS)


def test_a_digest_says_who_did_what_to_whom():
    notices = [Notice("a", "web", Level.CHANGE, "ada started me.", "ada started", "ada") for _ in range(2)]
    notices += [Notice("b", "db", Level.CHANGE, "ada started me.", "ada started", "ada"), Notice("c", "host", Level.CHANGE, "news")]
    assert digest(notices, 3) == "ada started web, db\nhost: news\n... and 3 more"


@pytest.mark.parametrize(
    "bare, shown", [("ada@lab.example", "ada"), ("ada@other.example", "ada@other.example"), ("lab.example", "lab.example")]
)
def test_people_of_the_own_server_are_called_by_name(bare: str, shown: str):
    assert show_person(bare, "lab.example") == shown


def test_a_contact_is_seen_as_far_as_he_lets_us(house: House):
    contacts = house.machine.contacts
    assert (contacts.is_online(STUDENT.bare), contacts.is_online(ADMIN.bare)) == (True, None)
    contacts.note_presence(STUDENT.full, STUDENT.bare, available=False)
    assert contacts.is_online(STUDENT.bare) is False
    contacts.note_presence("nobody@lab.example/x", "nobody@lab.example", available=True)
    assert contacts.is_online("nobody@lab.example") is None
