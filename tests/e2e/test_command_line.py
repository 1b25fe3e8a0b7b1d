# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line and a real guest: its programs and files, its consoles, a picture of it, a snapshot, a copy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.real_guest import DEFINITION, Place
from tests.integration.collection.platform import HYPERVISOR, password_of

TRIES = 120  # to reach the guest agent while the guest boots, under emulation; each takes a second at least
DISK = "<disk type='file'><driver name='qemu' type='qcow2'/><source file='{}'/><target dev='vda' bus='virtio'/></disk></devices>"


class Shell:
    """Somebody who types commands."""

    def __init__(self, place: Place, home: Path) -> None:
        self.home = home
        self._environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
        server = place.platform.ejabberd
        where = ("--host", server.host, "--port", str(server.port), "--ca-file", str(server.ca_file))
        self.run("-H", HYPERVISOR, "login", "admin@example.org", "--password-file", "-", *where, typed=password_of("admin").encode())

    def type(self, *words: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [str(Path(sys.executable).with_name("archipel")), *words]
        return subprocess.run(command, check=False, input=typed, capture_output=True, env=self._environment, cwd=self.home, timeout=300)

    def run(self, *words: str, typed: bytes = b"") -> str:
        done = self.type(*words, typed=typed)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout!r} {done.stderr!r}"
        return done.stdout.decode()


@pytest.fixture(scope="module")
def shell(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell, and the machine ``web`` with a disk, whose guest has booted."""
    shell = Shell(place, tmp_path_factory.mktemp("home"))
    boot = {"kernel": place.folder / "vmlinuz", "initrd": place.folder / "initrd.img"}
    definition = DEFINITION.format(name="web", folder=place.folder, **boot)
    uuid = re.search(r"\(([0-9a-f-]{36})@", shell.run("define", "-", typed=definition.encode()))
    assert uuid is not None
    shell.run("drive", "create", "web", "data", "16M")
    disk = DISK.format(place.platform.agent.machines / uuid[1] / "data.qcow2")
    shell.run("define", "-", typed=definition.replace("</devices>", disk).encode())
    shell.run("start", "--wait", "web")
    assert any(shell.type("guest", "info", "web").returncode == 0 for _ in range(TRIES)), shell.type("guest", "info", "web")
    return shell


@pytest.mark.timeout(600)  # the first test waits until the guest has booted
def test_a_guest_is_reached_into(shell: Shell) -> None:
    assert "host name  guest" in shell.run("guest", "info", "web")
    done = shell.type(
        "guest", "exec", "--stdin", "web", "/bin/sh", "-c", "read word; echo got $word; echo wrong >&2; exit 7", typed=b"this\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"got this\n", b"wrong\n")
    content = bytes(range(256)) * 400  # more than one part
    (shell.home / "content").write_bytes(content)
    assert shell.run("guest", "write", "web", "content", "/tmp/content") == f"web: {len(content)} bytes in /tmp/content\n"
    assert shell.type("guest", "read", "web", "/tmp/content").stdout == content


def test_a_program_that_takes_longer_than_one_answer_is_waited_for(shell: Shell) -> None:
    assert shell.run("guest", "exec", "web", "/bin/sh", "-c", "sleep 25; echo late") == "late\n"


def test_the_screen_and_the_consoles_are_there(shell: Shell) -> None:
    assert re.fullmatch(r"web \([-0-9a-f]+@example\.org\): \d+ x \d+ in web.png\n", shell.run("screenshot", "web", "web.png"))
    assert (shell.home / "web.png").read_bytes().startswith(b"\x89PNG")
    for kind in ("vnc", "text"):
        assert shell.run("console", "--kind", kind, "web").startswith("http")


def test_a_snapshot_is_taken_of_the_running_guest_and_gone_back_to(shell: Shell) -> None:
    shell.run("snapshot", "take", "web", "before", "--memory")
    shell.run("guest", "exec", "web", "/bin/sh", "-c", "echo new >/tmp/new")
    shell.run("snapshot", "revert", "web", "before")
    assert shell.type("guest", "exec", "web", "/bin/sh", "-c", "test -e /tmp/new").returncode == 1
    assert re.search(r"before +yes .* running", shell.run("snapshot", "list", "web"))
    shell.run("snapshot", "delete", "web", "before")


def test_a_machine_that_is_off_is_copied_with_its_drive(shell: Shell) -> None:
    shell.run("stop", "--wait", "web")
    shell.run("clone", "web", "copy", "--wait")
    assert "data.qcow2" in shell.run("drive", "list", "copy")
