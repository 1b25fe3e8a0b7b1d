# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A declaration as people wrote it: a file, a folder of files, or a document given inline, made one, with the place of each part.

Files are plain YAML: nothing in them is a template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import DeclarationProblems, Place, Problems, nearest
from ansible_collections.archipel.platform.plugins.module_utils.fleet.proportions import find_fault

ENDINGS = (".yml", ".yaml")
INLINE = "document"
# What may stand at the top besides the kinds of objects.
FLEET, DEFAULTS, PROFILES, HYPERVISORS = "fleet", "defaults", "profiles", "hypervisors"
_NO_ALIAS = "found undefined alias"
_NO_TAG = "has a tag that a declaration does not know; a text that begins with ! belongs in quotes"
_NOT_SO = (ValueError, KeyError, AttributeError, TypeError)
"""What the YAML library lets through of a date or number that there is not, or of a text that bears a tag of something else."""


class Located(dict[str, Any]):
    """A mapping that knows the file and the line it begins at."""

    place: Place | None = None


@dataclass(frozen=True)
class Part:
    """An entry of a section: its name if the section is a mapping, what it says, and where."""

    name: str | None
    values: Any
    place: Place


@dataclass
class Document:
    """A declaration, merged; sections that people wrote as mappings or as lists are both lists of parts here."""

    label: str | None = None
    sections: dict[str, list[Part]] = field(default_factory=dict)

    def parts(self, section: str) -> list[Part]:
        """Return the entries of a section."""
        return self.sections.get(section, [])


def read_document(
    source: Path | None, inline: Mapping[str, Any] | None, sections: Iterable[str], problems: Problems | None = None
) -> Document:
    """Return what is declared in a file or folder, or inline; ``sections`` are the kinds that there are.

    Raises :class:`DeclarationProblems`; with ``problems``, where what is wrong is noted, only for files that cannot be read: nobody
    knows what else is wrong then.
    """
    found, unread, document = problems or Problems(), Problems(), Document()
    known = (FLEET, DEFAULTS, PROFILES, HYPERVISORS, *sections)
    for place, content in _contents(source, inline, found, unread):
        _merge(document, place, content, known, found)
    if unread.found or problems is None:
        unread.found[:0] = found.found
        unread.stop()
    return document


def _contents(source: Path | None, inline: Mapping[str, Any] | None, problems: Problems, unread: Problems) -> Iterator[tuple[Place, Any]]:
    if inline is not None:
        yield Place(INLINE), inline
    for file in () if source is None else files_of(source):
        yield from _load(file, problems, unread)


def files_of(source: Path) -> list[Path]:
    """Return the file, or the YAML files of a folder and its folders, sorted; hidden ones are left out."""
    if not source.exists():
        raise DeclarationProblems([f"src: there is no {source}"])
    if not source.is_dir():
        return [source]
    found = [file for file in sorted(source.rglob("*")) if file.suffix in ENDINGS and file.is_file()]
    files = [file for file in found if not any(part.startswith(".") for part in file.relative_to(source).parts)]
    if not files:
        raise DeclarationProblems([f"src: {source} has no file that ends in {' or '.join(ENDINGS)}"])
    return files


def _load(file: Path, problems: Problems, unread: Problems) -> Iterator[tuple[Place, Any]]:
    import yaml  # late, as in the reconciler

    place = Place(str(file))
    try:
        text = file.read_text(encoding="utf-8")
        if (fault := find_fault(text, yaml)) is not None:
            unread.add(Place(str(file), fault[0]), fault[1])
            return
        for content in yaml.load_all(text, _located_loader(yaml, place, problems)):
            if content is not None:
                yield place, content
    except (OSError, ValueError) as error:
        unread.add(place, f"cannot be read: {error}")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        unread.add(Place(str(file), mark.line + 1 if mark else None), f"is no YAML: {_say_problem(error)}")


def _say_problem(error: Exception) -> str:
    """Return what is wrong, without what was taken for a name: a password that nobody put in quotes may begin with C(*)."""
    problem = str(getattr(error, "problem", None) or error)
    return f"{_NO_ALIAS}, or a text that belongs in quotes" if problem.startswith(_NO_ALIAS) else problem


def _located_loader(yaml: Any, place: Place, problems: Problems) -> Any:
    """Return a safe loader whose mappings know their lines, and which notes a key that is there twice."""

    fastest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(fastest):
        """Of one file."""

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            """Return a value; one that is not what its tag says, or a date that there is not, is told without repeating it."""
            try:
                return super().construct_object(node, deep)
            except _NOT_SO:
                tag = node.tag.rpartition(":")[2]
                raise yaml.constructor.ConstructorError(None, None, f"there is no such {tag}", node.start_mark) from None

    def refuse(_loader: Any, node: Any) -> None:
        raise yaml.constructor.ConstructorError(None, None, _NO_TAG, node.start_mark)

    def construct(loader: Any, node: Any) -> Iterator[Located]:
        found = Located()
        found.place = Place(place.file, node.start_mark.line + 1)
        yield found
        seen = set[Any]()
        for key, _value in node.value:
            if isinstance(key.value, str) and key.value in seen:
                problems.add(Place(place.file, key.start_mark.line + 1), f"{key.value!r} is there twice in one mapping")
            seen.add(key.value if isinstance(key.value, str) else None)
        found.update(loader.construct_mapping(node))

    Loader.add_constructor("tag:yaml.org,2002:map", construct)
    Loader.add_constructor(None, refuse)
    return Loader


def _merge(document: Document, place: Place, content: Any, known: Iterable[str], problems: Problems) -> None:
    if not isinstance(content, Mapping):
        problems.add(place, f"a declaration is a mapping of {', '.join(known)}, not {type(content).__name__}")
        return
    for key, value in content.items():
        if key == FLEET:
            _merge_label(document, place, value, problems)
        elif key not in known:
            problems.add(place_of(content, place), f"{key!r} is no part of a declaration{nearest(key, known)}")
        elif value is not None:
            document.sections.setdefault(key, []).extend(parts_of(value, place, key, problems))


def _merge_label(document: Document, place: Place, value: Any, problems: Problems) -> None:
    if not isinstance(value, str) or not value.strip():
        problems.add(place, "fleet: is the label of what is declared here, a text")
    elif document.label not in {None, value}:
        problems.add(place, f"fleet: is {value!r} here and {document.label!r} in another file; one declaration has one label")
    else:
        document.label = value


def parts_of(value: Any, place: Place, section: str, problems: Problems) -> Iterator[Part]:
    """Yield the entries of a section, which may be a list or a mapping of names."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield Part(str(name), {} if entry is None else entry, place_of(entry, place_of(value, place)))
    elif isinstance(value, list | tuple):
        yield from (Part(None, entry, place_of(entry, place)) for entry in value)
    else:
        problems.add(place, f"{section}: is a list of entries, or a mapping of names to entries, not {type(value).__name__}")


def place_of(value: Any, otherwise: Place) -> Place:
    """Return where a mapping stands."""
    place: Place | None = getattr(value, "place", None)
    return place or otherwise
