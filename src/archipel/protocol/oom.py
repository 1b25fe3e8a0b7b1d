# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about the kernel's choice of what to end when the host runs out of memory (namespace ``archipel:vm:oom``).

There are two scales: the kernel's ``oom_score_adj``, -1000 (never) to 1000 (first), and the older ``oom_adj``, of which founding
clients know -17 (never) and 0. On the wire stands the kernel's, but for -17, which always means never.
"""

from __future__ import annotations

from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.payload import Payload, Request, attribute, payload

NEVER: Final = -17
"""Founding clients' word for: the kernel shall never end this machine."""
LEAST: Final = -1000
MOST: Final = 1000
FAILURE: Final = -1
TOPICS: Final = ("virtualmachine:oom", "oom")


@about(*TOPICS)
class OomChange(Change):
    """What happens to the kernel's choice; founding clients listen to the first topic, the founders' agent pushed the other."""

    ADJUSTED = "adjusted", "how likely the kernel ends the machine when the host runs out of memory was changed"


"""Where founding clients listen, and where founding agents pushed."""


def to_kernel(adjust: int) -> int:
    """Return the value on the kernel's scale."""
    return LEAST if adjust == NEVER else adjust


def from_kernel(score_adj: int) -> int:
    """Return the value as it stands on the wire; the kernel's own -17, which nobody can ask for here, is told as its neighbour."""
    return {LEAST: NEVER, NEVER: NEVER + 1}.get(score_adj, score_adj)


def _in_range(value: int) -> str | None:
    return None if LEAST <= value <= MOST else f"must be {NEVER} (never) or from {LEAST} to {MOST}, not {value}"


@payload
class Oom(Payload, tag="oom"):
    """How the kernel sees the machine: what adjusts its choice, and its present score (0 while it does not run).

    New here: ``kernel``, the value of ``oom_score_adj`` as it is.
    """

    adjust: int = attribute()
    score: int = attribute(default=0)
    kernel: int = attribute(default=0)


@payload
class GetAdjust(Request[Oom], namespace=ns.VM_OOM, action="getadjust", reads=True):
    """What is in force while the machine runs, or will be when it is started."""


@payload
class SetAdjust(Request[None], namespace=ns.VM_OOM, action="setadjust"):
    """Adjust the kernel's choice, now and at each start."""

    adjust: int = attribute(_in_range)
