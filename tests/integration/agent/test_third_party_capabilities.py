# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capability of somebody else's, found through its entry point; and with one that is slow: nobody waits for another's libvirt call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.agent import Agent, AgentError
from testbed.certificates import Authority
from tests.wire.matching import assert_error, assert_payload, assert_refused, child
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, HOST, PERMISSIONS, Platform, open_platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAPS = "urn:example:naps"
# What somebody would write against the agent's public interface: a right, an option, commands that occupy libvirt's threads.
CAPABILITY = '''
import asyncio
import time
from dataclasses import dataclass

from archipel.agent.dispatch import Chat, command
from archipel.agent.options import Section, integer
from archipel.protocol.payload import Payload, Request, attribute, payload
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

TOKENS = (Token("nap", "Sleep for a while", ON_VIRTUAL_MACHINE),)


@dataclass(frozen=True, kw_only=True)
class SETTINGS:
    longest: int = Section("NAPS").option("longest_nap", integer(1, 60), "30", "Longest nap, in seconds.")


@payload
class Slept(Payload, tag="slept"):
    seconds: float = attribute()


@payload
class Nap(Request[Slept], namespace="archipel:naps", action="nap"):
    seconds: float = attribute()
    change: bool = attribute(default=False)


@payload
class WatchLoop(Request[Slept], namespace="archipel:naps", action="watch"):
    seconds: float = attribute()


@command(Nap, on=EntityKind.VIRTUAL_MACHINE, right="nap", failure=-77001, chat=Chat(("nap {seconds}",), lambda slept: f"I slept {slept.seconds} s."))
async def nap(vm, request, _caller):
    """Sleep in a thread of libvirt's."""
    work = vm.domain.change if request.change else vm.domain.read
    await work("nap", lambda _domain: time.sleep(request.seconds))
    return Slept(seconds=request.seconds)


@command(WatchLoop, on=EntityKind.HYPERVISOR, right="all", failure=-77002)
async def watch(_hypervisor, request, _caller):
    """Return for how long, at most, nothing else could run."""
    loop, worst = asyncio.get_running_loop(), 0.0
    end = loop.time() + request.seconds
    while (before := loop.time()) < end:
        await asyncio.sleep(0.005)
        worst = max(worst, loop.time() - before - 0.005)
    return Slept(seconds=worst)
'''


def install(folder: Path, code: str, name: str = "naps") -> None:
    """Install a distribution of one module, as pip would: the module, and what it says of itself."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"archipel_{name}.py").write_text(code)
    metadata = folder / f"archipel_{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: archipel-{name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[archipel.capabilities]\n{name} = archipel_{name}\n")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose agent finds the capability on its path."""
    folder = tmp_path_factory.mktemp("capability")
    install(folder / "site", CAPABILITY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder / "site"), prepend=os.pathsep)
        async with open_platform(folder / "platform", authority, "naps.localhost", {("NAPS", "longest_nap"): "20"}) as platform:
            await platform.meet_hypervisor(await platform.enter(ADMIN))
            yield platform


@pytest.fixture
def admin(platform: Platform) -> Person:
    return platform.people[0]


async def nap(person: Person, address: str, attributes: str) -> object:
    return await person.command(address, "archipel:naps", f"<archipel action='nap' {attributes}/>")


async def test_its_command_works_like_a_built_in_one(platform: Platform, admin: Person):
    machine, student = await platform.make_machine(admin), await platform.enter()
    await platform.grant(admin, machine.full, student, "message")
    request = "<archipel action='nap' seconds='0.01'/>"
    assert_refused(await student.command(machine.full, "archipel:naps", request), "nap")
    await platform.grant(admin, machine.full, student, "nap")
    answer = await student.command(machine.full, "archipel:naps", request, "get")
    assert_payload(answer, "archipel:naps", "<slept seconds='0.01'/>")
    answer = await student.command(machine.full, "archipel:naps", "<archipel action='nap' seconds='long'/>")
    assert_error(answer, code=-77001, condition="bad-request", mentions="seconds", action="nap")


