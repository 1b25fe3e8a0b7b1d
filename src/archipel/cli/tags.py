# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel tag``: words by which machines are found and ruled together."""

from __future__ import annotations

import click

from archipel.cli.invocation import Run, in_session
from archipel.cli.subcommands import name_of


@click.group()
def tag() -> None:
    """See and change the tags of machines and hypervisors."""


@tag.command("list")
@in_session
async def list_tags(run: Run) -> None:
    """List all tags, and who has them."""
    holders: dict[str, list[str]] = {}
    for jid, tags in sorted((await run.session.tags()).items()):
        for word in tags:
            holders.setdefault(word, []).append(jid)
    if run.output.as_json:
        run.output.json(holders)
    else:
        run.output.table(("TAG", "WHO HAS IT"), [(word, " ".join(jids)) for word, jids in sorted(holders.items())], "nobody has a tag")


@tag.command("set")
@click.argument("where", metavar="MACHINE|HYPERVISOR")
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@in_session
async def set_tags(run: Run, where: str, tags: tuple[str, ...]) -> None:
    """Say which tags a machine or a hypervisor has; without TAG none."""
    entity = await run.finder.entity(where)
    await entity.set_tags(tags)
    if run.output.as_json:
        run.output.json({"on": entity.bare, "tags": list(tags)})
    else:
        run.output.line(f"{name_of(entity)}: {' '.join(tags) or 'no tags'}")
