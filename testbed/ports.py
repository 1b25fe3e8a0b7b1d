# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free TCP ports on loopback."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST = 10240


def choose_free_ports(count: int) -> list[int]:
    """Choose ``count`` different ports that nobody listens on.

    They lie below the range that the kernel gives to outgoing connections. Inside it, a client that knocks at the port of a
    server that is down may be given this very port and be connected to itself, and the server cannot come back.
    """
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = random.sample(range(LOWEST, highest), min(highest - LOWEST, count * 20 + 200))
    with ExitStack() as held:  # all bound at once, so that none is counted twice
        ports = list(islice((port for port in candidates if _bind(port, held)), count))
    if len(ports) < count:
        raise OSError(f"only {len(ports)} of {count} ports found free on {LOOPBACK} between {LOWEST} and {highest}")
    return ports


def _bind(port: int, held: ExitStack) -> bool:
    listener = held.enter_context(socket.socket())
    try:
        listener.bind((LOOPBACK, port))
    except OSError:
        return False
    return True
