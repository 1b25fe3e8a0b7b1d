# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles: who logs in where, kept in the user's configuration folder; the password is elsewhere (:mod:`archipel.client.password`)."""

from __future__ import annotations

import configparser
import io
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from archipel.client.errors import LoginMissing
from archipel.client.private_files import make_private_folder, refuse_writable_by_others, write_privately
from archipel.client.settings import ANSWER_TIMEOUT, ConnectionSettings

DEFAULT: Final = "default"
KEYRING: Final = "keyring"
FILE: Final = "file"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # also the name of a file
_NO_DEFAULTS: Final = "\0"  # no section of a file can be called so: every profile stands for itself


def configuration_folder() -> Path:
    """Return the folder of this program (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "archipel"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A way to log in; the fields are those of :class:`~archipel.client.settings.ConnectionSettings`.

    ``hypervisors`` are the bare JIDs that commands look at; none means those of the roster. ``password_in`` says
    where the password is: ``keyring`` or ``file``.
    """

    name: str
    jid: str
    host: str | None = None
    port: int | None = None
    ca_file: Path | None = None
    pubsub_service: str | None = None
    timeout: float = ANSWER_TIMEOUT
    allow_plain: bool = False
    insecure_plaintext: bool = False
    hypervisors: tuple[str, ...] = ()
    password_in: str = FILE

    def settings(self, password: str) -> ConnectionSettings:
        """Return the settings of a connection; raises :class:`ValueError`, which names the field that is wrong."""
        shared = {item.name: getattr(self, item.name) for item in fields(ConnectionSettings) if item.name != "password"}
        return ConnectionSettings(password=password, **shared)


class ProfileFile:
    """The file with all profiles, one section each.

    Who could change it could lead logins to another server: it is not used while others can write it, or its folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or configuration_folder() / "profiles.ini"

    def load(self, name: str) -> Profile:
        """Return a profile; raises :class:`LoginMissing` if there is none, if it cannot be read, or if others could have written it."""
        parser = self._parse()
        if not parser.has_section(name):
            others = f"; there are: {', '.join(parser.sections())}" if parser.sections() else ""
            raise LoginMissing(f"there is no profile {name!r} in {self.path}{others}. Make it: archipel --profile {name} login JID")
        try:
            return _read(name, parser[name])
        except ValueError as error:
            raise LoginMissing(f"{self.path}: profile {name!r}: {error}") from None

    def save(self, profile: Profile) -> None:
        """Write a profile, in place of one of the same name; the others stay. Raises :class:`LoginMissing` as :meth:`load` does."""
        make_private_folder(self.path.parent)
        parser = self._parse()
        parser[profile.name] = _write(profile)
        text = io.StringIO()
        parser.write(text)
        write_privately(self.path, text.getvalue())

    def _parse(self) -> configparser.ConfigParser:
        for path in (self.path.parent, self.path):
            refuse_writable_by_others(path)
        parser = configparser.ConfigParser(interpolation=None, default_section=_NO_DEFAULTS)
        try:
            parser.read(self.path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise LoginMissing(f"{self.path} cannot be read: {error}") from None
        return parser


def _read(name: str, section: configparser.SectionProxy) -> Profile:
    ca_file = section.get("ca_file")
    if "jid" not in section:
        raise ValueError("jid is missing")
    return Profile(
        name=name,
        jid=section["jid"],
        host=section.get("host"),
        port=section.getint("port", fallback=None),
        ca_file=Path(ca_file) if ca_file else None,
        pubsub_service=section.get("pubsub_service"),
        timeout=section.getfloat("timeout", fallback=ANSWER_TIMEOUT),
        allow_plain=section.getboolean("allow_plain", fallback=False),
        insecure_plaintext=section.getboolean("insecure_plaintext", fallback=False),
        hypervisors=tuple(section.get("hypervisors", "").split()),
        password_in=section.get("password_in", FILE),
    )


def _write(profile: Profile) -> dict[str, str]:
    values = {
        "jid": profile.jid,
        "host": profile.host,
        "port": profile.port,
        "ca_file": profile.ca_file,
        "pubsub_service": profile.pubsub_service,
        "timeout": f"{profile.timeout:g}",
        "allow_plain": "yes" if profile.allow_plain else None,
        "insecure_plaintext": "yes" if profile.insecure_plaintext else None,
        "hypervisors": " ".join(profile.hypervisors),
        "password_in": profile.password_in,
    }
    return {name: str(value) for name, value in values.items() if value}
