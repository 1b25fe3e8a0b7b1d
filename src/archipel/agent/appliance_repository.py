# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The appliances of one host: its feeds, what is downloaded of them, what is being downloaded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import appliance_shelf as shelf
from archipel.agent.appliance_settings import NAME, ApplianceSettings
from archipel.agent.appliance_shelf import ApplianceRecord, FeedRecord
from archipel.agent.download import Order, discard, download
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.slow_work import in_slow_thread
from archipel.agent.store import StoreError
from archipel.agent.web_fetch import FetchFailed, Progress, Reach, fetch
from archipel.protocol.appliances import TOPIC, FeedChange, Status
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.feeds import MOST_BYTES, Feed, FeedUnreadable, parse_feed
from archipel.protocol.presence import HostWork

log = logging.getLogger(__name__)

AT_ONCE: Final = 2  # downloads
FEED_SECONDS: Final = 40.0  # for one feed, whatever its server does
STEP: Final = 10  # percent between two pushes of a download
LOOK: Final = 1.0  # seconds between two looks at a download


@dataclass
class Running:
    """A download under way."""

    record: ApplianceRecord
    progress: Progress
    stopped: bool = False


class Repository:
    """Feeds and downloads of a host."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor = hypervisor
        self.store = hypervisor.services.store
        self.settings: ApplianceSettings = hypervisor.services.settings.capabilities[NAME]
        self.running: dict[str, Running] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._used: Counter[str] = Counter()

    @property
    def reach(self) -> Reach:
        """What may be read from the web."""
        return Reach(plain=self.settings.plain, private=self.settings.private, authorities=self.settings.authorities)

    def file_of(self, uuid: str) -> Path:
        """Return where the file of an appliance is, or would be."""
        return self.settings.repository / f"{uuid}.xvm2"

    def status_of(self, record: ApplianceRecord) -> Status:
        """Return what there is of an appliance: a download that nobody is at has failed."""
        if record.uuid in self.running:
            return Status.DOWNLOADING
        return Status.ERROR if record.status == Status.DOWNLOADING else Status(record.status)

    # -- feeds ----------------------------------------------------------------------------------------------------------

    async def read_feed(self, url: str) -> Feed:
        """Fetch a feed; raises :class:`FetchFailed`, :class:`FeedUnreadable`."""
        try:
            async with asyncio.timeout(FEED_SECONDS):
                content = await asyncio.to_thread(fetch, url, self.reach.for_feed(url), MOST_BYTES)
        except TimeoutError:
            raise FetchFailed(f"the feed was not there within {FEED_SECONDS:g} seconds") from None
        return await asyncio.to_thread(parse_feed, content, url)

    async def register(self, url: str) -> Feed:
        """Subscribe to a feed and return it."""
        known = await shelf.read_feeds(self.store)
        if any(feed.url == url for feed in known):
            raise CommandError("url: this feed is registered already", condition=Condition.CONFLICT)
        try:
            feed = await self.read_feed(url)
        except (FetchFailed, FeedUnreadable) as error:
            raise CommandError(f"url: {error}", condition=Condition.NOT_ACCEPTABLE) from error
        for other in await shelf.read_feeds(self.store):
            if feed.uuid == other.uuid:
                text = f"url: this is the feed {other.name!r}, which is registered as {other.url}: unregister that first"
                raise CommandError(text, condition=Condition.CONFLICT)
        await shelf.keep_feed(self.store, url, feed)
        return feed

    async def unregister(self, uuid: str) -> None:
        """Drop a feed; raises ``item-not-found`` if there is none."""
        if not await shelf.drop_feed(self.store, uuid):
            raise CommandError(f"uuid: there is no feed {uuid}: get lists them", condition=Condition.ITEM_NOT_FOUND)

    async def refresh(self) -> dict[str, str]:
        """Read all feeds anew and return, by UUID, what was wrong with those that could not be read: they stay as they were."""
        feeds = await shelf.read_feeds(self.store)
        told = await asyncio.gather(*map(self._refresh_one, feeds))
        return {feed.uuid: problem for feed, problem in zip(feeds, told, strict=True) if problem}

    async def _refresh_one(self, known: FeedRecord) -> str:
        try:
            feed = await self.read_feed(known.url)
        except (FetchFailed, FeedUnreadable) as error:
            return str(error)
        await shelf.keep_feed(self.store, known.url, feed, known.uuid)
        return ""

    # -- appliances -----------------------------------------------------------------------------------------------------

    async def find(self, uuid: str) -> ApplianceRecord:
        """Return an appliance, or raise ``item-not-found``."""
        record = await shelf.read_appliance(self.store, uuid)
        if record is None:
            raise CommandError(f"uuid: there is no appliance {uuid}: get lists them", condition=Condition.ITEM_NOT_FOUND)
        return record

    async def find_installed(self, uuid: str) -> ApplianceRecord:
        """Return an appliance that is downloaded, or raise ``item-not-found``."""
        record = await self.find(uuid)
        if self.status_of(record) is not Status.INSTALLED or not await asyncio.to_thread(self.file_of(uuid).is_file):
            raise CommandError(f"uuid: {record.name} is not downloaded: downloadappliance does that", condition=Condition.ITEM_NOT_FOUND)
        return record

    async def installed(self) -> tuple[ApplianceRecord, ...]:
        """Return what is downloaded."""
        records = await shelf.read_appliances(self.store)
        return tuple(record for record in records if self.status_of(record) is Status.INSTALLED)

    @contextlib.contextmanager
    def use(self, uuid: str) -> Iterator[Path]:
        """Keep the file of an appliance while it is read."""
        self._used[uuid] += 1
        try:
            yield self.file_of(uuid)
        finally:
            self._used[uuid] -= 1

    async def delete(self, uuid: str) -> ApplianceRecord:
        """Remove what was downloaded of an appliance, and return it; nothing but files of the repository is touched."""
        record = await self.find(uuid)
        if uuid in self.running:
            raise CommandError(f"uuid: {record.name} is being downloaded: wait until that is done", condition=Condition.CONFLICT)
        if self._used[uuid]:
            raise CommandError(f"uuid: {record.name} is being installed: wait until that is done", condition=Condition.CONFLICT)
        order = self._order(record, self.reach)
        there = await asyncio.to_thread(lambda: order.target.exists() or order.part.exists())
        if not there and record.status == Status.NOT_DOWNLOADED:
            raise CommandError(f"uuid: nothing of {record.name} is downloaded", condition=Condition.ITEM_NOT_FOUND)
        await asyncio.to_thread(_remove, order)
        await shelf.set_status(self.store, uuid, Status.NOT_DOWNLOADED)
        return record

    # -- downloads ------------------------------------------------------------------------------------------------------

    async def start_download(self, uuid: str) -> None:
        """Begin to fetch an appliance; how it ends is pushed."""
        record = await self.find(uuid)
        if uuid in self.running:
            raise CommandError(f"uuid: {record.name} is being downloaded already", condition=Condition.CONFLICT)
        if self.status_of(record) is Status.INSTALLED and await asyncio.to_thread(self.file_of(uuid).is_file):
            raise CommandError(f"uuid: {record.name} is downloaded already: delete it to fetch it anew", condition=Condition.CONFLICT)
        if uuid in self.running:  # meanwhile
            raise CommandError(f"uuid: {record.name} is being downloaded already", condition=Condition.CONFLICT)
        running = Running(record, Progress(lambda: running.stopped, total=record.size))
        self.running[uuid] = running
        try:
            await shelf.set_status(self.store, uuid, Status.DOWNLOADING)
        except StoreError:
            del self.running[uuid]
            raise
        self.hypervisor.push(TOPIC, FeedChange.DOWNLOAD_START)
        self.hypervisor.spawn(self._run(running))

    def stop_download(self, uuid: str) -> ApplianceRecord:
        """Break a download off, and return its appliance; that it has ended is pushed. Raises ``item-not-found``."""
        running = self.running.get(uuid)
        if running is None:
            raise CommandError(f"uuid: {uuid} is not being downloaded: downloadqueue lists what is", condition=Condition.ITEM_NOT_FOUND)
        running.stopped = True
        return running.record

    async def _run(self, running: Running) -> None:
        record, what = running.record, HostWork.DOWNLOADING.format(name=running.record.name)
        self.hypervisor.begin(what)
        try:
            async with self._turn:
                digest = await self._fetch(running)
            await shelf.set_status(self.store, record.uuid, Status.INSTALLED, digest)
        except (FetchFailed, OSError, StoreError) as error:
            await self._fail(record, str(error))
        else:
            self.running.pop(record.uuid, None)
            self.hypervisor.push(TOPIC, FeedChange.DOWNLOAD_COMPLETE, _detail(running))
        finally:
            running.stopped = True
            self.running.pop(record.uuid, None)
            self.hypervisor.end(what)

    async def _fail(self, record: ApplianceRecord, why: str) -> None:
        log.warning("the appliance %s was not downloaded: %s", record.uuid, why)
        with contextlib.suppress(StoreError):  # it is read as failed all the same, as nobody is at it
            await shelf.set_status(self.store, record.uuid, Status.ERROR)
        self.running.pop(record.uuid, None)
        self.hypervisor.push(TOPIC, FeedChange.DOWNLOAD_ERROR)
        self.hypervisor.shout(f"The appliance {record.name} was not downloaded: {why}")

    async def _fetch(self, running: Running) -> str:
        feeds = {feed.uuid: feed.url for feed in await shelf.read_feeds(self.store)}
        reach = self.reach.for_feed(feeds.get(running.record.source, ""))
        work = asyncio.create_task(in_slow_thread(download, self._order(running.record, reach), running.progress))
        told = 0
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=LOOK)
                if not work.done() and running.progress.percentage >= told + STEP:
                    told = int(running.progress.percentage) // STEP * STEP
                    self.hypervisor.push(TOPIC, FeedChange.DOWNLOAD_PROGRESS, _detail(running))
        finally:
            running.stopped = True
        return work.result()

    def _order(self, record: ApplianceRecord, reach: Reach) -> Order:
        target = self.file_of(record.uuid)
        return Order(url=record.url, target=target, sha256=record.sha256, most=self.settings.most_bytes, reach=reach)


def _detail(running: Running) -> ET.Element:
    progress = running.progress
    told = {"uuid": running.record.uuid, "percentage": str(progress.percentage), "total": str(progress.total)}
    return ET.Element("download", told)


def _remove(order: Order) -> None:
    order.target.unlink(missing_ok=True)
    discard(order)


@one_per_hypervisor
def repository_of(hypervisor: Hypervisor) -> Repository:
    """Return the appliances of this host, always the same."""
    return Repository(hypervisor)
