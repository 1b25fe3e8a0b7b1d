# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own address, as the settings say or as the system knows it."""

from __future__ import annotations

import asyncio
import socket

from archipel.agent.settings import Settings
from archipel.protocol.errors import CommandError

AUTO, GATEWAY = "auto", "gateway_interface"
# Documentation addresses (RFC 5737, RFC 3849): connecting a datagram socket sends nothing, it only asks the routing table.
_OUTSIDE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


async def find_address(settings: Settings) -> str:
    """Return the address to tell others."""
    wanted = settings.hypervisor.machine_ip
    if wanted == AUTO:
        return await _resolve(settings.hostname) or _route() or _fail(settings.hostname)
    return (_route() or await _resolve(settings.hostname) or _fail(settings.hostname)) if wanted == GATEWAY else wanted


async def _resolve(name: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ""
    return str(found[0][4][0])


def _route() -> str:
    """Return the address that the default route leaves from; empty without one."""
    for family, outside in _OUTSIDE:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((outside, 9))
            except OSError:
                continue
            return str(probe.getsockname()[0])
    return ""


def _fail(name: str) -> str:
    raise CommandError(f"the host's address is not known: {name!r} has none in DNS and there is no default route; set machine_ip")
