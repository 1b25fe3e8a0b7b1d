# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures about the agent itself for Prometheus and its like, on a port of this host, if the configuration names one."""

from __future__ import annotations

import asyncio
import logging

from prometheus_client import ProcessCollector

from archipel.agent.hooks import in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.metrics_listener import MetricsListener, MetricsSettings
from archipel.agent.metrics_reading import AgentCollector
from archipel.agent.options import Host

SETTINGS = MetricsSettings
log = logging.getLogger(__name__)


@in_background
async def serve_metrics(hypervisor: Hypervisor) -> None:
    """Listen until the agent stops; an address that cannot be had is logged, and the agent serves without it."""
    settings: MetricsSettings = hypervisor.services.settings.capabilities["metrics"]
    if not settings.addresses:
        return
    registry = hypervisor.services.metrics.registry
    registry.register(AgentCollector(hypervisor))
    ProcessCollector(registry=registry)
    listener = MetricsListener(registry)
    servers = [server for address in settings.addresses if (server := await _listen(listener, address)) is not None]
    try:
        await asyncio.Event().wait()
    finally:
        for server in servers:
            server.close()


async def _listen(listener: MetricsListener, address: Host) -> asyncio.Server | None:
    try:
        server = await listener.start(address)
    except OSError as error:
        log.error("metrics cannot be read on %s, port %s: %s", address.name, address.port, error.strerror or error)
        return None
    log.info("metrics can be read on %s, port %s", address.name, address.port)
    return server
