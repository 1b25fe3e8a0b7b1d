# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One declared object: of what kind, where it shall be, what it shall be like, and where it is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import Pieces
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step
    from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource

    from archipel.client import Hypervisor

SERVER = ""
"""The hypervisor of what belongs to none: accounts and groups of the server."""


@dataclass(frozen=True)
class Key:
    """What names an object: no two of a declaration have the same."""

    kind: str
    hypervisor: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" on {self.hypervisor}" if self.hypervisor else "")


@dataclass(frozen=True)
class Item:
    """A declared object; ``arguments`` are those of its kind, validated.

    ``within`` is what must be there before this one can even be read, such as the machine of a right or the pool of a volume,
    declared or not. ``machine`` is the reference of the machine that it is about, if it is about one.
    """

    key: Key
    arguments: Mapping[str, Any]
    place: Place
    machine: str | None = None
    within: Key | None = None


def name_of(arguments: Mapping[str, Any]) -> str:
    """Return the option that names most kinds of objects."""
    return str(arguments.get("name") or "")


def refers_to_nothing(_item: Item) -> Iterable[tuple[str, str]]:
    """Stand in for the references of objects that have none."""
    return ()


def in_nothing(_arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    """Stand in for what holds an object that nothing but its hypervisor holds."""
    return None


def removal_of(name: str) -> dict[str, Any]:
    """Return the options that say of most kinds that one is not to be there."""
    return {"name": name, "state": "absent"}


def nothing_to_refuse(_arguments: Mapping[str, Any]) -> None:
    """Stand in for the check of a kind whose options say all."""


def entries_of(value: Any) -> list[Any]:
    """Return what stands inline: one entry, or several."""
    return list(value) if isinstance(value, list | tuple) else [value]


@dataclass(frozen=True)
class Kind:
    """A kind of object that can be declared.

    Args:
        name: as plans and the ownership on the agent call it.
        section: its part of a declaration.
        options: the options of one object, as its module has them.
        declare: makes the resource of an item, on opened ground (:class:`Ground`, or :class:`ServerGround`).
        refer: which others an item names, by kind and name: those come first.
        identify: what names an object, by its arguments.
        constraints: what its module says of the options besides.
        refuse: raises :class:`ValueError` for arguments that contradict each other.
        inline: the word by which a machine or hypervisor takes it in its own entry.
        read_inline: the entries that stand there.
        container: what holds an object, by its arguments: kind and name.
        absent: what is read of an object that is not there; ``None`` if it can be read all the same.
        removal: the options that take away one of that name.
        describe_all: all of the kind that a hypervisor has, in the words of the options.
        one_by_one: whether those of one hypervisor are changed one after the other.
        of_machines: whether it is a machine's, or the hypervisor's where no machine is named.
        of_server: whether it belongs to the server, not to a hypervisor.
        prunable: whether it is owned, and ``prune`` removes it when it is no longer declared.
        freed_by: whether it can go once these machines have gone, of which some use it now.
        pieces: what of it is owned piece by piece; ``None`` for what is owned as a whole.
    """

    name: str
    section: str
    options: Mapping[str, Mapping[str, Any]]
    declare: Callable[[Any, Item], Resource]
    refer: Callable[[Item], Iterable[tuple[str, str]]] = refers_to_nothing
    identify: Callable[[Mapping[str, Any]], str] = name_of
    constraints: Mapping[str, Any] = field(default_factory=dict)
    refuse: Callable[[Mapping[str, Any]], None] = nothing_to_refuse
    inline: str = ""
    read_inline: Callable[[Any], list[Any]] = entries_of
    container: Callable[[Mapping[str, Any]], tuple[str, str] | None] = in_nothing
    absent: Mapping[str, Any] | None = None
    removal: Callable[[str], dict[str, Any]] = removal_of
    describe_all: Callable[[Hypervisor], Awaitable[list[dict[str, Any]]]] | None = None
    one_by_one: bool = False
    of_machines: bool = False
    of_server: bool = False
    prunable: bool = True
    freed_by: Callable[[Resource, Collection[Step]], bool] | None = None
    pieces: Pieces | None = None

    def canonical(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values under the options' own names, not their aliases."""
        return {self._names.get(name, name): value for name, value in values.items()}

    @cached_property
    def validator(self) -> ArgumentSpecValidator:
        """What Ansible checks arguments with."""
        return ArgumentSpecValidator({name: dict(option) for name, option in self.options.items()}, **self.constraints)

    @cached_property
    def _names(self) -> dict[str, str]:
        return {alias: name for name, option in self.options.items() for alias in option.get("aliases", ())}
