# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel platform``: what an administrator does once."""

from __future__ import annotations

import click

from archipel.cli.invocation import Run, in_session
from archipel.client.platform import NodeReport, prepare_platform


@click.group()
def platform() -> None:
    """Set the platform up (for administrators)."""


@platform.command()
@click.option("--hypervisor", "hypervisors", multiple=True, required=True, metavar="JID", help="Account of a hypervisor; may be repeated.")
@in_session
async def init(run: Run, hypervisors: tuple[str, ...]) -> None:
    """Make the PubSub nodes that all hypervisors share, or correct them.

    Everybody may read them; the hypervisors given here may publish tags, and only the account that runs this may publish
    roles, administrators and rules. What is right already is left alone: run it again when a hypervisor joins.
    """
    report = await prepare_platform(run.session, hypervisors)
    if run.output.as_json:
        nodes = [
            {"node": node.node, "created": node.created, "configured": node.configured, "publishers": node.publishers}
            for node in report.nodes
        ]
        run.output.json({"changed": report.changed, "nodes": nodes})
        return
    for node in report.nodes:
        run.output.line(f"{node.node}: {_in_words(node)}")


def _in_words(node: NodeReport) -> str:
    done = ["made"] if node.created else []
    done += [f"corrected {', '.join(node.configured)}"] if node.configured else []
    done += [f"{', '.join(node.publishers)} may publish"] if node.publishers else []
    return "; ".join(done) or "as it should be"
