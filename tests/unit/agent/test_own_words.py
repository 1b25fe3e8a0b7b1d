# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that nobody gave phrases: said by their names, answered line by line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.own_words import LONGEST, MOST_LINES, phrase_of, tell_answer
from archipel.protocol.every_entity import AddSubscription, Contact, SetTags
from archipel.protocol.guest import SetPassword, WriteFile
from archipel.protocol.oom import GetAdjust, Oom, SetAdjust
from archipel.protocol.payload import Request
from archipel.protocol.screenshots import GetScreenshot
from archipel.protocol.virtual_machine import Define


@pytest.mark.parametrize(
    "request_, phrase",
    [
        (GetAdjust, "oom getadjust"),
        (SetAdjust, "oom setadjust [adjust] [kernel]"),
        (SetTags, "tags settags {tags}"),
        (AddSubscription, "subscription add {jid}"),
        (Define, None),
        (SetPassword, None),
        (WriteFile, None),
        (GetScreenshot, None),
    ],
)
def test_a_phrase_is_the_name_with_what_it_needs(request_: type[Request[Any]], phrase: str | None):
    assert phrase_of(request_) == phrase


def test_an_answer_is_told_line_by_line():
    assert tell_answer(None) == tell_answer(()) == "Done."
    assert tell_answer(Oom(adjust=3, score=5)) == "oom: adjust 3, score 5, kernel 0"
    assert tell_answer((Contact(jid="a@b"), Contact(jid="c@d"))) == "item: jid a@b, subscription none\nitem: jid c@d, subscription none"


@given(st.integers(0, 200), st.integers(0, 1000))
def test_no_answer_is_longer_than_can_be_read(count: int, size: int):
    told = tell_answer(tuple(Contact(jid="j" * size) for _ in range(count)))
    lines = told.splitlines()
    assert len(lines) <= MOST_LINES + 1
    assert max(map(len, lines)) <= LONGEST + 60
    assert (f"and {count - MOST_LINES} more" in told) is (count > MOST_LINES)
