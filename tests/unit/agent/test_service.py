# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit, its watchdog and the rules for polkit: what the pages say of them is so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import daemon
from archipel.agent.settings import OPTIONS
from archipel.agent.watchdog import feed_watchdog, interval

UNIT = Path(str(files("archipel.agent") / "systemd" / "archipel-agent.service"))
OOM_UNIT = UNIT.with_name("archipel-oom@.service")
POLICY = Path("/usr/share/polkit-1/actions/org.libvirt.api.policy")
OURS = str(os.getpid())


def unit_options() -> dict[str, str]:
    lines = (line.partition("=") for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def default_of(name: str) -> Path:
    return Path(next(option.default for option in OPTIONS if option.name == name))


@pytest.mark.parametrize(
    "unit, words", [(UNIT, r"exposure of \*\*([0-9.]+)\*\* \(systemd 252"), (OOM_UNIT, r"its exposure is \*\*([0-9.]+)\*\*")]
)
def test_the_page_states_the_exposure_that_systemd_finds(root: Path, tmp_path: Path, unit: Path, words: str):
    stated = re.search(words, (root / "docs" / "security.md").read_text())
    assert stated is not None
    if shutil.which("systemd-analyze"):
        copy = tmp_path / unit.name.replace("@", "")  # a template is nothing that can be analysed
        copy.write_text(unit.read_text())
        command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(copy)]
        found = re.search(
            r"Overall exposure level .*: ([0-9.]+)", subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )
        assert found is not None
        version = subprocess.run(["systemd-analyze", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
        wanted = float(stated[1]) if version == "252" else 2.0
        assert float(found[1]) <= wanted
        assert version != "252" or found[1] == stated[1]


def test_the_unit_lets_the_programs_start_that_the_agent_needs():
    """setpriv, before qemu-img, calls capset(2) even where there is nothing to set; refused, no drive could be read or made."""
    filters = re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.MULTILINE)
    refused = next(number for number, text in enumerate(filters) if text.startswith("~") and "@privileged" in text)
    assert "capset" in " ".join(filters[refused + 1 :]).split()


def test_the_unit_is_of_a_user_of_its_own_and_may_write_where_the_agent_writes():
    options = unit_options()
    assert (options["User"], options["Group"], options["Type"]) == ("archipel", "archipel", "notify")
    assert default_of("archipel_folder_lib") == Path("/var/lib") / options["StateDirectory"]
    assert default_of("audit_log_path").parent == Path("/var/log") / options["LogsDirectory"]
    assert default_of("archipel_folder_data") == Path(options["ReadWritePaths"].removeprefix("-"))
    assert options["CapabilityBoundingSet"] == options["AmbientCapabilities"] == ""
    assert options["RestartPreventExitStatus"].split() == [str(daemon.EXIT_CONFIGURATION), str(daemon.EXIT_CAPABILITY)]


def test_the_rules_name_what_libvirt_knows_and_nothing_that_the_page_excludes(root: Path):
    rules = (root / "src/archipel/agent/polkit/50-archipel.rules").read_text()
    named = set(re.findall(r'"(org\.libvirt\.[a-z.-]+)": true', rules))
    assert {"org.libvirt.unix.manage", "org.libvirt.api.domain.start", "org.libvirt.api.domain.write"} <= named
    excluded = ("mem-read", "send-input", "open-graphics", "core-dump", "interface.", "secret.", "node-device", "connect.write")
    assert [name for name in named if any(word in name for word in excluded)] == []
    if POLICY.exists():
        known = {action.get("id") for action in ET.parse(POLICY).iter("action")}
        assert named - {"org.libvirt.unix.manage"} <= known


@pytest.mark.parametrize(
    "environment, seconds",
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": OURS}, 30),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_systemd_is_told_twice_as_often_as_it_wants(environment: Mapping[str, str], seconds: float | None):
    assert interval(environment) == seconds


async def test_the_watchdog_is_fed_until_the_agent_ends():
    told: asyncio.Queue[str] = asyncio.Queue()
    feeding = asyncio.create_task(feed_watchdog(told.put_nowait, {"WATCHDOG_USEC": "2000"}))
    assert [await told.get() for _ in range(3)] == ["WATCHDOG=1"] * 3
    feeding.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await feeding


async def test_without_a_watchdog_nothing_is_told():
    told: list[str] = []
    await feed_watchdog(told.append, {})
    assert told == []
