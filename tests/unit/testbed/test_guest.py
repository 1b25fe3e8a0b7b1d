# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's image is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed import guest
from testbed.guest import GuestImageError, make_guest


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in place of the one that makes the image; it counts how often it runs."""
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "make").write_text('#!/bin/sh\necho made >>"$1/count"\n')
    (sources / "make").chmod(0o755)
    monkeypatch.setattr(guest, "SOURCES", sources)
    return sources


def count_made(folder: Path) -> int:
    return len((folder / "count").read_text().splitlines())


def test_an_image_is_made_once(tmp_path: Path, sources: Path):
    for _ in range(2):
        make_guest(tmp_path / "guest")
    assert count_made(tmp_path / "guest") == 1


def test_an_image_is_made_again_when_its_sources_change(tmp_path: Path, sources: Path):
    make_guest(tmp_path / "guest")
    (sources / "init").write_text("another")
    make_guest(tmp_path / "guest")
    assert count_made(tmp_path / "guest") == 2


def test_a_failure_is_told_and_not_taken_for_an_image(tmp_path: Path, sources: Path):
    (sources / "make").write_text("#!/bin/sh\necho no package of that name >&2\nexit 1\n")
    for _ in range(2):
        with pytest.raises(GuestImageError, match="no package of that name"):
            make_guest(tmp_path / "guest")
