# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a real QEMU guest is found by libvirt's note and adjusted, in the namespaces where libvirt runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.demo.virtualization import PrivateLibvirt, connect

NAME, UUID = "memory hog", "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
DOMAIN = (
    f"<domain type='qemu'><name>{NAME}</name><uuid>{UUID}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
    "<os><type arch='x86_64'>hvm</type></os></domain>"
)
# What the agent does, where libvirt's folders and process numbers are those that the agent would see.
SCRIPT = """
import sys
from archipel.agent.virt.qemu_process import QemuProcess
with QemuProcess.open(sys.argv[1], sys.argv[2]) as process:
    process.oom_score_adj = int(sys.argv[3])
    print(process.pid, process.oom_score_adj, process.oom_score)
"""


@pytest.fixture(scope="module", autouse=True)
def guest(daemon: PrivateLibvirt) -> None:
    """A guest that runs."""
    with connect(daemon.uri) as connection:
        connection.defineXML(DOMAIN).create()


def within(daemon: PrivateLibvirt, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script in the daemon's namespaces."""
    child = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()[0]
    command = ["nsenter", f"--target={child}", "--mount", "--pid", sys.executable, "-B", "-c", SCRIPT, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(root / "src"), "PATH": os.environ["PATH"]}
    )


def adjustment_of_guest() -> str:
    """What the kernel has for the guest's process, as this host sees it."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if f"-uuid\0{UUID}".encode() in path.read_bytes():
            return (path.parent / "oom_score_adj").read_text().strip()
    raise AssertionError("the guest does not run")


def test_the_guests_process_is_found_and_adjusted(daemon: PrivateLibvirt, root: Path) -> None:
    done = within(daemon, root, UUID, NAME, "300")
    assert done.returncode == 0, done.stderr
    pid, adjust, score = map(int, done.stdout.split())
    assert (adjust, adjustment_of_guest()) == (300, "300")
    assert pid > 1
    assert score > 0


def test_never_takes_a_capability_of_the_kernels(daemon: PrivateLibvirt, root: Path) -> None:
    allowed = (
        int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")).split()[1], 16) >> 24 & 1
    )
    done = within(daemon, root, UUID, NAME, "-1000")
    if allowed:  # CAP_SYS_RESOURCE
        assert adjustment_of_guest() == "-1000", done.stderr
    else:
        assert "PermissionError" in done.stderr
        assert adjustment_of_guest() != "-1000"


def test_another_machines_process_is_not_taken(daemon: PrivateLibvirt, root: Path) -> None:
    done = within(daemon, root, "7a1d3b4f-2c8e-4d66-8b1f-4e3c2d5a6b70", NAME, "500")
    assert "ProcessNotFound" in done.stderr
    assert adjustment_of_guest() != "500"
