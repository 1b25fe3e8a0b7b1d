# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words in which entities tell what was done to them, and how much it matters."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from archipel.agent.hooks import Answered
from archipel.protocol import namespaces as ns
from archipel.protocol.parking import TOPIC as PARKING
from archipel.protocol.preferences import Verbosity

LONGEST: Final = 300  # characters of a notice


class Level(enum.IntEnum):
    """How much something matters."""

    DETAIL = 1
    CHANGE = 2
    ALARM = 3


_LEAST: Final = {Verbosity.ALL: Level.DETAIL, Verbosity.CHANGES: Level.CHANGE, Verbosity.ALARMS: Level.ALARM}


def is_wanted(level: Level, verbosity: Verbosity) -> bool:
    """Whether somebody who wants that much is told of something."""
    least = _LEAST.get(verbosity)
    return least is not None and level >= least


@dataclass(frozen=True)
class Notice:
    """What an entity tells of itself: ``own`` in its own words; ``of`` begins what the hypervisor says of several, whose names follow.

    ``who`` did it (bare JID), if that is known.
    """

    entity: str
    name: str
    level: Level
    own: str
    of: str = ""
    who: str = ""
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))


# What was done, in the words of the machine and in those of its hypervisor. What the founders' entities shout is not among them.
_CONTROL: Final[Mapping[str, tuple[str, str]]] = {
    "create": ("started me", "started"),
    "shutdown": ("asked me to shut down", "shut down"),
    "destroy": ("switched me off", "switched off"),
    "reboot": ("made me reboot", "rebooted"),
    "suspend": ("paused me", "paused"),
    "resume": ("let me go on", "resumed"),
    "autostart": ("changed whether I start with my host", "changed the autostart of"),
    "memory": ("changed my memory", "changed the memory of"),
    "setvcpus": ("changed my number of CPUs", "changed the CPUs of"),
    "migrate": ("moves me to another hypervisor", "moves"),
}
_DEFINITION: Final[Mapping[str, tuple[str, str]]] = {
    "define": ("changed my definition", "changed the definition of"),
    "undefine": ("removed my definition", "removed the definition of"),
    "attachdevice": ("plugged a device into me", "plugged a device into"),
    "detachdevice": ("took a device from me", "took a device from"),
    "updatedevice": ("changed a device of mine", "changed a device of"),
}
_GUEST: Final[Mapping[str, tuple[str, str]]] = {
    "exec": ("ran a program in me", "ran a program in"),
    "filewrite": ("wrote a file in me", "wrote a file in"),
    "setpassword": ("set a password in me", "set a password in"),
}
_HYPERVISOR: Final[Mapping[str, tuple[str, str]]] = {
    "manage": ("gave me machines to manage", "gave machines to"),
    "unmanage": ("took machines from me", "took machines from"),
    "setorginfo": ("changed whose a machine of mine is", "changed whose a machine is of"),
}
_NETWORK: Final[Mapping[str, tuple[str, str]]] = {
    "define": ("defined a network of mine", "defined a network of"),
    "undefine": ("removed a network of mine", "removed a network of"),
    "nwfilterdefine": ("defined a network filter of mine", "defined a network filter of"),
    "nwfilterundefine": ("removed a network filter of mine", "removed a network filter of"),
}
_STORAGE: Final[Mapping[str, tuple[str, str]]] = {
    "pooldefine": ("defined a storage pool of mine", "defined a storage pool of"),
    "poolcreate": ("started a storage pool of mine", "started a storage pool of"),
    "pooldestroy": ("stopped a storage pool of mine", "stopped a storage pool of"),
    "poolundefine": ("removed a storage pool of mine", "removed a storage pool of"),
    "volumecreate": ("made a volume in a pool of mine", "made a volume of"),
    "volumedelete": ("deleted a volume in a pool of mine", "deleted a volume of"),
    "volumeresize": ("made a volume in a pool of mine larger", "made a volume larger of"),
}
WORDS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    (namespace, action): words
    for namespace, actions in (
        (ns.VM_CONTROL, _CONTROL),
        (ns.VM_DEFINITION, _DEFINITION),
        (ns.VM_GUEST, _GUEST),
        (ns.HYPERVISOR_CONTROL, _HYPERVISOR),
        (ns.HYPERVISOR_NETWORK, _NETWORK),
        (ns.HYPERVISOR_STORAGE, _STORAGE),
    )
    for action, words in actions.items()
}
SHOUTED: Final = frozenset(
    {
        *((ns.HYPERVISOR_CONTROL, action) for action in ("alloc", "free", "clone")),
        *((ns.HYPERVISOR_NETWORK, action) for action in ("create", "destroy")),
        *((ns.HYPERVISOR_VMCASTING, action) for action in ("register", "unregister", "deleteappliance")),
        *((ns.HYPERVISOR_PARKING, action) for action in ("park", "unpark", "delete")),
        *((ns.VM_SNAPSHOTS, action) for action in ("take", "delete", "revert")),
        *((ns.VM_DISK, action) for action in ("create", "delete", "convert", "rename", "resize", "setgolden")),
        *((ns.VM_VMCASTING, action) for action in ("attach", "detach", "package")),
        (ns.VM_CONTROL, "free"),
        (ns.VM_PARKING, "park"),
    }
)
"""Commands whose outcome founding entities shout themselves: nobody is told twice."""

