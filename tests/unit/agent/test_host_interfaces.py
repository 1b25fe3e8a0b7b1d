# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
from pathlib import Path

import pytest

from archipel.agent import host_interfaces
from archipel.agent.host_interfaces import list_interfaces, list_kernel_bridges, list_open_vswitch_bridges
from archipel.agent.hypervisor import Hypervisor
from archipel.protocol import namespaces as ns
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import ADMIN


def test_every_interface_is_told_once_and_in_order() -> None:
    names = list_interfaces()
    assert names == sorted(name for _index, name in socket.if_nameindex())
    assert "lo" in names


def test_an_interface_with_a_bridges_folder_is_a_bridge(tmp_path: Path) -> None:
    for name in ("virbr1/bridge", "br0/bridge", "eth0/statistics"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bonding_masters").write_text("")
    assert list_kernel_bridges(tmp_path) == ["br0", "virbr1"]


def script(folder: Path, body: str) -> str:
    path = folder / "ovs-vsctl"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


async def test_open_vswitch_is_asked_for_its_bridges(tmp_path: Path) -> None:
    program = script(tmp_path, 'test "$1 $2" = "--timeout=5 list-br" && printf "ovs1\\novs0\\n"')
    assert await list_open_vswitch_bridges(program) == ["ovs0", "ovs1"]


@pytest.mark.parametrize("body", ["echo no database >&2; exit 1", "echo br0; exit 14"])
async def test_an_open_vswitch_that_does_not_run_has_no_bridges(tmp_path: Path, body: str) -> None:
    assert await list_open_vswitch_bridges(script(tmp_path, body)) == []


async def test_without_open_vswitch_there_are_none(tmp_path: Path) -> None:
    assert await list_open_vswitch_bridges(str(tmp_path / "not-there")) == []


async def test_bridges_are_told_with_what_makes_them(hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def switched() -> list[str]:
        return ["ovs0"]

    monkeypatch.setattr(host_interfaces, "list_kernel_bridges", lambda: ["virbr0", "br0"])
    monkeypatch.setattr(host_interfaces, "list_open_vswitch_bridges", switched)
    told = await ask(hypervisor, ns.HYPERVISOR_NETWORK, "<archipel action='bridges'/>", ADMIN)
    assert [(found.get("name"), found.get("type")) for found in told] == [
        ("br0", "linux-bridge"),
        ("ovs0", "openvswitch"),
        ("virbr0", "linux-bridge"),
    ]
