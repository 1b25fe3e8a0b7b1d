# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an option of ``archipel.conf`` is declared: once, as a dataclass field with its section, name, kind and meaning.

A capability declares its own options in the same way: a frozen dataclass whose fields are made by :meth:`Section.option`.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from archipel.agent.jids import account_jid, bare_jid
from archipel.agent.secret import Secret

_DOMAIN = re.compile(r"[\w.-]+|\[[0-9a-fA-F:.]+\]")  # a host's name, an IPv4 address or a bracketed IPv6 address

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)


@dataclass(frozen=True)
class Kind(Generic[T]):
    """What an option takes (``takes`` completes the sentence "write ...") and how its text becomes a value.

    ``parse`` raises :class:`ValueError` with a text that says what is wrong.
    """

    takes: str
    parse: Callable[[str], T]


@dataclass(frozen=True)
class Option:
    """One option; ``attribute`` is its place in the settings, ``default`` its text as it would stand in the file."""

    section: str
    name: str
    kind: Kind[Any]
    default: str
    meaning: str
    secret: bool = False
    attribute: str = ""

    @property
    def label(self) -> str:
        """The option as people find it in the file."""
        return f"[{self.section}] {self.name}"


@dataclass(frozen=True)
class Section:
    """A section of the file, in which options are declared."""

    name: str

    def option(self, name: str, kind: Kind[T], default: str, meaning: str, *, secret: bool = False) -> T:
        """Declare a dataclass field that is read from this section's option ``name``.

        ``default`` is written as in the file: interpolation and ``@HOSTNAME@`` work in it. Where it is empty, the kind says
        whether the option may stay away.
        """
        return cast(T, dataclasses.field(metadata={"option": Option(self.name, name.lower(), kind, default, meaning, secret)}))


@dataclass(frozen=True)
class Problem:
    """What is wrong with the configuration, where, and how it is mended; never with a secret in it.

    ``line`` counts from 1; 0 is unknown. An empty ``section`` or ``option`` means the file or the section as a whole.
    """

    file: str
    line: int
    section: str
    option: str
    what: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        name = " ".join(part for part in (f"[{self.section}]" if self.section else "", self.option) if part)
        return f"{place}: {name + ': ' if name else ''}{self.what}. {self.fix}"


def declared_options(declaration: type[Any], prefix: str) -> Iterator[Option]:
    """Yield the options that a dataclass declares, ``prefix.field`` being their attributes."""
    for field in dataclasses.fields(declaration):
        if (found := field.metadata.get("option")) is not None:
            yield dataclasses.replace(found, attribute=f"{prefix}.{field.name}")


# -- kinds ----------------------------------------------------------------------------------------------------------


def optional(kind: Kind[T]) -> Kind[T | None]:
    """Return ``kind``, or nothing at all."""
    return Kind(f"{kind.takes}, or nothing", lambda text: kind.parse(text) if text else None)


def list_of(kind: Kind[T], *, blanks: bool = True) -> Kind[tuple[T, ...]]:
    """Return the kind of several values between commas, line ends or, with ``blanks``, blanks; each counts once."""
    between = "blanks or commas" if blanks else "commas or line ends"

    def parse(text: str) -> tuple[T, ...]:
        separated = text.replace(",", "\n")
        words = separated.split() if blanks else [word.strip() for word in separated.splitlines()]
        return tuple(dict.fromkeys(kind.parse(word) for word in words if word))

    return Kind(f"{kind.takes}; several with {between} between them", parse)


def choice(words: type[E]) -> Kind[E]:
    """Return the kind that takes one word of an enumeration."""
    listed = " or ".join(words)

    def parse(text: str) -> E:
        try:
            return words(text.lower())
        except ValueError:
            raise ValueError(f"{text!r} is none of: {listed}") from None

    return Kind(listed, parse)