_ALARMS: Final[Mapping[tuple[str, str], str]] = {
    ("virtualmachine:control", "crashed"): "I have crashed",
    ("health", "alarm"): "I have an alarm",
    ("scheduler", "jobfailed"): "I could not do a scheduled job",
    ("scheduler", "jobmissed"): "I missed a scheduled job",
    (PARKING, "cannot-park"): "I could not park a machine",
    (PARKING, "cannot-unpark"): "I could not bring a parked machine back",
}


def show_person(bare: str, server: str) -> str:
    """Return how somebody is called: by the name of his account, where it is of the own server."""
    name, _, domain = bare.rpartition("@")
    return name if name and domain == server else bare


def notice_of_answer(answered: Answered, help_text: str) -> Notice | None:
    """Return what an entity tells of a command that was done; ``None`` if others tell it."""
    key = answered.namespace, answered.action
    if key in SHOUTED:
        return None
    entity, who = answered.entity, answered.caller.bare
    person = show_person(who, entity.bare.rpartition("@")[2])
    if key in WORDS:
        own, of = WORDS[key]
        return Notice(entity.bare, entity.name, Level.CHANGE, f"{person} {own}.", f"{person} {of}", who)
    said = f"{person}: {help_text or answered.action}"[:LONGEST]
    return Notice(entity.bare, entity.name, Level.DETAIL, said, who=who)


def notice_of_push(entity: Any, topic: str, change: str, figures: str) -> Notice | None:
    """Return what an entity tells of an alarm; ``None`` for all other pushes."""
    words = _ALARMS.get((topic, change))
    if words is None:
        return None
    more = f": {figures}" if figures else ""
    return Notice(entity.bare, entity.name, Level.ALARM, f"{words}{more}."[:LONGEST])


def digest(notices: list[Notice], left_out: int, lines: int = 20, names: int = 10) -> str:
    """Return several notices as one text: a line for what was done to each group of entities."""
    groups: dict[tuple[str, str], list[str]] = {}
    for notice in notices:
        groups.setdefault((notice.of or notice.own, "" if notice.of else notice.name), []).append(notice.name)
    told = [_line(words, place, found, names) for (words, place), found in groups.items()]
    more = sum(len(found) for found in list(groups.values())[lines:]) + left_out
    return "\n".join([*told[:lines], *([f"... and {more} more"] if more else [])])


def _line(words: str, place: str, found: list[str], most: int) -> str:
    if place:
        return f"{place}: {words}"
    each = list(dict.fromkeys(found))
    shown = ", ".join(each[:most]) + (f" and {len(each) - most} more" if len(each) > most else "")
    return f"{words} {shown}" + (f" ({len(each)} machines)" if len(each) > most else "")
