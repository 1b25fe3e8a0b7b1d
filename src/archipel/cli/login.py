# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel login``: try an account and remember it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from archipel.cli.invocation import Invocation, Run
from archipel.client import password as passwords
from archipel.client.addresses import bare_address
from archipel.client.errors import LoginMissing
from archipel.client.profile import KEYRING, NAME, Profile, ProfileFile
from archipel.client.settings import ANSWER_TIMEOUT


@click.command()
@click.argument("jid")
@click.option("--host", help="Server to connect to; without it the domain's SRV records decide.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of that server (5222).")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate authority, PEM.")
@click.option("--pubsub-service", help="Address of the PubSub service (pubsub.DOMAIN).")
@click.option("--timeout", type=click.FloatRange(1), default=ANSWER_TIMEOUT, show_default=True, help="Seconds to wait for an answer.")
@click.option("--password-file", type=click.File("r"), help="Read the password from a file, - for standard input; else it is asked.")
@click.option("--no-keyring", is_flag=True, help="Keep the password in a file of mode 0600 even if there is a keyring.")
@click.option("--allow-plain", is_flag=True, help="Permit SASL PLAIN inside TLS, for accounts from LDAP.")
@click.option("--insecure-plaintext", is_flag=True, help="Do without TLS: only for tests on this machine.")
@click.pass_obj
def login(invocation: Invocation, /, jid: str, password_file: Any, no_keyring: bool, **options: Any) -> None:
    """Try to log in as JID and remember the account as a profile.

    The hypervisors given with the global option --hypervisor are remembered too.
    """
    profile = _profile(invocation, jid, options)
    password = _read_password(password_file, profile.jid)
    invocation.run_as(profile, password, _nothing)
    profile = dataclasses.replace(profile, password_in=passwords.store(profile, password, in_keyring=not no_keyring))
    file = ProfileFile()
    file.save(profile)
    _tell(invocation, profile, file.path)


async def _nothing(_run: Run) -> None:
    """Do nothing in the session: that it could be opened is what is wanted."""


def _profile(invocation: Invocation, jid: str, options: dict[str, Any]) -> Profile:
    if not NAME.fullmatch(invocation.profile_name):
        raise LoginMissing(f"{invocation.profile_name!r} is no name for a profile: letters, digits, '.', '_' and '-', at most 64")
    if options["ca_file"]:
        options["ca_file"] = options["ca_file"].absolute()
    hypervisors = tuple(bare_address(hypervisor) for hypervisor in invocation.hypervisors)
    return Profile(name=invocation.profile_name, jid=bare_address(jid), hypervisors=hypervisors, **options)


def _read_password(file: Any, jid: str) -> str:
    password = _ask_password(jid) if file is None else file.readline().rstrip("\r\n")
    if not password:
        raise LoginMissing("the password is empty")
    return str(password)


def _ask_password(jid: str) -> str:
    try:
        return str(click.prompt(f"Password of {jid}", hide_input=True, err=True))
    except click.Abort as abort:
        if isinstance(abort.__context__, EOFError):
            raise LoginMissing("nobody is there to type the password: name a file with --password-file, - for standard input") from None
        raise


def _tell(invocation: Invocation, profile: Profile, path: Path) -> None:
    place = "the keyring" if profile.password_in == KEYRING else f"{passwords.password_file(profile.name)} (only you can read it)"
    if invocation.as_json:
        invocation.output.json({"profile": profile.name, "jid": profile.jid, "file": str(path), "password_in": profile.password_in})
        return
    invocation.output.line(f"Logged in as {profile.jid}. Profile {profile.name!r} is in {path}, its password in {place}.")
