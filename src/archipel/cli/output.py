# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people see and what scripts read: tables and lines, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

_KEPT: Final = frozenset("\n\t")
_WIDTH_OF_A_FILE: Final = 400  # characters; nothing is cut off where nobody looks at a screen
STATE_STYLES: Final = {"running": "green", "paused": "yellow", "crashed": "red", "off": "dim"}


def printable(text: str) -> str:
    """Return ``text`` without what would command the terminal: names and messages come from others."""
    return "".join(character if character.isprintable() or character in _KEPT else "\N{REPLACEMENT CHARACTER}" for character in text)


class Output:
    """Standard output and error, for people or (``as_json``) for scripts."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
        self._console = Console(file=sys.stdout, width=width, highlight=False, soft_wrap=True)
        self._errors = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        """Print a line for people."""
        self._console.print(Text(printable(text), style))

    def warn(self, text: str) -> None:
        """Print a line on standard error about something that does not end the command."""
        if self.as_json:
            print(json.dumps({"warning": text}), file=sys.stderr)
        else:
            self._errors.print(Text(f"archipel: {printable(text)}", "yellow"))

    def fail(self, words: str, for_scripts: dict[str, Any]) -> None:
        """Print the error that ends the command."""
        if self.as_json:
            print(json.dumps(for_scripts), file=sys.stderr)
        else:
            self._errors.print(Text(f"archipel: {printable(words)}", "red"))

    def status(self, words: str) -> Status:
        """Return a line that says what is being waited for, once it is started; it shows on terminals only."""
        return self._errors.status(Text(printable(words)))

    def json(self, value: Any) -> None:
        """Print a JSON document."""
        print(json.dumps(value, indent=2, default=str))

    def json_line(self, value: Any) -> None:
        """Print a JSON document on one line, at once."""
        print(json.dumps(value, default=str), flush=True)

    def remark(self, text: str) -> None:
        """Say something on standard error that is no result, such as that there is none."""
        self._errors.print(Text(printable(text), "dim"))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], none: str) -> None:
        """Print a table; a state has its colour. Without rows say ``none`` instead."""
        rows = list(rows)
        if not rows:
            self.remark(none)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell), STATE_STYLES.get(cell, "")) for cell in row))
        self._console.print(table)

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Print names and values under each other; those without a value are left out."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in facts:
            if value:
                table.add_row(Text(printable(name)), Text(printable(value), STATE_STYLES.get(value, "")))
        self._console.print(table)
