# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of software inside a guest (namespace ``archipel:vm:guest``, all of it new here).

What a guest says is the word of the guest: whoever rules in it can make it say anything. Contents of files and of programs' output are
base64. Fields called private are those that the audit log leaves out.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest
from archipel.protocol.payload import (
    Payload,
    Request,
    at_least,
    at_most,
    at_most_characters,
    attribute,
    children,
    not_empty,
    payload,
    text,
    text_child,
)

FAILURE: Final = -18001  # of errors that have no number of their own, such as libvirt's
MOST_BYTES: Final = 131072  # of a file's part, of input, and of both outputs together: as base64, they fit in a stanza of 256 KiB
LONGEST_RUN: Final = 300  # seconds that a request waits for a program
LONGEST_ARGUMENT: Final = 32768
_LONGEST_PATH: Final = 4096


def _is_base64(value: str) -> str | None:
    try:
        size = len(decode(value, ""))
    except BadRequest:
        return "must be base64"
    return None if size <= MOST_BYTES else f"must have {MOST_BYTES} bytes at most, not {size}"


def decode(value: str, field: str) -> bytes:
    """Return the bytes of a base64 text; ``BadRequest`` names the ``field``."""
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(f"{field}: must be base64") from None


def encode(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


# -- info ---------------------------------------------------------------------------------------------------------------


@payload
class InterfaceAddress(Payload, tag="address"):
    """An address and the length of its network's prefix."""

    address: str = attribute()
    prefix: int = attribute(default=0)


@payload
class GuestInterface(Payload, tag="interface"):
    """A network interface as the guest names it."""

    name: str = attribute()
    mac: str = attribute(default="")
    addresses: tuple[InterfaceAddress, ...] = children()


@payload
class GuestUser(Payload, tag="user"):
    """Somebody who is logged in; ``login_time`` in seconds since 1970."""

    name: str = attribute()
    domain: str = attribute(default="")
    login_time: float | None = attribute(name="login", default=None)


@payload
class GuestFilesystem(Payload, tag="filesystem"):
    """A mounted file system; sizes in bytes."""

    mountpoint: str = attribute()
    type: str = attribute(default="")
    total: int | None = attribute(default=None)
    used: int | None = attribute(default=None)


@payload
class GuestSystem(Payload, tag="guest"):
    """What a guest says of itself; what it does not say is left out.

    ``time`` is in seconds since 1970, ``offset`` that of its time zone, in seconds.
    """

    hostname: str | None = attribute(default=None)
    os: str | None = attribute(default=None)
    name: str | None = attribute(default=None)
    version: str | None = attribute(default=None)
    kernel: str | None = attribute(default=None)
    machine: str | None = attribute(default=None)
    timezone: str | None = attribute(default=None)
    offset: int | None = attribute(default=None)
    time: float | None = attribute(default=None)
    interfaces: tuple[GuestInterface, ...] = children()
    users: tuple[GuestUser, ...] = children()
    filesystems: tuple[GuestFilesystem, ...] = children()


@payload
class GetGuest(Request[GuestSystem], namespace=ns.VM_GUEST, action="info", reads=True):
    """System, addresses, users and file systems of the guest."""


@payload
class PingGuest(Request[None], namespace=ns.VM_GUEST, action="ping", reads=True):
    """Whether the guest agent answers."""


# -- programs -----------------------------------------------------------------------------------------------------------


@payload
class Argument(Payload, tag="arg"):
    """One argument of a program, passed as it is: no shell reads it."""

    arg: str = text(at_most_characters(LONGEST_ARGUMENT), default="")


@payload
class Output(Payload, tag="output"):
    """What a program wrote to ``stream`` (stdout or stderr), in base64; ``truncated``: that is only its beginning."""

    stream: str = attribute()
    truncated: bool = attribute(default=False)
    data: str = text(default="")


@payload
class Execution(Payload, tag="exec"):
    """A program in the guest; ``exited`` false: it still ran when time was up, and ``execstatus`` asks for it by its ``pid``.

    ``exitcode`` is missing where a ``signal`` ended it. The output can be fetched once: the guest agent forgets it then.
    """

    pid: int = attribute()
    exited: bool = attribute()
    exitcode: int | None = attribute(default=None)
    signal: int | None = attribute(default=None)
    outputs: tuple[Output, ...] = children()


@payload
class Execute(Request[Execution], namespace=ns.VM_GUEST, action="exec"):
    """Run a program in the guest, and wait ``timeout`` seconds for its end."""

    path: str = attribute(not_empty, at_most_characters(_LONGEST_PATH))
    timeout: int = attribute(at_least(0), at_most(LONGEST_RUN), default=30)
    private_input: str = text_child(_is_base64, name="input", default="")
    arguments: tuple[Argument, ...] = children()


@payload
class GetExecution(Request[Execution], namespace=ns.VM_GUEST, action="execstatus"):
    """How a program is that was started by ``exec``."""

    pid: int = attribute(at_least(1))


# -- files --------------------------------------------------------------------------------------------------------------


@payload
class FilePart(Payload, tag="file"):
    """A part of a file, in base64: ``size`` bytes; ``eof``: the file ends with it."""

    path: str = attribute()
    size: int = attribute()
    eof: bool = attribute(default=False)
    data: str = text(default="")


@payload
class ReadFile(Request[FilePart], namespace=ns.VM_GUEST, action="fileread"):
    """Read a part of a file in the guest."""

    path: str = attribute(not_empty, at_most_characters(_LONGEST_PATH))
    offset: int = attribute(at_least(0), at_most(2**62), default=0)
    count: int = attribute(at_least(1), at_most(MOST_BYTES), default=MOST_BYTES)


@payload
class WrittenFile(Payload, tag="file"):
    """A file in the guest, and how many bytes were written to it."""

    path: str = attribute()
    size: int = attribute()


@payload
class WriteFile(Request[WrittenFile], namespace=ns.VM_GUEST, action="filewrite"):
    """Write a file in the guest anew, put something behind what stands in it, or write over a file that is there, from ``offset`` on."""

    path: str = attribute(not_empty, at_most_characters(_LONGEST_PATH))
    append: bool = attribute(default=False)
    offset: int | None = attribute(at_least(0), at_most(2**62), default=None)
    private_content: str = text_child(_is_base64, name="content")


# -- accounts, file systems, clock --------------------------------------------------------------------------------------


@payload
class SetPassword(Request[None], namespace=ns.VM_GUEST, action="setpassword"):
    """Set the password of an account of the guest; ``crypted``: it is a hash as the guest keeps them.

    The password is an element, because errors give a request's attributes back.
    """

    user: str = attribute(not_empty, at_most_characters(256))
    crypted: bool = attribute(default=False)
    password: str = text_child(not_empty, at_most_characters(1024))


@payload
class Filesystems(Payload, tag="filesystems"):
    """How many file systems were frozen or thawed."""

    count: int = attribute()


@payload
class Freeze(Request[Filesystems], namespace=ns.VM_GUEST, action="freeze"):
    """Write everything out and let nothing write until ``thaw``, as for a snapshot or backup."""


@payload
class Thaw(Request[Filesystems], namespace=ns.VM_GUEST, action="thaw"):
    """Let the guest write again."""


@payload
class FreezeState(Payload, tag="filesystems"):
    """Whether the guest's file systems are frozen."""

    frozen: bool = attribute()


@payload
class GetFreezeState(Request[FreezeState], namespace=ns.VM_GUEST, action="freezestatus", reads=True):
    """Whether nothing in the guest can write."""


@payload
class Clock(Payload, tag="time"):
    """The guest's time as it was read, in seconds since 1970, and by how much it differs from the host's."""

    seconds: float = attribute()
    offset: float = attribute()


@payload
class SetTime(Request[Clock], namespace=ns.VM_GUEST, action="synctime"):
    """Set the guest's clock by the host's."""


@payload
class GetTime(Request[Clock], namespace=ns.VM_GUEST, action="clock", reads=True):
    """The guest's time, and how far it is from the host's."""
