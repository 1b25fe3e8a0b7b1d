# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel chat``: talk with a machine or a hypervisor, or say something to all with a tag."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with, in_session
from archipel.client.entity import Entity
from archipel.client.errors import ClientError
from archipel.client.failures import describe
from archipel.client.inbox import Reply
from archipel.protocol.errors import CommandError, Condition
from archipel.xmpp.errors import NoAnswer

PROMPT = "> "


@click.command(context_settings={"ignore_unknown_options": True})  # a value below zero is no option
@click.argument("words", nargs=-1, metavar="[MACHINE|HYPERVISOR] [TEXT]...")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Say TEXT to all entities with this tag; may be repeated.")
@in_session
async def chat(run: Run, words: tuple[str, ...], tags: tuple[str, ...]) -> None:
    """Say TEXT and print the reply; without TEXT talk line by line until the end of input (Ctrl-D).

    Say "help" to learn what the other side understands. With --tag no machine is named: all that have the tag, or one of
    them, are told, and each one's reply is printed behind its name. What was not done is an error of this command, too, but for a
    conversation at a terminal.
    """
    if tags:
        await _say_to_all(run, tags, " ".join(words))
        return
    if not words:
        raise click.UsageError("name a machine or a hypervisor, or those with a tag by --tag")
    entity = await run.finder.entity(words[0])
    if words[1:]:
        _print(run, await entity.chat(" ".join(words[1:])))
        end_with(run.errors)
        return
    while line := await _next_line():
        if line.strip():
            await _say(run, entity, line)
    if not sys.stdin.isatty():
        end_with(run.errors)


# -- one ----------------------------------------------------------------------------------------------------------------


async def _say(run: Run, entity: Entity, line: str) -> None:
    try:
        _print(run, await entity.chat(line))
    except NoAnswer as error:
        run.errors.append(error)
        run.output.warn(describe(error))


def _print(run: Run, reply: Reply) -> None:
    """Print a reply; one that says that nothing came of it is an error that need not be told a second time."""
    run.output.json({"reply": reply.text, "failure": reply.failure}) if run.output.as_json else run.output.line(reply.text)
    run.errors += [reply.error] if reply.error else []


async def _next_line() -> str:
    """Return the next line of standard input, empty at its end; the session lives on meanwhile."""
    if not sys.stdin.isatty():
        return await asyncio.to_thread(sys.stdin.readline)
    print(PROMPT, end="", flush=True)
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    # A thread that waits for a line would outlive Ctrl-C; a terminal tells when it has one.
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline()


# -- all with a tag -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What an entity (bare JID) replied, and why it did not do what it was told, if it did not."""

    entity: str
    name: str
    text: str
    failure: Condition | None


async def _say_to_all(run: Run, tags: tuple[str, ...], text: str) -> None:
    if not text.strip():
        raise click.UsageError("say what is to be said to all of them: TEXT")
    entities = [Entity(run.session, jid) for jid, own in sorted((await run.session.tags()).items()) if set(tags) & set(own)]
    if not entities:
        raise ClientError(f"nobody has the tag {' or '.join(tags)}: archipel ls shows who has which")
    replies: list[Told] = []
    async with run.working(f"waiting for {len(entities)} replies") as show:
        for count, asked in enumerate(asyncio.as_completed([_ask(run, entity, text) for entity in entities]), start=1):
            replies += [reply] if (reply := await asked) else []
            show(f"{count} of {len(entities)} replied or failed")
    replies.sort(key=lambda reply: (reply.name, reply.entity))
    if run.output.as_json:
        run.output.json([vars(reply) for reply in replies])
    for reply in () if run.output.as_json else replies:
        run.output.line(f"{reply.name}: {_indented(reply.text)}")
    end_with(run.errors)


async def _ask(run: Run, entity: Entity, text: str) -> Told | None:
    """Return what an entity replies; if it does not, that is noted and the others go on."""
    name = await _name(entity)
    try:
        reply = await entity.chat(text)
    except FAILURES as error:
        run.note(name, error)
        return None
    run.errors += [reply.error] if reply.error else []
    return Told(entity.bare, name, reply.text, reply.failure)


async def _name(entity: Entity) -> str:
    try:
        return (await entity.vcard()).name or entity.bare
    except (CommandError, ClientError):
        return entity.bare


def _indented(text: str) -> str:
    """Return a text whose further lines stand under each other."""
    return text.strip().replace("\n", "\n    ")
