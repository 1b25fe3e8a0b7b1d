# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about the audit log: what is not one is refused by the field's name, and nothing else happens."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.audit import GetAudit
from archipel.protocol.errors import BadRequest

FIELDS = ("limit", "since", "until", "who", "entity", "command", "outcome", "position")


@pytest.mark.parametrize(
    "field, value",
    [
        *(("limit", text) for text in ("0", "501", "-1", "many", "")),
        *((name, text) for name in ("since", "until") for text in ("", "yesterday", "2026-13-01", "0001-01-01T00:00:00+23:00")),
        *((name, text) for name in ("who", "entity", "command") for text in ("", "  ")),
        ("command", "x" * 201),
        ("outcome", "maybe"),
        *(("position", text) for text in ("", "17", "2026-11-21T08:30:00Z/-1", "2026-11-21T08:30:00Z/1234567")),
    ],
)
def test_a_wrong_field_is_named(field: str, value: str):
    with pytest.raises(BadRequest, match=field):
        GetAudit.read(ET.Element("archipel", {field: value}))


@given(field=st.sampled_from(FIELDS), value=st.text())
def test_whatever_stands_in_a_field_is_read_or_refused(field: str, value: str):
    wrong = None
    try:
        GetAudit.read(ET.Element("archipel", {field: value}))
    except BadRequest as error:
        wrong = error.text
    assert wrong is None or wrong.startswith(field)


def test_a_time_in_either_form_is_taken():
    for text in ("2026-11-21", "2026-11-21T08:30", "2026-11-21T08:30:00.123Z", "2026-11-21T09:30:00+01:00"):
        assert GetAudit.read(ET.Element("archipel", {"since": text})).since == text
