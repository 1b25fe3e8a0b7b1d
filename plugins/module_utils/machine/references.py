# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a machine stands on: networks, pools, volumes and golden images that must be there before it starts, or before a drive is made.

libvirt takes a definition that names what there is not, and refuses the start; a drive fails when the machine is made already. What
this account may not list is not known, and not told as missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from xml.etree import ElementTree as ET

from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together
from ansible_collections.archipel.platform.plugins.module_utils.execution import NotThere
from ansible_collections.archipel.platform.plugins.module_utils.golden_image import file_name
from ansible_collections.archipel.platform.plugins.module_utils.storage_pool import list_pools
from ansible_collections.archipel.platform.plugins.module_utils.storage_volume import list_volumes

try:
    from archipel.protocol.errors import CommandError
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor
    from archipel.protocol.domain.domain import Domain

    Drives = Sequence[Mapping[str, Any]]

T = TypeVar("T")
NAMED = 5  # of those that there are, in an error


async def refuse_what_is_missing(
    hypervisor: Hypervisor, definition: Domain | None, drives: Sequence[Mapping[str, Any]], title: str
) -> None:
    """Raise :class:`NotThere` that names all that a definition about to be started, and new drives, stand on and that is not there."""
    element = ET.Element("domain") if definition is None else definition.element
    found = await asyncio.gather(
        _missing_networks(hypervisor, element), _missing_pools(hypervisor, element), _missing_images(hypervisor, drives)
    )
    missing = [text for texts in found for text in texts]
    if missing:
        raise NotThere(f"{title}: {'; '.join(missing)}")


async def _ask(question: Awaitable[T]) -> T | None:
    """Return the answer, or ``None`` where nobody tells it: for want of a right, or because libvirt cannot."""
    try:
        return await question
    except CommandError:
        return None


async def _together(hypervisor: Hypervisor, what: str, question: Callable[[], Awaitable[T]]) -> T:
    return await ask_together(hypervisor.session, (hypervisor.bare, what), question)


async def _missing_networks(hypervisor: Hypervisor, element: ET.Element) -> list[str]:
    wanted = [
        (f"networks[{number}].network", source.get("network", ""))
        for number, card in enumerate(element.iterfind("devices/interface"))
        if card.get("type") == "network" and (source := card.find("source")) is not None
    ]
    known = await _ask(_together(hypervisor, "networks", hypervisor.networks.list)) if wanted else None
    if known is None:
        return []
    return list(_compare(hypervisor, "network", wanted, {one.name: one.active for one in known}))


async def _missing_pools(hypervisor: Hypervisor, element: ET.Element) -> list[str]:
    wanted = [
        (f"disks[{number}]", source.get("pool", ""), source.get("volume", ""))
        for number, disk in enumerate(element.iterfind("devices/disk"))
        if disk.get("type") == "volume" and (source := disk.find("source")) is not None
    ]
    known = await _ask(list_pools(hypervisor)) if wanted else None
    if known is None:
        return []
    active = {one.name: one.active for one in known}
    missing = list(_compare(hypervisor, "storage_pool", [(f"{path}.pool", pool) for path, pool, _volume in wanted], active))
    for path, pool, volume in wanted:
        if active.get(pool):
            missing += await _missing_volume(hypervisor, f"{path}.volume", pool, volume)
    return missing


async def _missing_volume(hypervisor: Hypervisor, path: str, pool: str, volume: str) -> list[str]:
    known = await _ask(list_volumes(hypervisor, pool))
    if known is None or any(one.name == volume for one in known):
        return []
    return [f"{path}: pool {pool!r} of {hypervisor.bare} has no volume {volume!r}{_there_are([one.name for one in known])}"]


async def _missing_images(hypervisor: Hypervisor, drives: Drives) -> list[str]:
    wanted = {number: file_name(drive["golden"]) for number, drive in enumerate(drives) if drive.get("golden")}
    known = await _ask(_together(hypervisor, "golden images", hypervisor.golden_images.list)) if wanted else None
    names = [] if known is None else [one.name for one in known]
    return [
        f"drives[{number}].golden: {hypervisor.bare} has no golden image {name!r}{_there_are(names)}"
        for number, name in wanted.items()
        if known is not None and name not in names
    ]


def _compare(hypervisor: Hypervisor, kind: str, wanted: list[tuple[str, str]], active: Mapping[str, bool]) -> Iterator[str]:
    words = kind.replace("_", " ")
    for path, name in wanted:
        if name not in active:
            yield f"{path}: {hypervisor.bare} has no {words} {name!r}{_there_are(active)}"
        elif not active[name]:
            yield f"{path}: the {words} {name!r} of {hypervisor.bare} is not active: start it (archipel.platform.{kind}, state: active)"


def _there_are(names: Collection[str]) -> str:
    shown = sorted(names)[:NAMED]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; there are {', '.join(shown)}{more}" if shown else ""
