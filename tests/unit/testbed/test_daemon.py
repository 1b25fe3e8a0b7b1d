# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server process is started, found again, stopped and never confused with another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testbed.daemon import Daemon, DaemonError

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
SLEEPER = ["sleep", "1000"]
STUBBORN = ["sh", "-c", "trap '' TERM; echo started; while :; do sleep 0.1; done"]


@pytest.fixture
def daemon(tmp_path: Path):
    daemon = Daemon("sleeper", tmp_path)
    yield daemon
    daemon.kill()


def test_it_is_ready_when_it_says_so(daemon: Daemon):
    answers = iter([False, False, True])
    daemon.start(SLEEPER, ENVIRONMENT, lambda: next(answers))
    assert daemon.pid is not None
    assert next(answers, "asked no more") == "asked no more"


def test_another_object_finds_and_stops_it(daemon: Daemon, tmp_path: Path):
    daemon.start(SLEEPER, ENVIRONMENT, lambda: True)
    other = Daemon("sleeper", tmp_path)
    assert other.pid == daemon.pid
    other.stop()
    assert (other.pid, daemon.pid) == (None, None)


def test_it_can_be_started_again_after_a_crash(daemon: Daemon):
    daemon.start(SLEEPER, ENVIRONMENT, lambda: True)
    first = daemon.pid
    daemon.kill()
    daemon.start(SLEEPER, ENVIRONMENT, lambda: True)
    assert daemon.pid not in {None, first}


def test_one_that_ignores_the_request_to_end_is_killed(daemon: Daemon):
    daemon.start(STUBBORN, ENVIRONMENT, lambda: "started" in daemon.read_log())
    daemon.stop(timeout=0.2)
    assert daemon.pid is None


def test_its_last_words_are_in_the_error(daemon: Daemon):
    with pytest.raises(DaemonError, match=r"(?s)ended at its start.*wrong option"):
        daemon.start(["sh", "-c", "echo wrong option >&2; exit 1"], ENVIRONMENT, lambda: False)


def test_one_that_never_gets_ready_is_not_left_running(daemon: Daemon):
    with pytest.raises(DaemonError, match=r"not ready after 0\.1 s"):
        daemon.start(SLEEPER, ENVIRONMENT, lambda: False, timeout=0.1)
    assert daemon.pid is None


def test_it_is_not_started_twice(daemon: Daemon):
    daemon.start(SLEEPER, ENVIRONMENT, lambda: True)
    with pytest.raises(DaemonError, match="runs already"):
        daemon.start(SLEEPER, ENVIRONMENT, lambda: True)


def test_a_process_that_got_the_same_number_is_not_touched(daemon: Daemon, tmp_path: Path):
    with subprocess.Popen(SLEEPER) as stranger:
        (tmp_path / "sleeper.pid").write_text(f"{stranger.pid} 1")
        assert daemon.pid is None
        daemon.kill()
        assert stranger.poll() is None
        stranger.kill()


def test_stopping_what_does_not_run_changes_nothing(daemon: Daemon):
    daemon.stop()
    assert daemon.pid is None
