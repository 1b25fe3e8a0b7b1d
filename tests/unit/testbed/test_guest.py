# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""KVM counts only when it boots a guest; the image is made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testbed import guest
from testbed.guest import GuestImage, GuestImageError, make_guest, prove_acceleration


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device that can be opened."""
    device = tmp_path / "kvm"
    device.touch()
    return device


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a script in QEMU's place."""

    def replace(script: str) -> None:
        program = tmp_path / "qemu-system-x86_64"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return replace


@pytest.mark.parametrize(
    "script, works",
    [
        ("echo READY 1.2; exec sleep 100", True),
        ("echo 'KVM internal error. Suberror: 1' >&2; exec sleep 100", False),
        ("echo 'failed to initialize kvm' >&2; exit 1", False),
        ("exec sleep 100", False),
    ],
)
def test_kvm_works_when_the_guest_says_so(tmp_path: Path, device: Path, emulator, monkeypatch, script: str, works: bool):
    monkeypatch.setattr(guest, "PROBE_SECONDS", 1)
    emulator(script)
    assert prove_acceleration(GuestImage(tmp_path), device) is works


def test_without_the_device_no_guest_is_started(tmp_path: Path, emulator):
    emulator(f"touch {tmp_path}/started; echo READY")
    assert prove_acceleration(GuestImage(tmp_path), tmp_path / "absent") is False
    assert not (tmp_path / "started").exists()


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
