# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``archipel-agent``: one process, one asyncio loop, all entities of one host."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import uvloop

from archipel.agent import administrators, check, following, plugins
from archipel.agent.audit import AuditLog
from archipel.agent.config import DEFAULT_PATH, ConfigError, load_settings
from archipel.agent.database import claim
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.journal import open_journal
from archipel.agent.logs import configure_logging
from archipel.agent.rights import Rights
from archipel.agent.services import Services
from archipel.agent.settings import Libvirt, Settings, Xmpp
from archipel.agent.slow_work import bound_quick_threads
from archipel.agent.store import Phase, Store, StoreError
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.errors import LibvirtUnavailable
from archipel.agent.virt.host import Host
from archipel.agent.watchdog import feed_watchdog
from archipel.protocol import presence
from archipel.protocol.errors import CommandError
from archipel.protocol.events import Topic
from archipel.xmpp.connection import Server
from archipel.xmpp.errors import WireError
from archipel.xmpp.tls import client_context

log = logging.getLogger(__name__)

HOUSEKEEPING_INTERVAL: Final = 60.0  # seconds; a right that is over is refused at once, this only tells and tidies up
RETRY_INTERVAL: Final = 5.0  # seconds; something is left half done because libvirt, the server or the disk failed just now
LIBVIRT_START_WAIT: Final = 10.0  # seconds; without libvirt the hypervisor comes online all the same, and says so
XMPP_START_WAIT: Final = 10.0  # seconds; an agent that its server does not let in has started all the same, and goes on trying
MOST_FILES: Final = 65536  # file handles, as the service allows them
NAME_THREADS: Final = 1  # to look up names, which is but the server's
EXIT_CONFIGURATION, EXIT_CAPABILITY, EXIT_STATE = 1, 2, 4  # 1 and 2 as the founders' agent had them


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent, or check whether it could run; returns the exit status."""
    options = _parse_arguments(arguments)
    try:
        settings = load_settings(options.config or (DEFAULT_PATH,), capabilities=plugins.declared_settings())
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - nobody has set up a log yet
        return EXIT_CONFIGURATION
    if options.check:
        return uvloop.run(check.run(settings))
    configure_logging(settings.logging)
    for warning in settings.warnings:
        log.warning("%s", warning)
    raise_file_limit()
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(NAME_THREADS))  # uvloop takes four
    try:
        uvloop.run(serve(settings))
    except ImportError as error:
        log.critical("%s", error)
        return EXIT_CAPABILITY
    except (StoreError, OSError) as error:
        log.critical("%s", error)
        return EXIT_STATE
    return 0


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="archipel-agent", description="Make this host's virtual machines XMPP contacts.")
    parser.add_argument(
        "-c", "--config", type=Path, action="append", help=f"configuration file, later ones over earlier ones (default: {DEFAULT_PATH})"
    )
    parser.add_argument("--check", action="store_true", help="say whether configuration, server, libvirt and folders are usable, then end")
    parser.add_argument("--version", action="version", version=f"archipel-agent {metadata.version('archipel')}")
    return parser.parse_args(arguments)


def raise_file_limit() -> None:
    """Use as many file handles as the host lets us: each machine takes one, and 1024 is what a process usually begins with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(settings: Settings) -> None:
    """Run all entities until a signal to end comes."""
    bound_quick_threads()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_services(settings) as services:
        loop.add_signal_handler(signal.SIGHUP, services.audit.reopen)
        async with run_entities(services) as hypervisor:
            await wait_for_either(hypervisor.online, stop, XMPP_START_WAIT)
            notify_systemd(f"READY=1\nSTATUS={len(hypervisor.machines)} machines")
            hypervisor.spawn(feed_watchdog(notify_systemd))
            log.info("%s serves %d machines", hypervisor.full, len(hypervisor.machines))
            await stop.wait()
            notify_systemd("STOPPING=1")


