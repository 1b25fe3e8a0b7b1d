# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's people and its hypervisor: accounts on the server, and passwords in files that only their owner can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from testbed.ejabberd import Ejabberd

HYPERVISOR: Final = "hypervisor"
ADMIN: Final = "admin"
STUDENT: Final = "student"
PEOPLE: Final = (ADMIN, "teacher", STUDENT)
PASSWORD_BYTES: Final = 18  # 24 characters


def hypervisor_account(number: int) -> str:
    """Return the account of a hypervisor, counted from 1."""
    return HYPERVISOR if number == 1 else f"{HYPERVISOR}{number}"


def hypervisor_accounts(count: int) -> tuple[str, ...]:
    """Return the accounts of all hypervisors."""
    return tuple(hypervisor_account(number) for number in range(1, count + 1))


def make_accounts(ejabberd: Ejabberd, folder: Path, hypervisors: tuple[str, ...]) -> None:
    """Register everybody, each with a random password in ``folder/NAME``."""
    folder.mkdir(mode=0o700)
    for name in (*hypervisors, *PEOPLE):
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{password}\n")
        ejabberd.register(name, password)
