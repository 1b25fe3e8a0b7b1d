# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look for passwords in what left the agent finds them wherever they stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.wire.matching import find_words

WORDS = st.text("abAB01", min_size=4, max_size=4)


@given(st.sets(WORDS), st.lists(st.text("abAB01<='&; ", max_size=60)))
def test_a_word_is_found_exactly_where_it_stands(words: set[str], texts: list[str]) -> None:
    assert find_words(texts, words) == {word for word in words if any(word in text for text in texts)}
