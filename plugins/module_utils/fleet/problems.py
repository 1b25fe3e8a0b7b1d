# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was found wrong with a declaration: all of it, each with its place, before anything is asked of anybody."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def is_printable(name: str) -> bool:
    """Whether a name shows as it is in a plan: without control characters, ends of lines, or changes of direction."""
    return _UNPRINTABLE.search(name) is None


@dataclass(frozen=True)
class Place:
    """Where something is declared; a document that was given inline has no lines."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class DeclarationProblems(ValueError):
    """A declaration that is not carried out; ``problems`` are its faults in words."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        head = "the declaration" if count == 1 else f"the declaration, {count} times"
        super().__init__(f"{head}: " + "; ".join(self.problems))


class Problems:
    """Faults as they are found."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, place: Place, text: str) -> None:
        """Note a fault."""
        self.found.append(f"{place}: {text}")

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what the block raises as :class:`ValueError`."""
        try:
            yield
        except DeclarationProblems as error:
            self.found += error.problems
        except ValueError as error:
            self.found.append(str(error))

    def stop(self) -> None:
        """Raise :class:`DeclarationProblems` if there was any."""
        if self.found:
            raise DeclarationProblems(dict.fromkeys(self.found))

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)


def nearest(word: object, known: Iterable[str]) -> str:
    """Return a hint at known words that are like this one, or all where they are few and none is like it."""
    words = sorted(known)
    near = difflib.get_close_matches(str(word), words, 2)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; known are {', '.join(words)}" if 0 < len(words) <= 16 else ""
