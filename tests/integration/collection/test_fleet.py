# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration on two hypervisors from nothing to nothing: applied, changed, drifted, corrected, killed and taken up, pruned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import libvirt
import pytest
import yaml

from tests.integration.collection.platform import HYPERVISOR, SECOND, Platform
from tests.integration.collection.playbook import Ansible

LYON = SECOND
NO_WORK = {"create": 0, "change": 0, "restart": 0, "remove": 0, "failed": 0, "skipped": 0}
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
def lyon(platform: Platform) -> str:
    """A second hypervisor, with a libvirt of its own; its address."""
    return platform.start_second()


def domains(uri: str) -> dict[str, bool]:
    """Return the domains of a libvirt, and whether each runs."""
    connection = libvirt.open(uri)
    try:
        return {domain.name(): bool(domain.isActive()) for domain in connection.listAllDomains()}
    finally:
        connection.close()


def apply(ansible: Ansible, document: dict[str, Any], *options: str, **arguments: Any) -> dict[str, Any]:
    """Declare a document and return what the module said."""
    [answer] = ansible.run([{"name": "declare", "archipel.platform.fleet": {"document": document, **arguments}}], *options)
    return answer


def planned(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(row["action"], row["hypervisor"], row["name"]) for row in answer["plan"] if row["action"] != "none"]


def test_a_declaration_from_nothing_to_nothing(lyon: str, ansible: Ansible, platform: Platform) -> None:
    made = apply(ansible, SEATS)
    assert not made.get("failed"), made["msg"]
    assert made["counts"] | {"create": 6, "failed": 0} == made["counts"]
    assert (set(domains(platform.uri)), set(domains(lyon))) == ({"seat-1", "seat-3", "seat-5"}, {"seat-2", "seat-4", "seat-6"})
    assert all(domains(lyon).values())

    again = apply(ansible, SEATS)
    assert (again["changed"], again["counts"] | NO_WORK == again["counts"], again["diff"]) == (False, True, [])

    merged = {**SEATS, "vms": [*SEATS["vms"], {"name": "mail", "hypervisor": "lyon"}]}
    plan, done = apply(ansible, merged, "--check"), apply(ansible, merged)
    assert planned(plan) == planned(done) == [("create", "lyon", "mail")]
    assert domains(lyon)["mail"] is False

    for name in ("seat-2", "seat-4"):
        connection = libvirt.open(lyon)
        connection.lookupByName(name).destroy()
        connection.close()
    alone = apply(ansible, merged, limit=["seat-2"])
    assert planned(alone) == [("change", "lyon", "seat-2")]
    assert (domains(lyon)["seat-2"], domains(lyon)["seat-4"]) == (True, False)
    assert planned(apply(ansible, merged)) == [("change", "lyon", "seat-4")]

    moved = {**SEATS, "vms": [{**SEATS["vms"][0], "hypervisors": ["lyon", "paris"]}]}
    refused = apply(ansible, moved)
    assert "seat-1 is on paris and declared on lyon" in refused["msg"]

    nothing = {**SEATS, "vms": []}
    assert "7 objects would be removed" in apply(ansible, nothing, prune=True, prune_limit="90%")["msg"]
    assert len(domains(lyon)) == 4
    gone = apply(ansible, nothing, prune=True)
    assert gone["counts"]["remove"] == 7
    assert (domains(platform.uri), domains(lyon)) == ({}, {})


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
    resumed = apply(ansible, document)
    assert not resumed.get("failed"), resumed["msg"]
    assert len(platform.domains()) == 24
    assert not apply(ansible, document)["changed"]
    gone = apply(ansible, {"fleet": "course"}, prune=True, prune_limit="24")
    assert gone["counts"]["remove"] == 24
    assert platform.domains() == set()


def test_a_right_that_one_hypervisor_denies_does_not_stop_the_others(lyon: str, platform: Platform, root: Path, tmp_path: Path) -> None:
    admin, teacher = (Ansible(root, tmp_path, platform.environment(name)) for name in ("admin", "teacher"))
    rights = {"subject": "teacher@example.org", "rights": ["presence", "rostervm", "capabilities"]}
    allowed = {**rights, "rights": [*rights["rights"], "alloc", "free"]}
    given = {**SEATS, "vms": [], "permissions": [{"hypervisor": "paris", **allowed}, {"hypervisor": "lyon", **rights}]}
    assert not apply(admin, given, label="rights").get("failed")
    document = {key: value for key, value in SEATS.items() if key != "fleet"} | {"hypervisors": {"paris": HYPERVISOR, "lyon": LYON}}
    answer = apply(teacher, document)
    assert sorted(row["name"] for row in answer["done"] if row["kind"] == "machine") == ["seat-1", "seat-3", "seat-5"]
    assert {(row["name"], row["missing_right"]) for row in answer["failed_objects"]} == {(f"seat-{n}", "alloc") for n in (2, 4, 6)}
    assert {row["reason"] for row in answer["skipped_objects"]} == {f"skipped because machine seat-{n} on lyon failed" for n in (2, 4, 6)}
    assert answer["msg"].startswith("3 of 12 failed: ")
    assert domains(lyon) == {}
