# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody removes between a list and the look at its entries hides nothing else; other failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from archipel.agent.virt.listing import those_there
from archipel.agent.virt.networks import _describe, _list_active
from archipel.agent.virt.storage_pools import LookedThrough, _describe_pool, _look_through

NODE = """<node><memory>1048576</memory>
  <cpu><mhz>1000</mhz><model>i686</model><active>1</active><nodes>1</nodes><sockets>1</sockets><cores>1</cores><threads>1</threads></cpu>
</node>"""
POOL = "<pool type='dir'><name>{0}</name><target><path>/nowhere/{0}</path></target></pool>"


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[libvirt.virConnect]:
    node = tmp_path / "node.xml"  # one of its own: the default one is shared by the whole process
    node.write_text(NODE)
    connection = libvirt.open(f"test://{node}")
    for name in ("going", "staying"):
        connection.storagePoolDefineXML(POOL.format(name), 0)
        connection.networkDefineXML(f"<network><name>{name}</name></network>").create()
    yield connection
    connection.close()


def test_a_pool_that_went_is_left_out(connect: libvirt.virConnect):
    listed = connect.listAllStoragePools(0)
    connect.storagePoolLookupByName("going").undefine()
    assert {pool.name for pool in those_there(_describe_pool, listed)} == {"staying"}
    for pool in listed:
        _look_through(pool, LookedThrough())


def test_a_network_that_went_is_left_out(connect: libvirt.virConnect):
    listed = connect.listAllNetworks(0)
    network = connect.networkLookupByName("going")
    network.destroy()
    network.undefine()
    assert {state.name for state in those_there(_describe, listed)} == {"staying"}

    class Stale:
        def listAllNetworks(self, _flags: int) -> list[libvirt.virNetwork]:
            return listed

    assert _list_active(Stale()) == ["staying"]


def test_what_else_fails_is_told(connect: libvirt.virConnect):
    with pytest.raises(libvirt.libvirtError, match="is already running"):
        list(those_there(lambda network: network.create(), connect.listAllNetworks(0)))
