# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``qemu-img`` for asyncio: never through a shell, never without an end, and never left behind.

Images are always opened in a format that the caller gives. Paths are absolute, which keeps QEMU from taking a name with a
colon for a protocol. Whoever calls has checked what the headers of the images name: see :mod:`.image_chain`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MOST_MEMORY: Final = 4 << 30  # bytes of address space; a header can ask for tables of any size
INFO_SECONDS: Final = 20.0
CHANGE_SECONDS: Final = 600.0  # for what writes little: a large drive with all its tables takes some seconds
COPY_SECONDS: Final = 12 * 3600.0
QUICK_AT_ONCE, COPIES_AT_ONCE = 4, 2
_LONGEST_COMPLAINT: Final = 500


class QemuImgFailed(Exception):
    """``qemu-img`` did not do what it was asked for; the text says why, in its own words."""


@dataclass(frozen=True)
class ImageInfo:
    """What ``qemu-img`` tells of an image; sizes in bytes, ``snapshots`` those inside of it."""

    format: str
    virtual_size: int
    disk_size: int
    backing: str | None
    snapshots: int
    details: dict[str, Any]


class QemuImg:
    """The program, and how many of it run at once. Each method raises :class:`QemuImgFailed`.

    Whoever is cancelled, or waits too long, leaves no process behind; nor does an agent that is killed.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._quick = asyncio.Semaphore(QUICK_AT_ONCE)
        self._copies = asyncio.Semaphore(COPIES_AT_ONCE)

    async def info(self, path: Path, image_format: str) -> ImageInfo:
        """Read what an image is, even while a machine uses it; what it names is not opened but for a qcow2's data file."""
        told = await self._run("info", "--output=json", "-U", "-f", image_format, "--", str(path), within=INFO_SECONDS)
        try:
            found = json.loads(told)
            return ImageInfo(
                format=found["format"],
                virtual_size=int(found["virtual-size"]),
                disk_size=int(found["actual-size"]),
                backing=found.get("backing-filename"),
                snapshots=len(found.get("snapshots", [])),
                details=found.get("format-specific", {}).get("data", {}),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise QemuImgFailed(f"qemu-img says of {path.name} what cannot be understood ({error!r})") from error

    async def create(self, path: Path, image_format: str, size: int, *, preallocate: bool = False, backing: Path | None = None) -> None:
        """Make an image of ``size`` bytes in the place of ``path``; a ``backing`` image is a qcow2."""
        options = ["-o", "preallocation=metadata"] if preallocate else []
        options += ["-b", str(backing), "-F", "qcow2"] if backing else []
        await self._run("create", "-q", "-f", image_format, *options, "--", str(path), str(size), within=CHANGE_SECONDS)

    async def convert(self, source: Path, source_format: str, target: Path, target_format: str, *, backing: Path | None = None) -> None:
        """Copy all that a guest sees of ``source`` into an image in the place of ``target``.

        It stands on nothing, or holds just what differs from ``backing``, a qcow2 that the source stands on, too.
        """
        formats = ("-f", source_format, "-O", target_format, *(("-B", str(backing), "-F", "qcow2") if backing else ()))
        async with self._copies:
            await self._run("convert", "-q", *formats, "--", str(source), str(target), within=COPY_SECONDS, quick=False)

    async def measure(self, source: Path, source_format: str, target_format: str) -> int:
        """Return how many bytes the copy of an image takes at most."""
        told = await self._run("measure", "--output=json", "-f", source_format, "-O", target_format, str(source), within=CHANGE_SECONDS)
        try:
            return int(json.loads(told)["required"])
        except (KeyError, TypeError, ValueError) as error:
            raise QemuImgFailed(f"qemu-img says of {source.name} what cannot be understood ({error!r})") from error

    async def resize(self, path: Path, image_format: str, size: int, *, shrink: bool) -> None:
        """Give an image that nobody uses another size, in bytes."""
        options = ["--shrink"] if shrink else []
        await self._run("resize", "-q", *options, "-f", image_format, "--", str(path), str(size), within=CHANGE_SECONDS)

    async def _run(self, *arguments: str, within: float, quick: bool = True) -> bytes:
        if not quick:
            return await self._spawn(arguments, within)
        async with self._quick:
            return await self._spawn(arguments, within)

    async def _spawn(self, arguments: tuple[str, ...], within: float) -> bytes:
        if not await asyncio.to_thread(os.access, self._program, os.X_OK):
            raise QemuImgFailed(f"{self._program} is missing: install qemu-utils, or set qemu_img_bin_path of [STORAGE]")
        # The kernel ends the program with the agent, whatever ends that.
        limits = ("setpriv", "--pdeathsig", "KILL", "--", "prlimit", f"--as={MOST_MEMORY}", "--")
        process = await asyncio.create_subprocess_exec(
            *limits,
            str(self._program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        try:
            async with asyncio.timeout(within):
                told, complaint = await process.communicate()
        except TimeoutError:
            raise QemuImgFailed(f"qemu-img {arguments[0]} was given up after {within:g} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            raise QemuImgFailed(_put_plainly(complaint.decode(errors="replace"), arguments[0], process.returncode))
        return told


def _put_plainly(complaint: str, action: str, status: int) -> str:
    """Return what went wrong, with what to do where that is known."""
    if "Failed to get" in complaint and "lock" in complaint:
        return "a program uses the image, such as a machine that runs: shut it down first"
    if "No space left on device" in complaint:
        return "there is no space left on the disk of the host: make some, or use another folder"
    lines = [line.removeprefix("qemu-img: ") for line in complaint.strip().splitlines() if not line.startswith("Try 'qemu-img")]
    return "; ".join(lines)[:_LONGEST_COMPLAINT] or f"qemu-img {action} ended with status {status}"
