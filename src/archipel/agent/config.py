# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ``archipel.conf`` into :class:`~archipel.agent.settings.Settings` and reports every error at once.

The file is INI as Python's :mod:`configparser` reads it: values of [DEFAULT] are inserted with ``%(name)s``, a percent sign
is written twice, ``@HOSTNAME@`` is the host's name. An empty value is an absent one.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import BasicInterpolation, ConfigParser, InterpolationError, ParsingError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archipel.agent.founding_options import MODULE_SECTIONS, WITHOUT_EFFECT
from archipel.agent.options import BOOLEAN, Option, Problem, declared_options
from archipel.agent.settings import CONCERNS, FLAGS, OPTIONS, Settings

DEFAULT_PATH = Path("/etc/archipel/archipel.conf")

_NO_DEFAULT_SECTION = "\n"  # cannot stand in a file, so that [DEFAULT] is read like any other section
_SECTION_LINE = re.compile(r"\[(?P<name>[^]]+)\]")
_OPTION_LINE = re.compile(r"(?P<name>[^\s=:#;][^=:]*?)\s*[=:]")
_REFERENCE = re.compile(r"%\(([^)]+)\)s")
_NO_SERVER = "server.invalid"  # stands in for a missing xmpp_server, so that it is reported once
_PASSWORD = ("HYPERVISOR", "hypervisor_xmpp_password")
_PASSWORD_FILE = ("HYPERVISOR", "hypervisor_xmpp_password_file")


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` has every reason, ``warnings`` what is odd besides."""

    def __init__(self, problems: Sequence[Problem], warnings: Sequence[Problem] = ()) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)


@dataclass(frozen=True)
class Entry:
    """An option as it stands in a file."""

    file: str
    line: int
    section: str
    name: str
    text: str = field(repr=False)  # may be a secret

    def problem(self, what: str, fix: str) -> Problem:
        """Return a problem with this entry."""
        return Problem(self.file, self.line, self.section, self.name, what, fix)


def load_settings(
    paths: Sequence[Path] = (DEFAULT_PATH,), *, hostname: str | None = None, capabilities: Mapping[str, type[Any]] | None = None
) -> Settings:
    """Read the files, later ones over earlier ones, then every ``*.conf`` of ``modules_configuration_path``.

    ``hostname`` is the host's own name if not given. ``capabilities`` maps names of capabilities to the dataclasses that
    declare their options. Raises :class:`ConfigError`.
    """
    reading = _Reading(hostname, capabilities)
    for path in paths:
        reading.read_file(path)
    for path in reading.module_files():
        reading.read_file(path)
    return reading.settle()


def parse_settings(
    text: str, *, file: str = "archipel.conf", hostname: str | None = None, capabilities: Mapping[str, type[Any]] | None = None
) -> Settings:
    """Read a configuration from its text alone. Raises :class:`ConfigError`."""
    reading = _Reading(hostname, capabilities)
    reading.read_text(text, file)
    return reading.settle()


class _Reading:
    """One reading of the configuration: entries as they were found, then values, then settings."""

    def __init__(self, hostname: str | None, capabilities: Mapping[str, type[Any]] | None) -> None:
        self._hostname = hostname or socket.gethostname()
        self._capabilities = dict(capabilities or {})
        self._options = OPTIONS + tuple(
            found for name, declaration in self._capabilities.items() for found in declared_options(declaration, f"capabilities.{name}")
        )
        self._files: list[str] = []
        self._seen: list[Entry] = []
        self._entries: dict[tuple[str, str], Entry] = {}
        self._problems: list[Problem] = []
        self._consequences: list[Problem] = []  # defaults that are wrong because what they are made of is wrong
        self._warnings: list[Problem] = []

    # -- files ----------------------------------------------------------------------------------------------------------

    def read_file(self, path: Path) -> None:
        """Take in a file; what cannot be read is a problem."""
        self._files.append(str(path))
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            what = f"cannot be read ({error.strerror})"
            self._problems.append(Problem(str(path), 0, "", "", what, "Make the file readable, or name another one"))
        except UnicodeDecodeError as error:
            self._problems.append(Problem(str(path), 0, "", "", f"byte {error.start} is not UTF-8", "Save the file as UTF-8"))
        else:
            self.read_text(text, str(path))
            self._check_mode(path)

    def read_text(self, text: str, file: str) -> None:
        """Take in the text of a file."""
        self._files.append(file)
        lines = text.split("\n")
        first = next((number for number, line in enumerate(lines) if _SECTION_LINE.match(line)), len(lines))
        for number, line in enumerate(lines[:first], start=1):
            if line.strip() and not line.lstrip().startswith(("#", ";")):
                self._add_syntax_problem(file, number, "stands before the first [SECTION]")
        parser = ConfigParser(default_section=_NO_DEFAULT_SECTION, interpolation=None, strict=False)
        try:
            parser.read_string("\n" * first + "\n".join(lines[first:]), file)
        except ParsingError as error:  # raised after all that could be read was read
            for number, _line in error.errors:
                self._add_syntax_problem(file, number, "is neither [SECTION] nor option = value")
        places = _locate(lines)
        for section in parser.sections():
            self._read_section(section, parser[section], places, file)

    def _add_syntax_problem(self, file: str, number: int, what: str) -> None:
        self._problems.append(Problem(file, number, "", "", f"this line {what}", "Mend it, or begin it with # to make it a comment"))

    def _read_section(self, section: str, found: Mapping[str, str], places: Mapping[tuple[str, str], list[int]], file: str) -> None:
        for name, value in found.items():
            lines = places.get((section, name), [0])
            entry = Entry(file, lines[-1], section, name, value.strip())
            if len(lines) > 1:
                self._problems.append(entry.problem(f"stands here again after line {lines[0]}", "Keep one of the two"))
            self._seen.append(entry)
            if entry.text:
                self._entries[section, name] = entry

    def _check_mode(self, path: Path) -> None:
        entry = self._entries.get(_PASSWORD)
        if entry is not None and entry.file == str(path) and path.stat().st_mode & 0o077:
            self._warnings.append(entry.problem("others may read this file and the password in it", f"chmod 600 {path}"))

    def module_files(self) -> Iterator[Path]:
        """Yield the capabilities' own files, in the order of their names."""
        folder = next(found for found in self._options if found.attribute == "modules.folder")
        parser = self._interpolation()
        try:
            yield from sorted(folder.kind.parse(parser.get(folder.section, folder.name)).glob("*.conf"))
        except (InterpolationError, ValueError):
            return  # reported when all values are read

    # -- values ---------------------------------------------------------------------------------------------------------

    def settle(self) -> Settings:
        """Return the settings, or raise everything that is wrong."""
        self._check_names()
        parser = self._interpolation()
        values = {found.attribute: self._parse(found, parser) for found in self._options}
        flags = self._parse_flags()
        self._check_required()
        if problems := self._problems or self._consequences:
            raise ConfigError(sorted(problems, key=self._place), self._warnings)
        if values["xmpp.insecure_plaintext"]:
            self._warnings.append(self._entries["GLOBAL", "insecure_plaintext"].problem("nothing is encrypted", "For tests only"))
        return self._build(values, flags)

    def _place(self, problem: Problem) -> tuple[int, int]:
        return self._files.index(problem.file), problem.line

    def _build(self, values: Mapping[str, Any], flags: Mapping[str, bool]) -> Settings:
        name = values["hypervisor.name"] if values["hypervisor.name"] != "auto" else self._hostname
        password = values["xmpp.password_file"] or values["xmpp.password"]
        values = {**values, "hypervisor.name": name, "xmpp.password": password}
        concerns = {name: _fill(declaration, name, values) for name, declaration in CONCERNS.items()}
        own = {name: _fill(declaration, f"capabilities.{name}", values) for name, declaration in self._capabilities.items()}
        return Settings(hostname=self._hostname, flags=flags, capabilities=own, warnings=tuple(self._warnings), **concerns)

    def _interpolation(self) -> ConfigParser:
        """Return a parser that holds the declared defaults under the entries found."""
        parser = ConfigParser(interpolation=_LateInterpolation(), strict=False)
        for found in self._options:
            if found.section != "DEFAULT" and not parser.has_section(found.section):
                parser.add_section(found.section)
            if found.default and not self._is_set(found):
                parser[found.section][found.name] = found.default
        for entry in self._entries.values():
            if entry.section == "DEFAULT" or parser.has_section(entry.section):
                parser[entry.section][entry.name] = entry.text
        if not parser.has_option("DEFAULT", "xmpp_server"):
            parser["DEFAULT"]["xmpp_server"] = self._server_of_account() or _NO_SERVER
        return parser

    def _is_set(self, found: Option) -> bool:
        return (found.section, found.name) in self._entries or ("DEFAULT", found.name) in self._entries

    def _server_of_account(self) -> str:
        entry = self._entries.get(("HYPERVISOR", "hypervisor_xmpp_jid"))
        return entry.text.rpartition("@")[2] if entry is not None and "@" in entry.text and "%" not in entry.text else ""

    def _parse(self, found: Option, parser: ConfigParser) -> Any:
        try:
            text = parser.get(found.section, found.name, fallback="")
            return found.kind.parse(text if found.secret else text.replace("@HOSTNAME@", self._hostname))
        except InterpolationError:
            what, fix = "a percent sign or %(name)s in it cannot be resolved", "Write %% for a percent sign"
        except ValueError as error:
            what, fix = str(error), f"Write {found.kind.takes}"
        caused_here = self._is_set(found) or not found.default
        (self._problems if caused_here else self._consequences).append(self._entry(found).problem(what, fix))
        return None

    def _entry(self, found: Option) -> Entry:
        """Return where an option stands; one that stands nowhere is missing from the first file."""
        default = self._entries.get(("DEFAULT", found.name))
        missing = Entry(self._files[0], 0, found.section, found.name, "")
        return self._entries.get((found.section, found.name)) or default or missing

    def _parse_flags(self) -> Mapping[str, bool]:
        flags = {}
        for (section, name), entry in self._entries.items():
            if section == FLAGS:
                try:
                    flags[name] = BOOLEAN.parse(entry.text)
                except ValueError as error:
                    self._problems.append(entry.problem(str(error), f"Write {BOOLEAN.takes}"))
        return flags

    def _check_required(self) -> None:
        first = self._files[0]
        if ("DEFAULT", "xmpp_server") not in self._entries and not self._server_of_account():
            self._problems.append(Problem(first, 0, "DEFAULT", "xmpp_server", "is missing", "Write the name of your XMPP domain"))
        if _PASSWORD in self._entries and _PASSWORD_FILE in self._entries:
            self._problems.append(self._entries[_PASSWORD].problem(f"{_PASSWORD_FILE[1]} stands there too", "Keep one of the two"))
        elif _PASSWORD not in self._entries and _PASSWORD_FILE not in self._entries:
            fix = "Write the password into a file of mode 0600 and its path here"
            self._problems.append(Problem(first, 0, *_PASSWORD_FILE, "is missing, and so is the password itself", fix))

    # -- names ----------------------------------------------------------------------------------------------------------

    def _check_names(self) -> None:
        known = {(found.section, found.name) for found in self._options}
        sections = {section for section, _name in known} | {FLAGS}
        unknown_sections = set()
        for entry in self._seen:
            if entry.section == FLAGS or (entry.section, entry.name) in known or self._is_variable(entry):
                continue
            if replacement := WITHOUT_EFFECT.get((entry.section, entry.name)):
                self._warnings.append(entry.problem("has no effect any more", f"Remove it: {replacement}"))
            elif entry.section in sections:
                self._problems.append(entry.problem("is not an option", _suggest_option(entry, known)))
            else:
                unknown_sections.add((entry.file, entry.section))
        for file, section in sorted(unknown_sections):
            self._note_section(file, section, sections)

    def _is_variable(self, entry: Entry) -> bool:
        """Whether an entry of [DEFAULT] is an option for its own section, or a name that other values are built from."""
        if entry.section != "DEFAULT":
            return False
        named = any(entry.name == found.name for found in self._options)
        return named or any(entry.name in _REFERENCE.findall(other.text.lower()) for other in self._seen)

    def _note_section(self, file: str, section: str, sections: Iterable[str]) -> None:
        if section in MODULE_SECTIONS:
            fix = "Install the capability that reads it, or remove it"
            self._warnings.append(Problem(file, 0, section, "", "this section has no effect", fix))
            return
        near = difflib.get_close_matches(section.upper(), sections, n=1)
        fix = f"Did you mean [{near[0]}]?" if near else f"The sections are {', '.join(sorted(sections))}"
        self._problems.append(Problem(file, 0, section, "", "there is no such section", fix))


class _LateInterpolation(BasicInterpolation):
    """Takes every text as it is; what cannot be inserted fails when the value is asked for, not before."""

    def before_set(self, parser: Any, section: str, option: str, value: str) -> str:
        return value


def _suggest_option(entry: Entry, known: Iterable[tuple[str, str]]) -> str:
    elsewhere = sorted(section for section, name in known if name == entry.name)
    if elsewhere:
        return f"It belongs to [{elsewhere[0]}]"
    near = difflib.get_close_matches(entry.name, sorted(name for _section, name in known), n=1)
    section = next((section for section, name in sorted(known) if near and name == near[0]), "")
    place = "" if section == entry.section else f" in [{section}]"
    return f"Did you mean {near[0]}{place}?" if near else "Remove it; docs/configuration.md lists all options"


def _locate(lines: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Return the lines in which options begin, counted from 1; :mod:`configparser` does not tell them."""
    section, places = "", dict[tuple[str, str], list[int]]()
    for number, line in enumerate(lines, start=1):
        if header := _SECTION_LINE.match(line):
            section = header["name"]
        elif begin := _OPTION_LINE.match(line):
            places.setdefault((section, begin["name"].lower()), []).append(number)
    return places


def _fill(declaration: type[Any], prefix: str, values: Mapping[str, Any]) -> Any:
    return declaration(**{field.name: values[f"{prefix}.{field.name}"] for field in dataclasses.fields(declaration)})
