# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is answered about drives, networks, guests and the rest: a typed answer or a typed error, never anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.client.hypervisor import Hypervisor
from archipel.client.screens import NoScreen
from archipel.client.session import Session
from archipel.client.virtual_machine import VirtualMachine
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, ScriptedStream
from tests.unit.client.test_hostile_answers import assert_read_or_refused, elements, with_session

TAGS = (
    *("disk", "domainsnapshot", "activedNetworks", "unactivedNetworks", "network", "lease", "filter", "nic", "bridge", "pool", "volume"),
    *("console", "display", "screenshot", "guest", "interface", "exec", "output", "file", "job", "action", "memory", "cpu", "stat", "log"),
    *("source", "appliance", "download", "virtualmachine", "parent", "name", "creationTime", "domain", "partition", "load", "uname"),
)
ASKINGS: tuple[Callable[[VirtualMachine, Hypervisor], Awaitable[object]], ...] = (
    lambda machine, _: machine.drives.list(),
    lambda machine, _: machine.drives.goldens(),
    lambda machine, _: machine.snapshots.list(),
    lambda machine, _: machine.snapshots.current(),
    lambda machine, _: machine.screens.picture(),
    lambda machine, _: machine.screens.open_console(),
    lambda machine, _: machine.screens.display(),
    lambda machine, _: machine.guest.info(),
    lambda machine, _: machine.guest.read("/f", most=100),
    lambda machine, _: machine.health.now(),
    lambda machine, _: machine.health.history(3),
    lambda machine, _: machine.appliance.list(),
    lambda machine, _: machine.schedule.list(),
    lambda _, host: host.networks.list(),
    lambda _, host: host.networks.leases("default"),
    lambda _, host: host.network_filters.show("a"),
    lambda _, host: host.storage_pools.list(),
    lambda _, host: host.volumes.list("a"),
    lambda _, host: host.appliances.feeds(),
    lambda _, host: host.appliances.downloads(),
    lambda _, host: host.parking.list(),
    lambda _, host: host.health.now(),
    lambda _, host: host.health.history(3),
    lambda _, host: host.health.log(3),
)


@settings(max_examples=100)
@given(ask=st.sampled_from(ASKINGS), answer=elements(TAGS))
def test_any_answer_is_read_or_refused(ask: Callable[[VirtualMachine, Hypervisor], Awaitable[object]], answer: ET.Element) -> None:
    async def work(session: Session, stream: ScriptedStream) -> None:
        stream.anything = answer
        try:
            await assert_read_or_refused(ask(session.machine(MACHINE_FULL), session.hypervisor(HYPERVISOR_FULL)))
        except NoScreen:
            assert ask is ASKINGS[4]

    answer.tag = "query"
    asyncio.run(with_session(work))
