# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are off move between two hosts that share their folders; who may not hand one over gets nowhere.

libvirt's test driver moves no machine that runs: that is shown with real guests (tests/e2e/test_migration.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import sys
import uuid as uuids
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from archipel.agent.hand_over import ANSWER_DEADLINE
from testbed.certificates import Authority
from testbed.libvirtd import TestLibvirtd
from tests.documentation import read_talks
from tests.wire.action import grant
from tests.wire.matching import assert_error, assert_refused, child, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, HOST, PERMISSIONS, Machine
from tests.wire.two_hypervisors import House, Pair, open_pair
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
MIGRATION = "archipel:hypervisor:migration"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    with TestLibvirtd() as first, TestLibvirtd() as second:
        async with open_pair(tmp_path_factory.mktemp("pair"), authority, "pair.localhost", (first, second)) as pair:
            yield pair
            for house in pair.both:
                assert house.leaked_passwords() == []
                assert "Traceback" not in house.log, house.log


def request_to(house: House) -> str:
    return f"<archipel action='migrate' hypervisorjid='{house.host}'/>"


async def move(pair: Pair, machine: Machine, source: House, target: House) -> None:
    answer = await pair.admin.command(source.address_of(machine), CONTROL, request_to(target))
    assert answer.get("type") == "result", show(answer)
    await eventually(lambda: (source.phase(machine.uuid), target.phase(machine.uuid)) == (None, "active"), "the machine has moved")
    await eventually(lambda: pair.sessions(machine) == [target.name], "its account is served")


async def test_a_machine_that_is_off_moves_with_all_that_is_known_of_it_and_back(pair: Pair):
    first, second, admin = pair.first, pair.second, pair.admin
    machine = await first.make_machine(admin)
    student = await first.enter()
    wanted = "".join(grant(student.bare, right) for right in ("info", "create", "domain_policy_bypass"))
    await admin.command(first.address_of(machine), PERMISSIONS, f"<archipel action='set'>{wanted}</archipel>")
    await admin.command(first.address_of(machine), CONTROL, "<archipel action='autostart' value='1'/>")
    card = "<ORGUNIT>Physics</ORGUNIT><CATEGORIES>exam</CATEGORIES>"
    await admin.command(first.host, HOST, f"<archipel action='setorginfo' target='{machine.uuid}'>{card}</archipel>")
    claims = f"<add kind='machine' key='{machine.uuid}'/><add kind='grant' key='{machine.uuid}/ada/info'/>"
    await admin.command(first.host, "archipel:declaration", f"<archipel action='own' label='lab'>{claims}</archipel>")
    rights, account = first.grants(machine), first.machine_passwords()[machine.uuid]
    definition = first.definition_in_libvirt(machine.uuid)

    await move(pair, machine, first, second)
    assert machine.uuid not in first.domains
    assert (second.definition_in_libvirt(machine.uuid), second.grants(machine)) == (definition, rights)
    assert second.rows("SELECT kind, label FROM ownership ORDER BY kind") == [("grant", "lab"), ("machine", "lab")]
    assert first.rows("SELECT * FROM ownership") == []
    assert second.machine_passwords()[machine.uuid] == account
    assert second.rows("SELECT orgunit, categories FROM virtual_machines WHERE uuid = ?", machine.uuid) == [("Physics", "exam")]
    info = await student.command(second.address_of(machine), CONTROL, "<archipel action='info'/>")
    found = child(child(info, "query"), "info")
    assert (found.get("autostart"), found.get("hypervisor")) == ("1", second.host)
    assert first.rows("SELECT * FROM grants WHERE entity = ?", machine.bare) == first.rows("SELECT * FROM migrations_out") == []

    await move(pair, machine, second, first)
    assert (first.grants(machine), first.definition_in_libvirt(machine.uuid)) == (rights, definition)
    started = await student.command(first.address_of(machine), CONTROL, "<archipel action='create'/>")
    assert started.get("type") == "result"
    assert (first.domains[machine.uuid], machine.uuid in second.domains) == (True, False)


async def test_the_arrival_is_pushed_and_the_presence_tells_where_it_is(pair: Pair):
    machine = await pair.first.make_machine(pair.admin)
    await pair.admin.subscribe_to_events(pair.second.hypervisor, pair.second.pubsub)
    await move(pair, machine, pair.first, pair.second)
    await pair.admin.expect_push(pair.second.hypervisor, "hypervisor", "migrate")
    await pair.admin.expect_shown(machine.bare, "xa", "Off")
    assert pair.admin.presences(machine.bare)[-1].get("from") == pair.second.address_of(machine)


