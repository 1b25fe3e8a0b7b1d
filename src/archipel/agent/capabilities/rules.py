# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles, scopes, groups and denial, and why somebody may or may not (namespace ``archipel:rights``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from archipel.agent import following, golden_facts
from archipel.agent.capabilities.rights import read_account
from archipel.agent.chat import find_command
from archipel.agent.dispatch import EVERY_KIND, Caller, Chat, command
from archipel.agent.entity import Entity
from archipel.agent.grants import Unchanged
from archipel.agent.hooks import after_event, in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.options import Section, seconds
from archipel.agent.rule_changes import Concern, RuleChanges, RuleWish
from archipel.agent.rules import Reach, RuleRecord, Scope
from archipel.agent.store import GrantRecord
from archipel.agent.virt.lifecycle import DomainEvent
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import rules as wire
from archipel.protocol.errors import BadRequest, ErrorCode, PermissionDenied
from archipel.protocol.rights import EntityKind
from archipel.protocol.roles import BUILT_IN, Role

HYPERVISOR = EntityKind.HYPERVISOR
SEES_RIGHTS = "permission_get"
RIGHTS = Section("RIGHTS")


@dataclass(frozen=True, kw_only=True)
class SETTINGS:
    """How rights follow what is kept elsewhere."""

    groups_interval: float = RIGHTS.option(
        "rights_groups_interval", seconds(1, 3600), "60", "How often the groups of the server are read again: of LDAP's it tells no change."
    )


def _say_decision(decision: wire.Decision) -> str:
    return f"{decision.subject} {'may' if decision.allowed else 'may not'} ({decision.right}): {decision.reason}."


@command(
    wire.Why,
    on=EVERY_KIND,
    right=None,
    failure=ErrorCode.GET_RIGHTS,
    chat=Chat(("why may i not {right}", "why can i not {right}", "why can't i {right}", "why may i {right}", "why {right}"), _say_decision),
)
async def explain(entity: Entity, request: wire.Why, caller: Caller) -> wire.Decision:
    """Why you, or somebody else, may do something here or not; say it as you would ask for it, or the right's name."""
    subject = caller.bare if request.subject is None else read_account("subject", request.subject)
    if subject != caller.bare and not entity.decide(caller.bare, SEES_RIGHTS).allowed:
        raise PermissionDenied(f"{caller.bare} lacks the right {SEES_RIGHTS!r} on {entity.name}, to see others' rights", SEES_RIGHTS)
    right = _find_right(entity, request.right)
    decision = entity.services.rights.check(entity.bare, subject, right)
    return wire.Decision(subject=subject, right=right, allowed=decision.allowed, rule=str(decision.rule), reason=decision.words)


def _find_right(entity: Entity, words: str) -> str:
    """Return the right of that name, or of the command that is asked for in those words."""
    catalogue, wanted = entity.services.rights.catalogue, words.strip().lower()
    if catalogue.find(entity.kind, wanted):
        return wanted
    found = find_command(entity, words.split())
    right = found.in_chat.right if found else None
    if right is None:
        near = " or ".join(catalogue.near(entity.kind, wanted)) or "the action list tells all rights"
        raise BadRequest(f"right: there is no right {words[:60]!r} on a {entity.kind}, and no command; {near}")
    return right


@command(wire.ListRules, on=EVERY_KIND, right=SEES_RIGHTS, failure=ErrorCode.GET_RIGHTS)
async def list_rules(entity: Entity, _request: wire.ListRules, _caller: Caller) -> tuple[wire.Rule, ...]:
    """Who was granted and denied what."""
    rights = entity.services.rights
    rules = (_show_rule(rule, rights.find_fault(rule)) for rule in rights.book.lasting() if _belongs_here(entity, rule))
    return (*map(_show_grant, rights.grants_on(entity.bare)), *rules)


def list_own_rules(entity: Entity) -> tuple[wire.Rule, ...]:
    """Return the grants and rules that were made on an entity for itself."""
    rights = entity.services.rights
    made = (rule for rule in rights.book.lasting() if rule.entity == entity.bare and rule.scope.reach is Reach.ENTITY)
    return (*map(_show_grant, rights.grants_on(entity.bare)), *(_show_rule(rule, rights.find_fault(rule)) for rule in made))


def _belongs_here(entity: Entity, rule: RuleRecord) -> bool:
    rights = entity.services.rights
    if rule.of_platform:
        return entity.kind is HYPERVISOR or bool(rights.tokens_there(entity.bare, rule))
    return rule.entity == entity.bare or rights.reaches_anybody(entity.bare, rule)


def _show_grant(grant: GrantRecord) -> wire.Rule:
    return wire.Rule(subject=grant.subject, right=grant.token, **_show_origin(grant))


def _show_rule(rule: RuleRecord, note: str) -> wire.Rule:
    who = {"group" if rule.is_group else "subject": rule.subject}
    what = {"role" if rule.is_role else "right": rule.right}
    effect = wire.DENY if rule.denies else wire.ALLOW
    return wire.Rule(**who, **what, scope=str(rule.scope), effect=effect, **_show_origin(rule), note=note or None)


def _show_origin(basis: GrantRecord | RuleRecord) -> dict[str, str]:
    given_at, expires = wire.write_moment(basis.granted_at), wire.write_moment(basis.expires_at)
    return {"entity": basis.entity, "given_by": basis.granted_by, "given_at": given_at, "expires": expires, "reason": basis.reason}


