# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel command``: one request as XML, and its answer."""

from __future__ import annotations

from typing import IO, Final, Literal, cast
from xml.etree import ElementTree as ET

import click

from archipel.cli.invocation import Run, in_session
from archipel.cli.xml_text import XML_FILE, read_xml, read_xml_file, write_xml
from archipel.protocol.xml import child_named, local_name, namespace_of

Kind = Literal["get", "set"]
KINDS: Final = ("get", "set")


@click.command()
@click.argument("where", metavar="MACHINE|HYPERVISOR")
@click.argument("file", required=False, type=XML_FILE, metavar="[FILE|-]")
@click.option("--xml", "text", help="The request itself, instead of a file.")
@click.option("--type", "kind", type=click.Choice(KINDS), help="Send it as this type of IQ [default: that of the <iq/>, else set].")
@in_session
async def command(run: Run, where: str, file: IO[str] | None, text: str | None, kind: str | None) -> None:
    """Send one request as XML, and print the answer as XML.

    The request is a <query/> with its namespace and the <archipel action="..."/> in it, or a whole <iq/>, whose address does
    not count; - reads standard input. The protocol page of the documentation has them all.
    """
    if (file is None) == (text is None):
        raise click.UsageError("give the request in a FILE (- for standard input), or with --xml, not both")
    query, found = _unwrap(read_xml(text) if text is not None else read_xml_file(cast(IO[str], file)))
    entity = await run.finder.entity(where)
    async with run.working(f"waiting for {entity.bare}"):
        answer = await run.session.ask_xml(await entity.full_jid(), query, cast(Kind, kind or found))
    written = write_xml(answer)
    run.output.json({"on": entity.bare, "answer": written}) if run.output.as_json else run.output.line(written)


def _unwrap(element: ET.Element) -> tuple[ET.Element, str]:
    """Return the query of a request and the type that it is sent as."""
    kind = "set"
    if local_name(element.tag) == "iq":
        kind, query = element.get("type", kind), child_named(element, "query")
        if query is None or kind not in KINDS:
            raise click.UsageError('an <iq/> that asks is of type get or set, and holds a <query xmlns="..."/>')
        element = query
    if local_name(element.tag) != "query" or not namespace_of(element.tag).strip():
        raise click.UsageError('a request is <query xmlns="archipel:..."><archipel action="..."/></query>')
    return element, kind
