# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that move to another hypervisor (``archipel:vm:control``, ``archipel:hypervisor:control``, ``archipel:*:migration``)."""

from __future__ import annotations

from archipel.agent import arrival, hand_over, migrating
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hooks import in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.migration_settings import MigrationSettings
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import migration as wire
from archipel.protocol.migration import MigrationCode
from archipel.protocol.rights import ON_HYPERVISOR, EntityKind, Token

HYPERVISOR, VM = EntityKind.HYPERVISOR, EntityKind.VIRTUAL_MACHINE
SETTINGS = MigrationSettings
TOKENS = (Token("soft_alloc", "Hand machines over to this hypervisor; for the accounts in migration_peers", ON_HYPERVISOR, reserved=True),)


@in_background
async def let_peers_in(hypervisor: Hypervisor) -> None:
    """Give the hypervisors that are trusted what they need here."""
    await hand_over.let_peers_in(hypervisor)


# -- what people ask ----------------------------------------------------------------------------------------------------


@command(
    wire.Migrate,
    on=VM,
    right="migrate",
    failure=MigrationCode.MIGRATE,
    chat=Chat(
        ("migrate {hypervisorjid}",),
        lambda _: "I am on my way; my presence says how far.",
        questions={"hypervisorjid": "To which hypervisor (its full JID, as its presence has it)?"},
    ),
)
async def migrate(vm: VirtualMachine, request: wire.Migrate, caller: Caller) -> None:
    """Move this machine to another hypervisor, running or not."""
    await migrating.begin(vm, caller.bare, request.hypervisor)


@command(
    wire.CancelMigration,
    on=VM,
    right="migrate",
    failure=MigrationCode.CANCEL,
    chat=Chat(("cancel migration",), lambda _: "I stay."),
)
async def cancel(vm: VirtualMachine, _request: wire.CancelMigration, _caller: Caller) -> None:
    """Give up to move this machine: it stays where it is."""
    await migrating.cancel(vm)


@command(
    wire.GetMigrationInfo,
    on=HYPERVISOR,
    right="migrationinfo",
    failure=MigrationCode.MIGRATION_INFO,
    chat=Chat(("libvirt uri", "migration info"), lambda info: f"{info.uri}, machines in {info.base_folder}"),
)
async def get_migration_info(hypervisor: Hypervisor, _request: wire.GetMigrationInfo, _caller: Caller) -> wire.MigrationInfo:
    """Where machines migrate to."""
    base_folder = hypervisor.services.settings.machines.base_path
    return wire.MigrationInfo(uri=await arrival.migration_uri(hypervisor), base_folder=str(base_folder))


# -- what hypervisors say to each other ---------------------------------------------------------------------------------


@command(wire.Expect, on=HYPERVISOR, right="soft_alloc", failure=MigrationCode.SOFT_ALLOC)
async def expect(hypervisor: Hypervisor, request: wire.Expect, caller: Caller) -> wire.Destination:
    """Expect a machine."""
    hand_over.refuse_untrusted(hypervisor, caller)
    return await arrival.expect(hypervisor, caller.bare, request)


@command(wire.SoftAlloc, on=HYPERVISOR, right="soft_alloc", failure=MigrationCode.SOFT_ALLOC)
async def soft_alloc(hypervisor: Hypervisor, request: wire.SoftAlloc, caller: Caller) -> None:
    """Hold a machine that was expected."""
    hand_over.refuse_untrusted(hypervisor, caller)
    await arrival.hold(hypervisor, caller.bare, request)


@command(wire.Serve, on=HYPERVISOR, right="soft_alloc", failure=MigrationCode.SOFT_ALLOC)
async def serve(hypervisor: Hypervisor, request: wire.Serve, caller: Caller) -> None:
    """Serve a machine that is held."""
    await arrival.serve(hypervisor, _source(hypervisor, caller), request)


@command(wire.Forget, on=HYPERVISOR, right="soft_alloc", failure=MigrationCode.SOFT_ALLOC)
async def forget(hypervisor: Hypervisor, request: wire.Forget, caller: Caller) -> None:
    """Forget a machine that was expected."""
    await arrival.forget(hypervisor, _source(hypervisor, caller), request)


@command(wire.GetArrival, on=HYPERVISOR, right="soft_alloc", failure=MigrationCode.SOFT_ALLOC)
async def get_arrival(hypervisor: Hypervisor, request: wire.GetArrival, caller: Caller) -> wire.Arrival:
    """What became of a machine that was announced."""
    return await arrival.tell(hypervisor, _source(hypervisor, caller), request)


def _source(hypervisor: Hypervisor, caller: Caller) -> str:
    """Return of which hypervisor's machines something is asked; empty for an administrator, who may speak for each."""
    hand_over.refuse_untrusted(hypervisor, caller, admins=True)
    return caller.bare if caller.bare in hand_over.peers_of(hypervisor) else ""
