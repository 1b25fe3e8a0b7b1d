# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from archipel.client.hypervisor import Hypervisor
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings
from archipel.client.virtual_machine import VirtualMachine
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, OWN, ScriptedStream


@pytest.fixture
def settings() -> ConnectionSettings:
    return ConnectionSettings(jid=OWN, password="secret-word", host="192.0.2.1")


@pytest.fixture
async def stream() -> ScriptedStream:
    return ScriptedStream()


@pytest.fixture
async def session(settings: ConnectionSettings, stream: ScriptedStream) -> AsyncIterator[Session]:
    async with Session(settings, stream=cast(Stream, stream)) as session:
        yield session


@pytest.fixture
def machine(session: Session) -> VirtualMachine:
    return session.machine(MACHINE_FULL)


@pytest.fixture
def hypervisor(session: Session) -> Hypervisor:
    return session.hypervisor(HYPERVISOR_FULL)