async def wait_for_either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    """Wait until one of two things happens, no longer than told: who starts the service may then talk to the hypervisor."""
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open what all entities share, and close it again."""
    async with contextlib.AsyncExitStack() as stack:
        audit = AuditLog(settings.logging.audit_file, open_journal())
        stack.callback(audit.close)
        stack.enter_context(claim(settings.state.database))
        store = await Store.open(settings.state.database)
        stack.push_async_callback(store.close)
        catalogue, registry = plugins.load(settings)
        libvirt = await stack.enter_async_context(_connect_libvirt(settings.libvirt))
        yield Services(
            settings=settings,
            store=store,
            rights=await Rights.load(store, catalogue, settings.xmpp.root_admins),
            audit=audit,
            libvirt=libvirt,
            host=Host(libvirt),
            server=_describe_server(settings.xmpp),
            tls=None if settings.xmpp.insecure_plaintext else client_context(settings.xmpp.ca_file),
            registry=registry,
            driver=settings.libvirt.uri.partition(":")[0].partition("+")[0].upper(),
        )


def _describe_server(xmpp: Xmpp) -> Server:
    return Server(list(xmpp.endpoints), xmpp.login_parallel, login_deadline=xmpp.login_timeout, probe_interval=xmpp.probe_interval)


def _connect_libvirt(libvirt: Libvirt) -> LibvirtConnection:
    return LibvirtConnection(libvirt.uri, threads=libvirt.pool_size, change_timeout=libvirt.change_timeout)


@contextlib.asynccontextmanager
async def run_entities(services: Services) -> AsyncIterator[Hypervisor]:
    """Bring hypervisor and machines up, and log all of them out at the end."""
    with contextlib.suppress(LibvirtUnavailable):
        await services.libvirt.wait_connected(LIBVIRT_START_WAIT)
    hypervisor = Hypervisor(services)
    stop_observing = services.libvirt.observe(on_connected=lambda: refresh(hypervisor), on_lost=lambda: tell_lost(hypervisor))
    stop_listening = services.libvirt.events.listen(hypervisor.take_event)
    for record in await services.store.machines(Phase.ACTIVE, Phase.MIGRATING):
        hypervisor.adopt_record(record)
    for entity in (hypervisor, *hypervisor.machines.values()):
        entity.start()
    hypervisor.spawn(keep_house(hypervisor))
    hypervisor.spawn(administrators.look_out(hypervisor))
    for work in services.registry.hooks.background(hypervisor):
        hypervisor.spawn(work)
    try:
        yield hypervisor
    finally:
        stop_listening()
        stop_observing()
        await asyncio.gather(*(entity.close() for entity in (*hypervisor.machines.values(), hypervisor)))


async def refresh(hypervisor: Hypervisor) -> None:
    """Read everything anew from libvirt, which is back."""
    hypervisor.show_machines()
    await asyncio.gather(*(machine.refresh() for machine in hypervisor.machines.values()))
    await hypervisor.recover()


async def tell_lost(hypervisor: Hypervisor) -> None:
    """Tell everybody that nothing is known now."""
    hypervisor.show_machines()
    for machine in hypervisor.machines.values():
        machine.show(presence.LIBVIRT_LOST)


async def keep_house(hypervisor: Hypervisor) -> None:
    """Do for ever what nothing announces: rights end, and what failed halfway is tried again until it is done."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOUSEKEEPING_INTERVAL):
                await hypervisor.untidy.wait()
                await asyncio.sleep(RETRY_INTERVAL)
        await expire_grants(hypervisor)
        await hypervisor.recover()


async def expire_grants(hypervisor: Hypervisor) -> None:
    """Take rights away whose time is over; who held them is told, and reads no more events if it was his last."""
    entities = {entity.bare: entity for entity in (hypervisor, *hypervisor.machines.values())}
    try:
        over = await hypervisor.services.rights.drop_expired()
    except StoreError as error:
        log.warning("rights that are over cannot be removed now: %s", error)
        return
    for bare, subject in over:
        if (entity := entities.get(bare)) is not None:
            entity.push(Topic.PERMISSIONS, subject)
            await entity.withdraw(subject)
            with contextlib.suppress(CommandError, WireError):
                await entity.refresh_readers()
    try:
        await following.expire(hypervisor)
    except StoreError as error:
        log.warning("rules that are over cannot be removed now: %s", error)


def notify_systemd(message: str) -> None:
    """Tell the service manager, if there is one (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
            notification.connect("\0" + address[1:] if address.startswith("@") else address)
            notification.sendall(message.encode())


if __name__ == "__main__":
    sys.exit(main())
