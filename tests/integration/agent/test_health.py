# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:hypervisor:health and archipel:vm:health on the wire, and what of it survives the agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEALTH, VM_HEALTH = "archipel:hypervisor:health", "archipel:vm:health"
OFTEN = {
    ("HEALTH", "health_collection_interval"): "1",
    ("HEALTH", "machines_interval"): "1",
    ("HEALTH", "alarm_memory"): "1",
    ("HEALTH", "exclude_interfaces"): '"nothing-like-this"',
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose agent collects every second, logs into a file, and is restarted."""
    folder = tmp_path_factory.mktemp("health")
    options = {**OFTEN, ("LOGGING", "logging_file_path"): str(folder / "agent.log")}
    async with open_platform(folder / "platform", authority, "health.localhost", options) as platform:
        await platform.meet_hypervisor(await platform.enter(ADMIN))
        yield platform
        assert "Traceback" not in (folder / "agent.log").read_text()


@pytest.fixture
def admin(platform: Platform) -> Person:
    return platform.people[0]


async def ask(person: Person, address: str, action: str, attributes: str = "", namespace: str = HEALTH) -> list[ET.Element]:
    answer = await person.command(address, namespace, f"<archipel action='{action}' {attributes}/>", "get")
    assert answer.get("type") == "result", show(answer)
    return list(child(answer, "query"))


async def test_info_says_how_the_host_fares(platform: Platform, admin: Person):
    parts = {name_of(part): part for part in await ask(admin, platform.host, "info")}
    assert list(parts) == ["memory", "cpu", "disk", "networks", "load", "uptime", "uname", "libvirt", "driver", "info"]
    assert 0 <= float(parts["cpu"].get("id") or "-1") <= 100
    memory = {name: int(value) for name, value in parts["memory"].attrib.items() if name != "date"}
    assert memory["total"] == memory["free"] + memory["used"] > 0
    with platform.libvirt() as connection:
        version = connection.getLibVersion()
    assert parts["libvirt"].attrib == {
        "major": str(version // 1_000_000),
        "minor": str(version // 1000 % 1000),
        "release": str(version % 1000),
    }
    assert (parts["uname"].get("krelease"), parts["info"].get("vmx") in {"True", "False"}) == ("Linux", True)


async def test_the_history_grows_and_the_newest_survive_a_stop(platform: Platform, admin: Person):
    async def read() -> list[str]:
        stats = await ask(admin, platform.host, "history", "limit='3'")
        assert [[name_of(part) for part in stat] for stat in stats] == [["memory", "cpu", "disk", "load", "networks"]] * len(stats)
        return [child(stat, "memory").get("date") or "" for stat in stats] if len(stats) == 3 else []

    before = await eventually(read)
    assert before == sorted(before, reverse=True)
    await asyncio.to_thread(platform.agent.stop)
    await asyncio.to_thread(platform.agent.start)
    await admin.until(lambda: admin.shown(platform.hypervisor), "the hypervisor")
    dates = [child(stat, "memory").get("date") for stat in await ask(admin, platform.host, "history", "limit='200'")]
    assert set(before) <= set(dates)
    assert len(await ask(admin, platform.host, "history", "limit='9' step='hour'")) >= 1


async def test_the_log_is_told_line_by_line_also_that_of_before_a_restart(platform: Platform, admin: Person):
    lines = await ask(admin, platform.host, "logs", "limit='1000'")
    assert {name_of(line) for line in lines} == {"log"}
    assert all(set(line.attrib) == {"level", "date", "file", "method"} for line in lines)
    assert {line.get("level") for line in lines} <= {"DEBUG", "INFO", "WARN", "ERROR"}
    assert sum("serves" in (line.text or "") for line in lines) >= 1
    assert len(await ask(admin, platform.host, "logs", "limit='2'")) == 2
    assert "archipel" in await admin.say(platform.host, "logs 5")


async def test_a_machine_that_runs_is_measured_and_one_that_does_not_is_not(platform: Platform, admin: Person):
    """libvirt's test driver counts nothing, and nothing is made up; figures are looked at with a real guest."""
    machine = await platform.make_machine(admin)
    assert await ask(admin, machine.full, "info", namespace=VM_HEALTH) == []
    await admin.command(machine.full, "archipel:vm:control", "<archipel action='create'/>")
    [stat] = await eventually(lambda: ask(admin, machine.full, "info", namespace=VM_HEALTH))
    assert {"date", "seconds"} <= set(stat.attrib) <= {"date", "seconds", "cpu", "memory"}
    assert await ask(admin, machine.full, "history", "limit='5'", VM_HEALTH)
    assert "s: " in await admin.say(machine.full, "health")
    await admin.command(machine.full, "archipel:vm:control", "<archipel action='destroy'/>")

    async def is_silent() -> bool:
        return await ask(admin, machine.full, "info", namespace=VM_HEALTH) == []

    await eventually(is_silent)
    await admin.command(machine.full, "archipel:vm:control", "<archipel action='free'/>")
    await eventually(lambda: platform.rows("SELECT * FROM virtual_machines WHERE uuid = ?", machine.uuid) == [])


async def test_an_alarm_is_pushed(platform: Platform, admin: Person):
    """The threshold of this platform is one percent of the memory: each start of the agent passes it."""
    await admin.subscribe_to_events(platform.hypervisor, platform.pubsub)
    before = len(admin.received)
    await asyncio.to_thread(platform.agent.stop)
    await asyncio.to_thread(platform.agent.start)
    await admin.expect_push(platform.hypervisor, "health", "alarm", before)
    told = "".join(show(stanza) for stanza in admin.received[before:])
    assert 'resource="memory" state="raised"' in told
