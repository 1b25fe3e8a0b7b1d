# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-rulebook as a user starts it: a rulebook of the collection, an inventory, variables, the login in the environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ENVIRONMENT = Path(".cache", "rulebook")
INVENTORY = {"all": {"hosts": {"localhost": {"ansible_connection": "local"}}}}
PATIENCE = 150.0  # seconds; Java and a playbook on a busy machine; and ejabberd keeps the session of who was killed for a minute
STOPS_WITHIN = 20.0  # seconds


class Rulebook:
    """A rulebook that runs; ``log`` is what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def said(self) -> str:
        """Return what it said."""
        return self.log.read_text(errors="replace")

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Return what a condition returns once that is true; it must come true while the rulebook runs."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := condition():
                return found
            assert self.process.poll() is None, f"ansible-rulebook ended:\n{self.said()}"
            time.sleep(0.2)
        raise AssertionError(f"{what}: not within {PATIENCE:g} s:\n{self.said()}")

    def wait_for_runs(self, playbook: str, number: int = 1) -> None:
        """Wait until a playbook has ended so often."""
        recaps = lambda: self.said().count("PLAY RECAP")  # noqa: E731 - short
        self.wait_until(lambda: recaps() >= number, f"{number} runs of {playbook}")


@contextlib.contextmanager
def run_rulebook(root: Path, folder: Path, name: str, login: Mapping[str, str], **variables: Any) -> Iterator[Rulebook]:
    """Start a rulebook of the collection, and stop it in the end."""
    programs = root / ENVIRONMENT / "bin"
    assert (programs / "ansible-rulebook").exists(), "make test-e2e makes the environment that this takes (tools/rulebook-environment)"
    inventory, values, log = folder / "inventory.yml", folder / "variables.yml", folder / f"{name}.log"
    inventory.write_text(yaml.safe_dump(INVENTORY))
    values.write_text(yaml.safe_dump(variables))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(root / ".venv" / "collections"),
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        **login,
    }
    command = ["ansible-rulebook", "--rulebook", f"archipel.platform.{name}", "--inventory", inventory, "--vars", values, "--print-events"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield Rulebook(process, log)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
