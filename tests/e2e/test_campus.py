# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of a campus on the demo with three hypervisors, each with a libvirt and real guests of its own.

The tests follow each other on one platform: nothing, applied, changed by a merge, drifted behind the back, exported, pruned.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.own_demo import Demo, open_demo

pytestmark = pytest.mark.timeout(900)
ALL_OBJECTS = 125
EXPORT: list[dict[str, Any]] = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {"archipel.platform.export_info": {"hypervisors": "{{ hypervisors }}"}, "register": "live"},
            {"ansible.builtin.copy": {"content": "{{ live | to_json }}", "dest": "{{ playbook_dir }}/live.json", "mode": "0600"}},
            {
                "archipel.platform.fleet": {"document": "{{ live.document }}"},
                "check_mode": True,
                "register": "declared",
                "failed_when": "declared is changed or declared.counts.failed > 0",
            },
        ],
    }
]


@dataclass
class Campus:
    """A copy of the example, and the demo that it is declared on."""

    demo: Demo
    folder: Path

    def play(self, playbook: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = f'source {self.demo.parts.environment}; exec ansible-playbook "$@"'
        environment = {**os.environ, "CAMPUS_PASSWORD": "a-word-for-thirty"}
        arguments = ["bash", "-c", command, "play", str(self.folder / playbook), *options]
        return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)

    def run(self, mode: str, *options: str) -> dict[str, Any]:
        """Run the example's play and return its report."""
        report = self.folder / "report"
        ended = self.play("site.yml", "-e", f"archipel_mode={mode}", "-e", f"archipel_report={report}", *options)
        assert "a-word-for-thirty" not in ended.stdout + ended.stderr
        found: dict[str, Any] = json.loads((report / "plan.json").read_text())
        if mode != "drift":
            assert ended.returncode == 0, ended.stdout
        return found

    def virsh(self, *arguments: str) -> str:
        command = f'source {self.demo.parts.environment}; exec virsh --quiet "$@"'
        return subprocess.run(["bash", "-c", command, "virsh", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

    def replace(self, file: str, before: str, after: str) -> None:
        """Change a declaration as a merge does."""
        text = (self.folder / "declarations" / file).read_text()
        assert before in text
        (self.folder / "declarations" / file).write_text(text.replace(before, after, 1))


def planned(report: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((row["action"], row["name"]) for row in report["plan"])


@pytest.fixture(scope="module")
def campus(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    """The demo with three hypervisors, and the declarations for them, nothing of which is there yet."""
    folder = tmp_path_factory.mktemp("campus")
    shutil.copytree(root / "examples" / "campus", folder, dirs_exist_ok=True)
    with open_demo(root) as demo:
        demo.run("start", "--hypervisors", "3")
        domain_type = json.loads((demo.parts.path / "facts.json").read_text())["domain_type"]
        with (folder / "declarations" / "defaults.yml").open("a") as defaults:
            defaults.write(f"    domain_type: {domain_type}\n")
        yield Campus(demo, folder)


def test_everything_is_planned_then_made_then_as_declared(campus: Campus) -> None:
    plan = campus.run("plan")
    assert plan["counts"]["create"] == ALL_OBJECTS
    made = campus.run("apply")
    assert made["counts"]["create"] == ALL_OBJECTS
    assert planned(plan) == planned(made)
    again = campus.run("apply")
    assert (again["changed"], again["counts"]["none"]) == (False, ALL_OBJECTS)


def test_a_merge_changes_what_its_plan_showed_and_nothing_else(campus: Campus) -> None:
    campus.replace("machines.yml", "memory: 32", "memory: 48")
    campus.replace("machines.yml", "count: 16", "count: 15")
    plan = campus.run("plan")
    benches = [("change", f"bench-{n:02}") for n in range(1, 16)]
    assert planned(plan) == [*benches, ("remove", "bench-16")]
    assert {key for row in plan["plan"] if row["action"] == "change" for key in row["keys"]} == {"memory"}
    assert planned(campus.run("apply")) == planned(plan)
    assert not campus.run("apply")["changed"]


def drift(campus: Campus) -> None:
    campus.virsh("destroy", "files")
    campus.virsh("setmem", "seat-01", "40960", "--config")
    campus.virsh("undefine", "bench-01")


def test_drift_is_found_and_put_right_by_a_run(campus: Campus) -> None:
    drift(campus)
    found = campus.run("drift")
    assert planned(found) == [("change", "bench-01"), ("change", "files"), ("change", "seat-01")]
    assert planned(campus.run("apply")) == planned(found)
    assert not campus.run("drift")["changed"]


def test_what_is_exported_changes_nothing_when_it_is_declared(campus: Campus) -> None:
    hypervisors = yaml.safe_load((campus.folder / "declarations" / "hypervisors.yml").read_text())["hypervisors"]
    (campus.folder / "export.yml").write_text(yaml.safe_dump(EXPORT))
    ended = campus.play("export.yml", "-e", json.dumps({"hypervisors": hypervisors}))
    assert ended.returncode == 0, ended.stdout
    live = json.loads((campus.folder / "live.json").read_text())
    assert [missing["part"] for missing in live["incomplete"]] == ["groups"]  # the demo's server has no API that could be asked
    names = [entry["name"] for entry in live["document"]["vms"]]
    assert sorted(names) == sorted(campus.demo.list_machines())
    assert sum(name.startswith(("seat-", "bench-")) for name in names) == 30 + 15


def test_what_is_no_longer_declared_goes_and_what_was_there_before_stays(campus: Campus) -> None:
    for file in ("machines.yml", "networks.yml"):
        (campus.folder / "declarations" / file).write_text("---\n")
    refused = campus.play("site.yml", "-e", "archipel_mode=apply")
    assert refused.returncode != 0
    assert "prune_limit" in refused.stdout
    assert len(campus.demo.list_machines()) > 50
    gone = campus.run("apply", "-e", "archipel_prune_limit=100%")
    assert {row["kind"] for row in gone["plan"] if row["action"] == "remove"} == {"machine", "network"}
    assert {name for name in campus.demo.list_machines() if not name.startswith("demo-")} == {"template-seat", "template-server"}
    assert any(name.startswith("demo-") for name in campus.demo.list_machines())
    assert not campus.run("apply")["changed"]
