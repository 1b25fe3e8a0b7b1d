# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connection arguments, once, and the session that they open (documentation: doc_fragments/connection.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.environment import read_environment

try:
    from archipel.client import login
    from archipel.client.errors import MalformedAddress
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import ConnectionSettings, Hypervisor, Session


def _from_environment(name: str, **specification: Any) -> dict[str, Any]:
    return {**specification, "fallback": (read_environment, [f"ARCHIPEL_{name}"])}


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


_NO_SETTINGS = {"xmpp_password", "xmpp_password_file", "hypervisor", "profile"}
SETTING_ARGUMENTS = tuple(name for name in connection_arguments() if name not in _NO_SETTINGS)


def connection_settings(arguments: Mapping[str, Any]) -> ConnectionSettings:
    """Return who connects where; raises :class:`ValueError` or :class:`LoginMissing`, which name the argument and the fix."""
    return login.connection_settings(arguments)


def find_hypervisor(session: Session, arguments: Mapping[str, Any]) -> Hypervisor:
    """Return the hypervisor that the arguments, or else the profile, name; raises :class:`ValueError`."""
    jid = arguments.get("hypervisor")
    if jid is None:
        profile = login.load_profile(arguments)
        named = () if profile is None else profile.hypervisors
        if len(named) != 1:
            raise ValueError("hypervisor: name its account here, in the environment (ARCHIPEL_HYPERVISOR), or in a profile with just one")
        jid = named[0]
    try:
        return session.hypervisor(jid)
    except MalformedAddress as error:
        raise ValueError(f"hypervisor: {error}") from None


def names_hypervisor(arguments: Mapping[str, Any]) -> bool:
    """Whether the arguments, or else the profile, name just one hypervisor; raises what :func:`find_hypervisor` does besides."""
    profile = None if arguments.get("hypervisor") else login.load_profile(arguments)
    return bool(arguments.get("hypervisor")) or (profile is not None and len(profile.hypervisors) == 1)
