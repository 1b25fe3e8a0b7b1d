# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the protocol: what a refused or failed command answers, on both ends of the wire.

A founding client reads the numeric code, the type and the text, and looks for ``archipel-error-permission``.
An XMPP library of today reads the condition of RFC 6120. Every error carries all of it.
"""

from __future__ import annotations

import enum
import re
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.xml import child_named, local_name, namespace_of


class ErrorCode(enum.IntEnum):
    """Codes of the founding protocol; some names share one number because the founders reused it."""

    NOT_WELL_FORMED = -42
    PERMISSION = -1
    SCHEDULER = -1
    MIGRATING = -43
    LIST_AVATARS = -1
    SET_AVATAR = -2
    GET_RIGHTS = -4
    SET_RIGHTS = -5
    LIST_RIGHTS = -6
    SET_TAGS = -7
    ADD_SUBSCRIPTION = -8
    REMOVE_SUBSCRIPTION = -9
    GET_ROSTER = -450001
    AUDIT = -460001
    NOT_IMPLEMENTED = 501
    INTERNAL = 500
    UNAVAILABLE = 503

    ALLOC = -9001
    FREE = -9002
    ROSTER_VM = -9003
    CLONE = -9004
    IP = -9005
    HYPERVISOR_CAPABILITIES = -9009
    MANAGE = -9010
    UNMANAGE = -9011
    SET_ORGANISATION = -9013
    NODE_INFO = -9014

    HEALTH_HISTORY = -8001
    HEALTH_INFO = -8002
    HEALTH_LOGS = -8003

    CREATE = -1001
    SUSPEND = -1002
    RESUME = -1003
    DESTROY = -1004
    SHUTDOWN = -1005
    REBOOT = -1006
    DEFINE = -1007
    UNDEFINE = -1008
    INFO = -1009
    XML_DESC = -1011
    AUTOSTART = -1015
    MEMORY = -1016
    NETWORK_INFO = -1017
    VM_CAPABILITIES = -1019
    VM_FREE = -1020
    SCREENSHOT = -1021

    TAKE_SNAPSHOT = -2001
    GET_SNAPSHOTS = -2002
    CURRENT_SNAPSHOT = -2003
    DELETE_SNAPSHOT = -2004
    REVERT_SNAPSHOT = -2005
    NO_DISK_FOR_SNAPSHOT = -2006


class Condition(enum.StrEnum):
    """The defined conditions of RFC 6120, 8.3.3, that this platform sends."""

    BAD_REQUEST = "bad-request"
    CONFLICT = "conflict"
    FEATURE_NOT_IMPLEMENTED = "feature-not-implemented"
    FORBIDDEN = "forbidden"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    ITEM_NOT_FOUND = "item-not-found"
    NOT_ACCEPTABLE = "not-acceptable"
    NOT_ALLOWED = "not-allowed"
    RESOURCE_CONSTRAINT = "resource-constraint"
    SERVICE_UNAVAILABLE = "service-unavailable"
    REMOTE_SERVER_TIMEOUT = "remote-server-timeout"
    UNDEFINED_CONDITION = "undefined-condition"
    UNEXPECTED_REQUEST = "unexpected-request"


class CommandError(Exception):
    """A command was refused or failed; the text says what is wrong and what to do.

    ``code`` is the founding code (for libvirt's errors: libvirt's own number; None: that of the command that failed),
    ``namespace`` one of the three error namespaces, ``condition`` the condition of RFC 6120.
    """

    namespace = ns.ERROR_GENERIC
    condition = Condition.UNDEFINED_CONDITION

    def __init__(self, text: str, code: int | None = None, condition: Condition | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        if condition is not None:
            self.condition = condition


class BadRequest(CommandError):
    """The request is not what the protocol says: a field is missing, of the wrong type or out of range."""

    condition = Condition.BAD_REQUEST

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text, code)


class PermissionDenied(CommandError):
    """The sender lacks a right; ``right`` names it where that may be told."""

    namespace = ns.ERROR_PERMISSION
    condition = Condition.FORBIDDEN

    def __init__(self, text: str, right: str | None = None) -> None:
        super().__init__(text, ErrorCode.PERMISSION)
        self.right = right


class LibvirtFailed(CommandError):
    """libvirt refused or failed; ``code`` is libvirt's error number (virErrorNumber)."""

    namespace = ns.ERROR_LIBVIRT
    condition = Condition.INTERNAL_SERVER_ERROR


