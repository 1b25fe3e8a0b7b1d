# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the documentation, as tests read them: their code blocks, their links, what a person types at a terminal."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

PROMPT = "$ "
FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^\n]*) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
RST_BLOCK = re.compile(
    r"(?:^\.\. not run: (?P<reason>[^\n]*)\n\n)?"
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w*)\n(?P<options>(?:(?P=indent)   :\w+:[^\n]*\n)*)\n"
    r"(?P<body>(?:(?P=indent)   [^\n]*\n|\n)+)",
    re.MULTILINE,
)
RST_OPTION = re.compile(r":(caption|name): (.*)")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


@dataclass(frozen=True)
class Step:
    """A command line, and what the page shows under it."""

    command: str
    shown: tuple[str, ...]


def list_pages(root: Path) -> list[Path]:
    """Return all pages."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md")), *list_guides(root)]


def list_guides(root: Path) -> list[Path]:
    """Return the guides of the documentation's site."""
    return sorted((root / "docs" / "docsite" / "rst").glob("*.rst"))


@dataclass(frozen=True)
class Block:
    """A code block, without the indentation of the list that it stands in; ``reason``: why nothing of it can be run, if it says so.

    A page says that in the line before: ``<!-- not run: REASON -->``, a guide two lines before: ``.. not run: REASON``. A guide's
    block may have a ``caption`` (the name of the file that it shows) and a ``name``.
    """

    language: str
    body: str
    reason: str | None
    caption: str = ""
    name: str = ""


def list_blocks(page: Path) -> list[Block]:
    """Return all code blocks of a page."""
    if page.suffix == ".rst":
        return [_read_rst_block(found) for found in RST_BLOCK.finditer(page.read_text())]
    return [Block(found["language"], textwrap.dedent(found["body"]), found["reason"]) for found in FENCE.finditer(page.read_text())]


def _read_rst_block(found: re.Match[str]) -> Block:
    body = textwrap.dedent(found["body"]).strip("\n") + "\n"
    return Block(found["language"], body, found["reason"], **dict(RST_OPTION.findall(found["options"])))


def read_blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a language that some test runs (tests/unit/test_page_examples.py says which)."""
    return [block.body for block in list_blocks(page) if block.language == language and block.reason is None]


def read_links(page: Path) -> list[str]:
    """Return where the links of a page lead that leave the page."""
    return LINK.findall(FENCE.sub("", page.read_text()))


def read_steps(page: Path) -> list[Step]:
    """Return all that the console blocks of a page have one type; a block that begins with anything else is an error."""
    steps: list[Step] = []
    for block in read_blocks(page, "console"):
        if not block.startswith(PROMPT):
            raise ValueError(f"{page.name}: a console block begins with {PROMPT!r}, not with {block.partition(chr(10))[0]!r}")
        steps += split_steps(block)
    return steps


def split_steps(block: str) -> list[Step]:
    """Return the commands of one console block."""
    steps = []
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


# What differs from day to day and from host to host.
_CHANGING = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\S+@\S+"), "JID"),
    (re.compile(r"\([A-Z]\w+(/\w+)*\)"), "(ZONE)"),
    (re.compile(r"[-+]\d\d:\d\d\b|Z\b"), ""),
)


def _shape(text: str) -> list[str]:
    """Return the lines of an answer without what differs."""
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return [re.sub(r"\d+([.:]\d+)*", "N", line) for line in text.splitlines()]


def is_like(shown: str, answer: str) -> bool:
    """Whether each line that a page shows is in the answer; ``...`` at the end of one stands for the rest."""
    given = _shape(answer)
    assert shown, "the page shows no answer"
    return all(any(line == told or (line.endswith("...") and told.startswith(line[:-3])) for told in given) for line in _shape(shown))
