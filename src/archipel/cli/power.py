# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel start`` and its like: one command to several machines at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import click

from archipel.cli.exit_codes import as_json
from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with, in_session
from archipel.client.machine_state import MachineState
from archipel.client.virtual_machine import WAIT_TIMEOUT, VirtualMachine

Action = Callable[[VirtualMachine], Awaitable[object]]


@dataclass(frozen=True)
class Verb:
    """A command to machines: what it does, what is said when it was taken, which states it leads to."""

    name: str
    help: str
    done: str
    act: Action
    leads_to: tuple[MachineState, ...] = ()


OFF = (MachineState.OFF, MachineState.CRASHED, MachineState.NOT_DEFINED)
VERBS = (
    Verb("start", "Start machines.", "started", VirtualMachine.start, (MachineState.RUNNING,)),
    Verb("shutdown", "Ask the guests to shut down.", "asked to shut down", VirtualMachine.shutdown, OFF),
    Verb("stop", "Switch machines off, as by pulling the plug.", "switched off", VirtualMachine.destroy, OFF),
    Verb("reboot", "Ask the guests to reboot.", "asked to reboot", VirtualMachine.reboot),
    Verb("suspend", "Pause machines.", "paused", VirtualMachine.suspend, (MachineState.PAUSED,)),
    Verb("resume", "Let paused machines run on.", "resumed", VirtualMachine.resume, (MachineState.RUNNING,)),
)


def commands() -> list[click.Command]:
    """Return a command for each verb."""
    return [_command(verb) for verb in VERBS]


def _command(verb: Verb) -> click.Command:
    @in_session
    async def callback(run: Run, machines: tuple[str, ...], wait: bool = False, timeout: float = WAIT_TIMEOUT) -> None:
        limit = timeout if wait else None
        results = await asyncio.gather(*(_act(run, verb, machine, limit) for machine in dict.fromkeys(machines)))
        if run.output.as_json:
            run.output.json(results)
        end_with(run.errors)

    parameters: list[click.Parameter] = [click.Argument(["machines"], nargs=-1, required=True, metavar="MACHINE...")]
    if verb.leads_to:
        states = " or ".join(verb.leads_to[:1])
        parameters += [
            click.Option(["--wait"], is_flag=True, help=f"Return when the machines are {states}."),
            click.Option(["--timeout"], type=click.FloatRange(0), default=WAIT_TIMEOUT, show_default=True, help="Seconds to wait at most."),
        ]
    return click.Command(verb.name, callback=callback, params=parameters, help=verb.help)


async def _act(run: Run, verb: Verb, reference: str, limit: float | None) -> dict[str, Any]:
    try:
        machine = await run.finder.machine(reference)
        await verb.act(machine)
        if limit is not None:
            await machine.wait_for_state(*verb.leads_to, timeout=limit)
    except FAILURES as error:
        run.note(reference, error)
        return {"machine": reference, "ok": False, **as_json(error)}
    if not run.output.as_json:
        run.output.line(f"{machine.name or reference}: {verb.done}")
    return {"machine": reference, "ok": True, "jid": str(machine.jid)}
