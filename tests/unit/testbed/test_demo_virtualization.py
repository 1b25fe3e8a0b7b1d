# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt that the demo chose, as its other processes read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.demo.virtualization import Virtualization, recall, remember


def test_a_choice_is_recalled_as_it_was_remembered(tmp_path: Path) -> None:
    choice = Virtualization("qemu:///system", started=True)
    remember(choice, tmp_path / "choice")
    assert recall(tmp_path / "choice") == choice


def test_a_choice_of_another_version_is_recalled_as_far_as_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "choice").write_text('{"uri": "qemu:///system", "private": true, "units": []}')
    assert recall(tmp_path / "choice") == Virtualization("qemu:///system", private=True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"private": true}'])
def test_what_is_no_choice_is_none(tmp_path: Path, text: str) -> None:
    assert recall(tmp_path / "missing") is None
    (tmp_path / "choice").write_text(text)
    assert recall(tmp_path / "choice") is None