async def test_what_the_page_says_in_a_chat_moves_a_machine(pair: Pair, root: Path):
    machine = await pair.first.make_machine(pair.admin)
    [[said]] = read_talks(root / "docs" / "migration.md")
    words = said.words.replace("second@example.org/host2", pair.second.host)
    assert pair.second.host in words
    assert await pair.admin.say(pair.first.address_of(machine), words) == said.answer
    await eventually(lambda: pair.places(machine) == (None, "active"), "the machine has moved")


async def test_the_command_line_moves_a_machine_and_waits_for_its_arrival(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    (tmp_path / "password").write_text(pair.first.passwords[ADMIN])
    machine, server = await pair.first.make_machine(pair.admin), pair.first.ejabberd

    async def archipel(*words: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("archipel"), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        shown, _ = await process.communicate()
        return process.returncode or 0, shown.decode()

    place = ("--host", server.host, "--port", str(server.port), "--ca-file", str(server.ca_file))
    assert (await archipel("login", pair.admin.bare, "--password-file", str(tmp_path / "password"), *place))[0] == 0
    moved = await archipel("migrate", machine.name, pair.second.hypervisor)
    assert moved == (0, f"{machine.name}: is at {pair.second.hypervisor}\n")
    assert pair.places(machine) == (None, "active")
    refused = await archipel("migrate", machine.name, f"stranger@{machine.domain}/host")
    assert (refused[0], "no hypervisor that this one entrusts machines to" in refused[1]) == (3, True)


async def test_who_holds_the_right_to_migrate_may_and_who_lacks_it_is_told(pair: Pair):
    machine, student = await pair.first.make_machine(pair.admin), await pair.first.enter()
    await pair.first.grant(pair.admin, pair.first.address_of(machine), student, "message", "info", "free", "define")
    assert_refused(await student.command(pair.first.address_of(machine), CONTROL, request_to(pair.second)), "migrate")
    assert pair.places(machine) == ("active", None)
    await pair.first.grant(pair.admin, pair.first.address_of(machine), student, "migrate")
    answer = await student.command(pair.first.address_of(machine), CONTROL, request_to(pair.second))
    assert answer.get("type") == "result", show(answer)
    await eventually(lambda: pair.places(machine) == (None, "active"), "the machine has moved")


async def test_a_machine_that_runs_is_refused_where_libvirt_cannot_move_it(pair: Pair):
    machine = await pair.first.make_machine(pair.admin)
    await pair.admin.command(pair.first.address_of(machine), CONTROL, "<archipel action='create'/>")
    answer = await pair.admin.command(pair.first.address_of(machine), CONTROL, request_to(pair.second))
    assert_error(answer, code=-1013, condition="feature-not-implemented", action="migrate")
    await eventually(lambda: pair.places(machine) == ("active", None))
    stopped = await pair.admin.command(pair.first.address_of(machine), CONTROL, "<archipel action='destroy'/>")
    assert stopped.get("type") == "result"


@pytest.mark.parametrize(
    "address, condition",
    [
        ("{first}", "conflict"),
        ("stranger@pair.localhost/host", "not-allowed"),
        ("second@pair.localhost", "bad-request"),
        ("@", "bad-request"),
    ],
)
async def test_a_machine_goes_to_trusted_hypervisors_only(pair: Pair, address: str, condition: str):
    machine = await pair.first.make_machine(pair.admin)
    wanted = address.format(first=pair.first.host)
    answer = await pair.admin.command(pair.first.address_of(machine), CONTROL, f"<archipel action='migrate' hypervisorjid='{wanted}'/>")
    assert_error(answer, code=-1013, condition=condition, action="migrate")
    assert pair.places(machine) == ("active", None)


async def test_what_the_other_host_refuses_is_the_answer(pair: Pair):
    machine = await pair.first.make_machine(pair.admin)
    await pair.second.make_machine(pair.admin, name=machine.name)
    answer = await pair.admin.command(pair.first.address_of(machine), CONTROL, request_to(pair.second))
    assert_error(answer, code=-1013, condition="conflict", action="migrate")
    assert "is taken" in show(answer)
    await eventually(lambda: pair.places(machine) == ("active", None))


async def test_what_would_be_lost_or_overtaken_is_refused(pair: Pair):
    machine = await pair.first.make_machine(pair.admin, defined=False)
    answer = await pair.admin.command(pair.first.address_of(machine), CONTROL, request_to(pair.second))
    assert_error(answer, code=-1013, condition="item-not-found", action="migrate")
    answer = await pair.admin.command(pair.first.address_of(machine), "archipel:vm:migration", "<archipel action='cancel'/>")
    assert_error(answer, code=-1014, condition="unexpected-request", action="cancel")


async def test_where_the_other_hypervisor_is_not_online_nothing_moves(pair: Pair):
    machine = await pair.first.make_machine(pair.admin)
    await asyncio.to_thread(pair.second.agent.stop)
    try:
        answer = await pair.admin.command(pair.first.address_of(machine), CONTROL, request_to(pair.second))
        assert answer.get("type") == "error"
        assert "does not take" in show(answer)
        assert pair.first.domains[machine.uuid] is False
        started = await pair.admin.command(pair.first.address_of(machine), CONTROL, "<archipel action='create'/>")
        assert started.get("type") == "result"
    finally:
        await asyncio.to_thread(pair.second.agent.start)
    await pair.second.meet_hypervisor(pair.admin)
    await eventually(lambda: pair.first.rows("SELECT * FROM migrations_out") == [], "the attempt is forgotten")


# -- agents are killed --------------------------------------------------------------------------------------------------

ROUNDS, MACHINES, LONGEST_LIFE = 4, 4, 0.4
# Seconds; who was killed after it had acknowledged a request answers it never, and is asked again when the time for the answer is over.
SETTLED = 4 * ANSWER_DEADLINE


def is_whole(pair: Pair, machine: Machine) -> bool:
    """Whether a machine is at exactly one host, and its account served there alone."""
    for house, other in (pair.both, pair.both[::-1]):
        if (house.phase(machine.uuid), other.phase(machine.uuid)) == ("active", None):
            there = (machine.uuid in house.domains, machine.uuid in other.domains)
            return there == (True, False) and pair.sessions(machine) == [house.name]
    return False


@pytest.mark.timeout(600)
async def test_a_machine_is_at_one_host_wherever_an_agent_was_killed(pair: Pair):
    chance = random.Random(11)
    machines = [await pair.first.make_machine(pair.admin) for _ in range(MACHINES)]
    rights = {machine.uuid: pair.first.grants(machine) for machine in machines}
    for number in range(ROUNDS):
        for machine in machines:
            source, target = pair.both if pair.first.phase(machine.uuid) else pair.both[::-1]
            pair.admin.request(
                source.address_of(machine), f"<query xmlns='{CONTROL}'><archipel action='migrate' hypervisorjid='{target.host}'/></query>"
            )
        await asyncio.sleep(chance.uniform(0.02, LONGEST_LIFE))
        victim = pair.both[number % 2]
        victim.agent.kill()
        await asyncio.to_thread(victim.agent.start)
        for machine in machines:
            await eventually(lambda: is_whole(pair, machine), f"{machine} at one host", SETTLED)  # noqa: B023 - called in this very turn of the loop
    for machine in machines:
        [house] = [house for house in pair.both if house.phase(machine.uuid)]
        assert house.grants(machine) == rights[machine.uuid]
    for house in pair.both:
        await eventually(lambda: house.rows("SELECT * FROM migrations_out") == [], "all attempts are over")  # noqa: B023 - as above


def leave_it_halfway(pair: Pair, machine: Machine) -> None:
    """Write down what two agents, which do not run, know when the first dies while it logs out a machine that the second holds."""
    attempt, began = str(uuids.uuid4()), "2026-11-21 12:00:00.000000"
    definition = pair.first.definition_in_libvirt(machine.uuid)
    with pair.second.libvirt() as connection:
        connection.defineXML(definition)
    with contextlib.closing(sqlite3.connect(pair.first.agent.database)) as first, first:
        [[*row]] = first.execute("SELECT * FROM virtual_machines WHERE uuid = ?", (machine.uuid,))
        first.execute("UPDATE virtual_machines SET phase = 'leaving' WHERE uuid = ?", (machine.uuid,))
        names = "(attempt, uuid, destination, mover, state, mode, shared, autostart, copied, reason, cancelled, began_at)"
        values = (attempt, machine.uuid, pair.second.host, pair.admin.bare, "letting", "plain", 1, 0, "[]", "", 0, began)
        first.execute(f"INSERT INTO migrations_out {names} VALUES ({', '.join('?' * len(values))})", values)
    with contextlib.closing(sqlite3.connect(pair.second.agent.database)) as second, second:
        second.execute(f"INSERT INTO virtual_machines VALUES ({', '.join('?' * len(row))})", row)
        second.execute("UPDATE virtual_machines SET phase = 'arriving' WHERE uuid = ?", (machine.uuid,))
        names = "(uuid, attempt, source, mover, state, plain, definition, made, began_at)"
        came = (machine.uuid, attempt, pair.first.hypervisor, pair.admin.bare, "held", 1, definition, "[]", began)
        second.execute(f"INSERT INTO migrations_in {names} VALUES ({', '.join('?' * len(came))})", came)


async def test_the_session_of_an_agent_that_died_on_the_way_does_not_outlive_it(pair: Pair):
    machine = await pair.first.make_machine(pair.admin)
    await pair.admin.expect_shown(machine.bare, "xa", "Off")
    await asyncio.to_thread(pair.second.agent.stop)
    pair.first.agent.kill()
    assert pair.sessions(machine) == [pair.first.name]  # the server keeps it for a minute
    leave_it_halfway(pair, machine)
    for house in pair.both:
        await asyncio.to_thread(house.agent.start)
    await eventually(lambda: pair.places(machine) == (None, "active"), "the machine has moved")
    await eventually(lambda: pair.sessions(machine) == [pair.second.name], "its account is served there alone")


# -- forged hand-overs --------------------------------------------------------------------------------------------------


def expectation(machine: Machine, attempt: str) -> str:
    words = f"attempt='{attempt}' uuid='{machine.uuid}' name='{machine.name}' base_folder='/vm' folder='0' mover='admin@pair.localhost'"
    return f"<archipel action='expect' {words}>{machine.definition()}</archipel>"


def forged(machine: Machine, attempt: str) -> list[tuple[str, str]]:
    """All that one hypervisor says to another, in the mouth of somebody else."""
    words = f"attempt='{attempt}' uuid='{machine.uuid}'"
    held = f"<archipel action='soft_alloc' {words} mode='plain'><password>mine</password><package>eJw=</package></archipel>"
    plain = [(MIGRATION, f"<archipel action='{action}' {words}/>") for action in ("serve", "forget", "arrival")]
    return [(MIGRATION, expectation(machine, attempt)), (HOST, held), *plain]


async def assert_nothing_came(house: House, machine: Machine, asked: list[str]) -> None:
    assert all('type="error"' in answer or "type='error'" in answer for answer in asked), asked
    assert (house.phase(machine.uuid), machine.uuid in house.domains) == (None, False)
    assert house.rows("SELECT * FROM migrations_in WHERE uuid = ?", machine.uuid) == []


@pytest.mark.parametrize("right", ["", "soft_alloc", "all"])
async def test_nobody_hands_a_machine_over_but_a_trusted_hypervisor(pair: Pair, right: str):
    forger: Person = await pair.first.enter()
    if right:
        await pair.second.grant(pair.admin, pair.second.host, forger, right)
    machine = Machine(str(uuids.uuid4()), "forged", pair.second.domain)
    answers = [
        show(await forger.command(pair.second.host, namespace, request)) for namespace, request in forged(machine, str(uuids.uuid4()))
    ]
    await assert_nothing_came(pair.second, machine, answers)


async def test_a_managed_machine_is_not_taken_over_by_a_hand_over(pair: Pair):
    machine = await pair.second.make_machine(pair.admin)
    before = pair.second.rows("SELECT * FROM virtual_machines WHERE uuid = ?", machine.uuid), pair.second.grants(machine)
    pair.first.passwords["hypervisor"] = (pair.first.agent.folder / "password").read_text()
    liar = await pair.first.enter("hypervisor", resource="elsewhere")  # a trusted account in wrong hands
    for namespace, request in forged(machine, str(uuids.uuid4())):
        answer = await liar.command(pair.second.host, namespace, request)
        if "action='arrival'" not in request and "action='forget'" not in request:
            assert answer.get("type") == "error", show(answer)
    assert (pair.second.rows("SELECT * FROM virtual_machines WHERE uuid = ?", machine.uuid), pair.second.grants(machine)) == before
    assert pair.sessions(machine) == ["second"]
