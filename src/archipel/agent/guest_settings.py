# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of what is asked of guests, and what they say of a path."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Final

from archipel.agent.options import TEXT, Section, list_of
from archipel.protocol.errors import BadRequest, CommandError, Condition

GUEST = Section("GUEST")
_ABSOLUTE: Final = re.compile(r"/|[A-Za-z]:[\\/]")  # a Windows guest has drives
EVERYTHING: Final = "*"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class GuestSettings:
    """What whoever has the right reads, writes and runs in guests; entries are shell patterns, and * passes slashes, too."""

    readable: tuple[str, ...] = GUEST.option(
        "guest_readable_paths", list_of(TEXT, blanks=False), "*", "Files in guests that can be read, such as /etc/*, /var/log/*."
    )
    writable: tuple[str, ...] = GUEST.option(
        "guest_writable_paths", list_of(TEXT, blanks=False), "*", "Files in guests that can be written, such as /srv/exercise/*."
    )
    programs: tuple[str, ...] = GUEST.option(
        "guest_programs",
        list_of(TEXT, blanks=False),
        "*",
        "Programs that can be run in guests, such as /usr/bin/systemctl, /opt/course/*; * also lets the guest look one up by its name.",
    )


def refuse_program(path: str, patterns: tuple[str, ...]) -> None:
    """Raise what speaks against a program in a guest; where all are taken, a mere name is, too, which the guest looks up."""
    if EVERYTHING not in patterns:
        refuse_path(path, patterns, "guest_programs")


def refuse_path(path: str, patterns: tuple[str, ...], option: str) -> None:
    """Raise what speaks against a path in a guest.

    Where links in the guest lead, only the guest knows: the patterns keep people from mistakes, not a guest from its own files.
    """
    if not _ABSOLUTE.match(path) or _CONTROL.search(path):
        raise BadRequest(f"path: must be absolute and without control characters, not {path[:100]!r}")
    if ".." in re.split(r"[\\/]", path):
        raise BadRequest("path: must not contain ..")
    if not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
        raise CommandError(f"path: {path[:100]!r} matches nothing of {option} in [GUEST]", condition=Condition.NOT_ALLOWED)
