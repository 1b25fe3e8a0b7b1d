# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file, the units and the rules of a new agent: what is packaged, with this host's answers in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from archipel.agent import plugins
from archipel.agent.config import DEFAULT_PATH, parse_settings
from archipel.agent.settings import Settings

Place = tuple[str, str]
"""Section and name of an option."""

LIBVIRT_GROUP: Final = "libvirt"
PASSWORD: Final = ("HYPERVISOR", "hypervisor_xmpp_password")
PASSWORD_FILE: Final = ("HYPERVISOR", "hypervisor_xmpp_password_file")
_HEADER: Final = re.compile(r"\[(?P<section>[^]]+)\]$")
_COMMENTED: Final = re.compile(r"#(?P<name>[a-z0-9_]+) =")
_PASSWORD: Final = re.compile(r"^\s*hypervisor_xmpp_password(_file)?\s*[=:].*$", re.MULTILINE)
_PROTECTED: Final = (Path("/home"), Path("/root"), Path("/run/user"))  # what ProtectHome= hides from a service


def render_configuration(values: Mapping[Place, str]) -> str:
    """Return the example file with these options set, each where its comment stands."""
    lines: list[str] = []
    section, left = "", dict(values)
    for line in _read("archipel.conf.example").splitlines():
        if header := _HEADER.match(line):
            lines += _render_rest(left, section)
            section = header["section"]
        found = _COMMENTED.match(line)
        value = left.pop((section, found["name"]), None) if found else None
        lines.append(line if found is None or value is None else f"{found['name']} = {value}")
    lines += _render_rest(left, section)
    for other in dict.fromkeys(section for section, _name in left):
        lines += ["", f"[{other}]", *_render_rest(left, other)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _render_rest(left: dict[Place, str], section: str) -> list[str]:
    """Take what belongs to the section and stood nowhere in it, such as options of other capabilities."""
    rest = [place for place in left if place[0] == section]
    return [f"{place[1]} = {left.pop(place)}" for place in rest] + ([""] if rest else [])


def check_configuration(text: str, file: Path) -> Settings:
    """Return the settings that a file's text makes, but for the password, which another file holds.

    Raises :class:`~archipel.agent.config.ConfigError` with everything that is wrong.
    """
    stand_in = f"\n[{PASSWORD_FILE[0]}]\nhypervisor_xmpp_password = stands-in\n"
    return parse_settings(_PASSWORD.sub("", text) + stand_in, file=str(file), capabilities=plugins.declared_settings())


def render_unit(program: Path, configuration: Path, user: str, settings: Settings, *, groups: str = LIBVIRT_GROUP) -> str:
    """Return the service's unit for this host; ``groups``: those that it has besides the user's own."""
    command = str(program) if configuration == DEFAULT_PATH else f"{program} --config {configuration}"
    writable = dict.fromkeys((settings.places.data, settings.places.lib, settings.logging.audit_file.parent))
    answers = {
        "ExecStart": command,
        "User": user,
        "Group": user,
        "SupplementaryGroups": groups,
        "ReadWritePaths": " ".join(f"-{path}" for path in writable if not _of_systemd(path)),
    }
    return _fill("archipel-agent.service", answers)


def render_oom_units(program: Path, user: str) -> dict[str, str]:
    """Return the units, by their names, of what adjusts machines' processes for the agent."""
    answers = {"SocketGroup": user, "ExecStart": str(oom_program(program))}
    return {name: _fill(name, answers) for name in ("archipel-oom.socket", "archipel-oom@.service")}


def oom_program(program: Path) -> Path:
    """Return what root runs for the agent: it is beside it."""
    return program.with_name("archipel-oom")


def render_rules(user: str) -> str:
    """Return what polkit is told of this user."""
    return _read("polkit/50-archipel.rules").replace('"archipel"', json.dumps(user))


def _fill(unit: str, answers: Mapping[str, str]) -> str:
    lines = (line.partition("=") for line in _read(f"systemd/{unit}").splitlines())
    return "".join(f"{name}{equals}{answers.get(name, value)}\n" for name, equals, value in lines)


def _of_systemd(path: Path) -> bool:
    """Whether a folder is one that the unit has systemd make and open for the agent."""
    return path in {Path("/var/lib/archipel"), Path("/var/log/archipel")}


def hidden_by_unit(program: Path) -> bool:
    """Whether the service could not see its own program."""
    return any(program.resolve().is_relative_to(folder) for folder in _PROTECTED)


def _read(name: str) -> str:
    return (files("archipel.agent") / name).read_text(encoding="utf-8")
