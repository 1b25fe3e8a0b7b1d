# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An option of the file arrives where it counts; and no option goes untested."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from archipel.agent import daemon
from archipel.agent.domain_rules import policy_of
from archipel.agent.settings import OPTIONS, LogFormat
from archipel.agent.virtual_machine import VirtualMachine
from tests.unit.agent.fakes import make_settings


def test_logins_and_probes_are_paced_as_the_file_says(tmp_path: Path) -> None:
    more = """[GLOBAL]
xmpp_hosts = one.example two.example:5269
xmpp_login_timeout = 7
xmpp_probe_interval = 3
xmpp_login_parallel = 4
"""
    server = daemon._describe_server(make_settings(tmp_path, more).xmpp)
    assert (server.login_deadline, server.probe_interval, server.address) == (7, 3, ("one.example", 5222))
    assert server._turn._value == 4


def test_libvirt_is_called_as_the_file_says(tmp_path: Path) -> None:
    more = """[GLOBAL]
libvirt_pool_size = 3
libvirt_change_timeout = 5
"""
    connection = daemon._connect_libvirt(make_settings(tmp_path, more).libvirt)
    assert (connection.uri, connection.change_timeout, connection._pool._size) == ("test:///default", 5, 3)


async def test_the_domain_policy_is_that_of_the_file(machine: VirtualMachine, tmp_path: Path) -> None:
    more = f"""[STORAGE]
iso_base_path = {tmp_path}/iso
golden_drives_dir = {tmp_path}/goldens
[POLICY]
allowed_networks = lab-*
allowed_bridges = br7
allowed_pools = open
max_vcpus = 3
max_memory = 2048
"""
    machine.services = dataclasses.replace(machine.services, settings=make_settings(tmp_path, more))
    policy = await policy_of(machine)
    assert policy.readable_folders[1:] == (tmp_path / "iso", tmp_path / "goldens")
    assert (policy.allows_network("lab-1"), policy.allows_network("default")) == (True, False)
    assert (policy.allows_bridge("br7"), policy.allows_bridge("br0")) == (True, False)
    assert (policy.allows_pool("open"), policy.allows_pool("default")) == (True, False)
    assert (policy.max_vcpus, policy.max_memory) == (3, 2048 * 1024)


async def test_without_limits_of_the_file_the_host_is_the_limit(machine: VirtualMachine) -> None:
    policy, hardware = await policy_of(machine), await machine.services.host.node_info()
    assert (policy.max_vcpus, policy.max_memory) == (hardware.cpus, hardware.memory * 1024)


def test_others_than_the_root_administrators_may_name_administrators(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, f"[GLOBAL]\n{'xmpp_trusted_publishers'} = dean@lab.example")
    assert settings.xmpp.trusted_publishers == ("dean@lab.example",)
    assert "dean@lab.example" not in settings.xmpp.root_admins


def test_the_log_has_the_format_of_the_file(tmp_path: Path) -> None:
    assert make_settings(tmp_path, f"[LOGGING]\n{'logging_format'} = json").logging.format is LogFormat.JSON


def test_no_option_goes_untested(root: Path) -> None:
    words = {word for file in (root / "tests").rglob("*.py") for word in re.findall(r"\w+", file.read_text())}
    assert {option.name for option in OPTIONS} - words == set()
