# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo on real guests: it shows what it promises, survives crashes of all its parts, and goes without a trace.

The tests follow each other on one platform, in a folder of their own. Where the host has a libvirt, the machines are there: a
demo that runs on the same libvirt is told as an obstacle.
"""

from __future__ import annotations

import ast
import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.demo.folder import as_root
from testbed.demo.machines import IMAGE, MACHINES, NETWORK
from testbed.demo.tour import read_changes, read_difference, read_recap
from tests.e2e.own_demo import Demo, open_demo

pytestmark = pytest.mark.timeout(900)
PROMISED = (
    r"changed=0 .*failed=0",
    r"\n +-memory: 128\n +\+memory: 160\n",
    r"\|--@state_running:\n +\|  \|--demo",
    r"archipel --profile student shutdown demo-lab.*\n +demo-lab: asked to shut down",
    r"archipel --profile student start demo-lab.*\n +demo-lab: started",
    r"archipel --profile student ls\n( +\S.*\n)* +demo-web +running",
    r"student@\S+ lacks the right 'info' on demo-db",
    r"student@\S+ lacks the right 'info' on demo-web",
    r"student@\S+ lacks the right 'create' on demo-web",
    r"student@\S+ lacks the right 'shutdown' on demo-web",
    r"demo-db  is Paused\n(.*\n)? +seen \d+ ms after virsh was called",
    r"virsh resume demo-db.*\n(.*\n)?.*demo-db  is Running",
    r"archipel chat demo-web hello",
)

# The demo's question whether KVM works, asked of QEMU's emulation, which works everywhere.
ASK_EMULATION = """
import sys
from pathlib import Path
from testbed.demo import acceleration
from testbed.demo.virtualization import connect
uri, image, log, seconds = sys.argv[1:]
acceleration.PROBE_SECONDS = float(seconds)
acceleration.DEFINITION = acceleration.DEFINITION.replace("<domain type='kvm'>", "<domain type='qemu'>").replace("host-model", "maximum")
with connect(uri) as connection:
    print(acceleration.prove_kvm(connection, Path(image), Path(log)), [domain.name() for domain in connection.listAllDomains()])
"""


@pytest.fixture(scope="module")
def demo(root: Path) -> Iterator[Demo]:
    """A demo in a folder of its own, started once; it may have been stopped already when the tests end."""
    with open_demo(root) as demo:
        yield demo


def test_it_shows_what_it_promises(demo: Demo):
    output = demo.run("start")
    for promise in PROMISED:
        assert re.search(promise, output), f"{promise} is not in\n{output}"
    assert {name: state for name, (_uuid, state) in demo.list_machines().items()} == dict.fromkeys(MACHINES, "running")
    assert demo.run("status").count(": runs") == len(MACHINES)


def test_its_passwords_are_readable_by_nobody_else_and_shown_nowhere(demo: Demo):
    passwords = {file.name: file.read_text().strip() for file in demo.parts.accounts.iterdir()}
    assert set(passwords) == {"hypervisor", "admin", "teacher", "student"}
    assert len(set(passwords.values())) == len(passwords)
    for file in demo.parts.accounts.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    logs = "".join(log.read_text() for log in [*demo.parts.logs.iterdir(), *demo.parts.host.glob("agent/*.log")])
    shown = logs + "".join(demo.find_processes().values()) + demo.parts.environment.read_text()
    assert not [name for name, password in passwords.items() if password in shown]


@pytest.mark.parametrize("seconds, comes_up", [(60, True), (0, False)])
def test_an_acceleration_is_proved_by_a_guest_that_comes_up(demo: Demo, seconds: float, comes_up: bool):
    uri = json.loads((demo.parts.path / "facts.json").read_text())["uri"]
    image, log = demo.parts.host / IMAGE, demo.parts.host / f"probe-{seconds}.log"
    command = as_root([sys.executable, "-B", "-c", ASK_EMULATION, uri, str(image), str(log), str(seconds)])
    answer, _, left = subprocess.run(command, cwd=demo.root, capture_output=True, text=True, check=True).stdout.partition(" ")
    assert answer == str(comes_up)
    assert sorted(ast.literal_eval(left)) == sorted(MACHINES)


def test_a_run_does_what_the_dry_run_said_and_the_next_nothing(demo: Demo):
    declared = ("--diff", "--extra-vars", '{"db_memory": 144}')
    predicted, real, again = demo.play("--check", *declared), demo.play(*declared), demo.play(*declared)
    assert read_changes(read_difference(predicted)) == ["-memory: 128", "+memory: 144"]
    assert read_difference(real) == read_difference(predicted)
    assert read_recap(predicted)[1] == read_recap(real)[1] == "1"
    assert (read_recap(again)[1], read_difference(again)) == ("0", [])


def test_a_second_start_keeps_its_machines(demo: Demo):
    before = demo.list_machines()
    assert "a demo is here already" in demo.run("start")
    assert demo.list_machines() == before


def test_after_a_crash_of_agent_and_server_it_goes_on(demo: Demo):
    before = demo.list_machines()
    for name, command in demo.find_processes().items():
        if "archipel-agent" in command or "beam" in command:
            subprocess.run(as_root(["kill", "-KILL", str(name)]), check=True)
    demo.run("start")
    assert demo.list_machines() == before


def test_killed_in_the_middle_it_can_be_started_again(demo: Demo):
    demo.run("stop")
    demo.kill_start_at("ejabberd: ")
    demo.kill_start_at("ansible-playbook playbooks/demo.yml")
    assert read_recap(demo.play("--check"))[3] == "0", "on a platform without machines, and without rights for those who make them"
    demo.run("start")
    assert set(demo.list_machines()) == set(MACHINES)


def test_with_all_its_servers_gone_as_after_a_reboot_it_can_be_started_again(demo: Demo):
    demo.kill_servers()
    demo.run("start")
    assert set(demo.list_machines()) == set(MACHINES)


def test_it_goes_without_a_trace(demo: Demo):
    demo.run("stop")
    assert not demo.parts.path.exists()
    assert demo.find_processes() == {}
    assert str(demo.parts.path) not in Path("/proc/self/mountinfo").read_text()
    assert not Path("/sys/class/net", NETWORK).exists()
    names = subprocess.run(
        as_root(["virsh", "-c", "qemu:///system", "list", "--all", "--name"]), capture_output=True, text=True, check=False
    )
    assert not set(MACHINES) & set(names.stdout.split())
    assert "there is no demo" in demo.run("stop")


def test_it_has_as_many_hypervisors_as_are_wanted_each_with_a_libvirt_of_its_own(demo: Demo):
    output = demo.run("start", "--hypervisors", "3")
    accounts = ["hypervisor", "hypervisor2", "hypervisor3"]
    _before, _step, listed = output.partition("archipel network list\n")
    for name in accounts:  # the host's libvirt may have other networks, such as Debian's default
        assert re.search(rf"^ +{name}@\S+ +{NETWORK} +yes", listed, re.MULTILINE), output
    status = demo.run("status")
    assert [status.count(words) for words in ("libvirt   ", "agent     process", "(hypervisor2)", "(hypervisor3)")] == [3, 3, 1, 1]
    uris = [line.split()[1] for line in status.splitlines() if line.startswith("libvirt")]
    found = [subprocess.run(as_root(["virsh", "-c", uri, "list", "--name"]), capture_output=True, text=True, check=True) for uri in uris]
    assert [sorted(listed.stdout.split()) for listed in found] == [sorted(MACHINES), [], []]
    demo.run("stop")
    assert demo.find_processes() == {}
    assert not demo.parts.path.exists()
