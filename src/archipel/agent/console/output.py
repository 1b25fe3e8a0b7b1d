# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a terminal shows, as text for a conversation: without colours and movements, and never more than a person can read."""

from __future__ import annotations

import codecs
import re
from typing import Final

MOST: Final = 3000  # characters of one message: the end of what was printed; the beginning is left out
MOST_RAW: Final = 65536  # bytes that are looked at for one message; further ones are counted only
LONGEST_SEQUENCE: Final = 256  # characters of an escape sequence that is not complete yet

# ECMA-48: control sequences, operating system commands, other escapes; 8-bit controls go with what is not printable.
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])")
_UNFINISHED: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)\Z")
_LINE_END: Final = re.compile(r"\r+\n")
# What XML 1.0 cannot hold, and controls other than line ends, tabs, carriage returns and backspaces.
_UNPRINTABLE: Final = re.compile("[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Output:
    """What a guest printed and nobody was told yet."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._raw = bytearray()
        self._rest = ""
        self._left_out = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not self._raw and not self._left_out

    def add(self, data: bytes) -> None:
        """Take in what was printed."""
        room = MOST_RAW - len(self._raw)
        self._raw += data[:room]
        self._left_out += max(0, len(data) - room)

    def take(self) -> str:
        """Return what there is to tell, and forget it; empty if nothing of it can be seen."""
        text = self._rest + self._decoder.decode(bytes(self._raw))
        self._raw.clear()
        found = _UNFINISHED.search(text[-LONGEST_SEQUENCE:])
        self._rest = found[0] if found else ""
        shown = plain(text[: len(text) - len(self._rest)])
        left_out, self._left_out = self._left_out + max(0, len(shown) - MOST), 0
        shown = shown[-MOST:]
        return f"[... {left_out} characters left out]\n{shown}" if left_out else shown


def plain(text: str) -> str:
    """Return what a terminal would leave on its lines, roughly."""
    text = _LINE_END.sub("\n", _SEQUENCE.sub("", text))
    lines = [_settle(line) for line in _UNPRINTABLE.sub("", text).split("\n")]
    return "\n".join(lines).strip("\n")


def _settle(line: str) -> str:
    """Return a line as it is in the end: what a carriage return goes back over is overwritten, a backspace takes a letter away."""
    line = line.rstrip("\r").rpartition("\r")[2]
    if "\b" not in line:
        return line.rstrip()
    kept: list[str] = []
    for letter in line:
        if letter != "\b":
            kept.append(letter)
        elif kept:
            kept.pop()
    return "".join(kept).rstrip()
