# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""What all who work on drives of this host share: ``qemu-img``, whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archipel.agent import options as kinds
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.settings import STORAGE
from archipel.agent.virt.qemu_img import QemuImg, QemuImgFailed
from archipel.protocol.errors import CommandError, Condition


@dataclass(frozen=True, kw_only=True)
class DriveSettings:
    """How drives are made."""

    preallocate_metadata: bool = STORAGE.option(
        "use_metadata_preallocation",
        kinds.BOOLEAN,
        "True",
        "Whether a new qcow2 drive gets all its tables at once where that is asked for.",
    )
    program: Path = STORAGE.option("qemu_img_bin_path", kinds.PATH, "/usr/bin/qemu-img", "The program that makes and converts images.")


class DriveWork:
    """Work on the drives of one host."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        settings = hypervisor.services.settings
        self.settings: DriveSettings = settings.capabilities["storage"]
        self.host = settings.hostname
        self.qemu_img = QemuImg(self.settings.program)
        self.unsettled = asyncio.Event()
        self._taken: set[Path] = set()
        self._shared: Counter[Path] = Counter()

    @contextlib.contextmanager
    def take(self, *files: Path) -> Iterator[None]:
        """Keep everybody else off these files; raises ``conflict`` if somebody is at work on one of them."""
        wanted = {file.parent.resolve() / file.name for file in files}
        self._refuse(wanted & (self._taken | self._shared.keys()))
        self._taken |= wanted
        try:
            yield
        finally:
            self._taken -= wanted

    @contextlib.contextmanager
    def share(self, *files: Path) -> Iterator[None]:
        """Keep everybody off these files who would change them; raises ``conflict`` as :meth:`take` does."""
        wanted = {file.parent.resolve() / file.name for file in files}
        self._refuse(wanted & self._taken)
        self._shared.update(wanted)
        try:
            yield
        finally:
            self._shared -= Counter(wanted)

    def _refuse(self, files: set[Path]) -> None:
        for file in files:
            raise CommandError(f"{file.name} is being worked on: wait until that is done", condition=Condition.CONFLICT)


@one_per_hypervisor
def work_on(hypervisor: Hypervisor) -> DriveWork:
    """Return the work on the drives of this host, always the same."""
    return DriveWork(hypervisor)


@contextlib.contextmanager
def in_plain_words() -> Iterator[None]:
    """Let what the disk or ``qemu-img`` refuses be the answer."""
    try:
        yield
    except QemuImgFailed as error:
        raise CommandError(str(error)) from error
    except FileNotFoundError as error:
        raise CommandError(_say(error), condition=Condition.ITEM_NOT_FOUND) from error
    except OSError as error:
        raise CommandError(_say(error)) from error


def _say(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"{error.filename}: {error.strerror}; let the agent's user read it and enter the folders above it"
    return f"{error.filename}: {error.strerror}" if error.strerror else str(error)
