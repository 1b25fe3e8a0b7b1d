# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo in a folder of its own, for tests that look at it as its user does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testbed.demo.folder import VARIABLE, DemoFolder, as_root

DEMO = [sys.executable, "-m", "testbed.demo"]


class Demo:
    """The demo of these tests."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.parts = DemoFolder(folder)
        self.environment = {**os.environ, VARIABLE: str(folder)}

    def run(self, command: str, *options: str) -> str:
        """Run a command of the demo to its end, which must be a good one; returns what it printed."""
        result = subprocess.run(
            [*DEMO, command, *options],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout
        return result.stdout

    def kill_start_at(self, words: str) -> None:
        """Begin to start it, and kill it as soon as these words are there."""
        with subprocess.Popen([*DEMO, "start"], cwd=self.root, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert any(words in line for line in process.stdout), f"{words!r} was not printed"
            process.kill()

    def kill_servers(self) -> None:
        """End all its servers as a crash would."""
        for pid in self.find_processes():
            subprocess.run(as_root(["kill", "-KILL", str(pid)]), check=False)

    def find_processes(self) -> dict[int, str]:
        """Return the command lines of all processes that were started with the name of the folder."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.parts.path) in command:
                found[int(process.name)] = command
        return found

    def play(self, *options: str) -> str:
        """Run the demo's play once more, as the words at the end of the demo say; returns what it printed."""
        command = f'source {self.parts.environment}; exec ansible-playbook archipel.platform.demo "$@"'
        result = subprocess.run(
            ["bash", "-c", command, "play", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert result.returncode == 0, result.stdout
        return result.stdout

    def list_machines(self) -> dict[str, tuple[str, str]]:
        """Return UUID and state of each machine, as the command line shows them."""
        output = subprocess.run([self.parts.programs / "archipel", "ls"], capture_output=True, text=True, check=True).stdout
        return {line.split()[0]: (line.split()[-1], line.split()[1]) for line in output.splitlines()[1:]}


@contextlib.contextmanager
def open_demo(root: Path) -> Iterator[Demo]:
    """Yield a demo that is still to be started; it is stopped in the end."""
    folder = Path(tempfile.mkdtemp(prefix="archipel-demo-", dir="/tmp"))  # a socket's path must be short
    folder.chmod(0o755)
    demo = Demo(root, folder)
    try:
        yield demo
    finally:
        subprocess.run([*DEMO, "stop"], cwd=root, env=demo.environment, check=False)
