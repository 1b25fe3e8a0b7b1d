# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away OpenLDAP on loopback: people and groups in a folder of its own, any user, no system service."""

from __future__ import annotations

import secrets
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from testbed.certificates import Authority
from testbed.daemon import Daemon
from testbed.ports import LOOPBACK, choose_free_ports

SUFFIX = "dc=example,dc=org"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
MANAGER = f"cn=manager,{SUFFIX}"
CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.own-pid
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.pem
database mdb
maxsize 16777216
suffix "{suffix}"
rootdn "{manager}"
rootpw {password}
directory {folder}/data
"""
TREE = f"""\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups
"""


class Slapd:
    """One directory; its manager's password is `password`."""

    host = LOOPBACK
    name = "localhost"  # for clients that look into its certificate for a name only

    def __init__(self, folder: Path, authority: Authority) -> None:
        """Make the folder of a new one, not yet started."""
        self.folder = folder.resolve()
        self.port = choose_free_ports(1)[0]
        self.password = secrets.token_hex(16)
        self.ca_file = authority.certificate
        self._daemon = Daemon("slapd", self.folder)
        (self.folder / "data").mkdir(parents=True)
        self.folder.chmod(0o700)
        authority.issue(self.name, self.folder)
        configuration = CONFIGURATION.format(folder=self.folder, suffix=SUFFIX, manager=MANAGER, password=self.password)
        (self.folder / "slapd.conf").write_text(configuration)
        (self.folder / "password").touch(mode=0o600)
        (self.folder / "password").write_text(self.password)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ldaps://{self.host}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it serves. Raises :class:`~testbed.daemon.DaemonError`."""
        # With -d, whatever the level, it stays in the foreground.
        command = ["slapd", "-d", "0", "-h", self.url, "-f", str(self.folder / "slapd.conf")]
        self._daemon.start(command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, self._is_ready)

    def stop(self) -> None:
        """End it."""
        self._daemon.stop()

    def plant(self) -> None:
        """Put in what people and groups stand under."""
        self.change(TREE)

    def add_person(self, name: str, password: str) -> None:
        """Make somebody who logs in with that name and password."""
        self.change(f"dn: uid={name},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\nuserPassword: {password}\n")

    def add_group(self, name: str, *members: str, seen_by: Sequence[str] = ()) -> None:
        """Make a group of these entries (distinguished names), one at least, for these accounts (names) to see."""
        listed = "".join([*(f"member: {member}\n" for member in members), *(f"seeAlso: {person(name)}\n" for name in seen_by)])
        self.change(f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\n{listed}")

    def change_group(self, name: str, what: str, member: str) -> None:
        """``add`` an entry to a group, or ``delete`` it there."""
        self.change(f"dn: cn={name},{GROUPS}\nchangetype: modify\n{what}: member\nmember: {member}\n")

    def change(self, text: str) -> None:
        """Apply LDIF; an entry without ``changetype`` is added. Raises :class:`subprocess.CalledProcessError`."""
        command = ["ldapmodify", "-a", "-x", "-H", self.url, "-D", MANAGER, "-y", str(self.folder / "password")]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=30, env=self._environment())

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LDAPTLS_CACERT": str(self.ca_file)}

    def _is_ready(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def person(name: str) -> str:
    """Return the distinguished name of somebody."""
    return f"uid={name},{PEOPLE}"


def group(name: str) -> str:
    """Return the distinguished name of a group."""
    return f"cn={name},{GROUPS}"
