# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds of appliances and what is downloaded of them (namespace ``archipel:hypervisor:vmcasting``)."""

from __future__ import annotations

import asyncio
import logging
import shutil

from archipel.agent import appliance_shelf as shelf
from archipel.agent.appliance_repository import Repository, repository_of
from archipel.agent.appliance_settings import ApplianceSettings
from archipel.agent.appliance_shelf import ApplianceRecord
from archipel.agent.appliances import temporary_prefix
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hooks import in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.own_feed import FeedServer, write_own_feed
from archipel.agent.store import StoreError
from archipel.agent.virt.unfinished_files import sweep
from archipel.protocol import appliances as wire
from archipel.protocol.appliances import TOPIC, FeedChange, FeedCode
from archipel.protocol.rights import ON_HYPERVISOR, EntityKind, Token

log = logging.getLogger(__name__)

HOST = EntityKind.HYPERVISOR
SETTINGS = ApplianceSettings

TOKENS = (
    Token("vmcasting_get", "See the feeds of appliances", ON_HYPERVISOR),
    Token("vmcasting_register", "Add a feed of appliances", ON_HYPERVISOR),
    Token("vmcasting_unregister", "Remove a feed of appliances", ON_HYPERVISOR),
    Token("vmcasting_downloadappliance", "Download appliances", ON_HYPERVISOR),
    Token("vmcasting_downloadqueue", "See what is being downloaded", ON_HYPERVISOR),
    Token("vmcasting_getappliances", "See the appliances of the feeds", ON_HYPERVISOR),
    Token("vmcasting_deleteappliance", "Delete downloaded appliances", ON_HYPERVISOR),
    Token("vmcasting_getinstalledappliances", "See which appliances are downloaded", ON_HYPERVISOR),
)


def _done(_answer: object) -> str:
    return "Done."


def _say_feeds(found: tuple[wire.Source, ...]) -> str:
    return "\n".join(map(_say_feed, found)) or "I have no feed of appliances."


def _say_feed(feed: wire.Source) -> str:
    lines = [f"{feed.name} ({feed.url}) - {feed.uuid}" + (f": {feed.problem}" if feed.problem else "")]
    lines += [f"  {one.name}: {wire.Status(one.status).name.lower().replace('_', ' ')} - {one.uuid}" for one in feed.appliances]
    return "\n".join(lines)


def _say_downloads(found: tuple[wire.Download, ...]) -> str:
    return "\n".join(f"{one.name}: {one.percentage:g} %" for one in found) or "I download nothing."


def _say_appliances(found: tuple[wire.Appliance, ...]) -> str:
    return "\n".join(f"{one.name} - {one.uuid}" for one in found) or "No appliance is downloaded."


@command(wire.GetFeeds, on=HOST, right="vmcasting_get", failure=FeedCode.GET, chat=Chat(("feeds",), _say_feeds))
async def get(hypervisor: Hypervisor, _request: wire.GetFeeds, _caller: Caller) -> tuple[wire.Source, ...]:
    """The feeds of appliances, read anew, and what there is of each appliance."""
    repository = repository_of(hypervisor)
    problems = await repository.refresh()
    records = await shelf.read_appliances(repository.store)
    return tuple(
        wire.Source(
            name=feed.name,
            description=feed.description,
            url=feed.url,
            uuid=feed.uuid,
            problem=problems.get(feed.uuid),
            appliances=tuple(_offer(repository, record) for record in records if record.source == feed.uuid),
        )
        for feed in await shelf.read_feeds(repository.store)
    )


def _offer(repository: Repository, record: ApplianceRecord) -> wire.OfferedAppliance:
    return wire.OfferedAppliance(
        name=record.name,
        description=record.description,
        url=record.url,
        size=str(record.size),
        date=record.date,
        published=record.date,
        uuid=record.uuid,
        status=int(repository.status_of(record)),
    )


@command(wire.RegisterFeed, on=HOST, right="vmcasting_register", failure=FeedCode.REGISTER, chat=Chat(("register feed {url}",), _done))
async def register(hypervisor: Hypervisor, request: wire.RegisterFeed, caller: Caller) -> None:
    """Subscribe to a feed of appliances."""
    feed = await repository_of(hypervisor).register(request.url)
    hypervisor.push(TOPIC, FeedChange.REGISTER)
    hypervisor.shout(f"{caller.bare} registered the feed {feed.name}")


@command(
    wire.UnregisterFeed, on=HOST, right="vmcasting_unregister", failure=FeedCode.UNREGISTER, chat=Chat(("unregister feed {uuid}",), _done)
)
async def unregister(hypervisor: Hypervisor, request: wire.UnregisterFeed, caller: Caller) -> None:
    """Drop a feed; what was downloaded of it stays."""
    await repository_of(hypervisor).unregister(str(request.uuid))
    hypervisor.push(TOPIC, FeedChange.UNREGISTER)
    hypervisor.shout(f"{caller.bare} unregistered the feed {request.uuid}")


