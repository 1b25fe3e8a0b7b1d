# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors on the wire: written for old and new clients at once, read from old and new agents."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import (
    BadRequest,
    CommandError,
    Condition,
    ErrorCode,
    LibvirtFailed,
    NotImplementedByEntity,
    PermissionDenied,
    RemoteError,
    Unavailable,
    error_element,
    read_error,
)
from tests.unit.protocol.golden import canonical, normal, off_the_wire, xml

NS, ACTION = "archipel:vm:control", "create"


def stanza(content: str) -> ET.Element:
    return xml(f"<iq xmlns='{ns.CLIENT}' type='error'><query xmlns='{NS}'/>{content}</iq>")


def over_the_wire(error: CommandError) -> CommandError:
    iq = ET.Element(f"{{{ns.CLIENT}}}iq", {"type": "error"})
    iq.append(error_element(error, NS, ACTION))
    return read_error(off_the_wire(iq))


def test_an_error_has_condition_text_and_application_element_in_this_order() -> None:
    written = error_element(PermissionDenied("you may not", "create"), NS, ACTION)
    assert canonical(written) == normal(
        f"<error xmlns='{ns.CLIENT}' code='-1' type='cancel'><forbidden xmlns='{ns.STANZAS}'/>"
        f"<text xmlns='{ns.STANZAS}'>you may not\n\n{NS}\n{ACTION}</text>"
        f"<archipel-error-permission xmlns='{ns.ERROR_PERMISSION}' right='create'/></error>"
    )


@pytest.mark.parametrize(
    "error,code,application,condition",
    [
        (CommandError("x"), 500, "archipel-error-generic", "undefined-condition"),
        (CommandError("x", ErrorCode.ALLOC, Condition.CONFLICT), -9001, "archipel-error-generic", "conflict"),
        (BadRequest("x", ErrorCode.NOT_WELL_FORMED), -42, "archipel-error-generic", "bad-request"),
        (PermissionDenied("x"), -1, "archipel-error-permission", "forbidden"),
        (LibvirtFailed("x", 55), 55, "libvirt-error-generic", "internal-server-error"),
        (NotImplementedByEntity("x"), 501, "archipel-error-generic", "feature-not-implemented"),
        (Unavailable("x"), 503, "archipel-error-generic", "service-unavailable"),
    ],
)
def test_each_class_has_its_code_namespace_and_condition(error: CommandError, code: int, application: str, condition: str) -> None:
    written = error_element(error, NS, ACTION)
    assert (written.get("code"), written.get("type")) == (str(code), "cancel")
    assert [child.tag.rpartition("}")[2] for child in written] == [condition, "text", application]


@pytest.mark.parametrize(
    "error,read_as",
    [
        (CommandError("x", 7), CommandError),
        (BadRequest("x", -5), CommandError),
        (PermissionDenied("x", "create"), PermissionDenied),
        (PermissionDenied("x"), PermissionDenied),
        (LibvirtFailed("x", 55), LibvirtFailed),
        (NotImplementedByEntity("x"), CommandError),
        (Unavailable("x"), CommandError),
    ],
)
def test_each_class_is_read_back_with_all_that_it_says(error: CommandError, read_as: type[CommandError]) -> None:
    found = over_the_wire(error)
    assert type(found) is read_as
    assert (found.text, found.code, found.condition, found.namespace) == (error.text, error.code, error.condition, error.namespace)
    assert getattr(found, "right", None) == getattr(error, "right", None)


@pytest.mark.parametrize("code", list(ErrorCode), ids=str)
def test_every_code_survives_the_wire(code: ErrorCode) -> None:
    assert over_the_wire(CommandError("x", code)).code == code


@pytest.mark.parametrize("condition", list(Condition))
def test_every_condition_survives_the_wire(condition: Condition) -> None:
    assert over_the_wire(CommandError("x", 1, condition)).condition == condition


def test_a_text_of_several_paragraphs_is_read_whole() -> None:
    assert over_the_wire(CommandError("first\n\nsecond\n\nthird", 1)).text == "first\n\nsecond\n\nthird"


@pytest.mark.parametrize(
    "application,kind,code",
    [
        ("archipel-error-permission xmlns='archipel:error:permission'", PermissionDenied, -1),
        ("archipel-error-generic xmlns='archipel:error:generic'", CommandError, -9001),
        ("libvirt-error-generic xmlns='libvirt:error:generic'", LibvirtFailed, 42),
    ],
)
def test_an_error_of_a_founding_agent_is_readable(application: str, kind: type[CommandError], code: int) -> None:
    """No condition of RFC 6120, the text without a namespace of its own."""
    found = read_error(stanza(f"<error code='{code}' type='cancel'><{application}/><text>it failed\n\n{NS}\n{ACTION}</text></error>"))
    assert type(found) is kind
    assert (found.text, found.code) == ("it failed", code)


def test_an_error_of_a_server_is_a_remote_error() -> None:
    found = read_error(stanza(f"<error type='wait'><remote-server-timeout xmlns='{ns.STANZAS}'/></error>"))
    assert type(found) is RemoteError
    assert (found.text, found.code, found.condition) == ("remote-server-timeout", 500, Condition.REMOTE_SERVER_TIMEOUT)


def test_the_text_of_a_server_is_taken_as_it_is() -> None:
    found = read_error(stanza(f"<error><conflict xmlns='{ns.STANZAS}'/><text xmlns='{ns.STANZAS}'>a\n\nb</text></error>"))
    assert found.text == "a\n\nb"


@pytest.mark.parametrize("code", ["", "x", "1.5", "9" * 5000])
def test_a_code_that_is_no_number_is_an_internal_error(code: str) -> None:
    assert read_error(stanza(f"<error code='{code}'/>")).code == ErrorCode.INTERNAL


def test_an_error_stanza_without_an_error_says_so() -> None:
    assert read_error(stanza("")).text == "error without a reason"
    assert read_error(stanza("<error/>")).text == "undefined-condition"


def test_a_condition_that_this_platform_does_not_know_is_undefined() -> None:
    assert read_error(stanza(f"<error><gone xmlns='{ns.STANZAS}'/></error>")).condition == Condition.UNDEFINED_CONDITION
