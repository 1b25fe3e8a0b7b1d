# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that several hypervisors share for parked machines: who may have which.

A machine that is parked there is the file ``UUID.parked``. A hypervisor takes it by giving the file a name of its own
(``UUID.held-by-ACCOUNT``), and gives it back by the first name: one renaming each, which a file system does whole or not at all, NFS
too, and for one of several hypervisors only. Whatever was renamed without the answer being heard is found under its new name.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from archipel.agent.daemon_threads import DaemonThreads
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.parking_settings import shared_folder
from archipel.agent.shelf_entry import MOST_BYTES, EntryRefused, Shelved, read_entry, write_entry
from archipel.agent.virt.unfinished_files import make_names_durable, put_in_place, sweep, unfinished_file
from archipel.protocol.errors import CommandError, Condition, Unavailable

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

ANSWER_SECONDS: Final = 30.0  # a server of files that was restarted answers within; longer than that nobody waits
_FREE: Final = ".parked"
_HELD: Final = ".held-by-"
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Shelf:
    """The shared folder as one hypervisor (bare JID ``owner``) sees it.

    All is done in one thread, in order: what the file system has not answered comes before what it is asked next. Methods raise
    :class:`Unavailable` if the folder does not answer or cannot be used, and :class:`CommandError` for a machine that cannot be had.
    """

    def __init__(self, folder: Path, owner: str, domain: str) -> None:
        self.folder, self.owner, self.domain = folder, owner, domain
        self._thread = DaemonThreads(1, "archipel-shelf")
        self._refused: dict[str, str] = {}
        self._troubles: dict[str, str] = {}

    async def _do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._thread, functools.partial(self._try, work, *args, **kwargs))
        except TimeoutError:
            raise Unavailable(f"the shared folder {self.folder} does not answer: see to its server, or its mount") from None
        except OSError as error:
            raise Unavailable(f"the shared folder {self.folder} cannot be used: {error.strerror or error}") from error

    def _try(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        check_folder(self.folder)
        return work(*args, **kwargs)

    def note_trouble(self, uuid: str, trouble: str) -> None:
        """Write into the log what hinders a machine, but not again and again; an empty text: nothing does any more."""
        if trouble and self._troubles.get(uuid) != trouble:
            log.warning("%s: %s", uuid or self.folder, trouble)
        self._troubles[uuid] = trouble

    # -- seen -----------------------------------------------------------------------------------------------------------

    async def entries(self) -> list[Shelved]:
        """Return the machines that anybody may take; a file that is not one is told in the log, once, and left alone."""
        return await self._do(self._read_all)

    def _read_all(self) -> list[Shelved]:
        found, refused = [], {}
        for name in sorted(os.listdir(self.folder)):
            if name.startswith(".") or _HELD in name:
                continue
            try:
                found.append(self._read(name))
            except FileNotFoundError:  # it was taken just now
                continue
            except (EntryRefused, OSError) as error:
                refused[name] = str(error)
        for name, why in refused.items():
            if self._refused.get(name) != why:
                log.warning("%s: %r %s: it is left out", self.folder, name, why)
        self._refused = refused
        return found

    async def find(self, uuid: str) -> Shelved | None:
        """Return a machine that anybody may take; raises ``conflict`` if another hypervisor has it in hand, or its file is refused."""
        return await self._do(self._find, uuid)

    def _find(self, uuid: str) -> Shelved | None:
        try:
            return self._read(uuid + _FREE)
        except FileNotFoundError:
            self._refuse_held(uuid)
            return None
        except EntryRefused as error:
            raise CommandError(f"{self.folder / uuid}{_FREE} {error}", condition=Condition.CONFLICT) from error

    def _refuse_held(self, uuid: str) -> None:
        held = [name for name in os.listdir(self.folder) if name.startswith(uuid + _HELD) and name.isprintable()]
        if held:
            text = f"{held[0].removeprefix(uuid + _HELD)} has the machine {uuid} in hand: wait until that is done"
            mend = f"if that hypervisor is gone for ever, rename {held[0]} to {uuid}{_FREE} in {self.folder}"
            raise CommandError(f"{text}; {mend}", condition=Condition.CONFLICT)

    async def refuse_known(self, uuid: str) -> None:
        """Raise ``conflict`` if a machine with that UUID is in the folder, whoever has it in hand."""
        await self._do(self._refuse_known, uuid)

    def _refuse_known(self, uuid: str) -> None:
        if os.path.lexists(self.folder / (uuid + _FREE)):
            text = f"a machine with the UUID {uuid} is parked in {self.folder}: unpark or delete it"
            raise CommandError(text, condition=Condition.CONFLICT)
        self._refuse_held(uuid)

    def _read(self, name: str) -> Shelved:
        uuid = name.removesuffix(_FREE).partition(_HELD)[0]
        if not _UUID.fullmatch(uuid) or name not in {uuid + _FREE, uuid + _HELD + self.owner}:
            raise EntryRefused("is not called as the file of a parked machine")
        return read_entry(_read_own(self.folder / name), uuid, self.domain)

    # -- taken and given back -------------------------------------------------------------------------------------------

    async def claim(self, uuid: str) -> None:
        """Take a machine; raises ``item-not-found`` or ``conflict`` if another hypervisor was faster."""
        await self._do(self._claim, uuid)

    def _claim(self, uuid: str) -> None:
        free, held = self.folder / (uuid + _FREE), self._held(uuid)
        try:
            if os.path.lexists(held):
                raise CommandError(f"the machine {uuid} is being worked on: wait until that is done", condition=Condition.CONFLICT)
            free.rename(held)
        except FileNotFoundError:
            if not os.path.lexists(held):  # else it was renamed, and the answer was lost on the way
                self._refuse_held(uuid)
                raise CommandError(f"no machine with the UUID {uuid} is parked any more", condition=Condition.ITEM_NOT_FOUND) from None
        make_names_durable(self.folder)

    async def read_held(self, uuid: str) -> Shelved:
        """Return a machine that was taken."""
        return await self._do(self._read_held, uuid)

    def _read_held(self, uuid: str) -> Shelved:
        try:
            return self._read(self._held(uuid).name)
        except EntryRefused as error:
            raise CommandError(f"{self._held(uuid)} {error}", condition=Condition.CONFLICT) from error

    async def write_held(self, shelved: Shelved) -> None:
        """Keep a machine in the folder, whole or not at all, for this hypervisor alone."""
        await self._do(self._write_held, shelved.uuid, write_entry(shelved))

    def _write_held(self, uuid: str, content: bytes) -> None:
        with unfinished_file(self.folder, self.owner, mode=0o600) as path:
            path.write_bytes(content)
            try:
                read_entry(_read_own(path), uuid, self.domain)
            except EntryRefused as error:
                text = f"what would be kept of {uuid} in {self.folder} {error}: the file system must leave the agent's files to it"
                raise CommandError(text, condition=Condition.NOT_ACCEPTABLE) from error
            put_in_place(path, self._held(uuid))

    async def release(self, uuid: str) -> None:
        """Let anybody take a machine that is held; one that is not held any more was released before."""
        await self._do(self._release, uuid)

    def _release(self, uuid: str) -> None:
        free, held = self.folder / (uuid + _FREE), self._held(uuid)
        if not os.path.lexists(held):
            return
        if os.path.lexists(free):
            text = f"{free} is there, too, and nobody knows which of the two is the machine: an administrator must remove one"
            raise CommandError(text, condition=Condition.CONFLICT)
        try:
            held.rename(free)
        except FileNotFoundError:
            return  # it was renamed, and the answer was lost on the way
        make_names_durable(self.folder)

    async def discard(self, uuid: str) -> None:
        """Remove a machine that is held: it is not parked any more."""
        await self._do(self._discard, uuid)

    def _discard(self, uuid: str) -> None:
        self._held(uuid).unlink(missing_ok=True)
        make_names_durable(self.folder)

    async def tidy(self) -> list[str]:
        """Return the UUIDs of all machines that this hypervisor holds; what a former life of its did not finish to write goes."""
        return await self._do(self._tidy)

    def _tidy(self) -> list[str]:
        sweep(self.folder, self.owner)
        found = [name.removesuffix(_HELD + self.owner) for name in os.listdir(self.folder) if name.endswith(_HELD + self.owner)]
        return [uuid for uuid in found if _UUID.fullmatch(uuid)]

    def _held(self, uuid: str) -> Path:
        return self.folder / f"{uuid}{_HELD}{self.owner}"


def check_folder(folder: Path) -> None:
    """Raise :class:`OSError` where others than the agent's user could put machines, or take them."""
    facts = os.stat(folder)
    if not stat.S_ISDIR(facts.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is no folder")
    if facts.st_uid not in {os.geteuid(), 0} or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = f"others than user {os.geteuid()} may write there: chown {os.geteuid()} {folder}; chmod 700 {folder}"
        raise PermissionError(errno.EPERM, text)


def _read_own(path: Path) -> bytes:
    """Return what is in a file, if it is the agent's or root's and nobody else's. Raises :class:`EntryRefused`, :class:`OSError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise EntryRefused("is no plain file") from None
        if error.errno == errno.ESTALE:  # NFS: another host renamed it a moment ago
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
        raise
    try:
        _judge(os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES)
    finally:
        os.close(descriptor)


def _judge(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise EntryRefused("is no plain file")
    if facts.st_uid not in {os.geteuid(), 0}:
        raise EntryRefused(f"belongs to user {facts.st_uid}, not to the agent's ({os.geteuid()})")
    if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise EntryRefused(f"may be read or changed by others (mode {stat.S_IMODE(facts.st_mode):04o}): chmod 600")
    if facts.st_size > MOST_BYTES:
        raise EntryRefused(f"has {facts.st_size} bytes, more than {MOST_BYTES}")


@one_per_hypervisor
def shelf_of(hypervisor: Hypervisor) -> Shelf | None:
    """Return the shared folder of a hypervisor, if it has one."""
    folder = shared_folder(hypervisor.services.settings)
    return None if folder is None else Shelf(folder, hypervisor.bare, hypervisor.services.settings.xmpp.domain)


async def refuse_shelved(hypervisor: Hypervisor, uuid: str) -> None:
    """Raise ``conflict`` if a machine with that UUID is parked in the shared folder: its account, folder and rights are taken."""
    shelf = shelf_of(hypervisor)
    if shelf is not None:
        await shelf.refuse_known(uuid)
