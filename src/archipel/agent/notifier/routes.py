# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes: which events are told to whom, and by which way; read from a TOML file that the configuration names."""

from __future__ import annotations

import fnmatch
import functools
import re
import ssl
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from archipel.agent.jids import account_jid
from archipel.agent.notifier.occurrences import Occurrence
from archipel.agent.options import EXISTING_FILE, SECRET_FILE, Kind, Section, optional
from archipel.agent.secret import Secret
from archipel.agent.web_fetch import is_loopback
from archipel.protocol.urls import HttpUrl, parse_http_url
from archipel.xmpp.tls import client_context

T = TypeVar("T")

MOST_ROUTES: Final = 50
MOST_RECIPIENTS: Final = 50
MOST_PER_MINUTE: Final = 600
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"\\()\[\]]{1,64}@[A-Za-z0-9.-]{1,253}")
_HOST: Final = re.compile(r"[A-Za-z0-9.:-]{1,253}")

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "alarms": ("health/alarm", "virtualmachine:control/crashed", "scheduler/jobfailed", "scheduler/jobmissed"),
    "crashes": ("virtualmachine:control/crashed",),
    "power": tuple(f"virtualmachine:control/{change}" for change in ("created", "shutdown", "crashed", "suspended", "resumed")),
    "machines": ("hypervisor/*", "virtualmachine:definition/*", "vmparking/*"),
    "migrations": ("*/migrat*",),
    "jobs": ("scheduler/*",),
    "drives": ("disk/*", "snapshoting/*", "storage/*"),
    "networks": ("network/*",),
    "rights": ("permissions/*", "subscription/*"),
    "failures": ("command/failed", "*/*error", "*/cannot-*", "scheduler/jobfailed", "scheduler/jobmissed"),
    "refusals": ("command/refused",),
    "commands": ("command/done",),
    "everything": ("*",),
}
FOUNDING: Final = ("power", "machines", "migrations")
"""What the founders' notifier told of, and what a route without ``events`` does."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail server: ``security`` is ``starttls``, ``tls`` or ``none``."""

    server: str
    port: int
    security: str
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password: Secret | None = None
    tls: ssl.SSLContext | None = None

    kind = "mail"

    @property
    def shown(self) -> str:
        """Where it goes, for people."""
        return ", ".join(self.to)


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A web service that takes JSON; ``secret`` signs it. Only its host is ever shown: the rest of an address may be a key."""

    url: HttpUrl
    secret: Secret | None = None
    tls: ssl.SSLContext | None = None

    kind = "webhook"

    @property
    def shown(self) -> str:
        """Where it goes, for people."""
        return self.url.origin


@dataclass(frozen=True, kw_only=True)
class Message:
    """Accounts that the hypervisor writes to."""

    to: tuple[str, ...]

    kind = "xmpp"

    @property
    def shown(self) -> str:
        """Where it goes, for people."""
        return ", ".join(self.to)


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way for the events that match ``patterns``; ``machines`` and ``tags`` narrow it down where they are given."""

    name: str
    events: tuple[str, ...]
    way: Mail | Webhook | Message
    machines: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    per_minute: int = 10

    def takes(self, what: Occurrence) -> bool:
        """Whether it is told of something."""
        patterns = [pattern for event in self.events for pattern in GROUPS.get(event, (event,))]
        return self.takes_from(what) and any(fnmatch.fnmatchcase(what.event, pattern) for pattern in patterns)

    def takes_from(self, what: Occurrence) -> bool:
        """Whether it is about an entity of this kind."""
        if self.machines and not any(fnmatch.fnmatchcase(word, own) for own in self.machines for word in (what.name, what.entity)):
            return False
        return not self.tags or not self.tags.isdisjoint(what.tags)


# -- reading --------------------------------------------------------------------------------------------------------------


class _Table:
    """A table of the file, whose keys are taken out one by one; what is left over is an error."""

    def __init__(self, place: str, values: object) -> None:
        if not isinstance(values, dict):
            raise ValueError(f"{place} is not a table")
        self._place, self._values = place, dict(values)

    def take(self, key: str, read: Callable[[Any], T], default: Any = ...) -> T:
        """Return a value; raises :class:`ValueError` that names it."""
        if key not in self._values:
            if default is ...:
                raise ValueError(f"{self._place}: {key} is missing")
            return default  # type: ignore[no-any-return] # of the type that read returns
        try:
            return read(self._values.pop(key))
        except (ValueError, OSError) as error:
            raise ValueError(f"{self._place}: {key}: {error}") from None

    def finish(self) -> None:
        """Raise :class:`ValueError` if anything is left over."""
        if self._values:
            raise ValueError(f"{self._place}: there is no {min(self._values)!r}")


def parse_routes(text: str) -> tuple[Route, ...]:
    """Return the routes of the file of that path; raises :class:`ValueError` that says what is wrong in it."""
    path = EXISTING_FILE.parse(text)
    try:
        document = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path}: {error}") from None
    top = _Table(str(path), document)
    listed = top.take("route", _listed)
    top.finish()
    routes = tuple(_read_route(f"{path}: route {number}", values) for number, values in enumerate(listed, start=1))
    names = [route.name for route in routes]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{path}: there are two routes {twice!r}")
    if len(routes) > MOST_ROUTES:
        raise ValueError(f"{path}: there are more than {MOST_ROUTES} routes")
    return routes


