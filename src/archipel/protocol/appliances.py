# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appliances: feeds and downloads of a hypervisor, and what a machine makes of them or gives away.

Namespaces ``archipel:hypervisor:vmcasting`` and ``archipel:virtualmachine:vmcasting``.
"""

from __future__ import annotations

import enum
import re
import uuid as uuids
from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, children, payload

TOPIC: Final = "vmcasting"


@about(TOPIC)
class FeedChange(Change):
    """What happens to the [feeds and appliances](appliances.md) of a hypervisor."""

    REGISTER = "register", "a [feed of appliances](appliances.md) was registered"
    UNREGISTER = "unregister", "a feed was dropped"
    DOWNLOAD_START = "download_start", "the download of an appliance began"
    DOWNLOAD_PROGRESS = "download_progress", "ten more per cent are there; a `<download>` in the push says how much of which"
    DOWNLOAD_COMPLETE = "download_complete", "an appliance is there"
    DOWNLOAD_ERROR = "download_error", "a download failed"
    DELETED = "appliancedeleted", "what was downloaded of an appliance was deleted"


@about(TOPIC)
class ApplianceChange(Change):
    """What happens to a machine's appliance."""

    INSTALLING = "applianceinstalling", "a machine is being made from an appliance"
    INSTALLED = "applianceinstalled", "a machine was made from an appliance"
    ERROR = "applianceerror", "the installation failed, and left nothing"
    DETACHED = "appliancedetached", "a machine has forgotten which appliance it was"
    PACKAGING = "packaging", "an appliance is being made of a machine"
    PACKAGED = "packaged", "an appliance was made of a machine"
    PACKAGING_ERROR = "packagingerror", "no appliance was made, and nothing is left of it"


