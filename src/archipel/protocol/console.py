# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Screens and terminals of virtual machines (namespaces ``archipel:virtualmachine:vnc`` and ``archipel:vm:console``)."""

from __future__ import annotations

import enum
from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.payload import Payload, Request, attribute, payload

FAILURE: Final = -1010  # the founders' code of errors about displays
TOPIC: Final = "virtualmachine:vnc"


@about(TOPIC)
class DisplayChange(Change):
    """Whether a machine's display can be reached."""

    SERVED = "websocketvncstart", "the display can be reached through the agent"
    NOT_SERVED = "websocketvncstop", "it no longer can"


NO_PORT: Final = -1


class ConsoleKind(enum.StrEnum):
    """What can be looked at."""

    VNC = "vnc"
    TEXT = "text"


def _is_kind(value: str) -> str | None:
    return None if value in set(ConsoleKind) else f"must be {' or '.join(ConsoleKind)}, not {value[:40]!r}"


@payload
class Display(Payload, tag="display"):
    """The first graphics device of a machine; no attribute at all where it has none.

    ``port`` is that of the display itself, ``proxy`` where founding clients reach it by WebSocket; -1 stands for none (now).
    """

    type: str | None = attribute(default=None)
    port: int | None = attribute(default=None)
    proxy: int | None = attribute(default=None)
    host: str | None = attribute(default=None)
    only_tls: bool | None = attribute(name="onlyssl", default=None, words=("False", "True"))
    supports_tls: bool | None = attribute(name="supportssl", default=None, words=("False", "True"))


@payload
class GetDisplay(Request[Display], namespace=ns.VM_VNC, action="display", reads=True):
    """Where the machine's display is."""


@payload
class ConsoleLink(Payload, tag="console"):
    """A way to a console that works once, for the asker, within ``lifetime`` seconds.

    ``url`` is a page for a browser; other programs open ``websocket`` with the subprotocols ``binary`` and
    ``archipel.token.TOKEN``.
    """

    kind: str = attribute()
    url: str = attribute()
    websocket: str = attribute()
    token: str = attribute()
    lifetime: int = attribute()


@payload
class OpenConsole(Request[ConsoleLink], namespace=ns.VM_CONSOLE, action="token"):
    """New here: ask for a link to the machine's screen (``vnc``) or serial console (``text``)."""

    kind: str = attribute(_is_kind, default=str(ConsoleKind.VNC))


@payload
class OpenChat(Request[None], namespace=ns.VM_CONSOLE, action="chat"):
    """New here: make the chat with the asker's client a session at the serial console."""


@payload
class CloseChat(Request[None], namespace=ns.VM_CONSOLE, action="endchat"):
    """New here: end that session."""
