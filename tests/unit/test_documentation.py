# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages stay true: what they name exists, what exists is named, and their samples work."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree as ET

import click
import pytest

from archipel.agent.dispatch import Command, Registry
from archipel.agent.virt.domain import DomainInfo
from archipel.agent.virt.lifecycle import DomainState
from archipel.cli.exit_codes import ExitCode
from archipel.cli.main import main
from archipel.protocol.errors import BadRequest
from archipel.protocol.rights import EntityKind, core_catalogue
from tests.documentation import list_blocks, list_pages, read_blocks, read_links, read_steps
from tests.unit.agent.fakes import STUDENT

ROOT = Path(__file__).parent.parent.parent
PAGES = pytest.mark.parametrize("page", list_pages(ROOT), ids=lambda page: page.name)
STATES = ("works", "part", "planned")
INTERRUPTED = 130
PROGRAM = click.Context(main, **main.context_settings)
GLOBAL_OPTIONS = r"archipel(?: (?:-p|--profile|-H|--hypervisor) \S+| --json)* "


def read_table(page: Path, heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this heading."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.read_text().splitlines() if line.startswith("|")]
    start = next(number for number, row in enumerate(rows) if row[0] == heading)
    width = len(rows[start])
    body = rows[start + 2 :]
    return body[: next((number for number, row in enumerate(body) if len(row) != width), len(body))]


def read_features(root: Path) -> list[tuple[str, str, list[str]]]:
    """Return promise, state and tests of each feature; rows without state are headings."""
    rows = read_table(root / "docs" / "features.md", "promise")
    return [(promise, state, re.findall(r"`([^`]+)`", shown)) for promise, state, shown in rows if state]


def list_functions(file: Path) -> set[str]:
    return {item.name for item in ast.walk(ast.parse(file.read_text())) if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}


# -- all pages ----------------------------------------------------------------------------------------------------------


@PAGES
def test_every_link_within_the_documentation_leads_somewhere(page: Path) -> None:
    inside = [link for link in read_links(page) if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@PAGES
def test_every_target_of_make_that_is_named_exists(page: Path, root: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    inline = re.findall(r"`make ([^`]+)`", page.read_text()) + re.findall(
        r"^make ([^#\n]+)", "\n".join(block.body for block in list_blocks(page) if block.language == "sh"), re.MULTILINE
    )
    named = {word for words in inline for word in re.sub(r"\w+=('[^']*'|\S+)", "", words).split()}
    assert named - targets == set()


@PAGES
def test_nobody_is_told_to_install_whatever_an_index_has_under_our_name(page: Path) -> None:
    """The distribution comes with the collection; what a public index calls archipel is somebody else's."""
    told = re.findall(r"pip install ([^`\n]+)", page.read_text())
    assert [what for what in told if not re.fullmatch(r"'PATH-OF-THE-COLLECTION\[(cli|agent)\]'", what)] == []


# -- README.md -----------------------------------------------------------------------------------------------------------


def test_the_readme_names_every_module(root: Path) -> None:
    chapter = (root / "README.md").read_text().partition("\n## What is in it\n")[2].partition("\n## ")[0]
    rows = [line for line in chapter.splitlines() if line.startswith("|")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(file.stem for file in (root / "plugins" / "modules").glob("*.py"))


# -- docs/features.md ---------------------------------------------------------------------------------------------------


def test_every_test_that_a_feature_names_exists(root: Path) -> None:
    named = [name for _promise, _state, tests in read_features(root) for name in tests]
    missing = []
    for name in named:
        path, _, function = name.partition("::")
        if not ((root / path).is_file() and function in list_functions(root / path)):
            missing.append(name)
    assert not missing, f"docs/features.md names what is not there, as FILE::TEST: {missing}"
    assert named


def test_every_feature_has_a_state_and_is_shown_as_far_as_it_goes(root: Path) -> None:
    for promise, state, tests in read_features(root):
        word = re.split(r"\W", state)[0]
        assert word in STATES, f"{promise}: {state}"
        assert bool(tests) == (word != "planned"), f"{promise}: {state}, shown by {tests}"
        assert word != "part" or state.startswith("part: "), f"{promise}: say which part"


# -- docs/cli.md, docs/cli-*.md -----------------------------------------------------------------------------------------


def list_cli_pages(root: Path) -> list[Path]:
    return sorted((root / "docs").glob("cli*.md"))


def walk(command: click.Command, words: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the command and all below it, with the words that call them."""
    yield words, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from walk(inner, f"{words} {name}".strip())


def test_the_page_of_the_command_line_has_all_commands_and_options(root: Path) -> None:
    pages = "".join(page.read_text() for page in list_cli_pages(root))
    spelled = {
        option
        for words, command in walk(main)
        for item in command.get_params(click.Context(command, parent=PROGRAM))
        for option in (*item.opts, *item.secondary_opts)
        if option[0] == "-"
    }
    long = {option for option in spelled if option.startswith("--")}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", pages)) == long
    assert set(re.findall(r"`(-[a-zA-Z])`", pages)) == spelled - long


def test_every_command_is_typed_on_the_page_and_none_that_does_not_exist(root: Path) -> None:
    """tests/integration/collection/test_command_line*.py and tests/unit/cli/test_scripted_page.py run what is typed there."""
    existing = {words for words, command in walk(main) if not isinstance(command, click.Group)}
    steps = [step for page in list_cli_pages(root) for step in read_steps(page)]
    lines = [step.command for step in steps if step.command.startswith("archipel ")]
    typed = [re.sub(GLOBAL_OPTIONS, "", line, count=1) for line in lines]
    used = {next((words for words in existing if f"{line} ".startswith(f"{words} ")), line) for line in typed}
    assert used == existing


def test_every_exit_code_is_explained(root: Path) -> None:
    explained = {int(row[0]) for row in read_table(root / "docs" / "cli.md", "code")}
    assert explained == {int(code) for code in ExitCode} | {INTERRUPTED}


# -- CONTRIBUTING.md ----------------------------------------------------------------------------------------------------


def test_every_room_is_there_and_every_room_of_the_tests_is_named(root: Path) -> None:
    rooms = [room for row in read_table(root / "CONTRIBUTING.md", "room") for room in re.findall(r"`([^`]+)`", row[0])]
    assert [room for room in rooms if not (root / room).is_dir()] == []
    folders = {f"tests/{folder.name}/" for folder in (root / "tests").iterdir() if any(folder.glob("**/*.py"))}
    assert folders - set(rooms) == set()


def test_every_file_that_the_contributing_page_names_is_there(root: Path) -> None:
    text = re.sub(r"```.*?```", "", (root / "CONTRIBUTING.md").read_text(), flags=re.DOTALL)
    files = re.findall(r"`((?:src|tests|plugins|meta|docs|changelogs)/[\w./-]*)`", text)
    assert files
    assert [file for file in files if not (root / file).exists()] == []


@pytest.fixture
def capability(root: Path, tmp_path: Path) -> ModuleType:
    """The module that the page shows."""
    [block] = [block for block in read_blocks(root / "CONTRIBUTING.md", "python") if "@command" in block]
    file = tmp_path / "more_memory.py"
    file.write_text(block)
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def sample(capability: ModuleType) -> Command:
    """Its one command, as the agent finds it."""
    registry, catalogue = Registry(), core_catalogue()
    registry.add(capability)
    [command] = registry.commands(EntityKind.VIRTUAL_MACHINE)
    for token in capability.TOKENS:
        catalogue.register(token)
    assert command.right is not None
    assert catalogue.find(EntityKind.VIRTUAL_MACHINE, command.right) is not None
    return command


class Memory:
    """A domain as far as the sample uses it; in KiB, as libvirt counts."""

    def __init__(self) -> None:
        self.used = 65536

    async def info(self) -> DomainInfo:
        return DomainInfo(DomainState.RUNNING, 262144, self.used, 1, 0, autostart=False, persistent=True)

    async def set_memory(self, kib: int) -> None:
        self.used = kib


async def test_the_capability_of_the_contributing_page_works(sample: Command) -> None:
    pushed: list[tuple[str, str]] = []
    vm = cast(Any, SimpleNamespace(domain=Memory(), changing=asyncio.Lock(), push=lambda topic, change: pushed.append((topic, change))))
    request = sample.request.read(ET.fromstring("<archipel action='add' mebibytes='64'/>"))
    assert await sample.handler(vm, request, STUDENT) is None
    assert vm.domain.used == 2 * 65536
    assert pushed == [("virtualmachine:control", "memory")]


def test_the_capability_of_the_contributing_page_names_the_field_that_is_wrong(sample: Command) -> None:
    with pytest.raises(BadRequest, match="mebibytes"):
        sample.request.read(ET.fromstring("<archipel action='add' mebibytes='0'/>"))
