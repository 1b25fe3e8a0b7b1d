# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who logs in where, by the options that modules, inventory and event source have in common (plugins/doc_fragments/connection.py)."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from archipel.client.errors import LoginMissing
from archipel.client.profile import Profile, ProfileFile
from archipel.client.settings import ConnectionSettings

# Options by the name of the setting that they stand for.
_SETTINGS: Final = {
    "jid": "xmpp_jid",
    "host": "xmpp_host",
    "port": "xmpp_port",
    "ca_file": "xmpp_ca_file",
    "pubsub_service": "xmpp_pubsub_service",
    "allow_plain": "xmpp_allow_plain",
    "insecure_plaintext": "insecure_plaintext",
    "timeout": "timeout",
}
_IN_THE_ENVIRONMENT: Final = {
    "xmpp_jid": "ARCHIPEL_JID",
    "xmpp_host": "ARCHIPEL_HOST",
    "xmpp_port": "ARCHIPEL_PORT",
    "xmpp_ca_file": "ARCHIPEL_CA_FILE",
    "xmpp_pubsub_service": "ARCHIPEL_PUBSUB_SERVICE",
    "profile": "ARCHIPEL_PROFILE",
}


def add_environment(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with what the environment says of those that are not given; an empty variable says nothing."""
    asked = {option: os.environ.get(variable) for option, variable in _IN_THE_ENVIRONMENT.items()}
    found = {option: value for option, value in asked.items() if value}
    return found | {option: value for option, value in arguments.items() if value is not None}


def connection_settings(arguments: Mapping[str, Any]) -> ConnectionSettings:
    """Return who connects where; raises :class:`ValueError` or :class:`LoginMissing`, which name the argument and the fix."""
    profile = load_profile(arguments)
    given: dict[str, Any] = {name: arguments[argument] for name, argument in _SETTINGS.items() if arguments.get(argument) is not None}
    if "ca_file" in given:
        given["ca_file"] = Path(given["ca_file"])
    if profile is None and "jid" not in given:
        raise ValueError("xmpp_jid: say who logs in: xmpp_jid, the environment variable ARCHIPEL_JID, or a profile")
    password = _find_password(arguments, profile)
    stored = None if profile is None else profile.settings(password)
    try:
        return ConnectionSettings(password=password, **given) if stored is None else dataclasses.replace(stored, **given)
    except ValueError as error:  # MalformedAddress is one, too
        raise ValueError(_name_option(str(error))) from None


def _name_option(text: str) -> str:
    """Return what is said about a setting as it is said about the option of that setting."""
    setting, colon, rest = text.partition(": ")
    return f"{_SETTINGS.get(setting, setting)}{colon}{rest}"


def load_profile(arguments: Mapping[str, Any]) -> Profile | None:
    """Return the stored login that the options name, if any; raises :class:`LoginMissing`."""
    name = arguments.get("profile")
    return ProfileFile().load(name) if name else None


def _find_password(arguments: Mapping[str, Any], profile: Profile | None) -> str:
    """Return the password: as given, else that of the profile's account if it is the one that logs in, else the environment's."""
    password, file = arguments.get("xmpp_password"), arguments.get("xmpp_password_file")
    if password is None and file is None:
        if profile is not None and arguments.get("xmpp_jid") in {None, profile.jid}:
            return _load_password(profile)
        password, file = (os.environ.get(name) or None for name in ("ARCHIPEL_PASSWORD", "ARCHIPEL_PASSWORD_FILE"))
    if password is not None:
        return str(password)
    if file is not None:
        return read_password_file(Path(file).expanduser())
    raise ValueError("xmpp_password: give it, or xmpp_password_file, ARCHIPEL_PASSWORD, ARCHIPEL_PASSWORD_FILE, or a profile")


def read_password_file(path: Path) -> str:
    """Return the first line of a file that only its owner can read; raises :class:`ValueError`."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"xmpp_password_file: {path} cannot be read: {error}") from None
    if mode & 0o077:
        advice = f"correct it with chmod 600 {path}, and change the password"
        raise ValueError(f"xmpp_password_file: others can read {path} (mode {mode:04o}); {advice}")
    if not lines or not lines[0]:
        raise ValueError(f"xmpp_password_file: the first line of {path} is empty; it must be the password")
    return lines[0]


def _load_password(profile: Profile) -> str:
    try:
        from archipel.client import password
    except ImportError as error:
        raise LoginMissing(
            f"profile: the password of {profile.name!r} is kept by the command line's libraries, which are missing here ({error}); "
            "pip install 'PATH-OF-THE-COLLECTION[cli]' brings them, or give xmpp_password_file"
        ) from None
    return password.load(profile)