@command(wire.GrantRules, on=EVERY_KIND, right="permission_set", failure=ErrorCode.SET_RIGHTS)
async def grant(entity: Entity, request: wire.GrantRules, caller: Caller) -> None:
    """Give rights and roles."""
    wishes = _read(request.rules)
    concerns = await RuleChanges(entity.services.rights).set(entity.bare, wishes, caller=caller.bare)
    if isinstance(entity, Hypervisor) and any(wish.scope.reach is Reach.GOLDEN for wish in wishes):
        await golden_facts.refresh(entity, entity.machines.values())
    await _follow(entity, concerns)


@command(wire.DenyRules, on=EVERY_KIND, right="permission_set", failure=ErrorCode.SET_RIGHTS)
async def deny(entity: Entity, request: wire.DenyRules, caller: Caller) -> None:
    """Deny rights and roles, whatever else gives them."""
    changes = RuleChanges(entity.services.rights)
    await _follow(entity, await changes.set(entity.bare, _read(request.rules, denies=lambda _rule: True), caller=caller.bare))


@command(wire.WithdrawRules, on=EVERY_KIND, right="permission_set", failure=ErrorCode.SET_RIGHTS)
async def withdraw(entity: Entity, request: wire.WithdrawRules, caller: Caller) -> None:
    """Take grants, roles and denials back."""
    changes = RuleChanges(entity.services.rights)
    wishes = _read(request.rules, denies=lambda rule: isinstance(rule, wire.OldRule) and rule.effect == wire.DENY)
    await _follow(entity, await changes.withdraw(entity.bare, wishes, caller=caller.bare))


def _read(rules: Iterable[wire.RuleName], denies: Callable[[wire.RuleName], bool] = lambda _rule: False) -> list[RuleWish]:
    return [_read_rule(rule, denies=denies(rule)) for rule in rules]


def _read_rule(rule: wire.RuleName, *, denies: bool) -> RuleWish:
    (subject, is_group), (right, is_role) = rule.whom, rule.what
    expires = rule.expires if isinstance(rule, wire.NewRule) else None
    return RuleWish(
        subject=subject,
        is_group=is_group,
        right=right,
        is_role=is_role,
        denies=denies,
        scope=Scope.parse(rule.scope),
        expires_at=Unchanged.EXPIRY if expires is None else wire.read_moment(expires),
        reason=rule.reason if isinstance(rule, wire.NewRule) else "",
    )


# -- roles and groups ---------------------------------------------------------------------------------------------------


@command(wire.ListRoles, on=EVERY_KIND, right="permission_list", failure=ErrorCode.LIST_RIGHTS)
async def list_roles(entity: Entity, _request: wire.ListRoles, _caller: Caller) -> tuple[wire.RoleItem, ...]:
    """Which roles there are, and what they hold."""
    book = entity.services.rights.book
    return tuple(
        wire.RoleItem(
            name=role.name,
            description=role.description,
            builtin=role.name in BUILT_IN,
            platform=role is book.platform_roles.get(role.name),
            rights=" ".join(sorted(role.tokens)),
        )
        for role in book.roles.values()
    )


@command(wire.SetRole, on=HYPERVISOR, right="permission_set", failure=ErrorCode.SET_RIGHTS)
async def set_role(hypervisor: Hypervisor, request: wire.SetRole, caller: Caller) -> None:
    """Make or change a role."""
    role = Role(request.name, request.description.strip(), frozenset(request.rights.split()))
    await _follow(hypervisor, await RuleChanges(hypervisor.services.rights).set_role(role, caller=caller.bare))


@command(wire.RemoveRole, on=HYPERVISOR, right="permission_set", failure=ErrorCode.SET_RIGHTS)
async def remove_role(hypervisor: Hypervisor, request: wire.RemoveRole, _caller: Caller) -> None:
    """Remove a role that no rule uses."""
    await RuleChanges(hypervisor.services.rights).remove_role(request.name.strip())


@command(wire.ListGroups, on=HYPERVISOR, right=SEES_RIGHTS, failure=ErrorCode.GET_RIGHTS)
async def list_groups(hypervisor: Hypervisor, _request: wire.ListGroups, _caller: Caller) -> tuple[wire.GroupItem, ...]:
    """Which groups there are, and who is in them."""
    book = hypervisor.services.rights.book
    return tuple(
        wire.GroupItem(name=name, shared=shared, members=tuple(wire.Member(jid=jid) for jid in sorted(groups[name])))
        for groups, shared in ((book.kept_groups, False), (book.roster_groups, True))
        for name in sorted(groups)
    )


@command(wire.SetGroup, on=HYPERVISOR, right="permission_set", failure=ErrorCode.SET_RIGHTS)
async def set_group(hypervisor: Hypervisor, request: wire.SetGroup, caller: Caller) -> None:
    """Say who is in a group."""
    members = [member.jid for member in request.members]
    await _follow(hypervisor, await RuleChanges(hypervisor.services.rights).set_group(request.name, members, caller=caller.bare))


@in_background
async def read_goldens(hypervisor: Hypervisor) -> None:
    """Read on which golden images the machines stand, as soon as libvirt and the server can be asked."""
    await hypervisor.online.wait()
    await golden_facts.refresh(hypervisor, hypervisor.machines.values())


@in_background
async def follow_groups(hypervisor: Hypervisor) -> None:
    """Follow groups of which the server tells no change: ejabberd's of LDAP."""
    settings: SETTINGS = hypervisor.services.settings.capabilities["rules"]
    await following.follow_directory(hypervisor, settings.groups_interval)


@after_event
async def follow_images(machine: VirtualMachine, event: DomainEvent) -> None:
    """Read it again when a machine may stand on other images."""
    if event.event in golden_facts.CHANGES:
        await golden_facts.refresh(machine.hypervisor, [machine])


async def _follow(entity: Entity, concerns: tuple[Concern, ...]) -> None:
    await following.follow(entity.hypervisor, concerns)
