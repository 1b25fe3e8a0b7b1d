# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel admins``: who may do everything on the whole platform."""

from __future__ import annotations

import asyncio

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with, in_session
from archipel.client.addresses import bare_address
from archipel.client.administrators import list_administrators, name_administrator, remove_administrator, wait_until_counted
from archipel.client.errors import ClientError
from archipel.client.hypervisor import Hypervisor

NOT_BELIEVED = (
    "{jid} is on the list, but no administrator here: the agent believes the list only while its option xmpp_trusted_publishers "
    "names all who may publish there (its log names who is not)"
)
STILL_ONE = "{jid} is off the list, but still an administrator here: the agent's option archipel_root_admins names this account"


@click.group()
def admins() -> None:
    """Name the platform's administrators, or see who is one.

    Administrators may do everything on all hypervisors and machines. Besides those on this list there are those whom each
    agent's option archipel_root_admins names.
    """


@admins.command("list")
@in_session
async def list_admins(run: Run) -> None:
    """List the accounts on the list, and who named them."""
    found = await list_administrators(run.session)
    if run.output.as_json:
        run.output.json([{"jid": entry.jid, "named_by": entry.named_by} for entry in found])
    else:
        run.output.table(("ADMINISTRATOR", "NAMED BY"), [(entry.jid, entry.named_by or "") for entry in found], "nobody is on the list")


@admins.command()
@click.argument("jids", nargs=-1, required=True, metavar="JID...")
@in_session
async def add(run: Run, jids: tuple[str, ...]) -> None:
    """Put accounts on the list, and find out whether the known hypervisors take them as administrators."""
    await _change(run, jids, wanted=True)


@admins.command()
@click.argument("jids", nargs=-1, required=True, metavar="JID...")
@in_session
async def remove(run: Run, jids: tuple[str, ...]) -> None:
    """Take accounts off the list, and find out whether the known hypervisors follow."""
    await _change(run, jids, wanted=False)


async def _change(run: Run, jids: tuple[str, ...], *, wanted: bool) -> None:
    accounts = tuple(dict.fromkeys(bare_address(jid) for jid in jids))
    act, done, nothing = _WORDS[wanted]
    changed = {jid: await act(run.session, jid) for jid in accounts}
    hypervisors = await run.finder.hypervisors()
    checks = [_follows(run, hypervisor, jid, wanted=wanted) for jid in accounts for hypervisor in hypervisors]
    async with run.working("waiting for the hypervisors"):
        followed = await asyncio.gather(*checks)
    if run.output.as_json:
        run.output.json([{"jid": jid, "changed": change} for jid, change in changed.items()])
    else:
        among = ", ".join(hypervisor.bare for hypervisor in hypervisors) if hypervisors and all(followed) else ""
        for jid, change in changed.items():
            run.output.line(f"{jid}: {done if change else nothing}{f' ({among} knows)' if among else ''}")
    end_with(run.errors)


async def _follows(run: Run, hypervisor: Hypervisor, jid: str, *, wanted: bool) -> bool:
    """Return whether a hypervisor does as the list says; if it does not, or does not tell, that is noted."""
    try:
        counted = await wait_until_counted(hypervisor, jid, wanted=wanted)
    except FAILURES as error:
        run.note(hypervisor.bare, error)
        return False
    if counted != wanted:
        run.note(hypervisor.bare, ClientError((NOT_BELIEVED if wanted else STILL_ONE).format(jid=jid)))
    return counted == wanted


_WORDS = {
    True: (name_administrator, "is an administrator now", "was on the list already"),
    False: (remove_administrator, "is no administrator any more", "was not on the list"),
}
