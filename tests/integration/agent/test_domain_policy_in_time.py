# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The domain policy from one moment to the next: what was harmless when it was defined, and what grows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import pytest_asyncio

from tests.wire.matching import show, text_of
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

START = "<archipel action='create'/>"


@pytest_asyncio.fixture(loop_scope="session")
async def author(platform: Platform, admin: Person, student: Person, machine: Machine) -> Person:
    """Somebody who may define and start the machine, and no more."""
    await platform.grant(admin, machine.full, student, "define", "create", "xmldesc", "destroy", "info")
    return student


def disk(path: Path | str, image_format: str, more: str = "") -> str:
    return (
        f"<devices><disk type='file' device='disk'><driver name='qemu' type='{image_format}'/><source file='{path}'/>{more}"
        f"<target dev='vda' bus='virtio'/></disk></devices>"
    )


async def define(author: Person, machine: Machine, more: str) -> str:
    """Define the machine; return what is wrong with it, or nothing."""
    answer = await author.command(machine.full, DEFINITION, f"<archipel action='define'>{machine.definition(more=more)}</archipel>")
    return "" if answer.get("type") == "result" else text_of(answer, "text") or show(answer)


def make_image(path: Path, *options: str) -> Path:
    path.unlink(missing_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", *options, str(path), "1M"], check=True)
    return path


async def test_an_image_that_came_to_stand_on_a_file_of_the_host_does_not_start(platform: Platform, author: Person, machine: Machine):
    image = make_image(platform.agent.machines / machine.uuid / "a.qcow2")
    assert await define(author, machine, disk(image, "qcow2")) == ""
    make_image(image, "-b", "/etc/passwd", "-F", "raw")
    answer = await author.command(machine.full, CONTROL, START)
    assert "leads out of the folders" in (text_of(answer, "text") or ""), show(answer)


async def test_no_way_of_writing_its_path_helps(platform: Platform, author: Person, machine: Machine):
    image = make_image(platform.agent.machines / machine.uuid / "a.qcow2")
    for path in (f"/{image}", f"{image.parent}/./{image.name}", f"{image.parent}//{image.name}", f"{image}/"):
        assert "the domain policy forbids" in await define(author, machine, disk(path, "qcow2"))


async def test_what_a_guest_writes_as_raw_is_not_declared_an_image_while_it_runs(platform: Platform, author: Person, machine: Machine):
    image = make_image(platform.agent.machines / machine.uuid / "a.img")
    assert await define(author, machine, disk(image, "raw")) == ""
    answer = await author.command(machine.full, CONTROL, START)
    assert answer.get("type") == "result", show(answer)
    assert "the running machine writes" in await define(author, machine, disk(image, "qcow2"))
    await author.command(machine.full, CONTROL, "<archipel action='destroy'/>")
    assert await define(author, machine, disk(image, "qcow2")) == ""


async def test_a_definition_is_no_larger_than_what_fits_in_an_answer(author: Person, machine: Machine):
    assert "at most 100000 are taken" in await define(author, machine, f"<description>{'&gt;' * 60_000}</description>")
    assert "use fewer than 4096 characters" in await define(author, machine, f"<description>{'@' * 60_000}</description>")
    assert await define(author, machine, "") == ""


async def test_what_fits_in_no_answer_is_told_in_words(platform: Platform, author: Person, machine: Machine):
    with platform.libvirt() as connection:
        connection.defineXML(machine.definition(more=f"<description>{'&lt;' * 400_000}</description>"))
    answer = await author.command(machine.full, CONTROL, "<archipel action='xmldesc'/>")
    assert "virsh dumpxml" in (text_of(answer, "text") or ""), show(answer)


@pytest.mark.parametrize("more", ["<memory unit='TiB'>1000</memory>", "<vcpu>4096</vcpu>"])
async def test_a_machine_has_no_more_than_its_host(author: Person, machine: Machine, more: str):
    name = more[1:].partition(">")[0].partition(" ")[0]
    text = machine.definition()
    start = text.index(f"<{name}")
    end = text.index(f"</{name}>") + len(f"</{name}>")
    answer = await author.command(machine.full, DEFINITION, f"<archipel action='define'>{text[:start]}{more}{text[end:]}</archipel>")
    assert "is more than allowed" in (text_of(answer, "text") or ""), show(answer)
