# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""Entities tell their rosters who did what, each contact as he wants it (namespace ``archipel:contact:preferences``)."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import tzlocal

from archipel.agent.dispatch import EVERY_KIND, Caller, Chat, command
from archipel.agent.hooks import Answered, after_command, after_push, in_background, instead_of_shout, when_leaving
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.metrics import Result
from archipel.agent.notices.preferences import Preferences, Wish
from archipel.agent.notices.teller import Teller
from archipel.agent.notices.words import notice_of_answer, notice_of_push
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.options import Section, choice
from archipel.agent.store import StoreError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import preferences as wire
from archipel.protocol.errors import BadRequest
from archipel.protocol.preferences import Verbosity

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

log = logging.getLogger(__name__)

NOTICES = Section("NOTICES")


class MessageType(enum.StrEnum):
    """What those are sent who have set nothing."""

    HEADLINE = "headline"
    CHAT = "chat"


@dataclass(frozen=True, kw_only=True)
class NoticeSettings:
    """What contacts are told who have set nothing themselves."""

    verbosity: Verbosity = NOTICES.option(
        "notices_verbosity", choice(Verbosity), "changes", "What contacts are told who have set nothing: nothing, alarms, changes, or all."
    )
    message: MessageType = NOTICES.option(
        "notices_type", choice(MessageType), "headline", "How: headlines, which are shown or lost, as the founders', or chat messages."
    )


SETTINGS = NoticeSettings


@one_per_hypervisor
def teller_of(hypervisor: Hypervisor) -> Teller:
    """Return who tells the contacts of this hypervisor's entities."""
    settings: NoticeSettings = hypervisor.services.settings.capabilities["notices"]
    zone = tzlocal.get_localzone_name() or "UTC"
    preferences = Preferences(hypervisor.services.store, hypervisor.bare, settings.verbosity, zone)
    return Teller(hypervisor, preferences, settings.message)


@in_background
async def tell(hypervisor: Hypervisor) -> None:
    """Tell what is done, off the way of the requests that do it."""
    teller = teller_of(hypervisor)
    try:
        await teller.preferences.ready()
    except StoreError as error:
        log.error("what contacts want to be told cannot be read: the default counts: %s", error)
    await teller.run()


@after_command
def note_answer(answered: Answered) -> None:
    """Tell of a command that was done."""
    if answered.result is not Result.OK or answered.namespace == wire.GetPreferences.namespace:
        return
    entity = answered.entity
    found = entity.services.registry.find(entity.kind, answered.namespace, answered.action)
    notice = notice_of_answer(answered, found.help if found else "")
    if notice is not None:
        teller_of(entity.hypervisor).tell(notice)


@after_push
def note_alarm(entity: Entity, topic: str, change: str, details: tuple[ET.Element, ...]) -> None:
    """Tell of an alarm."""
    notice = notice_of_push(entity, topic, change, "; ".join(map(_describe, details)))
    if notice is not None:
        teller_of(entity.hypervisor).tell(notice)


def _describe(detail: ET.Element) -> str:
    return ", ".join([*(f"{name} {value}" for name, value in detail.attrib.items()), *filter(None, [detail.text])])


@instead_of_shout
def shout(entity: Entity, text: str) -> bool:
    """Tell an entity's news to each as he wants it."""
    teller_of(entity.hypervisor).shout(entity, text)
    return True


@when_leaving
async def forget(vm: VirtualMachine) -> None:
    """Forget what contacts wanted of a machine that leaves."""
    await teller_of(vm.hypervisor).preferences.forget(vm.bare)


# -- commands -------------------------------------------------------------------------------------------------------------

_VERBOSITY = {
    Verbosity.SILENT: "I tell you nothing",
    Verbosity.ALARMS: "I tell you of alarms only",
    Verbosity.CHANGES: "I tell you who changes me, and of alarms",
    Verbosity.ALL: "I tell you everything that is done to me",
}
_WHICH_HOURS = "From when to when? Say 22 to 7, for example, or off."
_ORIGIN = {"own": "", "hypervisor": " That is what you set at my hypervisor.", "default": " That is so for whoever has not said otherwise."}


