# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters that several commands have, and the kinds of values that they take."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from archipel.cli.xml_text import XML_FILE, read_xml_file

MEBIBYTES: Final = {"M": 1, "G": 1 << 10, "T": 1 << 20}
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SIZE: Final = re.compile(r"([1-9][0-9]{0,11})([MGT])(?:i?B)?", re.IGNORECASE)
WAIT: Final = 3600.0  # seconds; whoever waits for a copy of a large drive has the time


class Mebibytes(int):
    """A size in MiB, which is written as people write sizes."""

    def __format__(self, _specification: str) -> str:
        return size_of(self << 20)


class Size(click.ParamType[Mebibytes]):
    """A size as people write it, such as 500M or 10G; MiB for the client."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mebibytes:
        """Return how many MiB it is."""
        found = _SIZE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no size such as 500M, 10G or 1T", param, ctx)
        return Mebibytes(int(found[1]) * MEBIBYTES[found[2].upper()])


class XmlFile(click.ParamType[Any]):
    """A file with XML, ``-`` for standard input; the element for the client."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the element."""
        return read_xml_file(XML_FILE.convert(value, param, ctx)) if isinstance(value, str) else value


def argument(name: str, *, metavar: str | None = None, kind: Any = None, **more: Any) -> click.Argument:
    """Return an argument."""
    return click.Argument([name], metavar=metavar or name.upper(), type=kind, **more)


def option(
    spelled: str, meaning: str, *, kind: Any = None, metavar: str | None = None, name: str | None = None, **more: Any
) -> click.Option:
    """Return an option with a value."""
    return click.Option([*([name] if name else []), spelled], help=meaning, type=kind, metavar=metavar, **more)


def flag(spelled: str, meaning: str, *, name: str | None = None, default: Any = False) -> click.Option:
    """Return a flag; ``--this/--that`` is one that can be left open (``default=None``)."""
    return click.Option([*([name] if name else []), spelled], help=meaning, is_flag=True, default=default)


def size_of(value: int | None) -> str:
    """Return a size in bytes for people."""
    if value is None:
        return "?"
    amount = float(value)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 or amount.is_integer() else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError(f"{value} has no unit")


def waiting() -> tuple[click.Option, click.Option]:
    """Return the options that let a command end when the work does; the client gets the seconds, or ``None``, as ``wait``."""
    return (
        flag("--wait", "Return when it is done."),
        option("--timeout", "Seconds to wait at most.", kind=click.FloatRange(0), default=WAIT, show_default=True),
    )
