# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent and its tools have today: asked of the registry, the declared rights, options, changes and presences."""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import click

from archipel.agent.dispatch import Command, Registry
from archipel.agent.options import Option, declared_options
from archipel.agent.settings import FLAGS, FOUNDING_NAMES, OPTIONS
from archipel.cli.main import main
from archipel.protocol import namespaces, presence
from archipel.protocol.changes import Change, declared_changes
from archipel.protocol.presence import Status
from archipel.protocol.rights import EntityKind, TokenCatalogue, core_catalogue
from tests.conformance.row import HYPERVISOR, MACHINE, Kind, Row

ROOT = Path(__file__).parents[2]
OF_STATE = "that of its state"
ASKED_ELSEWHERE = {"all", "presence", "message", "permission_getown"}  # rights that guard no action


@dataclass(frozen=True)
class Said:
    """A phrase of a kind of entity, and the command that it asks for."""

    kind: str
    template: str
    command: Command


class Agent:
    """The agent with all capabilities that the project declares."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
        declared = self.project["entry-points"]["archipel.capabilities"]
        self.capabilities: dict[str, ModuleType] = {name: importlib.import_module(path) for name, path in sorted(declared.items())}

    @cached_property
    def registry(self) -> Registry:
        registry = Registry()
        for module in self.capabilities.values():
            registry.add(module)
        return registry

    @cached_property
    def commands(self) -> dict[tuple[str, str, str], Command]:
        """Every command by kind of entity, namespace and action."""
        found = [(kind, command) for kind in EntityKind for command in self.registry.commands(kind)]
        return {(str(kind), command.request.namespace, command.request.action): command for kind, command in found}

    @cached_property
    def rights(self) -> TokenCatalogue:
        catalogue = core_catalogue()
        for module in self.capabilities.values():
            for token in getattr(module, "TOKENS", ()):
                catalogue.register(token)
        return catalogue

    @cached_property
    def options(self) -> dict[tuple[str, str], Option]:
        own = [
            found
            for name, module in self.capabilities.items()
            if getattr(module, "SETTINGS", None)
            for found in declared_options(module.SETTINGS, f"capabilities.{name}")
        ]
        return {(found.section, found.name): found for found in (*OPTIONS, *own)}

    @cached_property
    def phrases(self) -> tuple[Said, ...]:
        return tuple(
            Said(kind, template, command)
            for (kind, _ns, _action), command in self.commands.items()
            if command.chat
            for template in command.chat.phrases
        )

    @cached_property
    def changes(self) -> dict[str, list[Change]]:
        """What is pushed, by topic."""
        return declared_changes()

    @cached_property
    def presences(self) -> tuple[tuple[str, str, str], ...]:
        """Of what kind of entity, with which show, which status: in braces stands what is put there."""
        states = [value for value in vars(presence).values() if isinstance(value, Status)]
        rest = [presence.hypervisor_status(0, hardware_virtualisation=vt) for vt in (True, False)]
        host = [*rest, *map(presence.busy_hypervisor, presence.HostWork), presence.LIBVIRT_LOST]
        return (
            *((MACHINE, status.show or "", status.text) for status in states),
            *((MACHINE, "dnd", work) for work in presence.Work),
            *((MACHINE, OF_STATE, journey) for journey in presence.Journey),
            *((HYPERVISOR, status.show or "", status.text.replace("(0)", "({machines})")) for status in host),
        )

    # -- whether a founding thing is there --------------------------------------------------------------------------------

    def has(self, row: Row) -> bool:
        """Whether what a row is about is there today."""
        return {
            Kind.ACTION: self._has_action,
            Kind.PUSH: self._has_push,
            Kind.PHRASE: self._has_phrase,
            Kind.TOKEN: self._has_token,
            Kind.OPTION: self._has_option,
            Kind.PRESENCE: self._has_presence,
            Kind.TOOL: self._has_tool,
        }[row.kind](row)

    def _has_action(self, row: Row) -> bool:
        if row.place == namespaces.PING:
            return True  # no command: the test that the row names asks for it
        return all((kind, row.place, row.name) in self.commands for kind in row.on)

    def _has_push(self, row: Row) -> bool:
        """Whether the change is declared; that it is pushed then, another test looks after (tests/unit/test_announcements.py)."""
        return row.name in self.changes.get(row.place, [])

    def _has_phrase(self, row: Row) -> bool:
        if not any(row.asks):
            return True
        return any(words_of(said.template) == row.name and said.kind in row.on for said in self.phrases)

    def _has_token(self, row: Row) -> bool:
        """Whether a right can be granted, and guards something; what guarded nothing with the founders need not."""
        if not all(kind in set(EntityKind) and self.rights.find(EntityKind(kind), row.name) for kind in row.on):
            return False
        return row.name in ASKED_ELSEWHERE or bool(row.different) or all(self.guarded(kind, row.name) for kind in row.on)

    def guarded(self, kind: str, token: str) -> list[tuple[str, str, str]]:
        """Return the actions that a right guards on a kind of entity."""
        return [key for key, command in self.commands.items() if key[0] == kind and token in {command.right, command.in_chat.right}]

    def _has_option(self, row: Row) -> bool:
        if row.place == FLAGS:
            return row.name in {FOUNDING_NAMES.get(name, name) for name in self.capabilities}
        return (row.place, row.name) in self.options

    def _has_presence(self, row: Row) -> bool:
        return any(kind in row.on and row.says in text for kind, _show, text in self.presences)

    def _has_tool(self, row: Row) -> bool:
        if not row.needs:
            return False
        program, *words = row.needs.split()
        if not words:
            return program in self.project["scripts"] or (self.root / program).exists()
        return program == "archipel" and _has_command(main, words)


def _has_command(command: click.Command, words: list[str]) -> bool:
    for word in words:
        if word.startswith("-"):
            return any(word in item.opts for item in command.params)
        if not isinstance(command, click.Group) or word not in command.commands:
            return False
        command = command.commands[word]
    return True


def words_of(template: str) -> str:
    """Return the words of a phrase without its placeholders."""
    return " ".join(word for word in template.split() if word[0] not in "{[")
