# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel network``, ``nwfilter``, ``pool``, ``volume``: what a host has for its machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from xml.etree import ElementTree as ET

import click

from archipel.cli.parameters import Size, XmlFile, argument, flag, option, size_of
from archipel.cli.subcommands import On, Subcommand, make_group, show_names, show_xml
from archipel.client.networks import NetworkFilters, Networks
from archipel.client.storage_pools import StoragePools, Volumes
from archipel.protocol.storage_pools import FORMATS

NETWORK, POOL, FILE = argument("network"), argument("pool"), argument("definition", metavar="FILE.xml", kind=XmlFile())


def _row(concern: Any) -> Any:
    """Return what makes rows of commands about one thing, sent to one hypervisor unless they say otherwise."""

    def make(name: str, help: str, call: Any, *parameters: click.Parameter, on: On = On.HYPERVISOR, **more: Any) -> Subcommand:  # noqa: A002 - click's word
        return Subcommand(name, help, call, parameters, on=on, concern=concern, **more)

    return make


def _naming(call: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[str]]:
    """Return a call that defines something, and returns what that is called."""

    async def define(concern: Any, definition: ET.Element, **options: Any) -> str:
        await call(concern, definition, **options)
        return str(definition.findtext("name") or definition.get("name", ""))

    return define


_network, _filter, _pool, _volume = map(_row, (Networks, NetworkFilters, StoragePools, Volumes))

network = make_group(
    "network",
    "Look after the networks of a host. A NETWORK is named by its name or UUID; --hypervisor chooses the host.",
    (
        _network(
            "list",
            "List the networks of all known hypervisors.",
            Networks.list,
            on=On.ALL_HYPERVISORS,
            columns={
                "NAME": "name",
                "ACTIVE": "active",
                "AUTOSTART": "autostart",
                "BRIDGE": "bridge",
                "FORWARD": "forward",
                "UUID": "uuid",
            },
            none="no networks",
        ),
        _network("show", "Print the definition of a network.", Networks.show, NETWORK, show=show_xml),
        _network(
            "define",
            "Define a network by libvirt's XML; - reads standard input.",
            _naming(Networks.define),
            FILE,
            flag("--autostart/--no-autostart", "Start it with its host, or do not [default: as it was].", default=None),
            says="{on}: network {answer} defined",
        ),
        _network("undefine", "Remove the definition of a network.", Networks.undefine, NETWORK, says="{on}: network {network} undefined"),
        _network("start", "Start a network.", Networks.start, NETWORK, says="{on}: network {network} started"),
        _network("stop", "Stop a network; its machines are cut off.", Networks.stop, NETWORK, says="{on}: network {network} stopped"),
        _network(
            "leases",
            "List the addresses that a network's DHCP server gave away.",
            Networks.leases,
            NETWORK,
            columns={"ADDRESS": "ip", "MAC": "mac", "HOST": "hostname"},
            none="no addresses are given away",
        ),
        _network(
            "bridges",
            "List the bridges of all known hypervisors.",
            Networks.bridges,
            on=On.ALL_HYPERVISORS,
            columns={"NAME": "name", "TYPE": "type"},
            none="no interfaces",
        ),
        _network("interfaces", "List a host's network interfaces.", Networks.interfaces, show=show_names),
    ),
)

nwfilter = make_group(
    "nwfilter",
    "Look after the network filters of a host; --hypervisor chooses the host.",
    (
        _filter("list", "List the network filters.", NetworkFilters.list, show=show_names),
        _filter("show", "Print the definition of a filter.", NetworkFilters.show, argument("name"), show=show_xml),
        _filter(
            "define",
            "Define a filter by libvirt's XML; - reads standard input.",
            _naming(NetworkFilters.define),
            FILE,
            says="{on}: filter {answer} defined",
        ),
        _filter(
            "undefine",
            "Remove a filter that nothing uses.",
            NetworkFilters.undefine,
            argument("name"),
            says="{on}: filter {name} undefined",
        ),
    ),
)

pool = make_group(
    "pool",
    "Look after the storage pools of a host; --hypervisor chooses the host.",
    (
        _pool(
            "list",
            "List the storage pools of all known hypervisors.",
            StoragePools.list,
            on=On.ALL_HYPERVISORS,
            columns={
                "NAME": "name",
                "TYPE": "type",
                "ACTIVE": "active",
                "AUTOSTART": "autostart",
                "SIZE": lambda found: size_of(found.capacity) if found.active else "",
                "FREE": lambda found: size_of(found.available) if found.active else "",
                "PATH": "path",
            },
            none="no pools",
        ),
        _pool(
            "define",
            "Define a pool by libvirt's XML; - reads standard input.",
            _naming(StoragePools.define),
            FILE,
            flag("--autostart", "Start it with its host."),
            says="{on}: pool {answer} defined",
        ),
        _pool(
            "start",
            "Start a pool.",
            StoragePools.start,
            POOL,
            flag("--build", "Make its folder, file system or volume group before."),
            says="{on}: pool {pool} started",
        ),
        _pool("stop", "Stop a pool; what is in it stays.", StoragePools.stop, POOL, says="{on}: pool {pool} stopped"),
        _pool(
            "undefine",
            "Forget a pool that is stopped; what is in it stays.",
            StoragePools.undefine,
            POOL,
            says="{on}: pool {pool} undefined",
        ),
        _pool("refresh", "Have libvirt look again what is in a pool.", StoragePools.refresh, POOL, says="{on}: pool {pool} refreshed"),
    ),
)

volume = make_group(
    "volume",
    "Make and change volumes of storage pools; sizes are 500M, 10G or 1T; --hypervisor chooses the host.",
    (
        _volume(
            "list",
            "List the volumes of a pool.",
            Volumes.list,
            POOL,
            columns={
                "NAME": "name",
                "FORMAT": "format",
                "SIZE": lambda found: size_of(found.capacity),
                "TAKES": lambda found: size_of(found.allocation),
                "PATH": "path",
            },
            none="no volumes",
        ),
        _volume(
            "create",
            "Make an empty volume.",
            Volumes.create,
            POOL,
            argument("name"),
            argument("size", kind=Size(), required=False, default=None),
            option("--format", "Its format; raw unless it stands on a file.", kind=click.Choice(FORMATS)),
            option("--backing", "What it stands on: a volume, or a path that begins with a slash.", metavar="VOLUME|PATH"),
            option("--backing-pool", "The pool of that volume, if not the same.", metavar="POOL"),
            option("--backing-format", "The format that is read in.", kind=click.Choice(FORMATS)),
            says="{on}: volume {name} made in {pool}",
        ),
        _volume(
            "delete",
            "Delete a volume that nobody uses.",
            Volumes.delete,
            POOL,
            argument("name"),
            says="{on}: volume {name} of {pool} deleted",
        ),
        _volume(
            "resize",
            "Make a volume that nobody uses larger.",
            Volumes.resize,
            POOL,
            argument("name"),
            argument("size", kind=Size()),
            flag("--shrink", "Let it become smaller: its end is cut off."),
            says="{on}: volume {name} of {pool} has {size} now",
        ),
    ),
)
