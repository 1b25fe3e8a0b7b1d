# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a domain's display is, whatever its XML looks like."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.virt.graphics import Graphics, read_graphics


def read(devices: str) -> Graphics | None:
    return read_graphics(f"<domain><devices>{devices}</devices></domain>")


@pytest.mark.parametrize(
    "devices, found",
    [
        ("", None),
        ("<graphics type='vnc' port='5901'/>", Graphics("vnc", 5901, "127.0.0.1", None)),
        ("<graphics type='spice' port='5900'/><graphics type='vnc' port='5901'/>", Graphics("vnc", 5901, "127.0.0.1", None)),
        ("<graphics type='spice' port='5900'/><graphics type='sdl'/>", Graphics("spice", 5900, "127.0.0.1", None)),
        ("<graphics type='vnc' port='-1' autoport='yes'/>", Graphics("vnc", None, "127.0.0.1", None)),
        ("<graphics type='vnc' port='5901' listen='0.0.0.0'/>", Graphics("vnc", 5901, "127.0.0.1", None)),
        ("<graphics type='vnc' port='5901' listen='::'/>", Graphics("vnc", 5901, "::1", None)),
        (
            "<graphics type='vnc' port='5901'><listen type='address' address='192.0.2.1'/></graphics>",
            Graphics("vnc", 5901, "192.0.2.1", None),
        ),
        ("<graphics type='vnc'><listen type='socket' socket='/run/vnc'/></graphics>", Graphics("vnc", None, "127.0.0.1", "/run/vnc")),
        ("<graphics type='vnc' socket='/run/vnc'/>", Graphics("vnc", None, "127.0.0.1", "/run/vnc")),
        ("<graphics type='vnc' port='5901'><listen type='none'/></graphics>", Graphics("vnc", None, "127.0.0.1", None)),
        ("<graphics type='spice' tlsPort='5902'/>", Graphics("spice", 5902, "127.0.0.1", None)),
    ],
)
def test_the_display_is_read_that_browsers_can_open(devices: str, found: Graphics | None) -> None:
    assert read(devices) == found


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))))
def test_a_port_is_a_port_or_nothing(text: str) -> None:
    found = read(f"<graphics type='vnc' port={quoteattr(text)}/>")
    assert found is not None
    assert found.port is None or 0 < found.port < 65536
    assert found.reachable == (found.port is not None)
