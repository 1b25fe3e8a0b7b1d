# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks that are shipped, run by ansible-rulebook on a real platform: ejabberd, an agent, libvirt's test driver."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from testbed.certificates import Authority
from tests.e2e.rulebook import Rulebook, run_rulebook
from tests.integration.collection.platform import HYPERVISOR, Platform, open_platform
from tests.integration.collection.playbook import Ansible

pytestmark = pytest.mark.timeout(400)
RUNNING = libvirt.VIR_DOMAIN_RUNNING


@pytest.fixture(scope="module")
def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own on libvirt's test driver."""
    with open_platform(tmp_path_factory.mktemp("rulebooks"), authority) as platform:
        yield platform


@pytest.fixture(autouse=True)
def _nothing_is_left(platform: Platform) -> Iterator[None]:
    yield
    platform.clear()


@pytest.fixture
def ansible(platform: Platform, root: Path, tmp_path: Path) -> Ansible:
    return Ansible(root, tmp_path, platform.environment())


def declare(ansible: Ansible, **arguments: Any) -> dict[str, Any]:
    (made,) = ansible.run([{"archipel.platform.vm": arguments}])
    assert not made.get("failed"), made
    return made


def look(platform: Platform, name: str) -> tuple[int, int] | None:
    """Return state and memory (MiB) of a domain, as libvirt has them; nothing if there is none."""
    connection = libvirt.open(platform.uri)
    try:
        for domain in connection.listAllDomains():
            if domain.name() == name:
                info = domain.info()
                return info[0], info[2] // 1024
        return None
    finally:
        connection.close()


def behind_the_back(platform: Platform, name: str, *calls: str) -> None:
    """Do something to a domain as virsh does."""
    connection = libvirt.open(platform.uri)
    try:
        for call in calls:
            getattr(connection.lookupByName(name), call)()
    finally:
        connection.close()


def begun(rulebook: Rulebook, hosts: int) -> bool:
    """Whether the source listens to so many hosts."""
    return rulebook.said().count("'reason': 'begin'") >= hosts


# -- host_down ------------------------------------------------------------------------------------------------------------


def read_alarms(log: Path) -> list[tuple[str, str]]:
    alarms = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [(alarm["hypervisor"], alarm["state"]) for alarm in alarms]


def test_an_agent_that_is_killed_raises_an_alarm_and_its_return_ends_it(platform: Platform, root: Path, tmp_path: Path) -> None:
    log = tmp_path / "alarms.log"
    with run_rulebook(root, tmp_path, "host_down", platform.environment(), archipel_absence=4, archipel_alarm_log=str(log)) as rulebook:
        rulebook.wait_until(lambda: begun(rulebook, 1), "listening")
        platform.agent.kill()
        platform.agent.start()  # back at once: no alarm
        rulebook.wait_until(lambda: "'reason': 'returned'" in rulebook.said(), "its return")
        assert read_alarms(log) == []
        platform.agent.kill()
        try:
            rulebook.wait_until(lambda: read_alarms(log) == [(HYPERVISOR, "down")], "the alarm")
        finally:
            platform.agent.start()
        rulebook.wait_until(lambda: read_alarms(log) == [(HYPERVISOR, "down"), (HYPERVISOR, "back")], "the end of the alarm")


# -- keep_running ---------------------------------------------------------------------------------------------------------


def test_what_should_run_is_started_again_and_nothing_else(platform: Platform, ansible: Ansible, root: Path, tmp_path: Path) -> None:
    declare(ansible, name="web", state="running", memory=64, tags=["keep-running"])
    declare(ansible, name="lab", state="running", memory=64)
    with run_rulebook(root, tmp_path, "keep_running", platform.environment()) as rulebook:
        rulebook.wait_until(lambda: begun(rulebook, 3), "listening")
        rulebook.wait_for_runs("keep_running")
        behind_the_back(platform, "lab", "destroy")
        behind_the_back(platform, "web", "destroy")
        rulebook.wait_until(lambda: (look(platform, "web") or (0,))[0] == RUNNING, "web runs again")
        assert look(platform, "lab") == (libvirt.VIR_DOMAIN_SHUTOFF, 64)


# -- drift ----------------------------------------------------------------------------------------------------------------

DECLARATIONS = """fleet: campus
hypervisors: {north: hypervisor@example.org}
vms:
  - {name: web, hypervisor: north, state: running, memory: 64, max_memory: 128}
  - {name: db, hypervisor: north, state: present, memory: 96}
"""


def runs_that_changed(rulebook: Rulebook) -> int:
    return len(re.findall(r"PLAY RECAP \*+\n\S+ +: ok=\d+ +changed=[1-9]", rulebook.said()))


def test_what_is_changed_stopped_or_undefined_is_back_within_seconds(
    platform: Platform, ansible: Ansible, root: Path, tmp_path: Path
) -> None:
    declarations = tmp_path / "declarations"
    declarations.mkdir()
    (declarations / "machines.yml").write_text(DECLARATIONS)
    declare(ansible, name="foreign", state="running", memory=64)
    with run_rulebook(root, tmp_path, "drift", platform.environment(), archipel_declarations=str(declarations)) as rulebook:
        rulebook.wait_until(lambda: look(platform, "web") == (RUNNING, 64), "what is declared is made when listening begins")
        rulebook.wait_until(lambda: look(platform, "db"), "the other, too")
        rulebook.wait_until(lambda: begun(rulebook, 4), "listening to all")
        behind_the_back(platform, "foreign", "destroy")
        for change in ("destroy", "suspend"):
            behind_the_back(platform, "web", change)
            rulebook.wait_until(lambda: look(platform, "web") == (RUNNING, 64), f"web after {change}")
        behind_the_back(platform, "db", "undefine")
        rulebook.wait_until(lambda: look(platform, "db"), "db is defined again")
        assert look(platform, "foreign") == (libvirt.VIR_DOMAIN_SHUTOFF, 64), "what nobody declared is nobody's business"
        assert no_more_runs(rulebook), "a correction leads to no end of corrections"
        assert runs_that_changed(rulebook) == 4


def no_more_runs(rulebook: Rulebook) -> bool:
    """Whether runs come to an end: none for a while."""
    for _ in range(6):
        before = rulebook.said().count("PLAY [")
        time.sleep(10)
        if rulebook.said().count("PLAY [") == before == rulebook.said().count("PLAY RECAP"):
            return True
    return False
