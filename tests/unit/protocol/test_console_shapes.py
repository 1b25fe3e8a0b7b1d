# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Displays and console links as they are on the wire, in both directions."""

from __future__ import annotations

import pytest

from archipel.protocol.console import ConsoleLink, Display, GetDisplay, OpenConsole
from tests.unit.protocol.golden import Shape, archipel_of

SHAPES = [
    Shape(
        GetDisplay(),
        "<archipel action='display'/>",
        Display(type="vnc", port=5900, proxy=6900, host="192.0.2.7", only_tls=True, supports_tls=True),
        "<display type='vnc' port='5900' proxy='6900' host='192.0.2.7' onlyssl='True' supportssl='True'/>",
    ),
    Shape(GetDisplay(), "<archipel action='display'/>", Display(), "<display/>"),
    Shape(
        OpenConsole(kind="text"),
        "<archipel action='token' kind='text'/>",
        ConsoleLink(kind="text", url="https://h/text.html#t", websocket="wss://h/text", token="t", lifetime=60),
        "<console kind='text' url='https://h/text.html#t' websocket='wss://h/text' token='t' lifetime='60'/>",
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_they_are_written_and_read_as_they_stand_here(shape: Shape) -> None:
    shape.assert_on_the_wire()
    assert shape.read_request() == shape.request


def test_a_console_is_the_screen_unless_told_otherwise() -> None:
    assert OpenConsole.read(archipel_of(OpenConsole.namespace, "<archipel action='token'/>")).kind == "vnc"
