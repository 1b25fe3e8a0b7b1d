# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for integration tests: one ejabberd and one libvirt world for each worker of the test run."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd, make_ejabberd
from testbed.libvirtd import TestLibvirtd

HYPERVISORS = ("hypervisor", "hypervisor2")
ADMINS = ("admin",)


@dataclass(frozen=True)
class Account:
    """An XMPP account of the test's server; the password stays out of reports."""

    jid: str
    password: str

    def __repr__(self) -> str:
        return f"Account({self.jid})"


@pytest.fixture(scope="session")
def ejabberd(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ejabberd]:
    """A running server; ``hypervisor``, ``hypervisor2`` and ``admin`` are the names with privileges, none is registered yet."""
    server = make_ejabberd(tmp_path_factory.mktemp("ejabberd"), "archipel.localhost", authority, hypervisors=HYPERVISORS, admins=ADMINS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[TestLibvirtd]:
    """A running daemon whose test driver all processes share. The world starts empty: leave it so."""
    with TestLibvirtd() as daemon:
        yield daemon


@pytest.fixture
def register(ejabberd: Ejabberd) -> Iterator[Callable[..., Account]]:
    """Make accounts: ``register("student")`` makes that name, ``register()`` one that nobody else has. Removed after the test."""
    accounts: list[str] = []

    def register_account(name: str | None = None) -> Account:
        user = name or f"user-{secrets.token_hex(4)}"
        account = Account(f"{user}@{ejabberd.domain}", secrets.token_urlsafe(16))
        ejabberd.register(user, account.password)
        accounts.append(user)
        return account

    yield register_account
    for user in accounts:
        ejabberd.unregister(user)
