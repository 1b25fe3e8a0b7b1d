# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What texts in domain XML may mean: numbers, words for yes and no, names of units."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

ValueT = TypeVar("ValueT")
EnumT = TypeVar("EnumT", bound=enum.Enum)


class DomainXmlError(ValueError):
    """A domain definition that cannot be read, or a value that cannot stand in one; says where and what is wanted."""


@dataclass(frozen=True)
class Converter(Generic[ValueT]):
    """Turns text into a value and back; ``wanted`` says in an error what would have been right."""

    wanted: str
    parse: Callable[[str], ValueT]
    write: Callable[[ValueT], str] = str

    def read(self, text: str, where: str) -> ValueT:
        """Return the value of ``text``; ``where`` names the place in the error.

        Raises:
            DomainXmlError: the text is none of the wanted kind.
        """
        try:
            return self.parse(text)
        except (ValueError, KeyError):
            raise DomainXmlError(f"{where}: {text!r} is not {self.wanted}") from None


def words(yes: str, no: str) -> Converter[bool]:
    """Return a converter for a truth that is written as one of two words."""
    return Converter(f"{yes!r} or {no!r}", {yes: True, no: False}.__getitem__, lambda value: yes if value else no)


def enumeration(kind: type[EnumT]) -> Converter[EnumT]:
    """Return a converter for the values of ``kind``."""
    return Converter(f"one of {', '.join(str(member.value) for member in kind)}", kind, lambda member: str(member.value))


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):  # int() would also take blanks, underscores and other scripts' digits
        raise ValueError(text)
    return int(text)


STRING: Final[Converter[str]] = Converter("text", str)
INTEGER: Final[Converter[int]] = Converter("a whole number", _integer)
YES_NO: Final = words("yes", "no")
ON_OFF: Final = words("on", "off")

# libvirt, domain format, "Memory Allocation": names of units; without one it is KiB.
MEMORY_UNITS: Final = {
    "b": 1, "bytes": 1,
    "KB": 10**3, "k": 2**10, "KiB": 2**10,
    "MB": 10**6, "M": 2**20, "MiB": 2**20,
    "GB": 10**9, "G": 2**30, "GiB": 2**30,
    "TB": 10**12, "T": 2**40, "TiB": 2**40,
}  # fmt: skip
