# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import Document, read_document
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import DeclarationProblems

SECTIONS = ("networks", "vms", "permissions")
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


def read(source: Path) -> Document:
    document: Document = read_document(source, None, SECTIONS)
    return document


def refused(source: Path) -> list[str]:
    """Return what is wrong, without the folder."""
    with pytest.raises(DeclarationProblems) as problems:
        read(source)
    return [str(problem).replace(f"{source.parent if source.is_file() else source}/", "") for problem in problems.value.problems]


def test_the_files_of_a_folder_are_one_declaration(write: Write, tmp_path: Path) -> None:
    write("a.yml", "fleet: x\nvms:\n- name: one\n")
    write("deep/er/b.yaml", "vms:\n  two:\n    memory: 64\n  three:\nnetworks:\n- name: lab\n")
    write(".git/c.yml", "nonsense: true\n")
    write("readme.md", "# no declaration")
    document = read(tmp_path)
    assert document.label == "x"
    assert [(part.name, dict(part.values)) for part in document.parts("vms")] == [
        (None, {"name": "one"}),
        ("two", {"memory": 64}),
        ("three", {}),
    ]
    assert [str(part.place).removeprefix(f"{tmp_path}/") for part in document.parts("vms")] == [
        "a.yml:3",
        "deep/er/b.yaml:3",
        "deep/er/b.yaml:2",
    ]
    assert [part.values["name"] for part in document.parts("networks")] == ["lab"]


def test_a_document_may_be_given_inline() -> None:
    document = read_document(None, {"fleet": "x", "vms": {"web": None}}, SECTIONS)
    assert (document.label, [(part.name, str(part.place)) for part in document.parts("vms")]) == ("x", [("web", "document")])


def test_one_file_may_hold_several_documents_and_empty_ones(write: Write) -> None:
    assert len(read(write("a.yml", "---\nvms: [{name: a}]\n---\n---\nvms: [{name: b}]\n")).parts("vms")) == 2


@pytest.mark.parametrize(
    "text, problem",
    [
        ("vm:\n- name: a\n", "a.yml:1: 'vm' is no part of a declaration; did you mean vms?"),
        ("vms: 3\n", "a.yml:1: vms: is a list of entries, or a mapping of names to entries, not int"),
        ("- a\n", "a.yml: a declaration is a mapping of fleet, defaults, profiles, hypervisors, networks, vms, permissions, not list"),
        ("vms:\n- name: a\n  name: b\n", "a.yml:3: 'name' is there twice in one mapping"),
        ("vms: [\n", "a.yml:2: is no YAML: did not find expected node content"),
        ("fleet: [a]\n", "a.yml:1: fleet: is the label of what is declared here, a text"),
        ("vms: !!python/object:os.system {}\n", "a.yml:1: is no YAML: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, problem: str, write: Write) -> None:
    [found] = refused(write("a.yml", text))
    assert found.startswith(problem) or problem.replace("a.yml:1: ", "a.yml: ") == found


def test_all_that_is_wrong_in_all_files_is_told_at_once(write: Write, tmp_path: Path) -> None:
    write("a.yml", "fleet: x\nvm: []\n")
    write("b.yml", "fleet: y\nnets: []\n")
    (tmp_path / "c.yml").write_bytes(b"\xff\xfe\x00")
    assert [problem.partition(":")[0] for problem in refused(tmp_path)] == ["a.yml", "b.yml", "b.yml", "c.yml"]


def test_a_folder_without_declarations_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path) == [f"src: {tmp_path} has no file that ends in .yml or .yaml"]
    assert "there is no" in refused(tmp_path / "missing")[0]


BOMB = "".join(
    f"- &{name} [{', '.join([before] * 10)}]\n" for before, name in zip(["q", *(f"*{n}" for n in "abcdefg")], "abcdefgh", strict=True)
)


@pytest.mark.parametrize(
    "text, problem",
    [
        (f"vms:\n{BOMB}", "a.yml:7: its aliases stand for more than 1000000 values"),
        ("vms:\n- &a\n  name: x\n  disks: [*a]\n", "a.yml:4: *a stands within itself"),
        ("vms: " + "[" * 100_000, "a.yml:1: has more than 100 levels"),
        ("vms: " + "{a: " * 100_000, "a.yml:1: has more than 100 levels"),
        ("vms:\n- name: 2001-99-99\n", "a.yml:2: is no YAML: there is no such timestamp"),
    ],
)
def test_a_file_that_no_memory_or_process_would_hold_is_refused(text: str, problem: str, write: Write) -> None:
    assert refused(write("a.yml", text)) == [problem]


def test_aliases_serve_as_ever(write: Write) -> None:
    text = "vms:\n- &seat\n  name: a\n  tags: &tags [x, y]\n- <<: *seat\n  name: b\n- {name: c, tags: *tags}\n"
    assert [part.values for part in read(write("a.yml", text)).parts("vms")] == [
        {"name": "a", "tags": ["x", "y"]},
        {"name": "b", "tags": ["x", "y"]},
        {"name": "c", "tags": ["x", "y"]},
    ]
