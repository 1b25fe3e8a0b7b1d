# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel migrate`` and ``cancel-migration``: machines that move to another hypervisor."""

from __future__ import annotations

import click

from archipel.cli.invocation import Run, in_session
from archipel.cli.parameters import WAIT
from archipel.cli.subcommands import Subcommand, name_of
from archipel.client.hypervisor import Hypervisor
from archipel.client.virtual_machine import VirtualMachine


@click.command()
@click.argument("machine", metavar="MACHINE")
@click.argument("to", metavar="HYPERVISOR")
@click.option("--wait/--no-wait", default=True, help="Return when it is there, or when it is on its way.  [default: wait]")
@click.option("--timeout", type=click.FloatRange(0), default=WAIT, show_default=True, help="Seconds to wait at most.")
@in_session
async def migrate(run: Run, machine: str, to: str, wait: bool, timeout: float) -> None:
    """Move a machine to another hypervisor (JID); one that runs goes on running.

    Disks that the other host does not see go along. Whoever ends this command does not end the move: cancel-migration does.
    """
    moved, target = await run.finder.machine(machine), await run.finder.entity(to)
    if not isinstance(target, Hypervisor):
        raise click.UsageError(f"{to} is a machine: say to which hypervisor, by its JID")
    async with run.working(f"waiting for {moved.bare}") as show:
        there = await moved.migration.begin(target, wait=timeout if wait else None, tell=lambda status: show(f"{name_of(moved)}: {status}"))
    if run.output.as_json:
        run.output.json({"on": moved.bare, "done": "migrate", "hypervisor": target.bare, "jid": there, "arrived": wait})
    else:
        run.output.line(f"{name_of(moved)}: {'is at' if wait else 'is on its way to'} {target.bare}")


async def _cancel(machine: VirtualMachine) -> None:
    await machine.migration.cancel()


cancel_migration = Subcommand(
    "cancel-migration", "Have a machine stay that is on its way to another hypervisor.", _cancel, says="{on}: stays"
).command()