LONGEST_URL: Final = 2000
LONGEST_NAME: Final = 100  # characters of an appliance's name
_NOT_IN_URLS: Final = re.compile(r"[\x00-\x20\x7f<>\"]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class FeedCode(enum.IntEnum):
    """Error codes of the founders, of hypervisors."""

    GET = -6001
    REGISTER = -6002
    UNREGISTER = -6003
    DOWNLOAD = -6004
    QUEUE = -6005
    GET_ONE = -6006
    DELETE = -6007
    GET_INSTALLED = -6008


class ApplianceCode(enum.IntEnum):
    """Error codes of the founders, of machines."""

    ATTACH = -4001
    GET = -4002
    DETACH = -4003
    PACKAGE = -4004


class Status(enum.IntEnum):
    """What a hypervisor has of an appliance."""

    INSTALLED = 1
    DOWNLOADING = 2
    NOT_DOWNLOADED = 3
    ERROR = 4


def proper_url(value: str) -> str | None:
    """Check that a text may be the address of a feed; which ones are fetched is the agent's to say."""
    if len(value) > LONGEST_URL or _NOT_IN_URLS.search(value) or not value.lower().startswith(("https://", "http://")):
        return f"must be an address that begins with https:// and has {LONGEST_URL} characters at most"
    return None


def proper_package_name(value: str) -> str | None:
    """Check that a package may be called so."""
    name = package_file_name(value)
    if not name or name.startswith(".") or _CONTROL.search(value) or len(name) > LONGEST_NAME or len(name.encode()) > 200:
        return f"must have 1 to {LONGEST_NAME} characters, no control characters, and not begin with a dot"
    return None


def package_file_name(name: str) -> str:
    """Return a package's name as its file is called, without ending."""
    name = name.strip()
    for forbidden in ("..", " ", "/", "\\"):
        name = name.replace(forbidden, "_")
    return name


@payload
class OfferedAppliance(Payload, tag="appliance"):
    """An appliance of a feed; ``size`` in bytes. ``pubDate`` is ``date`` where founding clients look for it."""

    name: str = attribute()
    description: str = attribute(default="")
    url: str = attribute(default="")
    size: str = attribute(default="")
    date: str = attribute(default="")
    published: str = attribute(name="pubDate", default="")
    uuid: str = attribute()
    status: int = attribute()


@payload
class Source(Payload, tag="source"):
    """A feed with its appliances; ``problem`` (new here) says why what is told is what was known before."""

    name: str = attribute(default="")
    description: str = attribute(default="")
    url: str = attribute(default="")
    uuid: str = attribute()
    problem: str | None = attribute(default=None)
    appliances: tuple[OfferedAppliance, ...] = children()


@payload
class GetFeeds(Request[tuple[Source, ...]], namespace=ns.HYPERVISOR_VMCASTING, action="get"):
    """The feeds, read anew."""


@payload
class RegisterFeed(Request[None], namespace=ns.HYPERVISOR_VMCASTING, action="register"):
    """Subscribe to a feed."""

    url: str = attribute(proper_url)


@payload
class UnregisterFeed(Request[None], namespace=ns.HYPERVISOR_VMCASTING, action="unregister"):
    """Drop a feed; what was downloaded of it stays."""

    uuid: uuids.UUID = attribute()


@payload
class DownloadAppliance(Request[None], namespace=ns.HYPERVISOR_VMCASTING, action="downloadappliance"):
    """Fetch an appliance, or go on where it broke off."""

    uuid: uuids.UUID = attribute()


@payload
class StopDownload(Request[None], namespace=ns.HYPERVISOR_VMCASTING, action="stopdownload"):
    """Break a download off; what is there of it stays, and the next one goes on from there. New here."""

    uuid: uuids.UUID = attribute()


@payload
class Download(Payload, tag="download"):
    """A download under way; ``total`` in bytes, -1 if it is not known."""

    uuid: str = attribute()
    name: str = attribute()
    percentage: float = attribute()
    total: int = attribute()


@payload
class GetDownloads(Request[tuple[Download, ...]], namespace=ns.HYPERVISOR_VMCASTING, action="downloadqueue", reads=True):
    """What is being downloaded."""


@payload
class Appliance(Payload, tag="appliance"):
    """An appliance of this host; ``uuid`` and ``sha256`` (hexadecimal, of the downloaded file) are new here."""

    path: str = attribute(default="")
    name: str = attribute()
    description: str = attribute(default="")
    uuid: str = attribute(default="")
    sha256: str = attribute(default="")


@payload
class GetAppliance(Request[Appliance], namespace=ns.HYPERVISOR_VMCASTING, action="getappliances", reads=True):
    """One appliance."""

    uuid: uuids.UUID = attribute()


@payload
class DeleteAppliance(Request[None], namespace=ns.HYPERVISOR_VMCASTING, action="deleteappliance"):
    """Remove what was downloaded of an appliance."""

    uuid: uuids.UUID = attribute()


@payload
class GetInstalledAppliances(
    Request[tuple[Appliance, ...]], namespace=ns.HYPERVISOR_VMCASTING, action="getinstalledappliances", reads=True
):
    """What is downloaded."""


@payload
class InstallableAppliance(Payload, tag="appliance"):
    """An appliance as a machine sees it: ``none``, ``installing`` or ``installed``."""

    path: str = attribute(default="")
    name: str = attribute()
    description: str = attribute(default="")
    uuid: str = attribute()
    status: str = attribute()


@payload
class GetInstallable(Request[tuple[InstallableAppliance, ...]], namespace=ns.VM_VMCASTING, action="get", reads=True):
    """The appliances that the machine could be made of."""


@payload
class AttachAppliance(Request[None], namespace=ns.VM_VMCASTING, action="attach"):
    """Make the machine from an appliance."""

    uuid: uuids.UUID = attribute()


@payload
class DetachAppliance(Request[None], namespace=ns.VM_VMCASTING, action="detach"):
    """Forget which appliance the machine was made of."""


@payload
class PackageMachine(Request[None], namespace=ns.VM_VMCASTING, action="package"):
    """Make an appliance of the machine, in the host's own feed."""

    name: str = attribute(at_most_characters(LONGEST_NAME), proper_package_name)
    gzip: bool | None = attribute(default=None)
    include_iso: bool = attribute(default=False)
