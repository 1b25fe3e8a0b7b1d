# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An appliance made of a machine that is off, for the own feed of its host."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from archipel.agent.appliance_package import pack
from archipel.agent.appliance_repository import Repository, repository_of
from archipel.agent.appliances import FAILURES, drives_of, refuse_on, temporary_folder
from archipel.agent.definition import read_stored, strip_secrets
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_changed_images
from archipel.agent.drive_checks import refuse_foreign_contents
from archipel.agent.drive_work import in_plain_words, work_on
from archipel.agent.own_feed import DIGEST_ENDING, ENDING
from archipel.agent.slow_work import in_slow_thread
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virt.unfinished_files import put_in_place, unfinished_file
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.appliances import TOPIC, ApplianceChange, PackageMachine, package_file_name
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.presence import Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What goes into a package: ``drives`` are file and format."""

    target: Path
    definition: Domain
    drives: tuple[tuple[Path, str], ...]
    compress: bool


async def package(machine: VirtualMachine, request: PackageMachine, caller: Caller) -> None:
    """Begin to make an appliance of the machine."""
    repository = repository_of(machine.hypervisor)
    plan = await _plan(machine, repository, request)
    machine.copies += 1  # nobody changes it meanwhile
    machine.push(TOPIC, ApplianceChange.PACKAGING)
    machine.spawn(_run(machine, repository, plan, caller))


async def _plan(machine: VirtualMachine, repository: Repository, request: PackageMachine) -> _Plan:
    settings = repository.settings
    target = settings.own_folder / (package_file_name(request.name) + ENDING)
    if await asyncio.to_thread(os.path.lexists, target):
        raise CommandError(f"name: there is a package {target.name} already: choose another name", condition=Condition.CONFLICT)
    async with machine.changing:
        machine.refuse_leaving()
        machine.refuse_copied()
        await refuse_on(machine, "its drives would change under the copy")
        try:
            definition = read_stored(await machine.domain.xml(inactive=True))
        except DomainNotFound:
            text = f"{machine.name} has no definition: there is nothing to make an appliance of"
            raise CommandError(text, condition=Condition.ITEM_NOT_FOUND) from None
        await refuse_changed_images(machine, definition)
    drives = tuple((file, kind) for _target, file, kind in drives_of(definition, include_iso=request.include_iso))
    if len({file.name for file, _kind in drives}) < len(drives):
        text = f"{machine.name} has drives of one name in several folders: rename one of them"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    asked = None if settings.ignore_wish else request.gzip
    return _Plan(target=target, definition=definition, drives=drives, compress=settings.compress if asked is None else asked)


async def _run(machine: VirtualMachine, repository: Repository, plan: _Plan, caller: Caller) -> None:
    try:
        async with machine.at_work(Work.PACKAGING):
            with in_plain_words():
                await _package(machine, repository, plan)
    except FAILURES as error:
        log.warning("%s: it was not made an appliance: %s", machine.bare, error)
        machine.push(TOPIC, ApplianceChange.PACKAGING_ERROR)
        machine.shout(f"No appliance was made of {machine.name}: {error}")
    else:
        machine.push(TOPIC, ApplianceChange.PACKAGED)
        machine.shout(f"{caller.bare} made the appliance {plan.target.name} of {machine.name}")
    finally:
        machine.copies -= 1


async def _package(machine: VirtualMachine, repository: Repository, plan: _Plan) -> None:
    work, folder = work_on(machine.hypervisor), repository.settings.own_folder
    await asyncio.to_thread(folder.mkdir, mode=0o755, parents=True, exist_ok=True)
    async with temporary_folder(repository) as temporary:
        copies = []
        with work.share(*(file for file, _kind in plan.drives)):
            for file, kind in plan.drives:
                copies.append(temporary / file.name)
                await _copy(machine, file, kind, copies[-1])
        with work.take(plan.target):
            await in_slow_thread(_write, plan, copies, work.host)


async def _copy(machine: VirtualMachine, file: Path, kind: str, target: Path) -> None:
    """Copy all that the guest sees of a drive into a file that stands on nothing."""
    work, settings = work_on(machine.hypervisor), machine.services.settings.machines
    folders = (file.parent, machine.folder, *settings.golden_folders, *settings.iso_folders)
    await refuse_foreign_contents(work.qemu_img, file, kind, folders)
    await work.qemu_img.convert(file, kind, target, kind)


def _write(plan: _Plan, copies: list[Path], host: str) -> None:
    """Write the package under a hidden name, then give it its own; its digest lies beside it."""
    definition = Domain.from_element(plan.definition.element)
    strip_secrets(definition.element)
    for description in definition.element.findall("description"):
        description.text = ""
    with unfinished_file(plan.target.parent, host) as made:
        pack(made, definition.to_text(), copies, compress=plan.compress)
        made.chmod(0o644)
        with made.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if os.path.lexists(plan.target):
            raise CommandError(f"name: there is a package {plan.target.name} already: choose another name", condition=Condition.CONFLICT)
        put_in_place(made, plan.target)
    plan.target.with_name(plan.target.name + DIGEST_ENDING).write_text(f"{digest}\n")
