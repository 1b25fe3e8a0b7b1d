# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frozen dataclasses that check themselves: what each option takes, and errors that name the option and the fix.

::

    @dataclass(frozen=True, kw_only=True)
    class Port(Declared):
        number: int | None = option(whole(1, 65535))

``None`` stands for an option that was not declared, and is never checked.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

DeclaredT = TypeVar("DeclaredT", bound="Declared")
Check = Callable[[Any], Any]
"""Returns the value in its normal form, or raises ValueError with what would have been right."""

_CHECK: Final = "archipel.check"
_UNITS: Final = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Problem:
    """An option that cannot be taken: ``disks[0].bus``, and what to write instead."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def under(self, parent: str) -> Problem:
        """Return the same problem, seen from the option that holds this one."""
        return dataclasses.replace(self, field=f"{parent}.{self.field}")


class DeclarationError(ValueError):
    """Everything that is wrong with a declaration, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)


def option(check: Check, default: Any = None) -> Any:
    """Declare an option with its check."""
    return dataclasses.field(default=default, metadata={_CHECK: check})


class Declared:
    """Base of the declarations: runs the checks, then those that concern several options."""

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, field.name)
            if value is None:
                continue
            try:
                object.__setattr__(self, field.name, field.metadata[_CHECK](value))
            except DeclarationError as error:
                problems += [Problem(field.name + problem.field, problem.message) for problem in error.problems]
            except ValueError as error:
                problems.append(Problem(field.name, str(error)))
        if not problems:
            problems += self.conflicts()
        if problems:
            raise DeclarationError(problems)

    def conflicts(self) -> Iterable[Problem]:
        """Yield what is wrong between options that are right by themselves."""
        return ()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the declaration in a mapping, such as a module's parameters; ``None`` counts as absent.

        Raises:
            DeclarationError: with every option that is unknown or wrong.
        """
        known = _names_of(cls)
        options = {name: value for name, value in options.items() if value is not None}
        problems = [Problem(str(name), _unknown(str(name), known)) for name in options if name not in known]
        try:
            made = cls(**{name: value for name, value in options.items() if name in known})
        except DeclarationError as error:
            raise DeclarationError([*problems, *error.problems]) from None
        if problems:
            raise DeclarationError(problems)
        return made

    def declared(self) -> dict[str, Any]:
        """Return the options that were declared, in the order of the class."""
        return {name: value for name in _names_of(type(self)) if (value := getattr(self, name)) is not None}


_names: dict[type, list[str]] = {}


def _names_of(cls: type) -> list[str]:
    """Return the names of all options, in the order of the class."""
    if cls not in _names:
        _names[cls] = [field.name for field in dataclasses.fields(cls)]
    return _names[cls]


def _unknown(name: str, known: list[str]) -> str:
    if "passw" in name.lower():
        return "is not accepted here: a definition is shown to many; set the display's password in the running machine"
    near = difflib.get_close_matches(name, known, 1)
    return f"is no option; did you mean {near[0]}?" if near else f"is no option; there are {', '.join(known)}"


# -- checks --------------------------------------------------------------------------------------------------------------


def boolean(value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"write true or false, not {value!r}")
    return value


def choice(*values: str) -> Check:
    """Take one of these words."""

    def check(value: Any) -> str:
        if value not in values:
            raise ValueError(f"{value!r} is not one of {', '.join(values)}")
        return str(value)

    return check


def whole(least: int, most: int) -> Check:
    """Take a whole number in this range."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"write a whole number from {least} to {most}, not {value!r}")
        return value

    return check


def matching(pattern: str, wanted: str) -> Check:
    """Take a text that matches the whole pattern; ``wanted`` says in words what that is."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} is not {wanted}")
        return value

    return check


WORD: Final = matching(r"[A-Za-z0-9][A-Za-z0-9_.+:-]*", "a name of letters, digits and . _ + : -")
LINE: Final = matching(r"[^\x00-\x1f\x7f]*", "a text without control characters")


def path(value: Any) -> str:
    """Take an absolute path on the hypervisor."""
    if not isinstance(value, str) or not value.startswith("/") or re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError(f"{value!r} is not an absolute path on the hypervisor, such as /vm/iso/debian.iso")
    return value


def path_or_nothing(value: Any) -> str:
    """Take an absolute path, or an empty text for none."""
    return "" if value == "" else path(value)


def mebibytes(value: Any) -> int:
    """Take an amount of memory, a number of MiB or a text such as ``2 GiB``; return MiB.

    KiB that make no whole MiB are refused: QEMU's machines round them up, and the next look would find a difference.
    """
    if isinstance(value, str) and (found := re.fullmatch(r"([0-9]{1,15})\s*([KMGT])(?:iB)?", value.strip())):
        size, remainder = divmod(int(found[1]) * _UNITS[found[2]], 2**20)
        if size and not remainder:
            return size
        raise ValueError(f"{value!r} is not a whole number of MiB; write {size + 1} MiB")
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**40:
        raise ValueError(f"{value!r} is no amount of memory; write a number of MiB, or a text such as 512 MiB or 2 GiB")
    return value


def list_of(check: Check) -> Check:
    """Take a list whose entries pass ``check``; every wrong entry is told."""

    def check_all(values: Any) -> tuple[Any, ...]:
        if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
            raise ValueError(f"write a list, not {values!r}")
        checked, problems = [], []
        for index, value in enumerate(values):
            try:
                checked.append(check(value))
            except DeclarationError as error:
                problems += [problem.under(f"[{index}]") for problem in error.problems]
            except ValueError as error:
                problems.append(Problem(f"[{index}]", str(error)))
        if problems:
            raise DeclarationError(problems)
        return tuple(checked)

    return check_all


def entry(kind: type[DeclaredT]) -> Check:
    """Take an entry of a list: such a declaration, or a mapping of its options."""

    def check(value: Any) -> DeclaredT:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"write a mapping of {', '.join(field.name for field in dataclasses.fields(kind))}, not {value!r}")  # type: ignore[arg-type]  # as above
        return kind.from_options(value)

    return check


def doubles(values: Iterable[Any], field: str, what: str) -> Iterator[Problem]:
    """Yield a problem for each value that stands twice."""
    seen: set[Any] = set()
    for index, value in enumerate(values):
        if value is not None and value in seen:
            yield Problem(f"{field}[{index}]", f"{what} {value} is there twice")
        seen.add(value)
