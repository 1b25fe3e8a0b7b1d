# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel chat``: talk with a machine or a hypervisor."""

from __future__ import annotations

import asyncio
import sys

import click

from archipel.cli.invocation import Run, in_session
from archipel.client.entity import Entity
from archipel.client.failures import describe
from archipel.xmpp.errors import NoAnswer

PROMPT = "> "


@click.command()
@click.argument("machine", metavar="MACHINE|HYPERVISOR")
@click.argument("text", nargs=-1, metavar="[TEXT]...")
@in_session
async def chat(run: Run, machine: str, text: tuple[str, ...]) -> None:
    """Say TEXT and print the reply; without TEXT talk line by line until the end of input (Ctrl-D).

    Say "help" to learn what the other side understands.
    """
    entity = await run.finder.entity(machine)
    if text:
        _print(run, await entity.chat(" ".join(text)))
        return
    while line := await _next_line():
        if line.strip():
            await _say(run, entity, line)


async def _say(run: Run, entity: Entity, line: str) -> None:
    try:
        _print(run, await entity.chat(line))
    except NoAnswer as error:
        run.output.warn(describe(error))


def _print(run: Run, reply: str) -> None:
    run.output.json({"reply": reply}) if run.output.as_json else run.output.line(reply)


async def _next_line() -> str:
    """Return the next line of standard input, empty at its end; the session lives on meanwhile."""
    if not sys.stdin.isatty():
        return await asyncio.to_thread(sys.stdin.readline)
    print(PROMPT, end="", flush=True)
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    # A thread that waits for a line would outlive Ctrl-C; a terminal tells when it has one.
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline()
