# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where rules and roles are kept that a command names: on a machine, a hypervisor, or for the whole platform."""

from __future__ import annotations

import asyncio

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with
from archipel.client.entity import Entity
from archipel.client.errors import ClientError
from archipel.client.hypervisor import Hypervisor
from archipel.client.platform_rules import PlatformRules
from archipel.protocol.rules import PLATFORM


def is_platform(where: str | None, scope: str) -> bool:
    """Whether the whole platform is meant; refuses what names neither that nor an entity, or both."""
    if scope == PLATFORM and where is not None:
        raise click.UsageError(f"--scope {PLATFORM} counts everywhere: leave --on out")
    if scope != PLATFORM and where is None:
        raise click.UsageError(f"Missing option '--on': the machine, or a hypervisor's JID; or --scope {PLATFORM}")
    return scope == PLATFORM


async def find_place(run: Run, where: str | None, scope: str) -> Entity | PlatformRules:
    """Return where rules are kept."""
    return PlatformRules(run.session) if is_platform(where, scope) else await run.finder.entity(where or "")


def find_keeper(run: Run, where: str | None, scope: str) -> Hypervisor | PlatformRules:
    """Return where roles are kept."""
    return PlatformRules(run.session) if is_platform(where, scope) else run.session.hypervisor(where or "")


async def check_followed(run: Run, place: Entity | PlatformRules) -> None:
    """Find out whether the known hypervisors follow the platform's rules; ends the command if one does not."""
    if isinstance(place, PlatformRules):
        async with run.working("waiting for the hypervisors"):
            await asyncio.gather(*(_check(run, place, hypervisor) for hypervisor in await run.finder.hypervisors()))
        end_with(run.errors)


async def _check(run: Run, rules: PlatformRules, hypervisor: Hypervisor) -> None:
    try:
        for difference in await rules.differences(hypervisor):
            run.note(hypervisor.bare, ClientError(difference))
    except FAILURES as error:
        run.note(hypervisor.bare, error)
