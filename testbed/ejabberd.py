# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away ejabberd on loopback: own folder, own ports, any user; no systemd, no epmd, no cookie."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

from testbed.certificates import Authority, make_authority
from testbed.daemon import Daemon, DaemonError
from testbed.ports import LOOPBACK, choose_free_ports

TEMPLATE = Path(__file__).with_suffix(".yml")
SETTINGS = "settings.json"
# SCRAM-SHA-256 is what is left; PLAIN only goes when nobody asked for it.
REFUSED_MECHANISMS = ("DIGEST-MD5", "X-OAUTH2", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS")
# What the owner of the folder may call.
# Kilowords for each kind of scheduler, the most there is (erl(1)). The library that writes XML calls itself for each level: with the
# usual 128 a message of 28 KB, 4000 elements deep, from anybody with an account ends the server by a segmentation fault (23.01).
BIG_STACKS = ("+sss", "8192", "+sssdcpu", "8192", "+sssdio", "8192")
API_COMMANDS = (
    "add_rosteritem",
    "change_password",
    "check_account",
    "connected_users",
    "delete_rosteritem",
    "get_roster",
    "kick_session",
    "register",
    "registered_users",
    "srg_create",
    "srg_delete",
    "srg_user_add",
    "srg_user_del",
    "status",
    "unregister",
)
# What administrators may call, with their passwords.
GROUP_COMMANDS = ("srg_create", "srg_delete", "srg_get_info", "srg_get_members", "srg_list", "srg_user_add", "srg_user_del")
# Erlang's resolver must ask nobody: without these lines it reads the machine's own configuration.
NAME_LOOKUP = """{lookup, ["file"]}.
{resolv_conf, "/dev/null"}.
{hosts_file, "/dev/null"}.
{host, {127,0,0,1}, ["localhost"]}.
"""


class EjabberdError(Exception):
    """The server did not start, or refused a call of its API; the message is what it said."""


@dataclass(frozen=True)
class EjabberdSettings:
    """What decides the configuration of a server; kept in its folder, so that another process can open it again."""

    domain: str
    port: int
    api_port: int
    api_path: str
    websocket_port: int | None
    hypervisors: tuple[str, ...]
    admins: tuple[str, ...]
    plain_inside_tls: bool
    patient: bool = False
    administration_port: int | None = None

    @classmethod
    def read(cls, file: Path) -> EjabberdSettings:
        """Read what `make_ejabberd` wrote."""
        stored: dict[str, Any] = json.loads(file.read_text())
        return cls(**stored | {name: tuple(stored[name]) for name in ("hypervisors", "admins")})


class Ejabberd:
    """One server: made by `make_ejabberd`, opened again by ``Ejabberd(folder)``.

    Its clients need `host`, `port`, `domain` and `ca_file`. TLS is required; SCRAM-SHA-256 is the only mechanism.
    """

    host = LOOPBACK

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.settings = EjabberdSettings.read(self.folder / SETTINGS)
        self._daemon = Daemon("beam", self.folder)

    @property
    def domain(self) -> str:
        """The XMPP domain of all accounts; ``pubsub.DOMAIN`` is the PubSub service."""
        return self.settings.domain

    @property
    def port(self) -> int:
        """The port for clients (STARTTLS)."""
        return self.settings.port

    @property
    def websocket_url(self) -> str:
        """The address for clients that speak XMPP over WebSocket (RFC 7395). Raises ValueError when there is none."""
        if self.settings.websocket_port is None:
            raise ValueError("this server was made without a WebSocket listener; make it with websocket=True")
        return f"wss://{self.host}:{self.settings.websocket_port}/xmpp"

    @property
    def administration_url(self) -> str:
        """Where administrators call `GROUP_COMMANDS`. Raises ValueError when there is no such listener."""
        if self.settings.administration_port is None:
            raise ValueError("this server was made by an older version, without a listener for administrators; make it anew")
        return f"https://{self.host}:{self.settings.administration_port}/api"

    @property
    def ca_file(self) -> Path:
        """The certificate that clients must trust."""
        return self.folder / "ca.pem"

    @property
    def pid(self) -> int | None:
        """The process of the server, None when it does not run."""
        return self._daemon.pid

    def start(self) -> None:
        """Start it and wait until it serves clients. Raises EjabberdError with the server's own words, a wrong option named."""
        try:
            self._daemon.start(self._make_command(), self._make_environment(), self._is_ready)
        except DaemonError as error:
            raise EjabberdError(f"ejabberd did not start: {self._read_errors() or error}") from error

    def stop(self) -> None:
        """End it cleanly: one to two seconds."""
        self._daemon.stop()

    def kill(self) -> None:
        """End it as a crash would.

        What was acknowledged in the last two seconds may be lost: Erlang's disk_log hands mnesia's log to the kernel that late.
        """
        self._daemon.kill()

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def register(self, user: str, password: str) -> None:
        """Make an account. Raises EjabberdError, also when there is one of that name."""
        self.call("register", user=user, host=self.domain, password=password)

    def unregister(self, user: str) -> None:
        """Remove an account; its sessions end."""
        self.call("unregister", user=user, host=self.domain)

    def add_contact(self, user: str, contact: str) -> None:
        """Put the account ``contact`` into the roster of ``user``, both seeing each other's presence as far as this roster says."""
        arguments = {"localuser": user, "localhost": self.domain, "user": contact, "host": self.domain, "nick": "", "subs": "both"}
        try:
            self.call("add_rosteritem", **arguments, group="")
        except EjabberdError as error:
            if "unknown arguments" not in str(error):
                raise
            self.call("add_rosteritem", **arguments, groups=[])  # so since ejabberd 23.10

    def call(self, command: str, **arguments: str | list[str]) -> object:
        """Call one of `API_COMMANDS`; no secret is seen in a list of processes.

        Returns the JSON value of the answer. Raises EjabberdError when the server refuses or cannot be reached.
        """
        connection = http.client.HTTPConnection(self.host, self.settings.api_port, timeout=30)
        # The name in Host is that of a domain of the server, else it warns in its log.
        headers = {"Content-Type": "application/json", "Host": self.domain}
        try:
            connection.request("POST", f"{self.settings.api_path}/{command}", json.dumps(arguments), headers)
            response = connection.getresponse()
            body = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise EjabberdError(f"{command}: ejabberd does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise EjabberdError(f"{command}: {body}")
        return json.loads(body)

    def _make_command(self) -> list[str]:
        # Without -sname there is no distribution: nothing listens for other nodes and no epmd is started.
        return ["erl", "+K", "true", "+P", "250000", *BIG_STACKS, "-mnesia", "dir", '"spool"', "-s", "ejabberd", "-noinput"]

    def _make_environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "EJABBERD_CONFIG_PATH": "ejabberd.yml",
            "EJABBERD_LOG_PATH": "logs/ejabberd.log",
            "ERL_CRASH_DUMP_BYTES": "0",
            "ERL_INETRC": "inetrc",
            "ERL_LIBS": str(_find_libraries()),
            "ERL_MAX_PORTS": "65536",
        }

    def _is_ready(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
            self.call("status")
        except (OSError, EjabberdError):
            return False
        return True

    def _read_errors(self) -> str:
        log = self.folder / "logs" / "ejabberd.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(re.findall(r"^\S+ \S+ \[(?:critical|error)\] (?:<[\d.]+>@\S+ )?(.*)$", text, re.MULTILINE)[-5:])


def _make_folders(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("logs", "spool"):
        (folder / name).mkdir(exist_ok=True)


def make_ejabberd(
    folder: Path,
    domain: str,
    authority: Authority | None = None,
    *,
    hypervisors: Sequence[str] = ("hypervisor",),
    admins: Sequence[str] = ("admin",),
    plain_inside_tls: bool = False,
    websocket: bool = False,
    patient: bool = False,
) -> Ejabberd:
    """Make the folder of a new server, not yet started.

    Each of ``hypervisors`` (account names) may register and remove accounts whose name is a UUID, as a hypervisor does for its
    virtual machines. ``plain_inside_tls`` offers SASL PLAIN too: clients of the founding time know nothing better. With
    ``websocket`` browsers can come in, see `Ejabberd.websocket_url`. A ``patient`` server keeps sessions that answer no ping.
    Raises CertificateError, and OSError without free ports.
    """
    _make_folders(folder)
    port, api_port, websocket_port, administration_port = choose_free_ports(4)
    settings = EjabberdSettings(
        domain=domain,
        port=port,
        api_port=api_port,
        api_path=f"/{secrets.token_hex(16)}",
        websocket_port=websocket_port if websocket else None,
        hypervisors=tuple(hypervisors),
        admins=tuple(admins),
        plain_inside_tls=plain_inside_tls,
        patient=patient,
        administration_port=administration_port,
    )
    authority = authority or make_authority(folder / "authority")
    authority.issue(domain, folder)
    (folder / "ca.pem").write_bytes(authority.certificate.read_bytes())
    (folder / "inetrc").write_text(NAME_LOOKUP)
    (folder / "ejabberd.yml").write_text(_render_configuration(settings))
    (folder / SETTINGS).write_text(json.dumps(asdict(settings)))
    return Ejabberd(folder)


def _render_configuration(settings: EjabberdSettings) -> str:
    refused = REFUSED_MECHANISMS if settings.plain_inside_tls else ("PLAIN", *REFUSED_MECHANISMS)
    words = {
        "address": LOOPBACK,
        "administration_port": settings.administration_port,
        "admins": [f"{name}@{settings.domain}" for name in settings.admins],
        "api_path": settings.api_path,
        "api_port": settings.api_port,
        "authority": "ca.pem",
        "certificate": "server.pem",
        "commands": API_COMMANDS,
        "domain": settings.domain,
        "group_commands": GROUP_COMMANDS,
        "hypervisors": [f"{name}@{settings.domain}" for name in settings.hypervisors],
        "ping_timeout_action": "none" if settings.patient else "kill",
        "port": settings.port,
        "refused_mechanisms": refused,
    }
    # JSON is YAML, whatever a name holds.
    text = Template(TEMPLATE.read_text()).substitute({name: json.dumps(value) for name, value in words.items()})
    if settings.websocket_port is None:
        return text
    listener = {
        "port": settings.websocket_port,
        "ip": LOOPBACK,
        "module": "ejabberd_http",
        "tls": True,
        "request_handlers": {"/xmpp": "ejabberd_http_ws"},
    }
    return text.replace("\nlisten:\n", f"\nlisten:\n  - {json.dumps(listener)}\n", 1)


def _find_libraries() -> Path:
    """The folder of Debian's Erlang packages (its name has the machine's architecture). Raises EjabberdError."""
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin"))
    if not found:
        raise EjabberdError("no ejabberd in /usr/lib/*/: install Debian's package ejabberd (tools/bootstrap does)")
    return found[-1].parent.parent
