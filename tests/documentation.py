# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the documentation, as tests read them: their code blocks, their links, what a person types at a terminal."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

PROMPT = "$ "
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


@dataclass(frozen=True)
class Step:
    """A command line, and what the page shows under it."""

    command: str
    shown: tuple[str, ...]


def list_pages(root: Path) -> list[Path]:
    """Return all pages."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]


def read_blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a language, without the indentation of the list that they stand in."""
    return [textwrap.dedent(found["body"]) for found in FENCE.finditer(page.read_text()) if found["language"] == language]


def read_links(page: Path) -> list[str]:
    """Return where the links of a page lead that leave the page."""
    return LINK.findall(FENCE.sub("", page.read_text()))


def read_steps(page: Path) -> list[Step]:
    """Return all that the console blocks of a page have one type; a block that begins with anything else is an error."""
    steps: list[Step] = []
    for block in read_blocks(page, "console"):
        if not block.startswith(PROMPT):
            raise ValueError(f"{page.name}: a console block begins with {PROMPT!r}, not with {block.partition(chr(10))[0]!r}")
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            steps.append(Step(command, tuple(shown)))
    return steps


@dataclass(frozen=True)
class Said:
    """What a page has one say in a chat, and how it is answered."""

    words: str
    answer: str


def read_talks(page: Path) -> list[list[Said]]:
    """Return the conversations of a page's text blocks: lines that begin with ``you: ``, and what follows, behind another's name."""
    talks = []
    for block in read_blocks(page, "text"):
        parts = re.split(r"^you: ", block, flags=re.MULTILINE)[1:]
        lines = [part.rstrip("\n").split("\n") for part in parts]
        talks.append([Said(words, "\n".join(shown).partition(": ")[2]) for words, *shown in lines])
    return talks