def integer(least: int, most: int) -> Kind[int]:
    """Return the kind of whole numbers in a range, both ends included."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{text!r} is not a whole number")
        if not least <= int(text[:20]) <= most:
            raise ValueError(f"{text} is out of range")
        return int(text)

    return Kind(f"a whole number from {least} to {most}", parse)


def seconds(least: float, most: float) -> Kind[float]:
    """Return the kind of durations, in seconds."""
    return _number(least, most, "of seconds")


def per_second(least: float, most: float) -> Kind[float]:
    """Return the kind of rates, per second."""
    return _number(least, most, "per second")


def _number(least: float, most: float, unit: str) -> Kind[float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number {unit}") from None
        if not math.isfinite(value) or not least <= value <= most:
            raise ValueError(f"{text} is out of range")
        return value

    return Kind(f"a number {unit} from {least:g} to {most:g}", parse)


def _parse_text(text: str) -> str:
    if any(ord(character) < 32 and character not in "\t\n" for character in text):
        raise ValueError("control characters cannot stand here")
    return text


def _parse_word(text: str) -> str:
    if not text or text.split() != [text]:
        raise ValueError(f"{text!r} is not a single word" if text else "is missing")
    return _parse_text(text)


def _parse_boolean(text: str) -> bool:
    try:
        return ConfigParser.BOOLEAN_STATES[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def _parse_path(text: str) -> Path:
    path = Path(_parse_text(text))
    if not path.is_absolute():
        raise ValueError(f"{text!r} does not begin with a slash" if text else "is missing")
    return Path(os.path.normpath(path))


def _parse_file_name(text: str) -> str:
    if not text or "/" in _parse_text(text) or text in (".", ".."):
        raise ValueError(f"{text!r} is not the name of a file")
    return text


def _parse_existing_file(text: str) -> Path:
    path = _parse_path(text)
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    return path


def _parse_secret_file(text: str) -> Secret:
    path = _parse_path(text)
    try:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(4096)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"{path} may be read by others (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}")
    try:
        secret = content.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    if not secret:
        raise ValueError(f"{path} is empty")
    return Secret(secret)


def _parse_domain(text: str) -> str:
    if not text:
        raise ValueError("is missing")
    if not _DOMAIN.fullmatch(text):
        raise ValueError(f"{text!r} is not a server's name")
    return bare_jid(text)


def _parse_account(text: str) -> str:
    if not text:
        raise ValueError("is missing")
    if "/" in text:
        raise ValueError(f"{text!r} has a resource, which is not wanted here")
    return account_jid(text)


def _parse_machine_ip(text: str) -> str:
    if text in ("auto", "gateway_interface"):
        return text
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


class Host(NamedTuple):
    """Where an XMPP server listens; without a port the configured one counts."""

    name: str
    port: int | None = None


def _parse_host(text: str) -> Host:
    name, separator, port = text.rpartition(":")
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        separator, port = rest[:1], rest[1:]
    elif text.count(":") != 1:
        name, separator, port = text, "", ""
    if not name or (separator and separator != ":"):
        raise ValueError(f"{text!r} is not host or host:port")
    return Host(name, _parse_port(port) if separator else None)


_parse_port = integer(1, 65535).parse

TEXT = Kind("a text", _parse_text)
WORD = Kind("one word", _parse_word)
PATTERN = Kind("a name, or a shell pattern such as lab-* or *", _parse_word)
BOOLEAN = Kind("True or False", _parse_boolean)
PATH = Kind("a path that begins with /", _parse_path)
FILE_NAME = Kind("the name of a file, without its folder", _parse_file_name)
EXISTING_FILE = Kind("the path of a file that the agent can read", _parse_existing_file)
SECRET = Kind("a secret text", Secret)
SECRET_FILE = Kind("the path of a file of mode 0600 with nothing but the secret in it", _parse_secret_file)
DOMAIN = Kind("the name of a server", _parse_domain)
ACCOUNT = Kind("a bare JID, name@server", _parse_account)
MACHINE_IP = Kind("auto, gateway_interface or an IP address", _parse_machine_ip)
HOST = Kind("host or host:port ([address]:port for IPv6)", _parse_host)
PORT = integer(1, 65535)
