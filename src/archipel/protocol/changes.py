# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that are pushed: those of the core here, those of a capability beside its requests; docs/events.md lists them all."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, Self, TypeVar

from archipel.protocol.events import Topic


class Change(enum.StrEnum):
    """Changes of some topics; each member is the word that is pushed, and in ``when`` says what happened."""

    when: str

    def __new__(cls, word: str, when: str) -> Self:
        """Return the word, which bears what happened."""
        member = str.__new__(cls, word)
        member._value_, member.when = word, when
        return member


ChangesT = TypeVar("ChangesT", bound=type[Change])
_declared: Final[dict[str, list[type[Change]]]] = {}


def about(*topics: str) -> Callable[[ChangesT], ChangesT]:
    """Declare that the changes of the decorated class are pushed about these topics."""

    def declare(changes: ChangesT) -> ChangesT:
        for topic in topics:
            _declared.setdefault(str(topic), []).append(changes)
        return changes

    return declare


FREE: Final = {Topic.PERMISSIONS: ("a bare JID, or a group's name", "that person's or group's rights here changed: one push for each")}
"""Topics whose changes are no fixed words, besides those that are: what stands there, and when."""


def declared_changes() -> dict[str, list[Change]]:
    """Return the changes of each topic, as far as what declares them was imported."""
    return {topic: [change for changes in classes for change in changes] for topic, classes in sorted(_declared.items())}


@about(Topic.HYPERVISOR)
class HypervisorChange(Change):
    """What becomes of a hypervisor's machines."""

    ALLOC = "alloc", "a machine was made"
    FREE = "free", "a machine was destroyed"
    MANAGE = "manage", "a machine was taken in: comes after one `alloc` for each machine"
    UNMANAGE = "unmanage", "a machine was let go"
    CLONE = "clone", "a machine was copied"
    CLONE_ERROR = "cloneerror", "a copy that was begun failed, and left nothing"
    MIGRATE = (
        "migrate",
        "a machine has [come from another hypervisor](migration.md): a `<journey machine='' source='' downtime=''>` in the push says "
        "which, from where, and for how many milliseconds its guest stood still, if libvirt tells",
    )


@about(Topic.PERMISSIONS)
class PermissionsChange(Change):
    """Whose rights changed; all but these words are a bare JID, or a group's name."""

    ADMINS = "admins", "the list of administrators changed: whoever is shown rights asks for them anew"


@about(Topic.SUBSCRIPTION)
class SubscriptionChange(Change):
    """What happens to an entity's roster."""

    ADDED = "added", "somebody came into the entity's roster"
    REMOVED = "removed", "somebody left the entity's roster"


@about(Topic.VM_CONTROL)
class ControlChange(Change):
    """What a machine does, whoever made it do that."""

    CREATED = "created", "it was started"
    SUSPENDED = "suspended", "it was paused"
    RESUMED = "resumed", "it goes on after a pause"
    SHUTDOWN = "shutdown", "it was switched off, or shut down"
    CRASHED = "crashed", "it crashed"
    MEMORY = "memory", "the memory in use was changed"
    NVCPU = "nvcpu", "the number of processors in use was changed"
    MIGRATE_ERROR = "migrateerror", "it stays: its migration was begun and failed, or was cancelled"


@about(Topic.VM_DEFINITION)
class DefinitionChange(Change):
    """What happens to a machine's definition, whoever does it."""

    DEFINED = "defined", "it was defined, or name or organisation were changed"
    UNDEFINED = "undefined", "the definition was removed"
    NVCPU = "nvcpu", "the number of processors in use was changed"