def _read_route(place: str, values: object) -> Route:
    table = _Table(place, values)
    ways = [table.take(name, functools.partial(read, f"{place}, {name}"), None) for name, read in _WAYS.items()]
    given = [way for way in ways if way is not None]
    if len(given) != 1:
        raise ValueError(f"{place}: needs one of {', '.join(_WAYS)}, and not more")
    route = Route(
        name=table.take("name", _match(_NAME, "lower-case letters, digits, dots and dashes")),
        events=table.take("events", _events, FOUNDING),
        way=given[0],
        machines=table.take("machines", _words, ()),
        tags=frozenset(table.take("tags", _words, ())),
        per_minute=table.take("per_minute", _number(1, MOST_PER_MINUTE), 10),
    )
    table.finish()
    return route


def _read_mail(place: str, values: object) -> Mail:
    table = _Table(place, values)
    server = table.take("server", _match(_HOST, "a server's name"))
    security = table.take("security", _one_of("starttls", "tls", "none"), "starttls")
    insecure = table.take("insecure_plaintext", _flag, False)
    if security == "none" and not insecure and not is_loopback(f"//{server}"):
        raise ValueError(f"{place}: security: without TLS everybody on the way reads the mail; insecure_plaintext = true allows it")
    mail = Mail(
        server=server,
        port=table.take("port", _number(1, 65535), {"starttls": 587, "tls": 465, "none": 25}[security]),
        security=security,
        sender=table.take("from", _match(_ADDRESS, "a mail address")),
        to=table.take("to", _list_of(_match(_ADDRESS, "a mail address"))),
        user=table.take("user", _text, ""),
        password=table.take("password_file", SECRET_FILE.parse, None),
        tls=_take_tls(table) if security != "none" else None,
    )
    table.finish()
    if bool(mail.user) != (mail.password is not None):
        raise ValueError(f"{place}: user and password_file belong together")
    return mail


def _read_webhook(place: str, values: object) -> Webhook:
    table = _Table(place, values)
    url = table.take("url", lambda found: parse_http_url(_text(found)))
    insecure = table.take("insecure_plaintext", _flag, False)
    if not url.secure and not insecure and not is_loopback(url.text):
        raise ValueError(f"{place}: url: is not https; insecure_plaintext = true allows it")
    hook = Webhook(url=url, secret=table.take("secret_file", SECRET_FILE.parse, None), tls=_take_tls(table) if url.secure else None)
    table.finish()
    return hook


def _read_message(place: str, values: object) -> Message:
    table = _Table(place, values)
    message = Message(to=table.take("to", _list_of(lambda found: account_jid(_text(found)))))
    table.finish()
    return message


_WAYS: Final[Mapping[str, Callable[[str, object], Mail | Webhook | Message]]] = {
    "mail": _read_mail,
    "webhook": _read_webhook,
    "xmpp": _read_message,
}


def _take_tls(table: _Table) -> ssl.SSLContext:
    path: Path | None = table.take("ca_file", lambda found: EXISTING_FILE.parse(_text(found)), None)
    try:
        return client_context(path)
    except ssl.SSLError:
        raise ValueError(f"ca_file: {path} holds no certificate in PEM") from None


def _text(found: object) -> str:
    if not isinstance(found, str) or not found or not found.isprintable():
        raise ValueError("is not a text of one line")
    return found


def _flag(found: object) -> bool:
    if not isinstance(found, bool):
        raise ValueError("is neither true nor false")
    return found


def _number(least: int, most: int) -> Callable[[object], int]:
    def read(found: object) -> int:
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
            raise ValueError(f"is not a whole number from {least} to {most}")
        return found

    return read


def _match(pattern: re.Pattern[str], meaning: str) -> Callable[[object], str]:
    def read(found: object) -> str:
        if not pattern.fullmatch(_text(found)):
            raise ValueError(f"{str(found)[:60]!r} is not {meaning}")
        return str(found)

    return read


def _one_of(*words: str) -> Callable[[object], str]:
    return _match(re.compile("|".join(words)), " or ".join(words))


def _listed(found: object) -> list[object]:
    if not isinstance(found, list) or not found:
        raise ValueError("is not a list with something in it")
    return found


def _list_of(read: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    def read_all(found: object) -> tuple[str, ...]:
        values = tuple(dict.fromkeys(map(read, _listed(found))))
        if len(values) > MOST_RECIPIENTS:
            raise ValueError(f"has more than {MOST_RECIPIENTS} entries")
        return values

    return read_all


_words = _list_of(_text)


def _events(found: object) -> tuple[str, ...]:
    words = _words(found)
    if wrong := next((word for word in words if word not in GROUPS and "/" not in word), None):
        raise ValueError(f"{wrong[:60]!r} is neither topic/change, as in docs/events.md, nor one of {', '.join(GROUPS)}")
    return words


NOTIFIER = Section("NOTIFIER")
ROUTES = Kind("the path of a TOML file with routes", parse_routes)


@dataclass(frozen=True, kw_only=True)
class NotifierSettings:
    """Who outside is told what."""

    routes: tuple[Route, ...] | None = NOTIFIER.option(
        "notifier_routes", optional(ROUTES), "", "Who is told what by mail, webhook or XMPP message (docs/notifications.md)."
    )
