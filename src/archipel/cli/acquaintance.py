# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel avatar``, ``contacts``, ``notices``, ``notifier``: what entities show, and what they tell whom of their own accord."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from archipel.cli.parameters import argument, flag, option
from archipel.cli.subcommands import On, Subcommand, make_group, show_facts
from archipel.client.avatars import Avatars
from archipel.client.entity import Entity
from archipel.client.notices import Notices
from archipel.client.notifier import Notifier
from archipel.protocol.preferences import Preferences, Verbosity


def _row(name: str, help: str, call: Any, *parameters: click.Parameter, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, on=On.ENTITY, **more)


def _lines(found: Preferences) -> Iterator[tuple[str, str]]:
    """Yield what somebody is told, for people."""
    yield "tells", found.verbosity
    yield "quiet", f"{found.quiet} ({found.zone}), {'but for' if found.alarms else 'even of'} alarms" if found.quiet else "never"
    yield "because", {"own": "you said so", "hypervisor": "you said so to the hypervisor"}.get(found.origin, "you said nothing else")


avatar = make_group(
    "avatar",
    "See and choose the pictures of machines and hypervisors.",
    (
        _row(
            "list",
            "List the pictures to choose from.",
            Avatars.list,
            concern=Avatars,
            columns={"PICTURE": "name", "TYPE": "content_type"},
            none="no pictures",
        ),
        _row("choose", "Show another picture.", Avatars.choose, argument("name"), concern=Avatars, says="{on}: shows {name}"),
    ),
)

contacts = make_group(
    "contacts",
    "See and change who is in the roster of a machine or a hypervisor.",
    (
        _row("list", "List the roster.", Entity.roster, columns={"JID": "jid", "PRESENCE": "subscription"}, none="nobody is in the roster"),
        _row("add", "Take somebody in, who sees the presence then.", Entity.add_subscription, argument("jid"), says="{on}: {jid} is in"),
        _row("remove", "Take somebody out.", Entity.remove_subscription, argument("jid"), says="{on}: {jid} is out"),
    ),
)

notices = make_group(
    "notices",
    "See and choose what a machine tells you of its own accord; a hypervisor speaks for its machines, too.",
    (
        _row("show", "Show what you are told.", Notices.read, concern=Notices, show=show_facts(_lines)),
        _row(
            "set",
            "Choose what you are told; what is left out stays as it is.",
            Notices.change,
            option("--verbosity", "How much.", kind=click.Choice([str(word) for word in Verbosity])),
            option("--quiet", "Quiet hours, such as 22:00-07:00, or off.", metavar="HOURS"),
            option("--zone", "The time zone of these hours, such as Europe/Berlin.", metavar="ZONE"),
            flag("--alarms/--no-alarms", "Tell alarms in quiet hours, too, or not even those.", default=None),
            concern=Notices,
            show=show_facts(_lines),
        ),
        _row("reset", "Forget what you chose.", Notices.reset, concern=Notices, show=show_facts(_lines)),
    ),
)

notifier = make_group(
    "notifier",
    "See who is told of events by mail, webhook or message, and try it; --hypervisor chooses the host.",
    (
        Subcommand(
            "routes",
            "List the routes of all known hypervisors, and how they do.",
            Notifier.routes,
            on=On.ALL_HYPERVISORS,
            concern=Notifier,
            columns={
                "ROUTE": "name",
                "WAY": "way",
                "TO": "to",
                "SENT": "sent",
                "FAILED": "failed",
                "DROPPED": "dropped",
                "TROUBLE": "trouble",
            },
            none="no routes",
        ),
        Subcommand(
            "test",
            "Send a test by a route.",
            Notifier.test,
            (argument("route"),),
            on=On.HYPERVISOR,
            concern=Notifier,
            says="{on}: {route} has taken it",
        ),
    ),
)
