# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others named is shown as text: it commands neither the terminal nor the layout."""

from __future__ import annotations

import pytest

from archipel.cli.output import Output

HOSTILE = "[/nothing][red]eth0\x9b31m\x1b]52;c;bWFsaWNl\x07"


def test_names_of_facts_come_from_guests_and_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Output().facts([(HOSTILE, HOSTILE)])
    shown = capsys.readouterr().out
    assert shown.count("[/nothing][red]eth0") == 2
    assert not {"\x1b", "\x9b", "\x07"} & set(shown)


def test_tables_and_lines_show_hostile_words_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.table(("NAME",), [(HOSTILE,)], "nothing")
    output.table(("NAME",), [], HOSTILE)
    output.line(HOSTILE)
    output.warn(HOSTILE)
    told = capsys.readouterr()
    for shown in (told.out, told.err):
        assert "[/nothing][red]eth0" in shown
        assert not {"\x1b", "\x9b", "\x07"} & set(shown)
