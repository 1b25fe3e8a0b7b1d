# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel define``: a definition becomes a machine, or changes one."""

from __future__ import annotations

from typing import IO

import click

from archipel.cli.finder import Found
from archipel.cli.invocation import Run, in_session
from archipel.client.addresses import as_uuid
from archipel.client.errors import AmbiguousMachine, MachineNotFound
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.domain.domain import Domain, parse


@click.command()
@click.argument("file", type=click.File("r", encoding="utf-8"), metavar="FILE.xml")
@in_session
async def define(run: Run, file: IO[str]) -> None:
    """Define a machine by libvirt's domain XML; - reads standard input.

    The machine is the one with the definition's UUID, or without UUID the one with its name; if there is none, it is made
    on the hypervisor given with --hypervisor.
    """
    domain = parse(file.read())
    entry = await _existing(run, domain)
    if entry is None:
        hypervisor = await run.finder.only_hypervisor()
        machine = await hypervisor.alloc(domain.name or "", uuid=domain.uuid, domain=domain)
    else:
        machine = VirtualMachine(run.session, entry.entry.jid, entry.entry.name)
        domain.uuid = machine.uuid
        await machine.define(domain)
    word = "made" if entry is None else "defined anew"
    if run.output.as_json:
        run.output.json({"name": domain.name, "uuid": machine.uuid, "jid": str(machine.jid), "made": entry is None})
    else:
        run.output.line(f"{domain.name or machine.uuid}: {word} ({machine.jid})")


async def _existing(run: Run, domain: Domain) -> Found | None:
    """Return the managed machine that the definition is for; ``None`` if it is to be made."""
    listing = await run.finder.listing()
    for failure in listing.failures.values():
        raise failure  # a machine on a hypervisor that was not asked must not be made a second time
    uuid = as_uuid(domain.uuid) if domain.uuid else None
    found = [item for item in listing.found if (item.entry.uuid == uuid if uuid else item.entry.name == domain.name)]
    if len(found) > 1:
        raise AmbiguousMachine(f"several machines are called {domain.name!r}: put the UUID into the definition")
    if found and not found[0].entry.managed:
        raise MachineNotFound(f"{domain.name!r} is a libvirt domain that is not managed; have the hypervisor manage it first")
    return found[0] if found else None
