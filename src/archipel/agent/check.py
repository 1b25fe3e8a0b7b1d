# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel-agent --check``: is everything that the agent needs usable? In plain words, before the service starts."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import image_access, plugins
from archipel.agent.parking_settings import shared_folder
from archipel.agent.settings import Settings
from archipel.agent.shelf import check_folder
from archipel.agent.store import Store, StoreError
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.host import Host
from archipel.agent.virt.oom_adjustment import SOCKET
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError
from archipel.xmpp import stanzas
from archipel.xmpp.connection import Address
from archipel.xmpp.errors import ServerUnreachable, WireError
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context

DEADLINE: Final = 10.0  # seconds for each thing that is asked
say = print  # the output of this program is for whoever started it
RESOURCE: Final = "check"  # another than the service's, which may be running and must not be thrown out
Trial = Callable[[Settings], Awaitable[str]]


async def run(settings: Settings) -> int:
    """Try everything, print a line for each; returns 0 if all is well, else 1."""
    failed = 0
    for warning in (*settings.warnings, *_remark(settings)):
        say(f"note  {warning}")
    for what, trial in _TRIALS.items():
        try:
            say(f"ok    {what}: {await trial(settings)}")
        except (WireError, VirtError, StoreError, CommandError, ImportError, OSError) as error:
            failed += 1
            say(f"FAIL  {what}: {error}")
    say("everything is usable" if not failed else f"{failed} of {len(_TRIALS)} checks failed: the agent would not work")
    return 1 if failed else 0


def _remark(settings: Settings) -> Iterator[str]:
    """Yield what the agent can do without."""
    if not image_access.is_alone(settings) and not os.access(SOCKET, os.R_OK | os.W_OK):
        yield f"{SOCKET} cannot be used, so no running machine is adjusted (oomkiller): systemctl enable --now archipel-oom.socket"


async def _try_configuration(settings: Settings) -> str:
    plugins.load(settings)
    return f"the agent is {settings.xmpp.jid}/{settings.hostname}, and its capabilities can be loaded"


async def _try_server(settings: Settings) -> str:
    """Log in as the hypervisor would, and ask the PubSub service for a sign of life."""
    tls = None if settings.xmpp.insecure_plaintext else client_context(settings.xmpp.ca_file)
    stream = Stream(f"{settings.xmpp.jid}/{RESOURCE}", settings.xmpp.password.reveal(), tls)
    try:
        await _log_in(stream, settings.xmpp.endpoints)
        question = ET.Element(f"{{{ns.DISCO_INFO}}}query")
        await stream.request(stanzas.iq("get", settings.xmpp.pubsub_service, question), DEADLINE)
    finally:
        await stream.logout()
    return f"logged in as {settings.xmpp.jid}, {settings.xmpp.pubsub_service} answers" + (" (WITHOUT encryption)" if tls is None else "")


async def _log_in(stream: Stream, endpoints: Sequence[Address]) -> None:
    """Log in at the first address where somebody listens, as the agent would; names those where nobody does."""
    for number, (host, port) in enumerate(endpoints, start=1):
        try:
            await stream.login(host, port, DEADLINE)
        except ServerUnreachable as error:
            if number == len(endpoints):
                raise
            say(f"note  XMPP server: {host}, port {port}: {error}")
        else:
            return


async def _try_libvirt(settings: Settings) -> str:
    async with LibvirtConnection(settings.libvirt.uri, threads=1) as connection:
        await connection.wait_connected(DEADLINE)
        host = Host(connection)
        return f"{settings.libvirt.uri}, libvirt {await host.libvirt_version()}, {len(await host.domains())} domains"


async def _try_database(settings: Settings) -> str:
    path = settings.state.database
    if not path.exists():
        _try_writing(_existing(path.parent))
        return f"{path} will be made"
    store = await Store.open(path)
    try:
        return f"{path}, {len(await store.machines())} machines"
    finally:
        await store.close()


async def _try_folders(settings: Settings) -> str:
    for folder in _folders(settings):
        _try_writing(_existing(folder))
    if (shared := shared_folder(settings)) is not None:
        _try_shared(shared)
    return "machines' folders and logs can be written"


def _try_shared(folder: Path) -> None:
    """Raise ``OSError``, which names the option, if machines cannot be parked in the folder."""
    try:
        check_folder(folder)
    except OSError as error:
        raise OSError(f"[VMPARKING] shared_folder: {folder}: {error.strerror}") from error
    _try_writing(folder)


async def _try_images(settings: Settings) -> str:
    return await asyncio.to_thread(image_access.describe, settings)


def _folders(settings: Settings) -> Iterator[Path]:
    yield settings.machines.base_path
    yield settings.logging.audit_file.parent
    if settings.logging.file is not None:
        yield settings.logging.file.parent


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists: the agent makes the rest."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _try_writing(folder: Path) -> None:
    """Raise ``OSError`` if nothing can be made in the folder."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be written by user {os.getuid()}: change its owner or the setting")
    with tempfile.TemporaryFile(dir=folder):
        pass


_TRIALS: Final[dict[str, Trial]] = {
    "configuration": _try_configuration,
    "XMPP server": _try_server,
    "libvirt": _try_libvirt,
    "database": _try_database,
    "folders": _try_folders,
    "images": _try_images,
}
