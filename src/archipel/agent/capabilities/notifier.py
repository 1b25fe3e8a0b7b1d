# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling the world outside: mail, webhook, XMPP message, by the routes of the configuration (``archipel:hypervisor:notifier``)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hooks import Answered, after_command, after_push, in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.notifier.notifier import Notifier
from archipel.agent.notifier.occurrences import Occurrence, of_answer, of_push
from archipel.agent.notifier.outbox import DROPPED, FAILED, SENT, Outbox
from archipel.agent.notifier.routes import NotifierSettings
from archipel.agent.notifier.ways import DeliveryFailed
from archipel.agent.one_each import one_per_hypervisor
from archipel.protocol import notifier as wire
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.rights import ON_HYPERVISOR, EntityKind, Token

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

TOKENS = (
    Token("notifier_routes", "See who is told of events by mail, webhook or message", ON_HYPERVISOR),
    Token("notifier_test", "Send a test to who is told of events", ON_HYPERVISOR),
)
SETTINGS = NotifierSettings


@one_per_hypervisor
def notifier_of(hypervisor: Hypervisor) -> Notifier | None:
    """Return the notifier of a hypervisor whose configuration has routes."""
    routes = hypervisor.services.settings.capabilities["notifier"].routes
    return Notifier(hypervisor, routes) if routes else None


@in_background
async def notify(hypervisor: Hypervisor) -> None:
    """Send what happens by the routes."""
    notifier = notifier_of(hypervisor)
    if notifier is not None:
        await notifier.run()


@after_push
def tell_push(entity: Entity, topic: str, change: str, details: tuple[ET.Element, ...]) -> None:
    """Tell the routes of a push."""
    notifier = notifier_of(entity.hypervisor)
    if notifier is not None:
        notifier.tell(of_push(entity, topic, change, details))


@after_command
def tell_command(answered: Answered) -> None:
    """Tell the routes what became of a command."""
    notifier = notifier_of(answered.entity.hypervisor)
    if notifier is not None:
        notifier.tell(of_answer(answered))


def _say_routes(states: tuple[wire.RouteState, ...]) -> str:
    return "\n".join(map(_say_route, states)) or "I tell nobody outside: [NOTIFIER] notifier_routes names no route."


def _say_route(state: wire.RouteState) -> str:
    figures = f"{state.sent} sent, {state.failed} failed, {state.dropped} dropped, {state.waiting} waiting"
    trouble = f"; it fails: {state.trouble}" if state.trouble else ""
    return f"{state.name}: {state.way} to {state.to}, of {state.events}: {figures}{trouble}"


@command(
    wire.ListRoutes,
    on=EntityKind.HYPERVISOR,
    right="notifier_routes",
    failure=wire.FAILURE,
    chat=Chat(("notifier", "notifier routes"), _say_routes),
)
async def list_routes(hypervisor: Hypervisor, _request: wire.ListRoutes, _caller: Caller) -> tuple[wire.RouteState, ...]:
    """Who is told of events by mail, webhook or XMPP message, and whether that works."""
    notifier = notifier_of(hypervisor)
    return tuple(map(_describe, notifier.outboxes.values())) if notifier is not None else ()


def _describe(outbox: Outbox) -> wire.RouteState:
    route, counts = outbox.route, outbox.counts
    return wire.RouteState(
        name=route.name,
        way=route.way.kind,
        to=route.way.shown,
        events=", ".join(route.events),
        sent=counts[SENT],
        failed=counts[FAILED],
        dropped=counts[DROPPED],
        waiting=outbox.waiting,
        trouble=outbox.trouble,
    )


@command(
    wire.TestRoute,
    on=EntityKind.HYPERVISOR,
    right="notifier_test",
    failure=wire.FAILURE,
    chat=Chat(("notifier test {route}",), lambda _: "It was taken.", questions={"route": "By which route?"}),
)
async def test_route(hypervisor: Hypervisor, request: wire.TestRoute, caller: Caller) -> None:
    """Send a test by a route of the notifier."""
    notifier = notifier_of(hypervisor)
    outbox = notifier.outboxes.get(request.route) if notifier is not None else None
    if outbox is None:
        raise CommandError(f"there is no route {request.route!r}", condition=Condition.ITEM_NOT_FOUND)
    text = f"{caller.bare} tries the route {request.route} of {hypervisor.name}"
    try:
        await outbox.send_now(Occurrence("notifier/test", hypervisor.bare, hypervisor.name, str(hypervisor.kind), text, caller.bare))
    except DeliveryFailed as error:
        raise CommandError(f"the route {request.route} fails: {error}", condition=Condition.REMOTE_SERVER_TIMEOUT) from error
