# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of machines."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent import names
from archipel.agent.names import MAX_BYTES, InvalidName, is_free, make_name, name_key, normalise_name
from archipel.agent.words import ADJECTIVES, NOUNS

EVERY_NAME = [f"{adjective}-{noun}" for adjective in ADJECTIVES for noun in NOUNS]


class TestNewNames:
    def test_there_are_thousands_and_each_is_valid(self):
        assert len(set(EVERY_NAME)) == len(EVERY_NAME) > 10_000
        assert all(normalise_name(name, allow_blank_space=False) == name for name in EVERY_NAME)

    def test_they_are_random(self):
        assert len({make_name([]) for _ in range(50)}) > 40

    @given(st.sets(st.sampled_from(EVERY_NAME), max_size=50))
    @settings(deadline=None)
    def test_they_are_free(self, taken: set[str]):
        assert is_free(make_name(taken), taken)

    def test_the_last_free_one_is_found_whatever_its_spelling(self):
        taken = {name.upper() for name in EVERY_NAME} - {"BOLD-OTTER"}
        assert make_name(taken) == "bold-otter"

    def test_when_all_are_used_a_number_follows(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(names, "ADJECTIVES", ("bold",))
        monkeypatch.setattr(names, "NOUNS", ("otter",))
        taken: set[str] = set()
        for expected in ("bold-otter", "bold-otter-2", "bold-otter-3"):
            assert make_name(taken) == expected
            taken.add(expected)


class TestGivenNames:
    @pytest.mark.parametrize(
        "given_name,kept,hyphenated",
        [
            ("web", "web", "web"),
            ("  web  server ", "web  server", "web--server"),
            ("web\u00a0server", "web server", "web-server"),
            ("cafe\u0301", "caf\u00e9", "caf\u00e9"),
            ("Übung 1 (B)", "Übung 1 (B)", "Übung-1-(B)"),
            ("日本", "日本", "日本"),
            ("12", "12", "12"),
            ("a'b\"c<d>&e", "a'b\"c<d>&e", "a'b\"c<d>&e"),
        ],
    )
    def test_they_are_kept_as_far_as_possible(self, given_name: str, kept: str, hyphenated: str):
        assert normalise_name(given_name) == kept
        assert normalise_name(given_name, allow_blank_space=False) == hyphenated

    @pytest.mark.parametrize(
        "wrong,reason",
        [
            ("", "must not be empty"),
            (" \t\n", "must not be empty"),
            ("a/b", "must not contain a slash"),
            ("..", "must not begin with a dot"),
            (".hidden", "must not begin with a dot"),
            ("-rf", "must not begin with a dot or a hyphen"),
            ("a\nb", "the invisible character U\\+000A"),
            ("a\x00b", "the invisible character U\\+0000"),
            ("a\x1bb", "the invisible character U\\+001B"),
            ("a\u202eb", "the invisible character U\\+202E"),
            ("a\u2028b", "the invisible character U\\+2028"),
            ("a\ufffeb", "the invisible character U\\+FFFE"),
            ("a" * (MAX_BYTES + 1), f"{MAX_BYTES} bytes at most, this one {MAX_BYTES + 1}"),
            ("ü" * (MAX_BYTES // 2 + 1), f"{MAX_BYTES} bytes at most"),
            ("6F0C2A3E-1b7d-4c55-9a0e-3d2b1c4f5a69", "begins with a UUID"),
            ("6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69-copy", "begins with a UUID"),
            ("{6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69}", "begins with a UUID"),
            ("6f0c2a3e1b7d4c559a0e3d2b1c4f5a69", "begins with a UUID"),
            ("urn:uuid:6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69", "begins with a UUID"),
            ("\uff16f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69", "begins with a UUID"),
            ("6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69@lab.example", "must not contain an @"),
            ("web@lab", "must not contain an @"),
            ("web\uff20lab", "must not contain an @"),
            ("6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69/x", "must not contain a slash"),
        ],
    )
    def test_what_harms_is_refused_with_the_reason(self, wrong: str, reason: str):
        with pytest.raises(InvalidName, match=reason):
            normalise_name(wrong)

    @given(st.text(max_size=300), st.booleans())
    @settings(deadline=None)
    def test_any_text_is_refused_or_safe_and_stays_what_it_became(self, text: str, blanks: bool):
        try:
            name = normalise_name(text, allow_blank_space=blanks)
        except InvalidName:
            return
        assert 0 < len(name.encode()) <= MAX_BYTES
        assert name == name.strip()
        assert name.isprintable()
        assert set("/@").isdisjoint(name)
        assert blanks or not any(character.isspace() for character in name)
        assert normalise_name(name, allow_blank_space=blanks) == name


class TestUniqueness:
    @pytest.mark.parametrize("name,other", [("web", "WEB"), ("Straße", "STRASSE"), ("caf\u00e9", "CAFE\u0301"), ("ﬁsh", "fish")])
    def test_spelling_makes_no_difference(self, name: str, other: str):
        assert not is_free(name, ["x", other])
        assert is_free(name, ["x"])

    @given(st.text(max_size=30))
    @settings(deadline=None)
    def test_the_key_of_a_name_is_its_own_key(self, text: str):
        assert name_key(name_key(text)) == name_key(text)
        assert name_key(text) == name_key(unicodedata.normalize("NFD", text))
