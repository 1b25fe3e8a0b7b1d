# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appliances: feeds and downloads of a hypervisor, and what a machine makes of them or gives away (docs/appliances.md)."""

from __future__ import annotations

import uuid as uuids

from archipel.client.concern import Concern
from archipel.client.long_work import follow_to_end
from archipel.protocol import appliances as commands
from archipel.protocol.appliances import Appliance, Download, InstallableAppliance, Source


class Appliances(Concern):
    """Feeds and downloaded appliances of a hypervisor."""

    async def feeds(self) -> tuple[Source, ...]:
        """Return the feeds with what they offer, read anew."""
        return await self.ask(commands.GetFeeds())

    async def subscribe(self, url: str) -> None:
        """Subscribe to a feed."""
        await self.ask(commands.RegisterFeed(url=url))

    async def unsubscribe(self, feed: uuids.UUID) -> None:
        """Drop a feed; what was downloaded of it stays."""
        await self.ask(commands.UnregisterFeed(uuid=feed))

    async def list(self) -> tuple[Appliance, ...]:
        """Return what is downloaded."""
        return await self.ask(commands.GetInstalledAppliances())

    async def downloads(self) -> tuple[Download, ...]:
        """Return what is being downloaded."""
        return await self.ask(commands.GetDownloads())

    async def download(self, appliance: uuids.UUID, *, wait: float | None = None) -> None:
        """Begin to fetch an appliance; with ``wait`` return when it is there, at most after so many seconds."""
        request = commands.DownloadAppliance(uuid=appliance)

        async def look(_answer: None) -> bool | None:
            wanted = str(appliance)
            if any(found.uuid == wanted for found in await self.downloads()):
                return None
            return any(found.uuid == wanted for found in await self.list())

        await follow_to_end(self.entity, lambda: self.ask(request), look, wait)

    async def stop_download(self, appliance: uuids.UUID) -> None:
        """Break a download off; the next one goes on from there."""
        await self.ask(commands.StopDownload(uuid=appliance))

    async def delete(self, appliance: uuids.UUID) -> None:
        """Remove what was downloaded of an appliance."""
        await self.ask(commands.DeleteAppliance(uuid=appliance))


class MachineAppliance(Concern):
    """The appliance that a machine is made of, and the one that it becomes."""

    async def list(self) -> tuple[InstallableAppliance, ...]:
        """Return what the machine could be made of."""
        return await self.ask(commands.GetInstallable())

    async def install(self, appliance: uuids.UUID, *, wait: float | None = None) -> None:
        """Begin to make the machine from an appliance; with ``wait`` return when it is, at most after so many seconds."""
        request = commands.AttachAppliance(uuid=appliance)

        async def look(_answer: None) -> bool | None:
            state = next((found.status for found in await self.list() if found.uuid == str(appliance)), "none")
            return {"installed": True, "installing": None}.get(state, False)

        await follow_to_end(self.entity, lambda: self.ask(request), look, wait)

    async def release(self) -> None:
        """Forget which appliance the machine was made of."""
        await self.ask(commands.DetachAppliance())

    async def package(self, name: str, *, compress: bool | None = None, include_iso: bool = False) -> None:
        """Begin to make an appliance of the machine; a push tells the end."""
        await self.ask(commands.PackageMachine(name=name, gzip=compress, include_iso=include_iso))
