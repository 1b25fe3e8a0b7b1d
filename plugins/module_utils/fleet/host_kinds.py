# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What machines stand on: filters, networks, pools, volumes and golden images of a hypervisor's host."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils import (
    golden_image,
    network,
    network_arguments,
    nwfilter,
    storage_pool,
    storage_volume,
)
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.pruned_machine import frees_image

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step
    from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource

ABSENT = {"state": "absent"}
_NAMED = [("name",)]


def _network(ground: Ground, item: Item) -> Resource:
    return network.DeclaredNetwork(ground.hypervisor, item.arguments, check_mode=True)


def _leaves_with_machines(_network: Resource, machines: Collection[Step]) -> bool:
    return bool(machines)


def _filter(ground: Ground, item: Item) -> Resource:
    return nwfilter.DeclaredFilter(ground.hypervisor, item.arguments, check_mode=True)


def _needs_of_filter(item: Item) -> Iterator[tuple[str, str]]:
    yield from (("filter", reference["filter"]) for reference in item.arguments["filterrefs"] or ())


def _pool(ground: Ground, item: Item) -> Resource:
    return storage_pool.DeclaredPool(ground.hypervisor, item.arguments, check_mode=True)


def _volume(ground: Ground, item: Item) -> Resource:
    volume = storage_volume.DeclaredVolume(ground.hypervisor, item.arguments, check_mode=True)
    ground.volumes[volume.pool, volume.name] = volume
    volume.find_below(ground.volumes)
    return volume


def _needs_of_volume(item: Item) -> Iterator[tuple[str, str]]:
    """Yield the pool and the volume, or the golden image, that a volume stands on."""
    backing = item.arguments["backing"] or {}
    if backing.get("volume"):
        pool = backing["pool"] or item.arguments["pool"]
        yield from (("pool", pool), ("volume", f"{pool}/{backing['volume']}"))
    elif backing:
        yield "image", PurePosixPath(backing["path"]).name


def _name_volume(arguments: Mapping[str, Any]) -> str:
    return f"{arguments['pool']}/{arguments['name']}"


def _pool_of_volume(arguments: Mapping[str, Any]) -> tuple[str, str]:
    return "pool", arguments["pool"]


def _remove_volume(name: str) -> dict[str, Any]:
    pool, _slash, volume = name.partition("/")
    return {"pool": pool, "name": volume, **ABSENT}


def _image(ground: Ground, item: Item) -> Resource:
    return golden_image.DeclaredGoldenImage(ground.hypervisor, item.arguments)


def _name_image(arguments: Mapping[str, Any]) -> str:
    return golden_image.file_name(arguments["name"])


def _machine_of_image(arguments: Mapping[str, Any]) -> tuple[str, str] | None:
    return None if arguments["machine"] is None else ("machine", arguments["machine"])


HOST_KINDS: tuple[Kind, ...] = (
    Kind(
        name="filter",
        section="filters",
        options=nwfilter.KIND,
        declare=_filter,
        refer=_needs_of_filter,
        constraints={"required_one_of": _NAMED, "mutually_exclusive": nwfilter.DEFINITION_OR_OPTIONS},
        describe_all=nwfilter.describe_all,
    ),
    Kind(
        name="network",
        section="networks",
        options=network_arguments.NETWORK,
        declare=_network,
        constraints={"required_one_of": _NAMED, "mutually_exclusive": network_arguments.DEFINITION_OR_OPTIONS},
        describe_all=network.describe_all,
        freed_by=_leaves_with_machines,
    ),
    Kind(
        name="pool",
        section="pools",
        options=storage_pool.KIND,
        declare=_pool,
        constraints={"required_one_of": _NAMED},
        describe_all=storage_pool.describe_all,
    ),
    Kind(
        name="volume",
        section="volumes",
        options=storage_volume.KIND,
        declare=_volume,
        refer=_needs_of_volume,
        identify=_name_volume,
        constraints={"required_one_of": [("name",), ("pool",)]},
        container=_pool_of_volume,
        absent=ABSENT,
        removal=_remove_volume,
        describe_all=storage_volume.describe_all,
        one_by_one=True,  # libvirt lists a pool's volumes for each, and stumbles over one that goes meanwhile
    ),
    Kind(
        name="image",
        section="images",
        options=golden_image.GOLDEN_IMAGE,
        declare=_image,
        identify=_name_image,
        constraints={"required_one_of": _NAMED},
        container=_machine_of_image,
        absent=ABSENT,
        describe_all=golden_image.describe_all,
        freed_by=frees_image,
    ),
)
