# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drives of a machine: the image files in its folder, golden ones and CD images beside them."""

from __future__ import annotations

from pathlib import PurePath

from archipel.client.concern import LONG_WORK, Concern
from archipel.protocol import drives as commands
from archipel.protocol.drives import Drive, GoldenDrive, IsoImage

MEBIBYTES = "M"


class Drives(Concern):
    """The drives of a machine; rights are ``drives_`` and the command's name. Sizes are in MiB."""

    async def list(self) -> tuple[Drive, ...]:
        """Return the drives in the machine's folder, sizes in bytes (right ``drives_get``)."""
        return await self.ask(commands.GetDrives())

    async def isos(self) -> tuple[IsoImage, ...]:
        """Return the images for CD drives (right ``drives_getiso``)."""
        return await self.ask(commands.GetIsoImages())

    async def goldens(self) -> tuple[GoldenDrive, ...]:
        """Return the golden drives, on which new ones may stand (right ``drives_getgolden``)."""
        return await self.ask(commands.GetGoldenDrives())

    async def create(self, name: str, size: int, *, format: str = "qcow2", golden: str | None = None, preallocate: bool = False) -> str:  # noqa: A002 - libvirt's word
        """Make an empty drive, or one that stands on the golden drive of that name; return what its file is called."""
        preallocation = "metadata" if preallocate else ""
        request = commands.CreateDrive(name=name, size=size, unit=MEBIBYTES, format=format, golden=golden, preallocation=preallocation)
        await self.ask(request, LONG_WORK)
        return f"{commands.file_name_of(name)}.{format}"

    async def delete(self, drive: str, *, undefine: bool = False) -> None:
        """Delete a drive (file name or path); ``undefine`` takes it out of the definition first."""
        await self.ask(commands.DeleteDrive(name=drive, undefine=undefine), LONG_WORK)

    async def convert(self, drive: str, format: str) -> str:  # noqa: A002 - libvirt's word
        """Change the format of a drive and return what its file is called now; the definition follows."""
        await self.ask(commands.ConvertDrive(path=drive, format=format), LONG_WORK)
        return PurePath(drive).with_suffix(f".{format}").name

    async def rename(self, drive: str, name: str) -> str:
        """Give a drive another name and return what its file is called now; the definition follows."""
        await self.ask(commands.RenameDrive(path=drive, newname=name))
        return commands.file_name_of(name) + PurePath(drive).suffix

    async def resize(self, drive: str, size: int, *, shrink: bool = False) -> None:
        """Make a drive larger, or with ``shrink`` smaller, which cuts off its end."""
        await self.ask(commands.ResizeDrive(path=drive, size=size, unit=MEBIBYTES, shrink=shrink), LONG_WORK)

    async def make_golden(self, drive: str, name: str, *, replace: bool = False) -> None:
        """Make a golden drive of a copy of a drive (right ``drives_setgolden``)."""
        await self.ask(commands.SetGoldenDrive(path=drive, name=name, replace=replace), LONG_WORK)
