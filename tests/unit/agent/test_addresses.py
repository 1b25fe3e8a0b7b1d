# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own address: as the settings say, else by name, else by route, each in the place of the other."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, ClassVar

import pytest

from archipel.agent.addresses import find_address
from archipel.agent.config import parse_settings
from archipel.agent.settings import Settings
from archipel.protocol.errors import CommandError

BY_NAME, BY_ROUTE = "192.0.2.1", "192.0.2.2"


def settings(machine_ip: str) -> Settings:
    text = f"""
    [DEFAULT]
    xmpp_server = lab.example
    [GLOBAL]
    machine_ip = {machine_ip}
    [HYPERVISOR]
    hypervisor_xmpp_password = secret
    """
    return parse_settings("\n".join(line.strip() for line in text.splitlines()), hostname="host1")


class FakeSocket(socket.socket):
    """A datagram socket to which the system gives a route, or none."""

    routes: ClassVar[dict[socket.AddressFamily, str]] = {}

    def connect(self, _address: Any) -> None:
        if self.family not in self.routes:
            raise OSError("network is unreachable")

    def getsockname(self) -> Any:
        return (self.routes[socket.AddressFamily(self.family)], 1)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What DNS and the routing table know: ``name`` and ``route``."""
    known = {"name": BY_NAME, "route": BY_ROUTE}

    async def resolve(_loop: object, _name: str, _port: None, **_rest: object) -> list[Any]:
        if "name" not in known:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known["name"], 0))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    monkeypatch.setattr("socket.socket", FakeSocket)
    monkeypatch.setattr(FakeSocket, "routes", {})
    return known


@pytest.mark.parametrize(
    "machine_ip,unknown,found",
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("2001:db8::9", "", "2001:db8::9"),
        ("auto", "", BY_NAME),
        ("auto", "name", BY_ROUTE),
        ("gateway_interface", "", BY_ROUTE),
        ("gateway_interface", "route", BY_NAME),
    ],
)
async def test_the_address_is_found_where_it_is_wanted_or_else_in_the_other_place(
    network: dict[str, str], machine_ip: str, unknown: str, found: str
) -> None:
    network.pop(unknown, None)
    if "route" in network:
        FakeSocket.routes[socket.AF_INET] = network["route"]
    assert await find_address(settings(machine_ip)) == found


async def test_a_host_with_ipv6_only_has_an_address_too(network: dict[str, str]) -> None:
    FakeSocket.routes[socket.AF_INET6] = "2001:db8::2"
    assert await find_address(settings("gateway_interface")) == "2001:db8::2"


@pytest.mark.parametrize("machine_ip", ["auto", "gateway_interface"])
async def test_without_any_address_the_error_names_the_setting(network: dict[str, str], machine_ip: str) -> None:
    network.clear()
    with pytest.raises(CommandError, match="'host1' has none in DNS and there is no default route; set machine_ip"):
        await find_address(settings(machine_ip))
