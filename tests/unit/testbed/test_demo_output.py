# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo reads in the output of others, and what it borrows of the host."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.demo import acceleration, tour, watching
from testbed.demo.acceleration import lend_device, take_device_back
from testbed.demo.folder import DemoError
from testbed.demo.progress import Progress
from testbed.demo.watching import Watch

PLAY = """
TASK [The machines are as declared] ****
--- before: demo-db
+++ after: demo-db
@@ -1,3 +1,3 @@
 state: running
-memory: 128
+memory: 160
 max_memory: 256

changed: [localhost]

PLAY RECAP ****
localhost                  : ok=8    changed=1    unreachable=0    failed=0    skipped=6
"""


def test_the_recap_tells_how_much_was_changed():
    assert tour.read_recap(PLAY)[1] == "1"
    with pytest.raises(DemoError, match="without a recap"):
        tour.read_recap("ERROR! the playbook could not be found")


def test_the_difference_is_what_stands_under_its_heads_and_no_more():
    difference = tour.read_difference(PLAY)
    assert (difference[0], difference[-1]) == ("--- before: demo-db", " max_memory: 256")
    assert tour.read_changes(difference) == tour.CHANGES


def test_a_further_change_in_the_difference_is_seen():
    output = PLAY.replace(" max_memory: 256", "-max_memory: 256\n+max_memory: 512")
    assert tour.read_changes(tour.read_difference(output)) != tour.CHANGES


def test_a_program_is_shown_kept_and_judged_by_its_status(tmp_path: Path, capsys):
    log = tmp_path / "log"
    status, output = Progress().run(["sh", "-c", "echo one; echo two >&2; exit 3"], os.environ, log)
    assert (status, output, log.read_text()) == (3, "one\ntwo\n", "one\ntwo\n")
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["one", "two"]
    with pytest.raises(DemoError, match=r"(?s)ended with 3:\none"):
        Progress().run_or_fail(["sh", "-c", "echo one; exit 3"], os.environ, log)


@pytest.fixture
def watch(tmp_path: Path):
    """``archipel`` is a script that prints three lines and stays."""
    script = tmp_path / "archipel"
    script.write_text("#!/bin/sh\necho db is Running; echo db is Paused; echo db suspended; exec sleep 1000\n")
    script.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with Watch("db", environment, tmp_path / "watch.log") as watch:
        yield watch


def test_all_that_is_looked_for_must_come(watch: Watch):
    assert watch.wait_for("Running").lines == ("db is Running",)
    assert watch.wait_for("suspended", "Paused").lines == ("db is Paused", "db suspended")


def test_what_does_not_come_is_told_with_what_came(watch: Watch, monkeypatch):
    monkeypatch.setattr(watching, "PATIENCE", 1.0)
    with pytest.raises(DemoError, match=r"did not show \{'resumed'\} within 1 s; it showed \['db is Running'"):
        watch.wait_for("resumed", "Running")


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device that only its owner can open, on a host without udev; its group is one that the test may give."""
    monkeypatch.setattr(acceleration, "UDEV", tmp_path / "udev")
    monkeypatch.setattr(acceleration, "GROUP", os.getegid())
    device = tmp_path / "kvm"
    device.touch(mode=0o600)
    return device


def mode(device: Path) -> int:
    return stat.S_IMODE(device.stat().st_mode)


def test_a_device_is_lent_and_taken_back(tmp_path: Path, device: Path):
    memo = tmp_path / "memo"
    assert lend_device(memo, device) is True
    assert mode(device) == 0o660
    assert lend_device(memo, device) is False
    take_device_back(memo, device)
    assert mode(device) == 0o600


def test_a_device_is_left_as_it_is_where_udev_rules_or_nothing_is_missing(tmp_path: Path, device: Path, monkeypatch):
    memo = tmp_path / "memo"
    assert lend_device(memo, tmp_path / "absent") is False
    device.chmod(0o666)
    assert lend_device(memo, device) is False
    device.chmod(0o600)
    monkeypatch.setattr(acceleration, "GROUP", "no-such-group")
    assert lend_device(memo, device) is False
    acceleration.UDEV.touch()
    assert lend_device(memo, device) is False
    take_device_back(memo, device)
    assert (mode(device), memo.exists()) == (0o600, False)


STARTER = """
import subprocess, time
from testbed.demo.progress import ENDS_WITH_US
print(subprocess.Popen([*ENDS_WITH_US, "sleep", "1000"]).pid, flush=True)
time.sleep(1000)
"""


def test_the_demos_programs_end_when_the_demo_is_killed(root: Path):
    with subprocess.Popen([sys.executable, "-c", STARTER], cwd=root, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        program = Path("/proc", demo.stdout.readline().strip())
        wait_until(lambda: program.joinpath("comm").read_text() == "sleep\n")
        demo.kill()
    wait_until(lambda: not program.exists())


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again; the test's own time-out ends it."""
    while not condition():
        time.sleep(0.01)
