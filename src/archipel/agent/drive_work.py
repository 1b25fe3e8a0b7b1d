# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""What all who work on drives of this host share: ``qemu-img``, whose turn it is, who is busy."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archipel.agent import options as kinds
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.settings import STORAGE
from archipel.agent.virt.qemu_img import QemuImg, QemuImgFailed
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition, Unavailable
from archipel.protocol.presence import Status


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
        self._jobs: defaultdict[str, list[str]] = defaultdict(list)

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

    @contextlib.asynccontextmanager
    async def busy(self, machine: VirtualMachine, what: str) -> AsyncIterator[None]:
        """Show that the machine is busy with ``what``, and afterwards the state that libvirt tells."""
        jobs = self._jobs[machine.uuid]
        jobs.append(what)
        machine.show(Status("dnd", what))
        try:
            yield
        finally:
            jobs.remove(what)
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # else the entity is about to leave
                await self._show(machine)

    def refuse_busy(self, machine: VirtualMachine) -> None:
        """Raise :class:`Unavailable` if there is work under way on the machine's drives."""
        if jobs := self._jobs.get(machine.uuid):
            raise Unavailable(f"{machine.name}: {jobs[-1]} Wait until that is done")

    async def _show(self, machine: VirtualMachine) -> None:
        jobs = self._jobs[machine.uuid]
        if jobs:
            machine.show(Status("dnd", jobs[-1]))
        else:
            del self._jobs[machine.uuid]
            await machine.refresh()


_works: Final[weakref.WeakKeyDictionary[Hypervisor, DriveWork]] = weakref.WeakKeyDictionary()


def work_on(hypervisor: Hypervisor) -> DriveWork:
    """Return the work on the drives of this host, always the same."""
    if hypervisor not in _works:
        _works[hypervisor] = DriveWork(hypervisor)
    return _works[hypervisor]


def refuse_leaving(machine: VirtualMachine) -> None:
    """Raise :class:`Unavailable` if the machine is being freed: its folder goes with it."""
    if machine.freeing:
        raise Unavailable(f"{machine.name} is being freed")


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
    return f"{error.filename}: {error.strerror}" if error.strerror else str(error)
