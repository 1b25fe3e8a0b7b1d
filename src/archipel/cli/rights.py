# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel grant``, ``revoke`` and ``rights list``: who may do what."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from archipel.cli import rules
from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with, in_session
from archipel.cli.places import find_place
from archipel.cli.rules import Target, about_rules, read_old, require_something, tell, with_terms
from archipel.client.addresses import bare_address
from archipel.client.entity import Entity
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.rights import ALL
from archipel.protocol.rules import ADMINISTRATOR, ALLOW, DENY, NewRule

ADMINISTRATORS = "{jid} may everything on {on}, as an administrator, without any grant"


class RightsCommands(click.Group):
    """``archipel rights``: with anything else than the name of a command, ``archipel rights list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``list`` in front of what is no command."""
        known = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if known else ["list", *args])


@click.group("rights", cls=RightsCommands)
def rights_commands() -> None:
    """See who may do what, and why; make roles and groups.

    Without a command: `archipel rights list`.
    """


@click.command()
@click.argument("who")
@click.argument("rights", nargs=-1, metavar="[RIGHT]...")
@about_rules
@with_terms
@in_session
async def grant(
    run: Run,
    who: str,
    rights: tuple[str, ...],
    where: str | None,
    roles: tuple[str, ...],
    group: bool,
    scope: str,
    until: str | None,
    reason: str,
) -> None:
    """Give WHO (an account) rights or roles on a machine or a hypervisor, all or none; or on all of them (--scope platform).

    `archipel rights list --on MACHINE` lists the rights that exist there, `archipel rights roles --on HYPERVISOR` the roles.
    """
    require_something(rights, roles)
    target, place = Target(who, group, roles, scope), await find_place(run, where, scope)
    if isinstance(place, Entity) and target.is_plain and until is None and not reason:
        await place.grant(who, *rights)
        _tell(run, who, rights, place, "granted")
    else:
        await place.grant_rules(*(NewRule(**name, expires=until, reason=reason) for name in target.names(rights)))
        await tell(run, place, target, rights, "granted", where)


@click.command()
@click.argument("who")
@click.argument("rights", nargs=-1, metavar="[RIGHT]...")
@about_rules
@click.option("--denied", is_flag=True, help="Lift a denial instead.")
@in_session
async def revoke(
    run: Run, who: str, rights: tuple[str, ...], where: str | None, roles: tuple[str, ...], group: bool, scope: str, denied: bool
) -> None:
    """Take rights or roles on a machine or a hypervisor from WHO, all or none; or what he has on all of them (--scope platform)."""
    require_something(rights, roles)
    target, place = Target(who, group, roles, scope), await find_place(run, where, scope)
    if isinstance(place, Entity) and target.is_plain and not denied:
        await place.revoke(who, *rights)
        _tell(run, who, rights, place, "revoked")
    else:
        await place.withdraw_rules(*read_old(target, rights, DENY if denied else ALLOW))
        await tell(run, place, target, rights, "no longer denied" if denied else "revoked", where)


@rights_commands.command("list")
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
    granted, administrator = await asyncio.gather(entity.rights_of(jid), _is_administrator(entity, jid))
    if run.output.as_json:
        run.output.json({"on": entity.bare, "jid": jid, "granted": sorted(granted), "administrator": administrator})
        return
    everything = ["everything, as an administrator"] if administrator else []
    words = [*everything, *([" ".join(sorted(granted))] if granted else [])]
    run.output.line(f"{jid} on {_name(entity)}: {'; granted: '.join(words) or 'no rights'}")


async def _is_administrator(entity: Entity, jid: str) -> bool:
    """Return whether an entity does everything for somebody, as far as it tells."""
    try:
        return (await entity.why(ALL, jid)).rule == ADMINISTRATOR
    except FAILURES:
        return False  # an agent of the founders', or one that does not tell us


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
    run.output.table(("RIGHT", "YOURS", "EVERYBODY'S", "MEANING"), rows, f"{_name(entity)}: no rights")
    if await _is_administrator(entity, run.session.jid):
        run.output.remark(ADMINISTRATORS.format(jid=run.session.jid, on=_name(entity)))


async def _list_everywhere(run: Run, jid: str) -> None:
    """List what somebody was granted on each hypervisor and machine; where nothing, nothing is listed."""
    listing = await run.finder.listing()
    refused = {bare for bare, failure in listing.failures.items() if isinstance(failure, PermissionDenied) and listing.of_contacts}
    for hypervisor in listing.failures.keys() - refused:
        run.note(hypervisor, listing.failures[hypervisor])
    entities: list[Entity] = [host for host in await run.finder.hypervisors() if host.bare not in listing.failures.keys() - refused]
    entities += [VirtualMachine(run.session, item.entry.jid, item.entry.name) for item in listing.found if item.entry.managed]
    answers = await asyncio.gather(*(_rights_of(run, entity, jid) for entity in entities))
    ruled = [host for host in await run.finder.hypervisors() if host.bare not in listing.failures and await _is_administrator(host, jid)]
    granted = [(entity, sorted(rights)) for entity, rights in zip(entities, answers, strict=True) if rights]
    if run.output.as_json:
        run.output.json([{"on": entity.bare, "name": _name(entity), "jid": jid, "granted": rights} for entity, rights in granted])
    else:
        rows = [(_name(entity), " ".join(rights)) for entity, rights in granted]
        run.output.table(("ON", f"RIGHTS OF {jid}"), rows, f"nothing is granted to {jid}")
        for host in ruled:
            run.output.remark(ADMINISTRATORS.format(jid=jid, on=f"{host.bare} and all its machines"))
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


for _command in (rules.why, rules.list_rules, rules.list_roles, rules.list_groups, rules.set_role, rules.remove_role, rules.set_group):
    rights_commands.add_command(_command)
