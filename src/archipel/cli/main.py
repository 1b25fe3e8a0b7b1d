# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``archipel`` command."""

from __future__ import annotations

import click

import archipel
from archipel.cli import machines, power
from archipel.cli.acquaintance import avatar, contacts, notices, notifier
from archipel.cli.admins import admins
from archipel.cli.appliances import appliance
from archipel.cli.audit import audit
from archipel.cli.chat import chat
from archipel.cli.command import command
from archipel.cli.completion import completion
from archipel.cli.define import define
from archipel.cli.examples import give_examples
from archipel.cli.guest import guest
from archipel.cli.health import health
from archipel.cli.host import network, nwfilter, pool, volume
from archipel.cli.invocation import Commands, Invocation
from archipel.cli.listing import list_machines
from archipel.cli.login import login
from archipel.cli.machine_storage import clone, drive, snapshot
from archipel.cli.migration import cancel_migration, migrate
from archipel.cli.parking import park, parked, unpark
from archipel.cli.platform import platform
from archipel.cli.rights import grant, revoke, rights_commands
from archipel.cli.rules import deny
from archipel.cli.schedule import schedule
from archipel.cli.screens import console, screenshot
from archipel.cli.show import show
from archipel.cli.tags import tag
from archipel.cli.watch import watch
from archipel.client.profile import DEFAULT

EXIT_CODES = """
\b
Exit codes:
  0  done                        4  server or entity not reachable
  1  the command failed          5  machine not found, or several
  2  wrong usage                 6  no login: no profile, password
  3  a right is missing             refused, certificate not trusted
"""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.option("-p", "--profile", envvar="ARCHIPEL_PROFILE", default=DEFAULT, show_default=True, metavar="NAME", help="The login to use.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts; errors too, on standard error.")
@click.option("-H", "--hypervisor", "hypervisors", multiple=True, metavar="JID", help="Look at this hypervisor only; may be repeated.")
@click.version_option(archipel.__version__, prog_name="archipel")
@click.pass_context
def main(ctx: click.Context, profile: str, as_json: bool, hypervisors: tuple[str, ...]) -> None:
    """Virtual machines as XMPP contacts: list, define, run and watch them.

    A machine is named by its name, UUID or JID, a hypervisor by its JID. Begin with `archipel login JID`.
    """
    invocation = ctx.ensure_object(Invocation)
    invocation.profile_name, invocation.as_json, invocation.hypervisors = profile, as_json, hypervisors


for _command in (
    login,
    list_machines,
    show,
    define,
    *power.commands(),
    *machines.commands(),
    clone,
    migrate,
    cancel_migration,
    park,
    unpark,
    parked,
    drive,
    snapshot,
    screenshot,
    console,
    guest,
    schedule,
    tag,
    avatar,
    contacts,
    notices,
    notifier,
    health,
    network,
    nwfilter,
    pool,
    volume,
    appliance,
    grant,
    deny,
    revoke,
    rights_commands,
    watch,
    chat,
    audit,
    command,
    admins,
    platform,
    completion,
):
    main.add_command(_command)
give_examples(main)
