# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Feeds of appliances, and appliances, as modules ``appliance_feed`` and ``appliance`` declare them."""

from __future__ import annotations

import asyncio
import contextlib
import uuid as uuids
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.progress import Say, once_each, say_nothing, telling
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client.addresses import as_uuid
    from archipel.protocol.appliances import Status
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor, VirtualMachine
    from archipel.protocol.appliances import InstallableAppliance, Source

SUBSCRIBED, DOWNLOADED, INSTALLED, RELEASED, ABSENT = "subscribed", "downloaded", "installed", "released", "absent"
LOOK = 2.0  # seconds between two looks at how far a download is

APPLIANCE_FEED: Mapping[str, Mapping[str, Any]] = {
    "url": {"type": "str", "required": True},
    "state": {"type": "str", "choices": [SUBSCRIBED, ABSENT], "default": SUBSCRIBED},
}
APPLIANCE: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str", "required": True, "aliases": ["uuid"]},
    "state": {"type": "str", "choices": [DOWNLOADED, INSTALLED, RELEASED, ABSENT], "default": DOWNLOADED},
    "machine": {"type": "str"},
    "work_timeout": {"type": "float", "default": 3600},
}


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return all feeds as they are declared."""
    return [{"url": feed.url} for feed in await hypervisor.appliances.feeds()]


class DeclaredApplianceFeed(Resource):
    """One feed of a hypervisor; the value is whether it is subscribed to."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool = False, tell: Say = say_nothing) -> None:
        self.hypervisor = hypervisor
        self.title: str = arguments["url"]
        self.state = arguments["state"] or SUBSCRIBED
        self._tell = tell
        self._feed: Source | None = None

    async def read(self) -> Values:
        """Return whether there is such a feed."""
        async with telling(self._tell, "reading the feeds"):
            feeds = await self.hypervisor.appliances.feeds()
        self._feed = next((feed for feed in feeds if feed.url == self.title), None)
        return {"state": ABSENT if self._feed is None else SUBSCRIBED}

    def desired(self, current: Values) -> Values:
        """Return whether there shall be one."""
        return {"state": self.state}

    async def apply(self, current: Values, desired: Values) -> None:
        """Subscribe to it, or drop it."""
        if self._feed is None:
            await self.hypervisor.appliances.subscribe(self.title)
        else:
            await self.hypervisor.appliances.unsubscribe(uuids.UUID(self._feed.uuid))

    def report(self, change: Change) -> dict[str, Any]:
        """Return the feed, and what it offers."""
        told: dict[str, Any] = {"url": self.title, "state": change.after["state"]}
        feed = self._feed
        if feed is None:
            return {**told, **dict.fromkeys(("name", "uuid", "problem")), "appliances": []}
        offers = [
            {"name": offer.name, "uuid": offer.uuid, "description": offer.description, "downloaded": offer.status == Status.INSTALLED}
            for offer in feed.appliances
        ]
        return {**told, "name": feed.name, "uuid": feed.uuid, "problem": feed.problem, "appliances": offers}


class DeclaredAppliance(Resource):
    """One appliance, downloaded to the host or installed in a machine; the value is that."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool = False, tell: Say = say_nothing) -> None:
        self.hypervisor = hypervisor
        self.arguments = arguments
        self.name: str = arguments["name"]
        self.state: str = arguments["state"] or DOWNLOADED
        self.title = self.name if arguments["machine"] is None else f"{arguments['machine']}: {self.name}"
        self._tell = tell
        self._uuid: str | None = None
        self._found: dict[str, Any] = dict.fromkeys(("path", "description", "sha256"))
        self._machine: VirtualMachine | None = None
        self._downloaded = False

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return whether the appliance is downloaded, or what the machine is made of."""
        await self._look_on_host()
        if self.arguments["machine"] is None:
            return {"state": DOWNLOADED if self._downloaded else ABSENT}
        if self._machine is None:
            reference = self.arguments["machine"]
            self._machine = (await Directory.load(self.hypervisor, [reference])).machine(reference)
        offered = await self._machine.appliance.list()
        if self.state == INSTALLED:
            self._refuse_another(offered)
        here = any(self._is_meant(found.name, found.uuid) and found.status == INSTALLED for found in offered)
        return {"state": INSTALLED if here else RELEASED}

    def _refuse_another(self, offered: tuple[InstallableAppliance, ...]) -> None:
        for found in offered:
            if found.status != "none" and not self._is_meant(found.name, found.uuid):
                raise ValueError(f"{self.title}: the machine was made of the appliance {found.name}: release that first (state: released)")

    async def _look_on_host(self) -> None:
        found = [one for one in await self.hypervisor.appliances.list() if self._is_meant(one.name, one.uuid)]
        self._downloaded = bool(found)
        if len(found) > 1:
            raise ValueError(f"{self.title}: there are {len(found)} appliances of that name: give the UUID of one: {_uuids(found)}")
        if found:
            self._uuid = found[0].uuid
            self._found = {"path": found[0].path, "description": found[0].description, "sha256": found[0].sha256}
        elif self.state in {DOWNLOADED, INSTALLED}:
            await self._look_in_feeds()

    async def _look_in_feeds(self) -> None:
        feeds = await self.hypervisor.appliances.feeds()
        found = {offer.uuid: offer for feed in feeds for offer in feed.appliances if self._is_meant(offer.name, offer.uuid)}
        if len(found) != 1:
            problems = "; ".join(f"{feed.url}: {feed.problem}" for feed in feeds if feed.problem)
            what = "no feed offers it" if not found else f"several are called so: give the UUID of one: {', '.join(found)}"
            raise ValueError(f"{self.title}: {what}" + (f" ({problems})" if problems else ""))
        [(self._uuid, offer)] = found.items()
        self._found = {"path": None, "description": offer.description, "sha256": None}

    def _is_meant(self, name: str, uuid: str) -> bool:
        return self.name == name or as_uuid(self.name) == uuid

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return what shall be."""
        return {"state": self.state}

    async def apply(self, current: Values, desired: Values) -> None:
        """Download, delete, install or release the appliance."""
        appliances, within = self.hypervisor.appliances, self.arguments["work_timeout"]
        if self.state == RELEASED and self._machine is not None:
            await self._machine.appliance.release()
        elif self._uuid is None:
            raise ValueError(f"{self.title}: this agent tells no UUID of it; an older one can only be asked in a chat")
        elif self.state == ABSENT:
            await appliances.delete(uuids.UUID(self._uuid))
        else:
            if not self._downloaded:
                async with self._telling_of_download(self._uuid):
                    await appliances.download(uuids.UUID(self._uuid), wait=within)
            if self.state == INSTALLED and self._machine is not None:
                async with telling(self._tell, f"{self.title}: installing it"):
                    await self._machine.appliance.install(uuids.UUID(self._uuid), wait=within)

    @contextlib.asynccontextmanager
    async def _telling_of_download(self, uuid: str) -> AsyncIterator[None]:
        """Tell how far a download is while the block runs."""
        tell = once_each(self._tell, f"{self.title}: ")

        async def look() -> None:
            while True:
                await asyncio.sleep(LOOK)
                for download in await self.hypervisor.appliances.downloads():
                    if download.uuid == uuid:
                        tell(f"{download.percentage:.0f} % of it are downloaded")

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])  # a look that failed spoils nothing: the download tells its own end

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the appliance as it was read last."""
        return {"name": self.name, "uuid": self._uuid, "state": change.after["state"], **self._found, "machine": self.arguments["machine"]}


def _uuids(found: list[Any]) -> str:
    return ", ".join(one.uuid for one in found)