@command(
    wire.DownloadAppliance,
    on=HOST,
    right="vmcasting_downloadappliance",
    failure=FeedCode.DOWNLOAD,
    chat=Chat(("download appliance {uuid}",), lambda _: "I have begun; downloads tells how far I am."),
)
async def download(hypervisor: Hypervisor, request: wire.DownloadAppliance, _caller: Caller) -> None:
    """Download an appliance, or go on where that broke off."""
    await repository_of(hypervisor).start_download(str(request.uuid))


@command(
    wire.StopDownload,
    on=HOST,
    right="vmcasting_downloadappliance",
    failure=FeedCode.DOWNLOAD,
    chat=Chat(("stop download {uuid}",), lambda _: "I am breaking it off; what is there of it stays."),
)
async def stop_download(hypervisor: Hypervisor, request: wire.StopDownload, caller: Caller) -> None:
    """Break a download off; the next one goes on from there."""
    record = repository_of(hypervisor).stop_download(str(request.uuid))
    hypervisor.shout(f"{caller.bare} stopped the download of the appliance {record.name}")


@command(wire.GetDownloads, on=HOST, right="vmcasting_downloadqueue", failure=FeedCode.QUEUE, chat=Chat(("downloads",), _say_downloads))
async def get_downloads(hypervisor: Hypervisor, _request: wire.GetDownloads, _caller: Caller) -> tuple[wire.Download, ...]:
    """What is being downloaded, and how far it is."""
    found = list(repository_of(hypervisor).running.values())
    return tuple(
        wire.Download(uuid=one.record.uuid, name=one.record.name, percentage=one.progress.percentage, total=one.progress.total)
        for one in found
    )


@command(wire.GetAppliance, on=HOST, right="vmcasting_getappliances", failure=FeedCode.GET_ONE)
async def get_appliance(hypervisor: Hypervisor, request: wire.GetAppliance, _caller: Caller) -> wire.Appliance:
    """One appliance."""
    repository = repository_of(hypervisor)
    return _describe(repository, await repository.find(str(request.uuid)))


def _describe(repository: Repository, record: ApplianceRecord) -> wire.Appliance:
    installed = repository.status_of(record) is wire.Status.INSTALLED
    return wire.Appliance(
        path=str(repository.file_of(record.uuid)) if installed else "",
        name=record.name,
        description=record.description,
        uuid=record.uuid,
        sha256=record.recorded,
    )


@command(
    wire.DeleteAppliance,
    on=HOST,
    right="vmcasting_deleteappliance",
    failure=FeedCode.DELETE,
    chat=Chat(("delete appliance {uuid}",), _done, confirm="It must be downloaded again to be installed again."),
)
async def delete(hypervisor: Hypervisor, request: wire.DeleteAppliance, caller: Caller) -> None:
    """Delete what was downloaded of an appliance."""
    record = await repository_of(hypervisor).delete(str(request.uuid))
    hypervisor.push(TOPIC, FeedChange.DELETED)
    hypervisor.shout(f"{caller.bare} deleted the appliance {record.name}")


@command(
    wire.GetInstalledAppliances,
    on=HOST,
    right="vmcasting_getinstalledappliances",
    failure=FeedCode.GET_INSTALLED,
    chat=Chat(("appliances",), _say_appliances),
)
async def get_installed(hypervisor: Hypervisor, _request: wire.GetInstalledAppliances, _caller: Caller) -> tuple[wire.Appliance, ...]:
    """The appliances that are downloaded."""
    repository = repository_of(hypervisor)
    return tuple(_describe(repository, record) for record in await repository.installed())


@in_background
async def keep_own_feed(hypervisor: Hypervisor) -> None:
    """Write the own feed anew again and again, and serve it where the configuration says so."""
    settings = repository_of(hypervisor).settings
    await asyncio.to_thread(tidy_up, settings, hypervisor.services.settings.hostname)
    async with FeedServer(settings).open(settings.addresses):
        while True:
            await refresh_own_feed(hypervisor)
            await asyncio.sleep(settings.own_interval)


def tidy_up(settings: ApplianceSettings, hostname: str) -> None:
    """Remove what an earlier run of the agent was unpacking or packing."""
    try:
        sweep(settings.own_folder, hostname)
        for left in settings.temporary.glob(f"{temporary_prefix(hostname)}*"):
            shutil.rmtree(left, ignore_errors=True)
    except OSError as error:
        log.warning("what is left of unfinished appliances cannot be removed: %s", error)


async def refresh_own_feed(hypervisor: Hypervisor) -> None:
    """Write the own feed; what keeps that from being done is logged, and tried again."""
    services, settings = hypervisor.services, repository_of(hypervisor).settings
    try:
        uuid = settings.own_uuid or settings.general_uuid or await services.store.agent_id()
        await asyncio.to_thread(write_own_feed, settings, uuid, services.settings.hostname)
    except (OSError, StoreError) as error:
        log.warning("the own feed of appliances cannot be written: %s", error)