class NotImplementedByEntity(CommandError):
    """The entity knows no such action."""

    condition = Condition.FEATURE_NOT_IMPLEMENTED

    def __init__(self, text: str) -> None:
        super().__init__(text, ErrorCode.NOT_IMPLEMENTED)


class Unavailable(CommandError):
    """The entity cannot act just now (libvirt is not reachable, the machine is being freed): try again later."""

    condition = Condition.SERVICE_UNAVAILABLE

    def __init__(self, text: str, code: int = ErrorCode.UNAVAILABLE) -> None:
        super().__init__(text, code)


class RemoteError(CommandError):
    """An error stanza that carries no error of this protocol: the server's own, or of another entity."""


LONGEST_TEXT: Final = 4000  # characters of an error's text; a policy that names every violation fits in
_CONDITIONS = frozenset(str(condition) for condition in Condition)
_FOOTER = re.compile(r"\n\n[^\n]*\n[^\n]*\Z")  # namespace and action, which error_element puts after the text
_FROM_NAMESPACE: dict[str, type[CommandError]] = {
    ns.ERROR_LIBVIRT: LibvirtFailed,
    ns.ERROR_GENERIC: CommandError,
}


def shorten(text: str, longest: int = 200) -> str:
    """Return ``text``, or its beginning: what somebody else wrote is given back only so far.

    An answer that repeats a request of the largest size that the server takes would itself be larger, and end the stream.
    """
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def error_element(error: CommandError, namespace: str, action: str) -> ET.Element:
    """Return the ``<error/>`` of an answer to ``action`` in ``namespace``.

    The order is RFC 6120's: condition, text, application element. The type stays ``cancel`` as founding clients know
    it. The two lines after the text are the founders' and tell which command it was.
    """
    element = ET.Element(
        f"{{{ns.CLIENT}}}error", {"code": str(int(ErrorCode.INTERNAL if error.code is None else error.code)), "type": "cancel"}
    )
    ET.SubElement(element, f"{{{ns.STANZAS}}}{error.condition}")
    text = ET.SubElement(element, f"{{{ns.STANZAS}}}text")
    text.text = f"{shorten(error.text, LONGEST_TEXT)}\n\n{shorten(namespace)}\n{shorten(action)}"
    application = ET.SubElement(element, f"{{{error.namespace}}}{error.namespace.replace(':', '-')}")
    if isinstance(error, PermissionDenied) and error.right:
        application.set("right", error.right)
    return element


def read_error(iq: ET.Element) -> CommandError:
    """Return the typed error of an IQ of type ``error``."""
    element = child_named(iq, "error")
    if element is None:
        return RemoteError("error without a reason")
    namespace: str | None = None
    right: str | None = None
    condition, text = Condition.UNDEFINED_CONDITION, ""
    for child in element:
        child_namespace, name = namespace_of(child.tag), local_name(child.tag)
        if child_namespace == ns.ERROR_PERMISSION or child_namespace in _FROM_NAMESPACE:
            namespace, right = child_namespace, child.get("right")
        elif name == "text":
            text = text or (child.text or "")
        elif name in _CONDITIONS:
            condition = Condition(name)
    text = text if namespace is None else _FOOTER.sub("", text)
    return _typed(namespace, text or str(condition), _number(element.get("code")), condition, right)


def _typed(namespace: str | None, text: str, code: int, condition: Condition, right: str | None) -> CommandError:
    if namespace == ns.ERROR_PERMISSION:
        return PermissionDenied(text, right)
    return _FROM_NAMESPACE.get(namespace or "", RemoteError)(text, code, condition)


def _number(value: str | None) -> int:
    try:
        return int(value or "")
    except ValueError:
        return int(ErrorCode.INTERNAL)
