# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden images as their host sees them: who stands on them, and that one goes (namespace ``archipel:hypervisor:golden``, new here).

They are made of machines' drives: :class:`archipel.protocol.drives.SetGoldenDrive`.
"""

from __future__ import annotations

import enum

from archipel.protocol import namespaces as ns
from archipel.protocol.drives import plain_file
from archipel.protocol.payload import Payload, Request, attribute, children, payload


class GoldenCode(enum.IntEnum):
    """Codes of failed commands."""

    LIST = -3121
    DELETE = -3122


@payload
class GoldenUser(Payload, tag="user"):
    """An image that stands on a golden one, and the name of the machine that has it, as far as that is known."""

    image: str = attribute()
    machine: str | None = attribute(default=None)


@payload
class GoldenImage(Payload, tag="golden"):
    """A golden image; sizes in bytes, ``modified`` when it was made, in seconds since 1970.

    ``problem`` says why the size, or who stands on it, is not told.
    """

    name: str = attribute()
    path: str = attribute()
    virtual_size: int | None = attribute(name="virtualSize", default=None)
    disk_size: int = attribute(name="diskSize")
    modified: float = attribute()
    problem: str | None = attribute(default=None)
    users: tuple[GoldenUser, ...] = children()


@payload
class ListGoldenImages(Request[tuple[GoldenImage, ...]], namespace=ns.HYPERVISOR_GOLDEN, action="get", reads=True):
    """All golden images of the host."""


@payload
class DeleteGoldenImage(Request[None], namespace=ns.HYPERVISOR_GOLDEN, action="delete"):
    """Delete a golden image on which nothing stands."""

    name: str = attribute(plain_file)
