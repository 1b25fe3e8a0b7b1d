# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection arguments, once, and the session that they open (documentation: doc_fragments/connection.py)."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import env_fallback

try:
    from archipel.client import ConnectionSettings
    from archipel.client.errors import LoginMissing
    from archipel.client.profile import Profile, ProfileFile
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor, Session


def _from_environment(name: str, **specification: Any) -> dict[str, Any]:
    return {**specification, "fallback": (env_fallback, [f"ARCHIPEL_{name}"])}


def connection_arguments() -> dict[str, dict[str, Any]]:
    """Return the part of the argument specification that all modules have."""
    return {
        "xmpp_jid": _from_environment("JID", type="str"),
        # The environment is asked for these two by hand: a file that is named here rules over a password there.
        "xmpp_password": {"type": "str", "no_log": True},
        "xmpp_password_file": {"type": "path", "no_log": False},
        "xmpp_host": _from_environment("HOST", type="str"),
        "xmpp_port": _from_environment("PORT", type="int"),
        "xmpp_ca_file": _from_environment("CA_FILE", type="path"),
        "xmpp_pubsub_service": _from_environment("PUBSUB_SERVICE", type="str"),
        "xmpp_allow_plain": {"type": "bool"},
        "insecure_plaintext": {"type": "bool"},
        "hypervisor": _from_environment("HYPERVISOR", type="str"),
        "timeout": {"type": "float"},
        "profile": _from_environment("PROFILE", type="str"),
    }


# Arguments by the name of the setting that they stand for.
_SETTINGS = {
    "jid": "xmpp_jid",
    "host": "xmpp_host",
    "port": "xmpp_port",
    "ca_file": "xmpp_ca_file",
    "pubsub_service": "xmpp_pubsub_service",
    "allow_plain": "xmpp_allow_plain",
    "insecure_plaintext": "insecure_plaintext",
    "timeout": "timeout",
}
SETTING_ARGUMENTS = tuple(_SETTINGS.values())


def connection_settings(arguments: Mapping[str, Any]) -> ConnectionSettings:
    """Return who connects where; raises :class:`ValueError` or :class:`LoginMissing`, which name the argument and the fix."""
    profile = _load_profile(arguments)
    given: dict[str, Any] = {name: arguments[argument] for name, argument in _SETTINGS.items() if arguments.get(argument) is not None}
    if "ca_file" in given:
        given["ca_file"] = Path(given["ca_file"])
    if profile is not None:
        return dataclasses.replace(profile.settings(_find_password(arguments, profile)), **given)
    if "jid" not in given:
        raise ValueError("xmpp_jid: say who logs in: xmpp_jid, the environment variable ARCHIPEL_JID, or a profile")
    return ConnectionSettings(password=_find_password(arguments, None), **given)


def find_hypervisor(session: Session, arguments: Mapping[str, Any]) -> Hypervisor:
    """Return the hypervisor that the arguments, or else the profile, name; raises :class:`ValueError`."""
    jid = arguments.get("hypervisor")
    if jid is None:
        profile = _load_profile(arguments)
        named = () if profile is None else profile.hypervisors
        if len(named) != 1:
            raise ValueError("hypervisor: name its account here, in the environment (ARCHIPEL_HYPERVISOR), or in a profile with just one")
        jid = named[0]
    return session.hypervisor(jid)


def names_hypervisor(arguments: Mapping[str, Any]) -> bool:
    """Whether the arguments, or else the profile, name just one hypervisor; raises what :func:`find_hypervisor` does besides."""
    profile = None if arguments.get("hypervisor") else _load_profile(arguments)
    return bool(arguments.get("hypervisor")) or (profile is not None and len(profile.hypervisors) == 1)


def _load_profile(arguments: Mapping[str, Any]) -> Profile | None:
    name = arguments.get("profile")
    return ProfileFile().load(name) if name else None


def _find_password(arguments: Mapping[str, Any], profile: Profile | None) -> str:
    """Return the password: as given, else that of the profile's account if it is the one that logs in, else the environment's."""
    password, file = arguments.get("xmpp_password"), arguments.get("xmpp_password_file")
    if password is None and file is None:
        if profile is not None and arguments.get("xmpp_jid") in {None, profile.jid}:
            return _load_password(profile)
        password, file = os.environ.get("ARCHIPEL_PASSWORD"), os.environ.get("ARCHIPEL_PASSWORD_FILE")
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
