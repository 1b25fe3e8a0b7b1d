# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration on two hypervisors from nothing to nothing: applied, changed, drifted, corrected, killed and taken up, pruned."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
import yaml

from testbed.agent import make_agent
from testbed.libvirtd import TestLibvirtd
from tests.integration.collection.platform import DOMAIN, FURTHER, HYPERVISOR, Platform, password_of
from tests.integration.collection.playbook import Ansible, Task

LYON = f"{FURTHER}@{DOMAIN}"
NO_WORK = {"create": 0, "change": 0, "restart": 0, "remove": 0, "forget": 0, "failed": 0, "skipped": 0}
SEATS: dict[str, Any] = {
    "fleet": "course",
    "hypervisors": {"paris": HYPERVISOR, "lyon": {"jid": LYON, "roster": "student@example.org"}},
    "defaults": {"vms": {"memory": 32, "domain_type": "test"}},
    "vms": [
        {
            "name": "seat-{n}",
            "count": 6,
            "hypervisors": ["paris", "lyon"],
            "state": "running",
            "permissions": [{"subject": "student@example.org", "rights": ["info"]}],
        }
    ],
}


@pytest.fixture
def lyon(servers: Platform, started: str) -> Iterator[str]:
    """A second hypervisor, empty, with a libvirt of its own; its address."""
    yield started
    asyncio.run(servers.empty(LYON))