async def test_its_right_is_listed_and_its_phrase_understood(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    answer = await admin.command(machine.full, PERMISSIONS, "<archipel action='list'/>", "get")
    assert {item.get("name"): item.get("description") for item in child(answer, "query")}["nap"] == "Sleep for a while"
    assert "nap {seconds}" in await admin.say(machine.full, "help")
    assert await admin.say(machine.full, "nap 0.01") == "I slept 0.01 s."


@pytest.mark.parametrize("change", ["0", "1"])
async def test_a_slow_call_delays_no_other_machine(platform: Platform, admin: Person, change: str):
    slow, quick = await platform.make_machine(admin), await platform.make_machine(admin)
    napping = admin.request(slow.full, f"<query xmlns='archipel:naps'><archipel action='nap' seconds='3' change='{change}'/></query>")
    for action in ("create", "info", "xmldesc", "suspend", "resume", "destroy"):
        answer = await admin.command(quick.full, CONTROL, f"<archipel action='{action}'/>")
        assert answer.get("type") == "result"
    answer = await admin.command(platform.host, HOST, "<archipel action='rostervm'/>")
    assert answer.get("type") == "result"
    assert admin.answers(napping) == [], "all that was answered while the other slept"
    await admin.until(lambda: admin.answers(napping))


async def test_a_slow_change_of_a_machine_does_not_hide_its_state(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    napping = admin.request(machine.full, "<query xmlns='archipel:naps'><archipel action='nap' seconds='3' change='1'/></query>")
    for _ in range(20):
        assert (await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")).get("type") == "result"
    assert (await admin.say(machine.full, "info")).startswith("I am off")
    assert admin.answers(napping) == []
    await admin.until(lambda: admin.answers(napping))


async def test_more_slow_machines_than_threads_are_all_answered(platform: Platform, admin: Person):
    machines = [await platform.make_machine(admin) for _ in range(12)]
    request = "<query xmlns='archipel:naps'><archipel action='nap' seconds='0.5'/></query>"
    keys = [admin.request(machine.full, request) for machine in machines for _ in range(2)]
    await admin.until(lambda: all(admin.answers(key) for key in keys), "all answers")
    assert {admin.answers(key)[0].get("type") for key in keys} == {"result"}
    await admin.assert_one_answer_each()


async def test_nothing_blocks_the_loop_under_load(platform: Platform, admin: Person):
    """While machines are made, changed and freed, and libvirt is slow, the loop goes on turning."""
    sleeper = await platform.make_machine(admin)
    watching = admin.request(platform.host, "<query xmlns='archipel:naps'><archipel action='watch' seconds='4'/></query>")
    admin.request(sleeper.full, "<query xmlns='archipel:naps'><archipel action='nap' seconds='3'/></query>")
    while not admin.answers(watching):
        machines = await asyncio.gather(*(platform.make_machine(admin) for _ in range(10)))
        keys = [
            admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='{action}'/></query>")
            for machine in machines
            for action in ("create", "info", "xmldesc", "destroy")
        ]
        keys += [
            admin.request(platform.host, f"<query xmlns='{HOST}'><archipel action='free' jid='{machine.bare}'/></query>")
            for machine in machines
        ]
        await admin.until(lambda keys=keys: all(admin.answers(key) for key in keys), "all answers")
    [answer] = admin.answers(watching)
    # A call that blocked would show as the three seconds that it takes; the rest is what a busy machine takes from everybody.
    assert float(child(child(answer, "query"), "slept").get("seconds") or "9") < 2


@pytest.fixture
def with_module(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a second agent's folder and have it find a module of the test's."""

    def make(code: str, configuration: str = "") -> Agent:
        install(tmp_path / "site", code, name="extra")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
        agent = Agent(tmp_path / "agent")
        agent.folder.mkdir()
        agent.configuration.write_text(
            platform.agent.configuration.read_text().replace(str(platform.agent.folder / "lib"), str(tmp_path / "lib")) + configuration
        )
        return agent

    return make


@pytest.mark.parametrize(
    "code, says",
    [
        ("import no_such_library", "no_such_library"),
        ("1 / 0", "extra"),
        ("from archipel.agent.capabilities.tags import *\nfrom archipel.agent.dispatch import command\n"
         "from archipel.protocol.every_entity import SetTags\nfrom archipel.agent.dispatch import EVERY_KIND\n"
         "@command(SetTags, on=EVERY_KIND, right='settags', failure=-7)\nasync def mine(entity, request, caller):\n    pass\n", "answered twice"),
        ("from archipel.protocol.rights import Token, ANY_ENTITY\nTOKENS = (Token('settags', 'Another meaning', ANY_ENTITY),)", "settags"),
    ],
    ids=["missing library", "fault", "taken action", "taken right"],
)  # fmt: skip
async def test_a_capability_that_does_not_load_is_named_and_the_agent_does_not_start(with_module, code: str, says: str):
    agent = with_module(code)
    with pytest.raises(AgentError) as refusal:
        await asyncio.to_thread(agent.start)
    assert says in str(refusal.value)
    assert "extra" in str(refusal.value)
    assert "Traceback" not in str(refusal.value)


async def test_a_capability_can_be_switched_off(platform: Platform, admin: Person):
    configuration = platform.agent.configuration
    before = configuration.read_text()
    configuration.write_text(f"{before}\n[MODULES]\nnaps = False\n")
    await asyncio.to_thread(platform.agent.stop)
    await asyncio.to_thread(platform.agent.start)
    configuration.write_text(before)
    await admin.until(lambda: admin.shown(platform.hypervisor), "the hypervisor")
    machine = await platform.make_machine(admin)
    answer = await admin.command(machine.full, "archipel:naps", "<archipel action='nap' seconds='0.01'/>")
    assert_error(answer, code=501, condition="feature-not-implemented", action="nap")
    await asyncio.to_thread(platform.agent.stop)
    await asyncio.to_thread(platform.agent.start)
