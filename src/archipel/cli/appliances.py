# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel appliance``: feeds, downloads, and machines made of them."""

from __future__ import annotations

from typing import Any

import click

from archipel.cli.parameters import argument, flag, waiting
from archipel.cli.subcommands import Answer, On, Subcommand, as_object, make_group, name_of
from archipel.client.appliances import Appliances, MachineAppliance
from archipel.protocol.appliances import Status

APPLIANCE = argument("appliance", metavar="UUID", kind=click.UUID)


def _state(number: int) -> str:
    return Status(number).name.lower().replace("_", " ") if number in set(Status) else "?"


def _show_feeds(answer: Answer) -> None:
    output, sources = answer.run.output, answer.value
    if output.as_json:
        output.json([as_object(source) for source in sources])
        return
    for source in sources:
        output.line(f"{source.name} ({source.uuid}) {source.url}")
        if source.problem:
            output.warn(f"{source.name}: {source.problem}")
    rows = [(one.name, _state(one.status), one.size, source.name, one.uuid) for source in sources for one in source.appliances]
    none = "the feeds offer nothing" if sources else "no feeds: archipel appliance subscribe URL adds one"
    output.table(("APPLIANCE", "STATE", "BYTES", "FEED", "UUID"), rows, f"{name_of(answer.entity)}: {none}")


def _host(name: str, help: str, call: Any, *parameters: click.Parameter, on: On = On.HYPERVISOR, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, on=on, concern=Appliances, **more)


def _machine(name: str, help: str, call: Any, *parameters: click.Parameter, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, concern=MachineAppliance, **more)


appliance = make_group(
    "appliance",
    "Find appliances in feeds, and make machines of them; --hypervisor chooses the host.",
    (
        _host("feeds", "Read the feeds anew, and list what they offer.", Appliances.feeds, show=_show_feeds),
        _host("subscribe", "Subscribe to a feed.", Appliances.subscribe, argument("url"), says="{on}: subscribed to {url}"),
        _host(
            "unsubscribe",
            "Drop a feed; what was downloaded of it stays.",
            Appliances.unsubscribe,
            argument("feed", metavar="UUID", kind=click.UUID),
            says="{on}: feed {feed} dropped",
        ),
        _host(
            "list",
            "List the appliances that are downloaded, on all known hypervisors.",
            Appliances.list,
            on=On.ALL_HYPERVISORS,
            columns={"APPLIANCE": "name", "DESCRIPTION": "description", "UUID": "uuid"},
            none="no appliances",
        ),
        _host(
            "download",
            "Fetch an appliance, or go on where it broke off.",
            Appliances.download,
            APPLIANCE,
            *waiting(),
            says="{on}: {appliance} is here",
            begun="{on}: {appliance} is being fetched",
        ),
        _host(
            "downloads",
            "List what is being downloaded.",
            Appliances.downloads,
            columns={"APPLIANCE": "name", "DONE": lambda found: f"{found.percentage:.0f} %", "BYTES": "total", "UUID": "uuid"},
            none="no downloads",
        ),
        _host(
            "stop",
            "Break a download off; what is there of it stays.",
            Appliances.stop_download,
            APPLIANCE,
            says="{on}: the download of {appliance} is stopped",
        ),
        _host("delete", "Remove what was downloaded of an appliance.", Appliances.delete, APPLIANCE, says="{on}: {appliance} deleted"),
        _machine(
            "offers",
            "List what a machine can be made of.",
            MachineAppliance.list,
            columns={"APPLIANCE": "name", "STATE": "status", "DESCRIPTION": "description", "UUID": "uuid"},
            none="no appliances",
        ),
        _machine(
            "install",
            "Make a machine from an appliance.",
            MachineAppliance.install,
            APPLIANCE,
            *waiting(),
            says="{on}: made from {appliance}",
            begun="{on}: is being made from {appliance}",
        ),
        _machine(
            "release",
            "Forget which appliance a machine was made of.",
            MachineAppliance.release,
            says="{on}: made of no appliance any more",
        ),
        _machine(
            "package",
            "Make an appliance of a machine, in its host's own feed; its headlines tell the end.",
            MachineAppliance.package,
            argument("name"),
            flag("--compress/--no-compress", "Compress the drives, or do not [default: the agent's choice].", default=None),
            flag("--include-iso", "With the CD images that it has."),
            says="{on}: is being packed as {name}",
        ),
    ),
)
