# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of a repository of declarations, from the first plan to the drift of a night: its CI jobs do what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from archipel.client import MachineState
from testbed.certificates import Authority
from tests.integration.collection.platform import Platform, open_platform
from tests.integration.collection.playbook import Ansible
from tests.integration.collection.test_machines import change_memory, state_of

pytestmark = pytest.mark.timeout(400)
ARTIFACTS = {"report/plan.md", "report/plan.json"}
BEGINNING = {"web", "db", "seat-01", "seat-02"}


class Repository:
    """A repository with a person's checkout of it, and the jobs that its CI would run."""

    def __init__(self, root: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.origin, self.checkout = folder / "platform.git", folder / "checkout"
        self._environment = {**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._author = ("-c", "user.name=Teacher", "-c", "user.email=teacher@example.org")
        shutil.copytree(root / "examples" / "gitops", self.checkout)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("The beginning")
        subprocess.run(["git", "clone", "--quiet", "--bare", self.checkout, self.origin], check=True)

    def git(self, *command: str) -> str:
        done = subprocess.run(["git", *self._author, *command], cwd=self.checkout, capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def change(self, file: str, old: str, new: str) -> None:
        """Change a declaration, and commit that."""
        path = self.checkout / "declarations" / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        self.commit(f"{old} becomes {new}")

    def run_job(self, name: str) -> tuple[int, dict[str, Any], str]:
        """Run the script of a CI job; return its exit code, and both artifacts."""
        job = yaml.safe_load((self.checkout / ".gitlab-ci.yml").read_text())[name]
        assert set(job["artifacts"]["paths"]) == ARTIFACTS
        report = self.checkout / "report"
        shutil.rmtree(report, ignore_errors=True)
        environment = {**self._environment, "CI_PROJECT_DIR": str(self.checkout)}
        script = ["bash", "-euo", "pipefail", "-c", "\n".join(job["script"])]
        ended = subprocess.run(script, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False, timeout=200)
        assert (report / "plan.json").exists(), ended.stdout + ended.stderr
        plan = json.loads((report / "plan.json").read_text())
        assert not plan["failed"], f"{plan['message']}\n{ended.stdout}"
        return ended.returncode, plan, (report / "plan.md").read_text()


@pytest.fixture(scope="module")
def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform of its own on libvirt's test driver."""
    with open_platform(tmp_path_factory.mktemp("gitops"), authority) as platform:
        yield platform


@pytest.fixture
def ansible(platform: Platform, root: Path, tmp_path: Path) -> Ansible:
    return Ansible(root, tmp_path, platform.environment())


@pytest.fixture
def repository(root: Path, tmp_path: Path, ansible: Ansible) -> Repository:
    return Repository(root, tmp_path, ansible.environment)


def actions(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return what is done with each machine."""
    return {entry["name"]: entry["action"] for entry in plan["plan"] if entry["kind"] == "machine"}


async def uuid_of(platform: Platform, name: str) -> str:
    async with platform.hypervisor() as hypervisor:
        return (await hypervisor.machine(name)).uuid


async def test_a_change_is_planned_on_its_branch_applied_on_merge_and_drift_is_found(repository: Repository, platform: Platform) -> None:
    code, plan, page = repository.run_job("plan")
    assert (code, plan["changed"], actions(plan)) == (0, True, dict.fromkeys(BEGINNING, "create"))
    assert "| machine web | made | north |" in page
    assert platform.domains() == set(), "a plan changes nothing"
    code, applied, _page = repository.run_job("apply")
    assert (code, applied["plan"]) == (0, plan["plan"]), "what was planned is what was done"
    assert platform.domains() == BEGINNING
    code, again, page = repository.run_job("apply")
    assert (code, again["changed"], again["plan"]) == (0, False, [])
    assert "Nothing: all is as it is declared." in page

    repository.git("switch", "--quiet", "--create", "more-memory")
    repository.change("machines.yml", "memory: 128", "memory: 192")
    repository.change("machines.yml", "count: 2", "count: 1")
    code, plan, page = repository.run_job("plan")
    assert (code, actions(plan)) == (0, {"db": "change", "seat-02": "remove"})
    assert "| machine seat-02 | **removed** | north |" in page
    assert "memory: 128" in page
    assert "memory: 192" in page
    assert platform.domains() == BEGINNING
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "more-memory")
    code, applied, _page = repository.run_job("apply")
    assert (code, actions(applied)) == (0, {"db": "change", "seat-02": "remove"})
    assert platform.domains() == BEGINNING - {"seat-02"}

    code, plan, _page = repository.run_job("drift")
    assert (code, plan["changed"]) == (0, False)
    await change_memory(platform, await uuid_of(platform, "db"))
    code, plan, page = repository.run_job("drift")
    assert (code, actions(plan)) == (2, {"db": "change"})
    assert "memory: 32" in page
    assert await state_of(platform, await uuid_of(platform, "web")) is MachineState.RUNNING


def test_both_ci_services_do_the_same(root: Path) -> None:
    example = root / "examples" / "gitops"
    gitlab = yaml.safe_load((example / ".gitlab-ci.yml").read_text())
    github = yaml.safe_load((example / ".github" / "workflows" / "declarations.yml").read_text())["jobs"]
    for job in ("plan", "apply", "drift"):
        (command,) = gitlab[job]["script"]
        steps = [step["run"] for step in github[job]["steps"] if "run" in step]
        assert command.replace("$CI_PROJECT_DIR", "$GITHUB_WORKSPACE") in steps


def test_a_report_is_written_of_what_failed_too(ansible: Ansible, root: Path, tmp_path: Path) -> None:
    declarations = tmp_path / "declarations.yml"
    declarations.write_text("hypervisors: {north: nobody@example.org}\nvms: [{name: web, hypervisor: north, memory: 64}]\n")
    report = tmp_path / "report"
    values = {"archipel_mode": "plan", "archipel_declarations": str(declarations), "archipel_report": str(report)}
    ended = ansible.call("ansible-playbook", "archipel.platform.gitops", "-e", json.dumps(values))
    assert ended.returncode == 2
    plan = json.loads((report / "plan.json").read_text())
    assert plan["failed"]
    assert "nobody@example.org is not online" in plan["message"]
    assert "**Failed:**" in (report / "plan.md").read_text()
