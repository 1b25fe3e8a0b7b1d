# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Golden images of a host, as module ``golden_image`` declares them: made of a copy of a machine's drive, replaced, deleted."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList, refuse_doubles
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import is_active
from ansible_collections.archipel.platform.plugins.module_utils.machine_drives import disk_of, file_of
from ansible_collections.archipel.platform.plugins.module_utils.progress import Say, say_nothing, telling
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values
from ansible_collections.archipel.platform.plugins.module_utils.turns import turn

if TYPE_CHECKING:
    from archipel.client import Hypervisor, VirtualMachine
    from archipel.protocol.drives import Drive
    from archipel.protocol.golden_images import GoldenImage

PRESENT, ABSENT = "present", "absent"
CURRENT, OUTDATED = "as the drive is", "older than the drive"
ENDING = ".qcow2"

GOLDEN_IMAGE: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": [PRESENT, ABSENT]},
    "machine": {"type": "str"},
    "drive": {"type": "str"},
    "replace": {"type": "bool"},
}

IMAGES = EntryList(GOLDEN_IMAGE, "images", what="golden image")


def read_images(arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments of each declared image; raises what :meth:`EntryList.read` does, also for two names of one file."""
    entries = IMAGES.read(arguments)
    refuse_doubles(IMAGES.many, (file_name(entry["name"]) for entry in entries))
    return entries


def file_name(name: str) -> str:
    """Return the name of a golden image's file."""
    return name if name.endswith(ENDING) else name + ENDING


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return all golden images as they are declared."""
    return [{"name": found.name} for found in await hypervisor.golden_images.list()]


class DeclaredGoldenImage(Resource):
    """One golden image; the values are whether it is there, and where it may be replaced, whether it is what the drive is."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool = False, tell: Say = say_nothing) -> None:
        self.hypervisor = hypervisor
        self.arguments = arguments
        self.title = file_name(arguments["name"])
        self.present = arguments["state"] != ABSENT
        self._tell = tell
        self._found: GoldenImage | None = None
        self._machine: VirtualMachine | None = None
        self._drive: Drive | None = None
        self._runs = False

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return whether the image is there; the drive is looked at where it matters."""
        images = await self.hypervisor.golden_images.list()
        self._found = next((image for image in images if image.name == self.title), None)
        if self.present and (self._found is None or self.arguments["replace"]):
            await self._look_at_drive()
        if self._found is None:
            return {"state": ABSENT}
        if not self.present or not self.arguments["replace"]:
            return {"state": PRESENT}
        modified = self._drive.modified if self._drive else None
        if modified is None:
            raise ValueError(f"{self.title}: replace: this agent does not tell when a drive was written: delete the image first")
        return {"state": PRESENT, "content": OUTDATED if modified > self._found.modified else CURRENT}

    async def _look_at_drive(self) -> None:
        reference = self.arguments["machine"]
        if reference is None:
            missing = "replace" if self._found is not None else "there is no such golden image"
            raise ValueError(f"{self.title}: machine: {missing}; say of which machine's drive it is made")
        machine = (await Directory.load(self.hypervisor, [reference])).machine(reference)
        self._machine, self._drive = machine, self._choose(await machine.drives.list(), machine.name or reference)
        running = await machine.definition() if is_active(await machine.state()) else None
        self._runs = disk_of(running, self._drive.path) is not None

    def _choose(self, drives: Sequence[Drive], machine: str) -> Drive:
        wanted = self.arguments["drive"]
        found = [drive for drive in drives if wanted in {None, file_of(drive), PurePosixPath(drive.path).stem}]
        if len(found) != 1:
            there = ", ".join(map(file_of, drives)) or "none"
            what = f"no drive {wanted!r}" if wanted and not found else "several such drives" if found else "no drive"
            raise ValueError(f"{self.title}: drive: {machine} has {what}; it has {there}")
        return found[0]

    @property
    def users(self) -> frozenset[str] | None:
        """The paths of the images that stand on the image as it was read; ``None`` if that is not known."""
        found = self._found
        return None if found is None or found.problem is not None else frozenset(user.image for user in found.users)

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return what shall be; raises :class:`ValueError` where others stand on what would go."""
        wanted = {"state": PRESENT if self.present else ABSENT}
        if self.present and self.arguments["replace"]:
            wanted["content"] = CURRENT
        if self._found is not None and wanted != current:
            self._refuse_used(self._found)
        if self.present and wanted != current and self._runs:
            raise ValueError(f"{self.title}: {self.arguments['machine']} runs, and writes on that drive: stop it first")
        return wanted

    def _refuse_used(self, found: GoldenImage) -> None:
        if found.problem is not None:
            raise ValueError(f"{self.title}: who stands on it is not known: {found.problem}")
        if found.users:
            names = ", ".join(sorted({user.machine or user.image for user in found.users})[:5])
            raise ValueError(f"{self.title}: {len(found.users)} images stand on it ({names}): delete or convert these first")

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Copy the drive, or delete the image."""
        if not self.present:
            await self.hypervisor.golden_images.delete(self.title)
            return
        if self._machine is None or self._drive is None:
            raise ValueError(f"{self.title}: machine: say of which machine's drive it is made")
        copied = turn(self.hypervisor.session, (self.hypervisor.bare, self._drive.path))  # agents refuse a second copy meanwhile
        async with copied, telling(self._tell, f"{self.title}: copying {file_of(self._drive)} of {self._machine.name}"):
            await self._machine.drives.make_golden(file_of(self._drive), self.title, replace=self._found is not None)

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the image as it was read last, with who stands on it."""
        told: dict[str, Any] = {"name": self.title, "state": change.after["state"]}
        found = self._found
        if found is None:
            return {**told, **dict.fromkeys(("path", "size", "disk_size", "created", "problem")), "users": []}
        return {
            **told,
            "path": found.path,
            "size": found.virtual_size,
            "disk_size": found.disk_size,
            "created": datetime.datetime.fromtimestamp(found.modified, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "problem": found.problem,
            "users": [{"image": user.image, "machine": user.machine} for user in found.users],
        }
