# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are one call of the client each: a row says which, with which parameters, and how its answer is shown."""

from __future__ import annotations

import asyncio
import enum
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with, in_session
from archipel.cli.xml_text import write_xml
from archipel.client.entity import Entity

Cell = str | Callable[[Any], object]
"""A column: the name of the answer's field, or what makes a text of an item."""


class On(enum.Enum):
    """Whom a command is sent to."""

    MACHINE = "machine"
    """The machine that the first argument names."""
    HYPERVISOR = "hypervisor"
    """The only hypervisor that there is to look at: ``--hypervisor`` chooses."""
    ALL_HYPERVISORS = "hypervisors"
    """Each hypervisor there is to look at; the answers are listed together."""
    ENTITY = "entity"
    """The machine or hypervisor that the first argument names."""


_ARGUMENTS: Final = {On.MACHINE: "MACHINE", On.ENTITY: "MACHINE|HYPERVISOR"}


@dataclass(frozen=True)
class Answer:
    """What a command was answered, by whom, and with which options it was asked."""

    run: Run
    entity: Entity
    options: Mapping[str, Any]
    value: Any


@dataclass(frozen=True)
class Subcommand:
    """One command.

    ``call`` is a method of the client; it takes what ``concern`` makes of the entity, and the parameters by their names. The answer
    is a table (``columns``; ``none`` is said where it has no rows), or shown by ``show``, or the command says ``says``, in which
    ``{on}`` stands for the entity, ``{answer}`` for the answer and a parameter's name for its value; ``begun`` is said instead where
    ``--wait`` was left out.
    """

    name: str
    help: str
    call: Callable[..., Awaitable[Any]]
    parameters: tuple[click.Parameter, ...] = ()
    on: On = On.MACHINE
    concern: Callable[[Any], Any] = lambda entity: entity
    says: str = ""
    begun: str = ""
    columns: Mapping[str, Cell] | None = None
    none: str = ""
    show: Callable[[Answer], None] | None = None
    settings: Mapping[str, Any] | None = None

    def command(self) -> click.Command:
        """Return the command as click takes it."""
        first = [click.Argument(["where"], metavar=_ARGUMENTS[self.on])] if self.on in _ARGUMENTS else []
        callback = in_session(self._run)
        settings = dict(self.settings) if self.settings else None
        return click.Command(self.name, callback=callback, params=[*first, *self.parameters], help=self.help, context_settings=settings)

    async def _run(self, run: Run, /, where: str | None = None, **options: Any) -> None:
        entities = await self._find(run, where)
        if "wait" in options:
            limit = options.pop("timeout")
            options["wait"] = limit if options["wait"] else None
        async with run.working(f"waiting for {', '.join(entity.bare for entity in entities)}"):
            answers = await asyncio.gather(*(self._ask(run, entity, options, single=len(entities) == 1) for entity in entities))
        self._tell(run, [answer for answer in answers if answer is not None])
        end_with(run.errors)

    async def _find(self, run: Run, where: str | None) -> Sequence[Entity]:
        if self.on is On.ALL_HYPERVISORS:
            return await run.finder.hypervisors() or (await run.finder.only_hypervisor(),)
        if where is None:
            return (await run.finder.only_hypervisor(),)
        return (await (run.finder.machine(where) if self.on is On.MACHINE else run.finder.entity(where)),)

    async def _ask(self, run: Run, entity: Entity, options: Mapping[str, Any], *, single: bool) -> Answer | None:
        try:
            return Answer(run, entity, options, await self.call(self.concern(entity), **options))
        except FAILURES as error:
            if single:
                raise
            run.note(entity.bare, error)
            return None

    def _tell(self, run: Run, answers: Sequence[Answer]) -> None:
        if self.columns is not None:
            self._tell_table(run, self.columns, answers)
        for answer in answers if self.columns is None else ():
            if self.show is not None:
                self.show(answer)
            else:
                self._say(answer)

    def _tell_table(self, run: Run, columns: Mapping[str, Cell], answers: Sequence[Answer]) -> None:
        if run.output.as_json:
            whose = self.on is On.ALL_HYPERVISORS
            run.output.json(
                [({"hypervisor": answer.entity.bare} if whose else {}) | as_object(item) for answer in answers for item in answer.value]
            )
            return
        several = len(answers) > 1
        head = [*(["HYPERVISOR"] if several else []), *columns]
        rows = [
            [*([answer.entity.bare] if several else []), *(cell(item, column) for column in columns.values())]
            for answer in answers
            for item in answer.value
        ]
        run.output.table(head, rows, f"{', '.join(name_of(answer.entity) for answer in answers)}: {self.none}" if answers else self.none)

    def _say(self, answer: Answer) -> None:
        run = answer.run
        if run.output.as_json:
            said = {name: value for name, value in answer.options.items() if isinstance(value, str | int | bool)}
            found = {} if answer.value is None else {"answer": plain(answer.value)}
            run.output.json({"on": answer.entity.bare, "done": self.name} | said | found)
        else:
            says = self.begun if self.begun and answer.options["wait"] is None else self.says
            run.output.line(says.format(on=name_of(answer.entity), answer=answer.value, **answer.options))


def make_group(name: str, help: str, rows: Iterable[Subcommand]) -> click.Group:  # noqa: A002 - click's word
    """Return a group of commands."""
    group = click.Group(name, help=help)
    for row in rows:
        group.add_command(row.command())
    return group


# -- answers ------------------------------------------------------------------------------------------------------------


def show_xml(answer: Answer) -> None:
    """Print an answer that is XML, or has it in ``definition``."""
    found = answer.value if isinstance(answer.value, ET.Element) else answer.value.definition
    text = write_xml(found)
    output = answer.run.output
    output.json({"on": answer.entity.bare, "xml": text}) if output.as_json else output.line(text)


def show_names(answer: Answer) -> None:
    """Print an answer that is a list of names."""
    output = answer.run.output
    if output.as_json:
        output.json(list(answer.value))
        return
    for name in answer.value:
        output.line(name)
    if not answer.value:
        output.remark(f"{name_of(answer.entity)}: there is none")


def show_facts(lines: Callable[[Any], Iterable[tuple[str, str]]]) -> Callable[[Answer], None]:
    """Return what shows an answer as names and values under each other, or for scripts as an object."""

    def show(answer: Answer) -> None:
        output = answer.run.output
        if output.as_json:
            output.json({"on": answer.entity.bare} | as_object(answer.value))
        else:
            output.facts(lines(answer.value))

    return show


def name_of(entity: Entity) -> str:
    """Return how people call an entity."""
    return getattr(entity, "name", "") or entity.bare


def cell(item: Any, column: Cell) -> str:
    """Return the text of one cell; what is not known is empty."""
    value = getattr(item, column) if isinstance(column, str) else column(item)
    return "" if value is None else ("yes" if value else "") if isinstance(value, bool) else str(value)


def as_object(item: Any) -> dict[str, Any]:
    """Return an item of an answer for scripts."""
    found = plain(item)
    return found if isinstance(found, dict) else {"value": found}


def plain(value: Any) -> Any:
    """Return any answer for scripts: objects, lists, texts, numbers; XML as text."""
    if isinstance(value, ET.Element):
        return write_xml(value)
    if is_dataclass(value) and not inspect.isclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value
