# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel grant``, ``revoke`` and ``rights``: who may do what."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with, in_session
from archipel.client.addresses import bare_address
from archipel.client.entity import Entity
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.errors import PermissionDenied


@click.command()
@click.argument("jid")
@click.argument("rights", nargs=-1, required=True, metavar="RIGHT...")
@click.option("--on", "where", required=True, metavar="MACHINE|HYPERVISOR", help="The machine, or a hypervisor's JID.")
@in_session
async def grant(run: Run, jid: str, rights: tuple[str, ...], where: str) -> None:
    """Give JID rights on a machine or a hypervisor, all or none.

    `archipel rights --on MACHINE` lists the rights that exist there.
    """
    entity = await run.finder.entity(where)
    await entity.grant(jid, *rights)
    _tell(run, jid, rights, entity, "granted")


@click.command()
@click.argument("jid")
@click.argument("rights", nargs=-1, required=True, metavar="RIGHT...")
@click.option("--on", "where", required=True, metavar="MACHINE|HYPERVISOR", help="The machine, or a hypervisor's JID.")
@in_session
async def revoke(run: Run, jid: str, rights: tuple[str, ...], where: str) -> None:
    """Take rights on a machine or a hypervisor from JID, all or none."""
    entity = await run.finder.entity(where)
    await entity.revoke(jid, *rights)
    _tell(run, jid, rights, entity, "revoked")


@click.command("rights")
@click.argument("jid", required=False)
@click.option("--on", "where", metavar="MACHINE|HYPERVISOR", help="The machine, or a hypervisor's JID; else all that are known.")
@in_session
async def list_rights(run: Run, jid: str | None, where: str | None) -> None:
    """List the rights that JID was granted; without JID your own.

    With --on and without JID: all rights that exist there, and which of them you were granted.
    """
    if where is None:
        await _list_everywhere(run, bare_address(jid) if jid else run.session.jid)
        return
    entity = await run.finder.entity(where)
    if jid:
        await _list_of(run, entity, bare_address(jid))
    else:
        await _list_existing(run, entity)


async def _list_of(run: Run, entity: Entity, jid: str) -> None:
    granted = sorted(await entity.rights_of(jid))
    if run.output.as_json:
        run.output.json({"on": entity.bare, "jid": jid, "granted": granted})
    else:
        run.output.line(f"{jid} on {_name(entity)}: {' '.join(granted) or 'no rights'}")


async def _list_existing(run: Run, entity: Entity) -> None:
    own = await entity.rights_of(run.session.jid)
    try:
        existing = await entity.list_rights()
    except PermissionDenied:  # who may not read all that exist still has his own
        await _list_of(run, entity, bare_address(run.session.jid))
        return
    if run.output.as_json:
        run.output.json({"on": entity.bare, "rights": [{**asdict(right), "granted": right.name in own} for right in existing]})
        return
    rows = [(right.name, _yes(right.name in own), _yes(right.default), right.description or "") for right in existing]
    run.output.table(("RIGHT", "YOURS", "EVERYBODY'S", "MEANING"), rows)


async def _list_everywhere(run: Run, jid: str) -> None:
    """List what somebody was granted on each hypervisor and machine; where nothing, nothing is listed."""
    listing = await run.finder.listing()
    refused = {bare for bare, failure in listing.failures.items() if isinstance(failure, PermissionDenied) and listing.of_contacts}
    for hypervisor in listing.failures.keys() - refused:
        run.note(hypervisor, listing.failures[hypervisor])
    entities: list[Entity] = [host for host in await run.finder.hypervisors() if host.bare not in listing.failures.keys() - refused]
    entities += [VirtualMachine(run.session, item.entry.jid, item.entry.name) for item in listing.found if item.entry.managed]
    answers = await asyncio.gather(*(_rights_of(run, entity, jid) for entity in entities))
    granted = [(entity, sorted(rights)) for entity, rights in zip(entities, answers, strict=True) if rights]
    if run.output.as_json:
        run.output.json([{"on": entity.bare, "name": _name(entity), "jid": jid, "granted": rights} for entity, rights in granted])
    else:
        run.output.table(("ON", f"RIGHTS OF {jid}"), [(_name(entity), " ".join(rights)) for entity, rights in granted])
    end_with(run.errors)


async def _rights_of(run: Run, entity: Entity, jid: str) -> frozenset[str]:
    try:
        return await entity.rights_of(jid)
    except FAILURES as error:
        run.note(_name(entity), error)
        return frozenset()


def _tell(run: Run, jid: str, rights: tuple[str, ...], entity: Entity, done: str) -> None:
    if run.output.as_json:
        run.output.json({"on": entity.bare, "jid": bare_address(jid), done: list(rights)})
    else:
        run.output.line(f"{_name(entity)}: {done} {bare_address(jid)} {' '.join(rights)}")


def _name(entity: Entity) -> str:
    return entity.name or entity.bare if isinstance(entity, VirtualMachine) else entity.bare


def _yes(value: bool | None) -> str:
    return "yes" if value else ""
