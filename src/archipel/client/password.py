# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where passwords are kept: in the desktop's keyring where there is one, else in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import Final

import keyring
from keyring.errors import KeyringError

from archipel.client.errors import LoginMissing
from archipel.client.private_files import make_private_folder, refuse_writable_by_others, write_privately
from archipel.client.profile import FILE, KEYRING, Profile, configuration_folder

SERVICE: Final = "archipel"
LEAST_PRIORITY: Final = 1  # keyring's documentation: a backend below that is not recommended (it may keep clear text)


def usable_keyring() -> bool:
    """Whether this user has a keyring that is fit for passwords."""
    try:
        return bool(keyring.get_keyring().priority >= LEAST_PRIORITY)
    except (KeyringError, RuntimeError):
        return False


def store(profile: Profile, password: str, *, in_keyring: bool) -> str:
    """Keep the password; return where: ``keyring`` or ``file``. A keyring that refuses is no reason to fail.

    Raises :class:`LoginMissing` if others can write the folder.
    """
    if in_keyring and usable_keyring():
        with contextlib.suppress(KeyringError):
            keyring.set_password(SERVICE, _entry(profile), password)
            password_file(profile.name).unlink(missing_ok=True)
            return KEYRING
    file = password_file(profile.name)
    for folder in (configuration_folder(), file.parent):
        make_private_folder(folder)
    write_privately(file, password)
    return FILE


def load(profile: Profile) -> str:
    """Return the password; raises :class:`LoginMissing`, which says what to do."""
    again = f"Log in again: archipel --profile {profile.name} login {profile.jid}"
    if profile.password_in == KEYRING:
        try:
            password = keyring.get_password(SERVICE, _entry(profile))
        except KeyringError as error:
            raise LoginMissing(f"the keyring does not give the password of profile {profile.name!r} out: {error}. {again}") from None
        if password is None:
            raise LoginMissing(f"the keyring has no password for profile {profile.name!r}. {again}")
        return password
    path = password_file(profile.name)
    for folder in (configuration_folder(), path.parent):
        refuse_writable_by_others(folder)
    try:
        _refuse_readable_by_others(path)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise LoginMissing(f"there is no password for profile {profile.name!r} in {path}. {again}") from None


def password_file(name: str) -> Path:
    """Return the file that would hold the password of a profile."""
    return configuration_folder() / "passwords" / name


def _entry(profile: Profile) -> str:
    return f"{profile.name} {profile.jid}"


def _refuse_readable_by_others(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise LoginMissing(
            f"others can read the password in {path} (mode {mode:04o}). Correct it: chmod 600 {path}; and change the password"
        )
