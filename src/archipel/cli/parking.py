# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel park``, ``unpark`` and ``parked``: machines off the host, with disks, account and rights kept."""

from __future__ import annotations

from typing import Any

import click

from archipel.cli.parameters import XmlFile, argument, flag, waiting
from archipel.cli.subcommands import Answer, On, Subcommand, make_group, show_xml
from archipel.client.errors import ClientError
from archipel.client.parking import Parking
from archipel.client.virtual_machine import VirtualMachine

PARKED = argument("machine", metavar="NAME|UUID")


def _row(name: str, help: str, call: Any, *parameters: click.Parameter, on: On = On.HYPERVISOR, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, on=on, concern=Parking, **more)


def _show_definition(answer: Answer) -> None:
    if answer.value.domain is None:
        raise ClientError(f"{answer.value.name}: the definition is too long for an answer")
    show_xml(Answer(answer.run, answer.entity, answer.options, answer.value.domain))


park = Subcommand(
    "park",
    "Take a machine off its host; disks, account and rights are kept.",
    VirtualMachine.park,
    (flag("--force", "Switch it off if it runs."),),
    says="{on}: parked",
).command()

unpark = _row(
    "unpark",
    "Bring a parked machine back.",
    Parking.unpark,
    PARKED,
    flag("--start", "Start it, too."),
    *waiting(),
    says="{machine}: is back on {on}",
    begun="{machine}: comes back to {on}",
).command()

parked = make_group(
    "parked",
    "Look after parked machines; --hypervisor chooses the host.",
    (
        _row(
            "list",
            "List the parked machines of all known hypervisors.",
            Parking.list,
            on=On.ALL_HYPERVISORS,
            columns={"NAME": "name", "PARKED BY": "parker", "SINCE": lambda found: found.date.partition(".")[0], "UUID": "uuid"},
            none="no parked machines",
        ),
        _row("show", "Print the definition of a parked machine.", Parking.find, PARKED, show=_show_definition),
        _row(
            "define",
            "Give a parked machine another definition of the same UUID and name; - reads standard input.",
            Parking.define,
            PARKED,
            argument("definition", metavar="FILE.xml", kind=XmlFile()),
            says="{machine}: defined anew",
        ),
        _row(
            "delete",
            "Destroy a parked machine with its disks and account.",
            Parking.delete,
            PARKED,
            *waiting(),
            says="{machine}: destroyed",
            begun="{machine}: is being destroyed",
        ),
    ),
)
