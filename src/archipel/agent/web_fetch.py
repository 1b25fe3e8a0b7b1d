# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading from the web what somebody else names: https, to addresses that may be reached, and never more than was agreed.

A name is resolved once, and the connection goes to an address that was checked: a name that means another address a moment later
reaches nothing. All of this blocks: it is for threads.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

AGENT: Final = "Mozilla/5.0 (compatible; Archipel)"  # servers of feeds know the founders as a browser
TIMEOUT: Final = 15.0  # seconds without a byte
MOST_REDIRECTIONS: Final = 5
CHUNK: Final = 1 << 18
_REDIRECTIONS: Final = frozenset({301, 302, 303, 307, 308})


class FetchFailed(Exception):
    """Nothing, or not all, was read; says why. ``lasting``: to try again is no use."""

    def __init__(self, text: str, *, lasting: bool = True) -> None:
        super().__init__(text)
        self.lasting = lasting


@dataclass(frozen=True)
class Reach:
    """What may be read: ``plain`` http, ``private`` addresses, the ``loopback`` (also by http), vouched for by ``authorities``."""

    plain: bool = False
    private: bool = False
    loopback: bool = False
    authorities: Path | None = None

    def for_feed(self, url: str) -> Reach:
        """Return the reach for a feed that somebody wrote down himself, and for what it names: the loopback only if it is there."""
        return replace(self, loopback=is_loopback(url))


def is_loopback(url: str) -> bool:
    """Whether an address names this host itself, in plain words."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def fetch(url: str, reach: Reach, most: int) -> bytes:
    """Return what is at ``url``, ``most`` bytes at most. Raises :class:`FetchFailed`."""
    with plainly(url), open_url(url, reach, {"Cache-Control": "no-cache"}) as answer:
        if answer.status != 200:
            raise FetchFailed(f"{_show(url)} answers {answer.status} {answer.reason}"[:300], lasting=answer.status < 500)
        content = answer.read(most + 1)
        if len(content) <= most and answer.length:
            raise FetchFailed(f"{_show(url)} broke off, {answer.length} bytes are missing", lasting=False)
    if len(content) > most:
        raise FetchFailed(f"{_show(url)} holds more than {most} bytes")
    return content


@contextlib.contextmanager
def open_url(url: str, reach: Reach, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
    """Yield the answer to a GET, after redirections, each of which is checked anew. Raises :class:`FetchFailed`, OSError."""
    for _ in range(MOST_REDIRECTIONS):
        parts = check_url(url, reach)
        connection = _connect(parts, reach)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers})
            answer = connection.getresponse()
            if answer.status not in _REDIRECTIONS:
                yield answer
                return
            url = urljoin(url, answer.getheader("Location") or "")
        finally:
            connection.close()
    raise FetchFailed(f"more than {MOST_REDIRECTIONS} redirections, the last to {_show(url)}")


def check_url(url: str, reach: Reach) -> SplitResult:
    """Return the parts of an address that may be read, as far as it can be told without asking for its name."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchFailed(f"{_show(url)} is no address") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise FetchFailed(f"{_show(url)}: only https is read here")
    if any(ord(letter) <= 32 or ord(letter) >= 127 for letter in url) or parts.username is not None or parts.password is not None:
        raise FetchFailed(f"{_show(url)} holds blanks, letters that are not ASCII, or a user's name")
    if parts.scheme == "http" and not (reach.plain or (reach.loopback and is_loopback(url))):
        raise FetchFailed(f"{_show(url)} is not https; insecure_http_feeds of [VMCASTING] would allow it")
    return parts


def _connect(parts: SplitResult, reach: Reach) -> http.client.HTTPConnection:
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchFailed(f"the name {host!r} is not known", lasting=False) from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        _check_address(host, address, reach)
    context = ssl.create_default_context(cafile=reach.authorities) if secure else None
    connection = _Connection(host, port, addresses, context)
    connection.connect()
    return connection


def _check_address(host: str, told: str, reach: Reach) -> None:
    address = ipaddress.ip_address(told.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback:
        allowed = reach.loopback
    elif address.is_link_local or address.is_multicast or address.is_unspecified:
        allowed = False
    else:
        allowed = address.is_global or reach.private
    if not allowed:
        text = f"{host} is at {address}, which is not read here; allow_private_feeds of [VMCASTING] allows private addresses"
        raise FetchFailed(text)


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were checked."""

    def __init__(self, host: str, port: int, addresses: list[str], context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=TIMEOUT)
        self._addresses, self._context = addresses, context
        self.default_port = 443 if context else 80  # what is left out of the Host header

    def connect(self) -> None:
        """Connect to the first address that answers."""
        for number, address in enumerate(self._addresses, 1):
            try:
                self.sock = socket.create_connection((address, self.port), TIMEOUT)
                break
            except OSError:
                if number == len(self._addresses):
                    raise
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


@contextlib.contextmanager
def plainly(url: str) -> Iterator[None]:
    """Let whatever the net does be a :class:`FetchFailed`."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise FetchFailed(f"{_show(url)}: the certificate does not count ({error.verify_message})") from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(f"{_show(url)} cannot be read: {error}"[:300], lasting=False) from error


def _show(url: str) -> str:
    """Return an address for people: without what follows the question mark, which may be a key."""
    return repr(url.partition("?")[0][:200])


@dataclass
class Progress:
    """How far a download is; ``total`` -1: nobody knows. ``stopped`` is asked between two pieces."""

    stopped: Callable[[], bool]
    done: int = 0
    total: int = -1

    @property
    def percentage(self) -> float:
        """Percent of the total; 0 if that is not known."""
        return round(min(100.0, 100.0 * self.done / self.total), 1) if self.total > 0 else 0.0
