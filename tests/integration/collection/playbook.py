# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks made of tasks, run by ansible-playbook as a user would, and what each task said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.collection.platform import FEED

COLLECTION = "archipel.platform."
HERE = Path(__file__).parent
SECONDS = 100  # for one playbook; the test's own limit is a little longer
Task = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a task said when it was run in check mode, for real, and once more."""

    name: str
    predicted: Mapping[str, Any]
    first: Mapping[str, Any]
    second: Mapping[str, Any]

    def assert_truthful(self) -> None:
        """The prediction came true, and the second run had nothing left to do."""
        for run in (self.predicted, self.first, self.second):
            assert not run.get("failed"), f"{self.name}: {_failure_of(run)}"
        assert self.predicted["changed"] == self.first["changed"], f"{self.name}: check mode said otherwise"
        if self.first["changed"] and "rc" not in self.first:  # what a program in a guest does, nobody can show
            assert _texts(self.first, "before") != _texts(self.first, "after"), f"{self.name}: changed, and without a difference"
        for predicted, real in zip(_texts(self.predicted), _texts(self.first), strict=True):
            assert predicted == real, f"{self.name}: check mode showed something else"
        assert not self.second["changed"], f"{self.name}: the second run changed {self.second.get('diff')}"
        for before, after in zip(_texts(self.second, "before"), _texts(self.second, "after"), strict=True):
            assert before == after, f"{self.name}: unchanged, but with a difference"


def _texts(answer: Mapping[str, Any], *sides: str) -> list[str]:
    return [diff[side] for diff in answer.get("diff", []) for side in sides or ("before", "after")]


def _failure_of(answer: Mapping[str, Any]) -> str:
    return " ".join(str(answer[part]) for part in ("msg", "assertion", "exception") if part in answer)


class Ansible:
    """ansible-playbook and ansible-inventory of the environment that runs the tests."""

    def __init__(self, root: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.folder = folder
        self.environment = {
            **os.environ,
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_COLLECTIONS_PATH": str(root / ".venv" / "collections"),
            "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "LC_ALL": "C.UTF-8",
            **environment,
        }

    def run(self, tasks: Sequence[Task], *options: str, environment: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Run the tasks in one play on localhost; return what each of them said. A failure is a result as well."""
        play = [{"hosts": "localhost", "gather_facts": False, "tasks": [{**task, "ignore_errors": True} for task in tasks]}]
        playbook = self.folder / "playbook.yml"
        playbook.write_text(yaml.safe_dump(play, sort_keys=False))
        shutil.copytree(HERE / "templates", self.folder / "templates", dirs_exist_ok=True)
        ended = self.call("ansible-playbook", "--diff", *options, str(playbook), environment=environment)
        _chatter, found, report = f"\n{ended.stdout}".partition("\n{")
        assert found, ended.stdout + ended.stderr
        return [task["hosts"]["localhost"] for task in json.loads(found + report)["plays"][0]["tasks"]]

    def run_thrice(self, tasks: Sequence[Task], environment: Mapping[str, str] | None = None) -> list[Outcome]:
        """Run each task that changes something in check mode, for real, and once more, before the next; return what they said.

        Other tasks run once, and must not fail.
        """
        copies = [copy for task in tasks for copy in _copies(task)]
        results = iter(self.run(copies, environment=environment))
        outcomes = []
        for task in tasks:
            answers = [next(results) for _ in _copies(task)]
            if len(answers) > 1:
                outcomes.append(Outcome(task["name"], *answers))
            else:
                assert not answers[0].get("failed"), f"{task['name']}: {_failure_of(answers[0])}"
        return outcomes

    def call(
        self, program: str, *arguments: str, environment: Mapping[str, str] | None = None, seconds: float = SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Ansible's programs."""
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        variables = {**self.environment, **(environment or {})}
        return subprocess.run(command, env=variables, cwd=self.folder, capture_output=True, text=True, timeout=seconds, check=False)


def _copies(task: Task) -> list[Task]:
    if not any(key.startswith(COLLECTION) and not key.endswith("_info") for key in task):
        return [task]
    silent = {key: value for key, value in task.items() if key != "register"}
    return [{**silent, "check_mode": True}, task, silent]


def read_tasks(file: Path, feed: str = FEED) -> list[Task]:
    """Return the tasks of a file, with the address of a feed of appliances that is there."""
    tasks: list[Task] = yaml.safe_load(file.read_text().replace(FEED, feed))
    return tasks
