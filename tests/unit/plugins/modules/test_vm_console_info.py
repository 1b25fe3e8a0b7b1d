# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import MACHINE, MACHINE_FULL
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

LINK = "<console kind='{}' url='https://h/#t' websocket='wss://h/' token='t' lifetime='60'/>"


@pytest.fixture
def machine(wire: Wire) -> Wire:
    wire.hypervisor("get", "<archipel action='rostervm'/>", f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    for kind in ("vnc", "text"):
        wire.machine("set", f"<archipel kind='{kind}' action='token'/>", LINK.format(kind), namespace=ns.VM_CONSOLE)
    shot = "<screenshot mime='image/png' width='2' height='1' >iVBORw0KGgo=</screenshot>"
    wire.machine("get", "<archipel size='thumbnail' action='screenshot'/>", shot)
    wire.machine("get", "<archipel size='full' action='screenshot'/>", "")
    return wire


@pytest.mark.parametrize("kind", ["vnc", "text"])
def test_an_address_is_returned(kind: str, machine: Wire) -> None:
    [console] = machine.run("vm_console_info", machine="web", kind=kind)["consoles"]
    told = {"kind": kind, "url": "https://h/#t", "websocket": "wss://h/", "token": "t", "lifetime": 60, "screenshot": None}
    assert console == {"name": "web", "jid": MACHINE, **told}


def test_a_picture_alone_opens_nothing(machine: Wire) -> None:
    answer = machine.run("vm_console_info", machine="web", kind="none", screenshot="thumbnail")
    [console] = answer["consoles"]
    assert not answer["changed"]
    assert console["url"] is None
    assert console["screenshot"] == {"mime": "image/png", "width": 2, "height": 1, "data": "iVBORw0KGgo="}
    machine.assert_asked()


def test_a_dark_screen_is_told(machine: Wire) -> None:
    answer = machine.run("vm_console_info", machine="web", kind="none", screenshot="full")
    assert "web shows nothing" in answer["msg"]
