# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ejabberd's own API (``mod_http_api``), for what XMPP has no commands for; who logs in there is the session's account.

Account and password travel inside TLS, or to this host itself, and nowhere else.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import ipaddress
import json
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from archipel.client.errors import ClientError
from archipel.client.settings import ConnectionSettings
from archipel.xmpp.tls import client_context

API_PORT: Final = 5443  # of Debian's packaged configuration
API_PATH: Final = "/api"
LONGEST_WORDS: Final = 300


class ServerApiFailed(ClientError):
    """ejabberd's API cannot be reached, or refuses; the text names the command, and what to do."""


class BadArguments(ServerApiFailed):
    """The API does not take the arguments of a call; versions of ejabberd differ in some."""


@dataclass(frozen=True)
class _Address:
    """Where the API is: a host, or a socket of this one."""

    url: str
    split: SplitResult

    @classmethod
    def read(cls, url: str) -> _Address:
        """Return the parts of an address. Raises :class:`ValueError`."""
        split = urlsplit(url)
        if split.scheme == "unix" and split.path.startswith("/") and not split.netloc:
            return cls(url, split)
        if split.scheme not in {"http", "https"} or not split.hostname or split.username or split.query:
            raise ValueError(
                f"api_url: {url!r} is no address such as https://example.org:{API_PORT}{API_PATH} or unix:/run/ejabberd/api.sock"
            )
        if split.scheme == "http" and not _is_loopback(split.hostname):
            raise ValueError(f"api_url: {url} would show the password to everybody on the way; use https")
        return cls(url, split)

    @property
    def path(self) -> str:
        return API_PATH if self.split.scheme == "unix" else self.split.path.rstrip("/")


class ServerApi:
    """The API at ``url``, or where Debian's ejabberd has it. The certificate must name the account's domain, as for XMPP."""

    def __init__(self, settings: ConnectionSettings, url: str | None = None) -> None:
        self._settings = settings
        self.domain = settings.domain
        self._address = _Address.read(url or f"https://{settings.host or settings.domain}:{API_PORT}{API_PATH}")

    async def call(self, command: str, **arguments: Any) -> Any:
        """Call a command and return its answer. Raises :class:`ServerApiFailed`."""
        return await asyncio.to_thread(self._call, command, arguments)

    def _call(self, command: str, arguments: dict[str, Any]) -> Any:
        login = base64.b64encode(f"{self._settings.jid}:{self._settings.password}".encode()).decode()
        # The name in Host is that of a domain of the server, else it warns in its log.
        headers = {"Content-Type": "application/json", "Host": self.domain, "Authorization": f"Basic {login}"}
        try:
            connection = self._connect()
            try:
                connection.request("POST", f"{self._address.path}/{command}", json.dumps(arguments), headers)
                response = connection.getresponse()
                body = response.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise ServerApiFailed(
                f"{self._address.url}: {command}: ejabberd's API does not answer: {error or type(error).__name__}; "
                "option api_url or ARCHIPEL_API_URL says where it is"
            ) from None
        return self._read(command, response.status, body)

    def _connect(self) -> http.client.HTTPConnection:
        address, timeout = self._address.split, self._settings.timeout
        if address.scheme == "https":
            return _NamedConnection(self.domain, self._settings, address.hostname or "", address.port)
        connection = http.client.HTTPConnection(address.hostname or self.domain, address.port, timeout=timeout)
        if address.scheme == "unix":
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(timeout)
            connection.sock.connect(address.path)
        return connection

    def _read(self, command: str, status: int, body: bytes) -> Any:
        text = body.decode("utf-8", "replace")
        if status != HTTPStatus.OK:
            raise self._explain(command, status, text[:LONGEST_WORDS])
        try:
            return json.loads(text)
        except ValueError:
            raise ServerApiFailed(f"{self._address.url}: {command}: the answer is no JSON: {text[:LONGEST_WORDS]!r}") from None

    def _explain(self, command: str, status: int, text: str) -> ServerApiFailed:
        where, who = f"{self._address.url}: {command}", self._settings.jid
        if status == HTTPStatus.UNAUTHORIZED:
            return ServerApiFailed(f"{where}: ejabberd does not take account and password of {who} ({text})")
        if status == HTTPStatus.FORBIDDEN:
            return ServerApiFailed(f"{where}: {who} may not call it: its access must be in ejabberd's api_permissions ({text})")
        if status == HTTPStatus.NOT_FOUND:
            return ServerApiFailed(
                f"{where}: there is no such command: ejabberd needs mod_http_api at that path, and mod_admin_extra ({text})"
            )
        kind = BadArguments if status == HTTPStatus.BAD_REQUEST else ServerApiFailed
        return kind(f"{where}: ejabberd answered {status}: {text}")


class _NamedConnection(http.client.HTTPSConnection):
    """A connection whose other side must prove to be a certain domain, whatever address it has."""

    def __init__(self, domain: str, settings: ConnectionSettings, host: str, port: int | None) -> None:
        self._tls = client_context(settings.ca_file)
        super().__init__(host, port, timeout=settings.timeout, context=self._tls)
        self._domain = domain

    def connect(self) -> None:
        """Connect, and look at the certificate."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._domain)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
