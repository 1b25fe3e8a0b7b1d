# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about the kernel's choice of what to end when the host runs out of memory (namespace ``archipel:vm:oom``).

There are two scales (proc(5)): the kernel's ``oom_score_adj``, -1000 (never) to 1000 (first), and the older ``oom_adj``, -17 (never) to
15 (first), which founding clients speak. ``adjust`` is always of the older one, ``kernel`` always of the kernel's.
"""

from __future__ import annotations

from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.errors import BadRequest
from archipel.protocol.payload import Check, Payload, Request, attribute, payload

NEVER: Final = -17
FIRST: Final = 15
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
    """Return what the kernel makes of a value of the older scale: in proportion, fractions cut off; the two ends are the ends."""
    return MOST if adjust == FIRST else int(adjust * MOST / -NEVER)


def from_kernel(score_adj: int) -> int:
    """Return the nearest value of the older scale; -17 is told of nothing but never.

    What came from the older scale is told as it was. The kernel itself cuts fractions off here, too, and tells 0 where 1 was set.
    """
    return NEVER if score_adj == LEAST else min(max(round(score_adj * -NEVER / MOST), NEVER + 1), FIRST)


def within(least: int, most: int) -> Check:
    """Check that a value is one of a scale."""
    return lambda value: None if least <= value <= most else f"must be from {least} (never) to {most} (first of all), not {value}"


@payload
class Oom(Payload, tag="oom"):
    """How the kernel sees the machine: what adjusts its choice, and its present score (0 while it does not run).

    New here: ``kernel``, the exact value, of which ``adjust`` is the nearest on the older scale.
    """

    adjust: int = attribute()
    score: int = attribute(default=0)
    kernel: int = attribute(default=0)


@payload
class GetAdjust(Request[Oom], namespace=ns.VM_OOM, action="getadjust", reads=True):
    """What is in force while the machine runs, or will be when it is started."""


@payload
class SetAdjust(Request[None], namespace=ns.VM_OOM, action="setadjust"):
    """Adjust the kernel's choice, now and at each start: by one of both scales. New here: ``kernel``."""

    adjust: int | None = attribute(within(NEVER, FIRST), default=None)
    kernel: int | None = attribute(within(LEAST, MOST), default=None)

    @property
    def score_adj(self) -> int:
        """The value on the kernel's scale; raises :class:`BadRequest` unless it is given on one scale."""
        if self.adjust is not None and self.kernel is None:
            return to_kernel(self.adjust)
        if self.kernel is not None and self.adjust is None:
            return self.kernel
        raise BadRequest(f"adjust: give either adjust ({NEVER} to {FIRST}) or kernel ({LEAST} to {MOST})")