@pytest.fixture(scope="module")
def started(servers: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    servers.ejabberd.register(FURTHER, password_of(FURTHER))
    with TestLibvirtd() as libvirtd:
        agent = make_agent(tmp_path_factory.mktemp(FURTHER), servers.ejabberd, libvirtd.uri, password_of(FURTHER), account=FURTHER)
        agent.start()
        try:
            yield libvirtd.uri
        finally:
            agent.stop()


def domains(uri: str) -> dict[str, bool]:
    """Return the domains of a libvirt, and whether each runs."""
    connection = libvirt.open(uri)
    try:
        return {domain.name(): bool(domain.isActive()) for domain in connection.listAllDomains()}
    finally:
        connection.close()


def declare(document: dict[str, Any], *, check_mode: bool = False, **arguments: Any) -> Task:
    """Return the task that declares a document."""
    return {"name": "declare", "archipel.platform.fleet": {"document": document, **arguments}, "check_mode": check_mode}


def planned(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    assert not answer.get("failed"), answer["msg"]
    return [(row["action"], row["hypervisor"], row["name"]) for row in answer["plan"] if row["action"] != "none"]


def test_a_declaration_from_nothing_to_nothing(lyon: str, ansible: Ansible, platform: Platform) -> None:
    merged = {**SEATS, "vms": [*SEATS["vms"], {"name": "mail", "hypervisor": "lyon"}]}
    made, again, plan, done = ansible.run([declare(SEATS), declare(SEATS), declare(merged, check_mode=True), declare(merged)])
    assert sum(action == "create" for action, _hypervisor, _name in planned(made)) == 6
    assert (again["changed"], again["counts"] | NO_WORK == again["counts"], again["diff"]) == (False, True, [])
    assert planned(plan) == planned(done) == [("create", "lyon", "mail")]
    assert set(domains(platform.uri)) == {"seat-1", "seat-3", "seat-5"}
    assert domains(lyon) == {"seat-2": True, "seat-4": True, "seat-6": True, "mail": False}

    drift(lyon, "seat-2", "seat-4")
    moved = {**SEATS, "vms": [{**SEATS["vms"][0], "hypervisors": ["lyon", "paris"]}]}
    nothing = {**SEATS, "vms": []}
    alone, all_others, refused, too_much = ansible.run(
        [declare(merged, limit=["seat-2"]), declare(merged), declare(moved), declare(nothing, prune=True, prune_limit="90%")]
    )
    assert planned(alone) == [("change", "lyon", "seat-2")]
    assert planned(all_others) == [("change", "lyon", "seat-4")]
    assert "seat-1 is on paris and declared on lyon" in refused["msg"]
    assert "7 objects would be removed" in too_much["msg"]
    assert (len(domains(platform.uri)), all(domains(lyon)[name] for name in ("seat-2", "seat-4", "seat-6"))) == (3, True)

    [gone] = ansible.run([declare(nothing, prune=True)])
    assert gone["counts"]["remove"] == 7, gone
    assert (domains(platform.uri), domains(lyon)) == ({}, {})


def test_a_machine_that_is_declared_elsewhere_now_is_not_pruned_where_it_is(lyon: str, ansible: Ansible, platform: Platform) -> None:
    here = {**SEATS, "vms": [{"name": "db", "state": "running", "hypervisor": "paris"}]}
    there = {**here, "vms": [{"name": "db", "state": "running", "hypervisor": "lyon"}]}
    twice = {**here, "vms": [{"name": "db", "state": "running", "hypervisor": ["paris", "lyon"]}]}
    planned(ansible.run([declare(here)])[0])
    moved, limited = ansible.run([declare(there, prune=True), declare(there, prune=True, limit=["paris"])])
    assert "db is on paris and declared on lyon" in moved["msg"]
    for answer in (moved, limited):
        assert (answer["counts"]["remove"], [row["name"] for row in answer["done"]]) == (0, [])
        assert "machine db on lyon is declared, and not there yet" in str(answer["skipped_objects"])
    assert (domains(platform.uri), domains(lyon)) == ({"db": True}, {})
    gone, both, one = ansible.run([declare({**here, "vms": []}, prune=True), declare(twice), declare(there, prune=True)])
    assert (gone["counts"]["remove"], both["counts"]["create"], one["counts"]["remove"]) == (1, 2, 1)
    assert (domains(platform.uri), domains(lyon)) == ({}, {"db": True})
    planned(ansible.run([declare({**here, "vms": []}, prune=True)])[0])


def drift(uri: str, *names: str) -> None:
    """Switch machines off behind everybody's back."""
    connection = libvirt.open(uri)
    for name in names:
        connection.lookupByName(name).destroy()
    connection.close()


def test_a_run_that_is_killed_is_taken_up_and_leaves_nothing_without_owner(ansible: Ansible, platform: Platform) -> None:
    document = {"fleet": "course", "vms": [{"name": "seat-{n}", "count": 24, "memory": 32, "state": "running", "domain_type": "test"}]}
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"archipel.platform.fleet": {"document": document}}]}]
    playbook = ansible.folder / "killed.yml"
    playbook.write_text(yaml.safe_dump(play))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    with subprocess.Popen(
        [program, str(playbook)], env=ansible.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        while len(platform.domains()) < 3 and run.poll() is None:
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
    resumed, again, gone = ansible.run([declare(document), declare(document), declare({"fleet": "course"}, prune=True, prune_limit="24")])
    assert not resumed.get("failed"), resumed["msg"]
    assert not again["changed"]
    assert gone["counts"]["remove"] == 24
    assert platform.domains() == set()


def test_a_right_that_one_hypervisor_denies_does_not_stop_the_others(lyon: str, platform: Platform, root: Path, tmp_path: Path) -> None:
    admin, teacher = (Ansible(root, tmp_path, platform.environment(name)) for name in ("admin", "teacher"))
    rights = {"subject": "teacher@example.org", "rights": ["presence", "rostervm", "capabilities"]}
    allowed = {**rights, "rights": [*rights["rights"], "alloc", "free"]}
    given = {**SEATS, "vms": [], "permissions": [{"hypervisor": "paris", **allowed}, {"hypervisor": "lyon", **rights}]}
    planned(admin.run([declare(given, label="rights")])[0])
    document = {key: value for key, value in SEATS.items() if key != "fleet"} | {"hypervisors": {"paris": HYPERVISOR, "lyon": LYON}}
    [answer] = teacher.run([declare(document)])
    assert sorted(row["name"] for row in answer["done"] if row["kind"] == "machine") == ["seat-1", "seat-3", "seat-5"]
    assert {(row["name"], row.get("missing_right", row["msg"])) for row in answer["failed_objects"]} == {
        (f"seat-{n}", "alloc") for n in (2, 4, 6)
    }
    assert {row["reason"] for row in answer["skipped_objects"]} == {f"skipped because machine seat-{n} on lyon failed" for n in (2, 4, 6)}
    assert answer["msg"].startswith("3 of 12 failed: ")
    assert domains(lyon) == {}


EVERYTHING: dict[str, Any] = {
    "fleet": "course",
    "networks": [{"name": "class", "state": "active"}],
    "pools": [{"name": "default-pool", "state": "active"}],
    "volumes": [{"name": "scratch", "pool": "default-pool", "size": "1 MiB"}],
    "vms": [
        {
            "name": "template",
            "memory": 32,
            "domain_type": "test",
            "drives": [{"name": "system", "size": "4 MiB"}],
            "tags": ["school"],
            "roster": ["student@example.org"],
            "permissions": [{"subject": "student@example.org", "rights": ["info"]}],
            "schedule": [{"name": "night", "job": "shutdown", "hour": 22}],
        }
    ],
    "images": [{"name": "scene", "machine": "template", "drive": "system"}],
}


def test_who_may_only_look_plans_and_finds_drift_and_cannot_apply(ansible: Ansible, platform: Platform, root: Path, tmp_path: Path) -> None:
    """As the job of a merge request does, whose account has the role auditor."""
    auditor = {"subject": "teacher@example.org", "role": "auditor"}
    looks: list[Task] = [{"archipel.platform.permission": auditor | scope} for scope in ({}, {"scope": "hypervisor"})]
    assert [answer.get("msg") for answer in ansible.run([declare(EVERYTHING), *looks])] == [None] * 3
    teacher = Ansible(root, tmp_path, platform.environment("teacher"))
    changed = {**EVERYTHING, "vms": [{**EVERYTHING["vms"][0], "memory": 64}], "networks": []}
    same, plan, applied = teacher.run(
        [
            declare(EVERYTHING, check_mode=True, prune=True),
            declare(changed, check_mode=True, prune=True),
            declare(changed, prune=True),
        ]
    )
    assert planned(same) == []
    assert sorted((action, name) for action, _hypervisor, name in planned(plan)) == [("change", "template"), ("remove", "class")]
    assert applied["failed"]
    assert {entry.get("missing_right") for entry in applied["failed_objects"]} <= {"ownership_set", "memory", "define"}
    assert planned(ansible.run([declare(EVERYTHING, check_mode=True, prune=True)])[0]) == []
