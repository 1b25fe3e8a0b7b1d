# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files the domains of a host name, and which images stand on a file; where that cannot be found out nobody is said to be free."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from archipel.agent.services import Services
from archipel.agent.virt import disk_files
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virt.host import Host
from archipel.agent.virt.image_header import find_standing, find_unreadable, list_files
from archipel.agent.virt.storage_pools import LookedThrough
from archipel.protocol.errors import CommandError, Condition


@dataclass
class Sources:
    """The files that the domains of a host name, by UUID and name; ``told``: what these stand on is in the definitions."""

    named: dict[tuple[str, str], set[Path]] = field(default_factory=dict)
    told: set[Path] = field(default_factory=set)

    def add(self, key: tuple[str, str], stored: str, running: str | None) -> None:
        """Read what libvirt has of a domain: of a running one it tells all images, down to the last."""
        self.named[key] = disk_files.sources_of(stored) | (disk_files.sources_of(running) if running else set())
        self.told |= disk_files.raw_files_of(stored) | (disk_files.sources_of(running) if running else set())


@dataclass(frozen=True)
class Volumes:
    """Where volumes of pools lie (``folders``), and what libvirt found where it could look."""

    folders: Collection[Path] = ()
    found: LookedThrough = field(default_factory=LookedThrough)

    def standing_on(self, file: Path) -> set[Path]:
        """Return those that stand on a file by what libvirt told, directly or through others. Follows links: it blocks."""
        on = {path.resolve(): backing.resolve() for path, backing in self.found.backing.items() if backing is not None}
        found: set[Path] = set()
        wanted = {file.resolve()}
        while wanted:
            wanted = {path for path, backing in on.items() if backing in wanted} - found
            found |= wanted
        return found

    def list(self, file: Path) -> Iterator[Path]:
        """Yield the plain files of the folders, which have any name; what a pool has further down is no volume. It blocks.

        Raises :class:`CommandError` for a folder that nobody can look into, in which something may stand on ``file``.
        """
        looked_through = {path.resolve() for path in self.found.folders}
        for folder in self.folders:
            try:
                yield from [path for path in folder.iterdir() if path.is_file()]
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                if folder.resolve() not in looked_through:
                    raise _in_doubt(folder, file) from None


NO_VOLUMES: Final = Volumes()


async def read_sources_of_all(host: Host) -> Sources:
    """Return the files that the domains of a host name, managed or not."""
    found = Sources()
    for entry in await host.domains():
        domain = host.domain(entry.uuid)
        with contextlib.suppress(DomainNotFound):
            stored, running = await domain.xml(inactive=True), await domain.xml() if entry.active else None
            await asyncio.to_thread(found.add, (entry.uuid, entry.name), stored, running)
    return found


async def find_images_on(services: Services, file: Path, sources: Sources, volumes: Volumes = NO_VOLUMES) -> list[Path]:
    """Return the images that stand on a file: of domains, machines' and golden folders, and the ``volumes`` of pools.

    Raises :class:`CommandError` if there seems to be none, and what may be one cannot be read.
    """
    settings = services.settings.machines

    def find() -> list[Path]:
        named: set[Path] = set().union(*sources.named.values())
        in_pools = {path.resolve() for path in volumes.list(file)}
        files = {path.resolve() for path in list_files((settings.base_path, *settings.golden_folders))}
        images = {path for path in files if path.suffix.lower() in disk_files.ENDINGS} | named | in_pools
        found = sorted({*find_standing(file, sorted(files | images)), *volumes.standing_on(file)})
        known = sources.told | {path.resolve() for path in volumes.found.backing} | {file.resolve()}
        if not found and (unread := find_unreadable(sorted(images - {file.resolve()}), known)):
            raise _in_doubt(unread[0], file)
        return found

    return await asyncio.to_thread(find)


def _in_doubt(unread: Path, file: Path) -> CommandError:
    text = f"{unread} may stand on {file.name}, and cannot be read; let the agent's user read it and enter the folders above it"
    return CommandError(text, condition=Condition.NOT_ACCEPTABLE)