def _say(found: wire.Preferences) -> str:
    quiet = ""
    if found.quiet:
        alarms = "alarms come nevertheless" if found.alarms else "not even alarms come then"
        quiet = f" From {found.quiet.replace('-', ' to ')} ({found.zone}) I am quiet: {alarms}, and you hear of the rest afterwards."
    return f"{_VERBOSITY[Verbosity(found.verbosity)]}.{quiet}{_ORIGIN[found.origin]}"


def _answer(entity: Entity, caller: Caller) -> wire.Preferences:
    found = teller_of(entity.hypervisor).preferences.of(entity.bare, caller.bare)
    return wire.Preferences(verbosity=found.verbosity, quiet=found.quiet, zone=found.zone, alarms=found.alarms, origin=found.origin)


async def _change(entity: Entity, caller: Caller, wish: Wish) -> wire.Preferences:
    preferences = teller_of(entity.hypervisor).preferences
    if wish.quiet and wish.zone is None:  # hours stay in the zone that counts when they are said, whatever is said elsewhere later
        await preferences.ready()
        wish = replace(wish, zone=preferences.of(entity.bare, caller.bare).zone)
    await preferences.change(entity.bare, caller.bare, wish)
    return _answer(entity, caller)


@command(
    wire.GetPreferences,
    on=EVERY_KIND,
    right=None,
    failure=wire.FAILURE,
    chat=Chat(("what do you tell me", "preferences"), _say),
)
async def get_preferences(entity: Entity, _request: wire.GetPreferences, caller: Caller) -> wire.Preferences:
    """What I tell you of my own accord, and when I am quiet."""
    await teller_of(entity.hypervisor).preferences.ready()
    return _answer(entity, caller)


@command(wire.SetPreferences, on=EVERY_KIND, right=None, failure=wire.FAILURE, chat=Chat(("tell me {verbosity}",), _say))
async def set_preferences(entity: Entity, request: wire.SetPreferences, caller: Caller) -> wire.Preferences:
    """Choose what I tell you: nothing, alarms, changes or everything; said to a hypervisor, it is for all its machines."""
    wish = Wish(
        verbosity=wire.read_verbosity(request.verbosity) if request.verbosity is not None else None,
        quiet=wire.read_hours(request.quiet) if request.quiet is not None else None,
        zone=request.zone,
        alarms=request.alarms,
    )
    if wish == Wish():
        raise BadRequest("verbosity: is missing, and so are quiet, zone and alarms: nothing would change")
    return await _change(entity, caller, wish)


@command(
    wire.SetQuietHours,
    on=EVERY_KIND,
    right=None,
    failure=wire.FAILURE,
    chat=Chat(
        ("quiet from {hours}", "quiet hours {hours}"), _say, questions={"hours": "From when to when? Say 22 to 7, for example, or off."}
    ),
)
async def set_quiet_hours(entity: Entity, request: wire.SetQuietHours, caller: Caller) -> wire.Preferences:
    """Choose when I am quiet: 22 to 7, also with a time zone, also no alarms; or off."""
    hours, zone, alarms = wire.read_wish(request.hours)
    return await _change(entity, caller, Wish(quiet=hours, zone=zone, alarms=True if alarms is None else alarms))


@command(wire.Hush, on=EVERY_KIND, right=None, failure=wire.FAILURE, chat=Chat(("be quiet", "hush"), _say))
async def hush(entity: Entity, _request: wire.Hush, caller: Caller) -> wire.Preferences:
    """Let me tell you nothing any more."""
    return await _change(entity, caller, Wish(verbosity=Verbosity.SILENT))


@command(wire.ResetPreferences, on=EVERY_KIND, right=None, failure=wire.FAILURE, chat=Chat(("tell me as usual", "as usual"), _say))
async def reset_preferences(entity: Entity, _request: wire.ResetPreferences, caller: Caller) -> wire.Preferences:
    """Forget what you told me about what to tell you."""
    await teller_of(entity.hypervisor).preferences.forget(entity.bare, caller.bare)
    return _answer(entity, caller)
