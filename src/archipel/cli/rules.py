# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel rights why``, ``rules``, ``roles``, ``groups`` and what changes them; ``archipel deny``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from archipel.cli.invocation import Run, in_session
from archipel.cli.places import check_followed, find_keeper, find_place
from archipel.client.addresses import bare_address
from archipel.client.entity import Entity
from archipel.client.platform_rules import PlatformRules
from archipel.protocol.rules import NEVER, PLATFORM, NewRule, OldRule, Rule, write_moment

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
ENTITY: Final = "entity"


class Moment(click.ParamType[str]):
    """A point in time as people write it: ``2027-07-01``, ``2027-07-01T12:00``, with or without zone (the local one), or ``never``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return how the moment is written on the wire."""
        if str(value).strip() == NEVER:
            return NEVER
        try:
            return write_moment(datetime.fromisoformat(str(value).strip()).astimezone())
        except ValueError:
            self.fail(f"{value!r} is no time such as 2027-07-01 or 2027-07-01T12:00, nor {NEVER}", param, ctx)


@dataclass(frozen=True)
class Target:
    """Whom a rule is about, where it counts, what it gives besides plain rights."""

    who: str
    group: bool
    roles: tuple[str, ...]
    scope: str

    @property
    def is_plain(self) -> bool:
        """Whether the founding protocol has a word for it."""
        return not (self.group or self.roles) and self.scope == ENTITY

    @property
    def name(self) -> str:
        """Who it is: an account's bare JID, or a group's name."""
        return self.who if self.group else bare_address(self.who)

    def names(self, rights: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Yield what names each rule."""
        about = {"group" if self.group else "subject": self.name, "scope": self.scope}
        yield from ({**about, "right": right} for right in rights)
        yield from ({**about, "role": role} for role in self.roles)

    def describe(self, rights: tuple[str, ...]) -> str:
        """Return what is given to whom, in words."""
        what = " ".join((*rights, *(f"role {role}" for role in self.roles)))
        where = "" if self.scope == ENTITY else f" on {self.scope}"
        return f"{'group ' if self.group else ''}{self.name} {what}{where}"


with_place: Final = click.option("--on", "where", metavar="MACHINE|HYPERVISOR", help="The machine, or a hypervisor's JID.")
with_keeper: Final = click.option("--on", "where", metavar="HYPERVISOR", help="The hypervisor's JID.")
with_scope: Final = click.option(
    "--scope", default=ENTITY, type=click.Choice([ENTITY, PLATFORM]), help="Without --on: platform, for what counts everywhere."
)


def about_rules(function: FunctionT) -> FunctionT:
    """Add the options by which a command names rules."""
    options = (
        with_place,
        click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role, beside or instead of rights; may be repeated."),
        click.option("--group", is_flag=True, help="WHO is a group's name."),
        click.option(
            "--scope",
            default=ENTITY,
            show_default=True,
            help="With a hypervisor: own, tag:NAME, golden:NAME or hypervisor; without --on: platform.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def with_terms(function: FunctionT) -> FunctionT:
    """Add the options that say until when a rule counts, and why."""
    until = click.option("--until", type=Moment(), metavar="TIME", help="When it ends: 2027-07-01, 2027-07-01T12:00 or never.")
    return until(click.option("--reason", default="", help="Why; others read it.")(function))


def require_something(rights: tuple[str, ...], roles: tuple[str, ...]) -> None:
    """Refuse a command that names neither right nor role."""
    if not (rights or roles):
        raise click.UsageError("name a RIGHT, or a role with --role")


@click.command()
@click.argument("who")
@click.argument("rights", nargs=-1, metavar="[RIGHT]...")
@about_rules
@with_terms
@in_session
async def deny(
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
    """Deny WHO rights or roles, whatever else gives them; `archipel revoke --denied` lifts it.

    You need all rights there yourself.
    """
    require_something(rights, roles)
    target, place = Target(who, group, roles, scope), await find_place(run, where, scope)
    await place.deny_rules(*(NewRule(**name, expires=until, reason=reason) for name in target.names(rights)))
    await tell(run, place, target, rights, "denied", where)


async def tell(run: Run, place: Entity | PlatformRules, target: Target, rights: tuple[str, ...], done: str, where: str | None) -> None:
    """Say what was done, and by which hypervisors not, if it is for all of them."""
    if run.output.as_json:
        kind = "group" if target.group else "jid"
        run.output.json({"on": place.bare, kind: target.name, done: list(rights), "roles": list(target.roles), "scope": target.scope})
    else:
        run.output.line(f"{where or place.bare}: {done} {target.describe(rights)}")
    await check_followed(run, place)


def read_old(target: Target, rights: tuple[str, ...], effect: str) -> Iterator[OldRule]:
    """Yield the rules that a command takes away."""
    return (OldRule(**name, effect=effect) for name in target.names(rights))


# -- looking ------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("jid")
@click.argument("right", metavar="RIGHT")
@click.argument("where", metavar="MACHINE|HYPERVISOR")
@in_session
async def why(run: Run, jid: str, right: str, where: str) -> None:
    """Say whether JID has RIGHT on a machine or a hypervisor, and why.

    RIGHT is a right's name, or what is said in a chat, where start is the right create, and stop is shutdown; the command stop
    needs destroy.
    """
    decision = await (await run.finder.entity(where)).why(right, jid)
    if run.output.as_json:
        run.output.json({**vars(decision), "on": where})
    else:
        run.output.line(f"{decision.subject} {'may' if decision.allowed else 'may not'} {decision.right} on {where}: {decision.reason}")


@click.command("rules")
@with_place
@with_scope
@in_session
async def list_rules(run: Run, where: str | None, scope: str) -> None:
    """List all grants, roles and denials that count on a machine or a hypervisor, or those of the platform."""
    rules = await (await find_place(run, where, scope)).rules()
    if run.output.as_json:
        run.output.json([vars(rule) for rule in rules])
    else:
        rows = [
            (rule.effect, _who(rule), rule.right or f"role {rule.role}", rule.scope, rule.expires, rule.given_by, rule.note or rule.reason)
            for rule in rules
        ]
        run.output.table(("EFFECT", "WHO", "WHAT", "SCOPE", "UNTIL", "BY", "REASON"), rows, f"{where}: no grants, roles or denials")


def _who(rule: Rule) -> str:
    return f"group {rule.group}" if rule.group else rule.subject or ""


@click.command("roles")
@with_keeper
@with_scope
@in_session
async def list_roles(run: Run, where: str | None, scope: str) -> None:
    """List the roles of a hypervisor and its machines, or those that the platform has besides the built-in ones."""
    roles = await (await find_place(run, where, scope)).roles()
    if run.output.as_json:
        run.output.json([{**vars(role), "rights": sorted(role.tokens)} for role in roles])
    else:
        run.output.table(
            ("ROLE", "MEANING", "RIGHTS"), [(role.name, role.description, role.rights) for role in roles], f"{where}: no roles"
        )


@click.command("groups")
@click.option("--on", "where", required=True, metavar="HYPERVISOR", help="The hypervisor's JID.")
@in_session
async def list_groups(run: Run, where: str) -> None:
    """List the groups that a hypervisor knows, with their members."""
    groups = await run.session.hypervisor(where).groups()
    listed = [(group.name, group.shared, [member.jid for member in group.members]) for group in groups]
    if run.output.as_json:
        run.output.json([{"name": name, "shared": shared, "members": members} for name, shared, members in listed])
    else:
        rows = [(name, "server" if shared else "hypervisor", " ".join(members)) for name, shared, members in listed]
        run.output.table(("GROUP", "KEPT BY", "MEMBERS"), rows, f"{where}: no groups")


# -- roles and groups ---------------------------------------------------------------------------------------------------


@click.command("set-role")
@click.argument("name")
@click.argument("rights", nargs=-1, required=True, metavar="RIGHT...")
@with_keeper
@with_scope
@click.option("--description", default="", help="What the role is for.")
@in_session
async def set_role(run: Run, name: str, rights: tuple[str, ...], where: str | None, scope: str, description: str) -> None:
    """Make a role of these rights, or change it."""
    keeper = find_keeper(run, where, scope)
    await keeper.set_role(name, rights, description=description)
    run.output.line(f"{where or keeper.bare}: role {name}: {' '.join(rights)}")


@click.command("remove-role")
@click.argument("name")
@with_keeper
@with_scope
@in_session
async def remove_role(run: Run, name: str, where: str | None, scope: str) -> None:
    """Remove a role that no rule uses."""
    keeper = find_keeper(run, where, scope)
    await keeper.remove_role(name)
    run.output.line(f"{where or keeper.bare}: no role {name}")


@click.command("set-group")
@click.argument("name")
@click.argument("members", nargs=-1, metavar="[JID]...")
@click.option("--on", "where", required=True, metavar="HYPERVISOR", help="The hypervisor's JID.")
@in_session
async def set_group(run: Run, name: str, members: tuple[str, ...], where: str) -> None:
    """Say who is in a group; nobody removes it."""
    await run.session.hypervisor(where).set_group(name, members)
    run.output.line(f"{where}: group {name}: {' '.join(members) or 'nobody'}")
