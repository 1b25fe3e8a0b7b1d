# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared test driver: one world for several processes, gone with its daemon."""

from __future__ import annotations

import subprocess
import sys

import libvirt
import pytest

from testbed.libvirtd import TestLibvirtd

# Another process: says when it listens, then prints the first lifecycle event of the domain it is told.
LISTENER = """
import sys, libvirt
libvirt.virEventRegisterDefaultImpl()
connection = libvirt.open(sys.argv[1])
seen = []
connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lambda _, domain, event, detail, seen: seen.append(
    (domain.name(), event)), seen)
print("listening", flush=True)
while not seen:
    libvirt.virEventRunDefaultImpl()
print(*seen[0], flush=True)
"""


@pytest.fixture
def world():
    """A daemon of the test's own."""
    with TestLibvirtd() as daemon:
        yield daemon


def list_domains_elsewhere(uri: str) -> list[str]:
    """What another process sees."""
    result = subprocess.run(["virsh", "-q", "-c", uri, "list", "--all", "--name"], capture_output=True, text=True, check=True)
    return result.stdout.split()


def test_the_world_starts_without_domains(world: TestLibvirtd):
    assert list_domains_elsewhere(world.uri) == []


def test_processes_share_the_world(world: TestLibvirtd):
    uuids = world.define_domains(3, prefix="room")
    assert list_domains_elsewhere(world.uri) == ["room-000", "room-001", "room-002"]
    subprocess.run(["virsh", "-q", "-c", world.uri, "start", uuids[1]], capture_output=True, check=True)
    assert libvirt.open(world.uri).lookupByName("room-001").isActive() == 1


def test_events_cross_processes(world: TestLibvirtd):
    world.define_domains(1)
    with subprocess.Popen([sys.executable, "-c", LISTENER, world.uri], stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        libvirt.open(world.uri).lookupByName("vm-000").create()
        assert listener.stdout.readline() == f"vm-000 {libvirt.VIR_DOMAIN_EVENT_STARTED}\n"


@pytest.mark.parametrize("end", [TestLibvirtd.stop, TestLibvirtd.kill])
def test_a_daemon_started_again_has_a_new_world(world: TestLibvirtd, end):
    world.define_domains(2)
    first = world.pid
    end(world)
    assert world.pid is None
    world.start()
    assert world.pid != first
    assert list_domains_elsewhere(world.uri) == []


def test_two_daemons_do_not_meet(world: TestLibvirtd):
    world.define_domains(1)
    with TestLibvirtd() as other:
        assert list_domains_elsewhere(other.uri) == []


def test_it_leaves_nothing_behind():
    daemon = TestLibvirtd()
    daemon.start()
    pid = daemon.pid
    daemon.close()
    assert pid is not None
    assert daemon.pid is None
    assert not daemon.folder.exists()
