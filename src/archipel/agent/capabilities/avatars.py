# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing an entity's picture (namespace ``archipel:avatar``)."""

from __future__ import annotations

import asyncio
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import avatars
from archipel.agent.dispatch import EVERY_KIND, Caller, Chat, command
from archipel.agent.entity import Entity
from archipel.agent.hooks import when_leaving
from archipel.agent.settings import VCard
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import avatars as wire
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.xmpp.errors import WireError

MOST_BYTES: Final = 200_000
"""Of one answer: the server ends a session that sends a stanza of more than 256 KiB."""


def _say(found: wire.Avatars) -> str:
    more = f" and {found.more} more" if found.more else ""
    return ", ".join(picture.name for picture in found.pictures) + more or "There are none."


@command(
    wire.GetAvatars,
    on=EVERY_KIND,
    right="getavatars",
    failure=ErrorCode.LIST_AVATARS,
    chat=Chat(("avatars", "avatars after {after}"), _say),
)
async def get_avatars(entity: Entity, request: wire.GetAvatars, _caller: Caller) -> wire.Avatars:
    """The pictures to choose from."""
    return await asyncio.to_thread(_list, entity.services.settings.vcard, request.after)


def _list(settings: VCard, after: str) -> wire.Avatars:
    """Return as many pictures as fit; each fits alone."""
    found: list[wire.Avatar] = []
    room, more = MOST_BYTES, 0
    for name, picture in avatars.list_pictures(settings):
        if name <= after:
            continue
        avatar = wire.Avatar.of(name, picture)
        room -= len(ET.tostring(avatar.write(), "utf-8"))
        if room < 0:
            more += 1
        else:
            found.append(avatar)
    return wire.Avatars(more=more or None, pictures=tuple(found))


@command(
    wire.SetAvatar, on=EVERY_KIND, right="setavatar", failure=ErrorCode.SET_AVATAR, chat=Chat(("avatar {avatar}",), lambda _: "I like it.")
)
async def set_avatar(entity: Entity, request: wire.SetAvatar, _caller: Caller) -> None:
    """Choose my picture by its name."""
    settings, name = entity.services.settings, request.avatar
    if not settings.vcard.use_avatar:
        text = "avatar: entities of this agent show no pictures: an administrator would set use_avatar in [GLOBAL]"
        raise CommandError(text, condition=Condition.NOT_ALLOWED)
    if await asyncio.to_thread(avatars.find_picture, settings.vcard, name) is None:
        text = f"avatar: there is no picture {name!r} that could be shown: getavatars tells which there are"
        raise CommandError(text, condition=Condition.ITEM_NOT_FOUND)
    before = await asyncio.to_thread(avatars.read_choice, settings, entity.bare)
    try:
        await asyncio.to_thread(avatars.keep_choice, settings, entity.bare, name)
        await entity.show_card()
    except OSError as error:
        raise CommandError(f"the choice cannot be stored: {error.strerror}") from error
    except (CommandError, WireError):
        await asyncio.to_thread(avatars.keep_choice, settings, entity.bare, before)
        raise


@when_leaving
async def forget_choice(machine: VirtualMachine) -> None:
    """A machine that leaves takes its choice along."""
    await asyncio.to_thread(avatars.keep_choice, machine.services.settings, machine.bare, None)
