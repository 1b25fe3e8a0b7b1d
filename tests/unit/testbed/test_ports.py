# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chosen ports are free, different, and out of the way of outgoing connections."""

from __future__ import annotations

import socket
from pathlib import Path

from testbed import ports
from testbed.ports import choose_free_ports


def test_ports_are_different_and_can_be_bound():
    chosen = choose_free_ports(50)
    assert len(set(chosen)) == 50
    for port in chosen:
        with socket.create_server((ports.LOOPBACK, port)) as listener:
            assert listener.getsockname()[1] == port


def test_ports_lie_below_those_of_outgoing_connections():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(choose_free_ports(50)) < lowest


def test_a_port_in_use_is_not_chosen(monkeypatch):
    used, free = choose_free_ports(2)
    monkeypatch.setattr(ports.random, "sample", lambda *_: [used, free])
    with socket.create_server((ports.LOOPBACK, used)):
        assert choose_free_ports(1) == [free]
