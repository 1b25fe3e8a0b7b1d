# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A definition that libvirt makes after its time, of a machine that was given up meanwhile, is removed again."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

import pytest

from archipel.agent import definition
from archipel.agent.allocation import Wish, allocate
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.store import Phase
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.errors import LibvirtTimeout
from archipel.agent.virt.host import Host
from archipel.agent.virt.lifecycle import LifecycleEvent
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, UUID, domain_xml
from tests.unit.agent.virt.conftest import Libvirtd
from tests.unit.protocol.golden import xml


@pytest.fixture
async def impatient(libvirtd: Libvirtd) -> AsyncIterator[LibvirtConnection]:
    """A connection that gives changes little time."""
    async with LibvirtConnection(libvirtd.uri, change_timeout=0.2) as connection:
        await connection.wait_connected(10)
        yield connection


@pytest.fixture
async def host(impatient: LibvirtConnection) -> Host:
    return Host(impatient)


@pytest.mark.parametrize("attempt", range(3))
async def test_nothing_of_it_stays(
    xmpp: FakeXmpp,
    online: Hypervisor,
    host: Host,
    libvirtd: Libvirtd,
    impatient: LibvirtConnection,
    monkeypatch: pytest.MonkeyPatch,
    attempt: int,
) -> None:
    async def halt(*_arguments: object) -> None:
        halted.enter_context(libvirtd.halted())  # the policy is asked for its opinion immediately before libvirt defines

    monkeypatch.setattr(definition, "refuse_forbidden", halt)
    with impatient.events.queue() as events, contextlib.ExitStack() as halted:
        with pytest.raises(LibvirtTimeout, match="it may still take effect"):
            await allocate(online, ADMIN, Wish("web", uuid=UUID, domain=xml(domain_xml())))
        assert online.machines == {}
        assert [record.phase for record in await online.services.store.machines()] == [Phase.ALLOCATING]
        gc.collect()
        halted.close()
        async with asyncio.timeout(30):
            while online.unfinished:
                await online.recover()
        assert [(await events.get()).event for _ in range(2)] == [LifecycleEvent.DEFINED, LifecycleEvent.UNDEFINED]
    assert UUID not in [entry.uuid for entry in await host.domains()]
    assert await online.services.store.machines() == ()
    assert UUID not in xmpp.accounts
