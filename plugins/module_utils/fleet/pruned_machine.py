# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A machine that goes together with the drives in its folder: each is deleted by its agent, which refuses where others read through it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item
from ansible_collections.archipel.platform.plugins.module_utils.golden_image import DeclaredGoldenImage
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MachineWish
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import NO_MACHINE, DeclaredMachine
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import is_active
from ansible_collections.archipel.platform.plugins.module_utils.machine_drives import file_of
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource, Values

if TYPE_CHECKING:
    from collections.abc import Collection

    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step

    from archipel.protocol.drives import Drive

_MEBIBYTE = 1 << 20


class PrunedMachine(DeclaredMachine):
    """A machine and its drives, none of which shall be there any more."""

    drives: tuple[Drive, ...] = ()

    async def read(self) -> Values:
        """Return which drives the machine has in its folder, and what these take there."""
        values = await super().read()
        if values == NO_MACHINE:
            return values
        self.drives = await self.host.directory.open(self.listed).drives.list()
        return {**values, "drives": [_tell(drive) for drive in self.drives]} if self.drives else values

    async def _free(self) -> None:
        """Delete the drives one by one, then the machine; a drive on which something else stands keeps both."""
        machine = self.host.directory.open(self.listed)
        drives = await machine.drives.list()
        if drives and is_active(await machine.state()):
            await machine.destroy()
        for drive in drives:
            await machine.drives.delete(file_of(drive), undefine=True)
        await self.host.hypervisor.free(self.listed.uuid)
        self.entry = None


def _tell(drive: Drive) -> dict[str, Any]:
    return {"file": file_of(drive), "disk_size": drive.disk_size}


def declare_pruned(ground: Ground, item: Item) -> Resource:
    """Return the resource of a machine that is no longer declared, and goes with its drives."""
    return PrunedMachine(MachineWish.of(item.arguments), ground.host)


def drives_of(step: Step) -> tuple[Drive, ...]:
    """Return the drives that a removal deletes."""
    return step.resource.drives if isinstance(step.resource, PrunedMachine) and not step.stopped else ()


def tell_drives(steps: Collection[Step]) -> str:
    """Return in words what drives go with machines, and what they take on their hosts; nothing without any."""
    drives = [drive for step in steps for drive in drives_of(step)]
    size = sum(drive.disk_size for drive in drives)
    return f", with {len(drives)} drives that take {-(-size // _MEBIBYTE)} MiB" if drives else ""


def frees_image(image: Resource, machines: Collection[Step]) -> bool:
    """Whether nothing stands on a golden image any more when these machines, and their drives, have gone."""
    going = {_in_folder(drive.path) for step in machines for drive in drives_of(step)}
    return isinstance(image, DeclaredGoldenImage) and image.users is not None and set(map(_in_folder, image.users)) <= going


def _in_folder(path: str) -> tuple[str, ...]:
    """Return a file with its machine's folder, which may have several paths on its host."""
    return PurePosixPath(path).parts[-2:]
