# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that makes images: what it is told, what it tells, and that it never outlives whoever asked."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from archipel.agent.virt import qemu_img
from archipel.agent.virt.qemu_img import QemuImg, QemuImgFailed
from tests.wire.waiting import eventually

REAL = QemuImg(Path("/usr/bin/qemu-img"))
SLEEP = "echo $$ > {folder}/pid; exec sleep 600"


def fake(folder: Path, script: str) -> QemuImg:
    program = folder / "qemu-img"
    program.write_text(f"#!/bin/sh\n{script.format(folder=folder)}\n")
    program.chmod(0o755)
    return QemuImg(program)


def words_of(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


async def read_words(path: Path, count: int = 1) -> list[str]:
    """Return what a program wrote when it is so many words."""
    return await eventually(lambda: words_of(path) if len(words_of(path)) >= count else [], f"{count} words")


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_an_image_is_made_grown_converted_and_described(tmp_path: Path) -> None:
    base, clone, raw = tmp_path / "-o ba,se.qcow2", tmp_path / "clone", tmp_path / "raw"
    await REAL.create(base, "qcow2", 1 << 20, preallocate=True)
    await REAL.create(clone, "qcow2", 2 << 20, backing=base)
    await REAL.resize(clone, "qcow2", 4 << 20, shrink=False)
    await REAL.resize(clone, "qcow2", 3 << 20, shrink=True)
    told = await REAL.info(clone, "qcow2")
    assert (told.format, told.virtual_size, told.backing, told.snapshots) == ("qcow2", 3 << 20, str(base), 0)
    await REAL.convert(clone, "qcow2", raw, "raw")
    assert raw.stat().st_size == 3 << 20


async def test_what_it_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(512))
    with pytest.raises(QemuImgFailed, match="not in qcow2 format"):
        await REAL.info(tmp_path / "a", "qcow2")
    await REAL.create(tmp_path / "b", "qcow2", 2 << 20)
    with pytest.raises(QemuImgFailed, match="shrink"):
        await REAL.resize(tmp_path / "b", "qcow2", 1 << 20, shrink=False)


@pytest.mark.parametrize(
    "script, told",
    [
        ("echo 'qemu-img: x: Failed to get shared \"write\" lock' >&2; exit 1", "shut it down first"),
        ("echo 'qemu-img: error while writing: No space left on device' >&2; exit 1", "no space left on the disk"),
        ("exit 7", "ended with status 7"),
        ("echo '{{}}'", "cannot be understood"),
        ("echo nonsense", "cannot be understood"),
    ],
)
async def test_what_goes_wrong_is_put_plainly(tmp_path: Path, script: str, told: str) -> None:
    with pytest.raises(QemuImgFailed, match=told):
        await fake(tmp_path, script).info(tmp_path / "a", "qcow2")


async def test_a_program_that_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(QemuImgFailed, match=f"{tmp_path}/none is missing: install qemu-utils"):
        await QemuImg(tmp_path / "none").info(tmp_path / "a", "qcow2")


async def test_whoever_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    task = asyncio.create_task(fake(tmp_path, SLEEP).convert(tmp_path / "a", "raw", tmp_path / "b", "qcow2"))
    [pid] = map(int, await read_words(tmp_path / "pid"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not lives(pid)


async def test_whoever_waits_too_long_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_img, "INFO_SECONDS", 0.2)
    with pytest.raises(QemuImgFailed, match=r"qemu-img info was given up after 0\.2 s"):
        await fake(tmp_path, "sleep 600").info(tmp_path / "a", "qcow2")


async def test_only_some_copies_are_made_at_once(tmp_path: Path) -> None:
    program = fake(tmp_path, "echo x >> {folder}/count; exec sleep 600")
    copies = [asyncio.create_task(program.convert(tmp_path / "a", "raw", tmp_path / "b", "raw")) for _ in range(5)]
    await read_words(tmp_path / "count", qemu_img.COPIES_AT_ONCE)
    assert program._copies.locked()
    for copy in copies:
        copy.cancel()
    assert all(isinstance(ended, asyncio.CancelledError) for ended in await asyncio.gather(*copies, return_exceptions=True))
    assert len(words_of(tmp_path / "count")) == qemu_img.COPIES_AT_ONCE
