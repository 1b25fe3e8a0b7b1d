# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures about the agent itself for Prometheus and its like, on a port of this host, if the configuration names one."""

from __future__ import annotations

import asyncio

from prometheus_client import ProcessCollector

from archipel.agent.hooks import in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.metrics_listener import MetricsListener, MetricsSettings
from archipel.agent.metrics_reading import AgentCollector

SETTINGS = MetricsSettings


@in_background
async def serve_metrics(hypervisor: Hypervisor) -> None:
    """Listen until the agent stops; an address that cannot be had is logged, and the agent serves without it."""
    settings: MetricsSettings = hypervisor.services.settings.capabilities["metrics"]
    if not settings.addresses:
        return
    registry = hypervisor.services.metrics.registry
    registry.register(AgentCollector(hypervisor))
    ProcessCollector(registry=registry)
    async with MetricsListener(registry).open(settings.addresses):
        await asyncio.Event().wait()
