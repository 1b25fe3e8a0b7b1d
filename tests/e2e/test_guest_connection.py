# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks in a real guest without a network card: facts, files, packages, other users, by way of its guest agent."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from archipel.client import VirtualMachine
from archipel.protocol.errors import CommandError
from testbed.debian_guest import DEFINITION, make_debian_guest
from tests.integration.collection.platform import DOMAIN, Platform
from tests.integration.collection.playbook import Ansible
from tests.wire.waiting import eventually

pytestmark = pytest.mark.timeout(1800)

HERE = Path(__file__).parent / "guest_play"
MACHINE = "cell"
BOOT_DEADLINE = 120  # seconds; under emulation, on a machine that is busy
PLAY_DEADLINE = 1200  # seconds; most of it are Pythons that start under emulation, on a machine that is busy
LARGE = 3 << 20


@pytest.fixture(scope="module")
def guest(platform: Platform, root: Path) -> Iterator[str]:
    """The guest's JID; it is up, and its definition has no network card."""
    folder = Path(tempfile.mkdtemp(prefix="archipel-images-", dir="/tmp"))
    folder.chmod(0o755)
    make_debian_guest(root / ".cache" / "debian-guest").copy_to(folder)
    yield asyncio.run(boot(platform, folder))
    platform.clear()
    shutil.rmtree(folder)


async def boot(platform: Platform, folder: Path) -> str:
    async with platform.hypervisor() as hypervisor:
        definition = DEFINITION.format(name=MACHINE, folder=folder)
        assert "<interface" not in definition
        machine = await hypervisor.alloc(MACHINE, domain=ET.fromstring(definition))
        await machine.start()
        await eventually(lambda: answers(machine), "the guest agent", BOOT_DEADLINE)
        return machine.bare


async def answers(machine: VirtualMachine) -> bool:
    with contextlib.suppress(CommandError):
        await machine.guest.ping()
        return True
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the playbook copies: a large file, and packages."""
    folder = tmp_path_factory.mktemp("play")
    content = os.urandom(LARGE // 2) + bytes(LARGE // 2)
    (folder / "large").write_bytes(content)
    (folder / "large.sha256").write_text(hashlib.sha256(content).hexdigest())
    make_package(folder, "archipel-first")
    return folder


def make_package(folder: Path, name: str) -> None:
    """Make a Debian package that holds one file."""
    tree = folder / name
    (tree / "opt").mkdir(parents=True)
    (tree / "opt" / name).write_text(f"{name}\n")
    (tree / "DEBIAN").mkdir()
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: a file\n"
    (tree / "DEBIAN" / "control").write_text(control)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, folder / f"{name}.deb"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def ansible(platform: Platform, guest: str, root: Path, folder: Path) -> Ansible:
    """Ansible with the inventory of the platform."""
    inventory = {"plugin": "archipel.platform.xmpp", "compose": {"ansible_connection": "'archipel.platform.guest'"}}
    (folder / "xmpp.yml").write_text(yaml.safe_dump(inventory))
    own = Ansible(root, folder, platform.environment())
    del own.environment["ANSIBLE_PYTHON_INTERPRETER"]
    return own


def test_a_playbook_does_its_work_in_a_guest_without_a_network(ansible: Ansible, folder: Path) -> None:
    more = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    arguments = ("-v", "-i", str(folder / "xmpp.yml"), "-e", f"folder={folder}", str(HERE / "play.yml"))
    ended = ansible.call("ansible-playbook", *arguments, environment=more, seconds=PLAY_DEADLINE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "worker-secret" not in ended.stdout + ended.stderr
    assert (folder / "back").read_bytes() == (folder / "large").read_bytes()


def test_who_lacks_a_right_is_told_which(ansible: Ansible, platform: Platform, guest: str, folder: Path) -> None:
    environment = {**platform.environment("student"), "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
    host = ("-i", "cell,", "-e", f"ansible_connection=archipel.platform.guest ansible_archipel_machine={guest}")
    asyncio.run(grant(platform, guest, "presence"))
    ended = ansible.call("ansible", "cell", *host, "-m", "ansible.builtin.raw", "-a", "id", environment=environment)
    assert ended.returncode != 0
    assert "guest_exec" in ended.stdout


async def grant(platform: Platform, jid: str, right: str) -> None:
    async with platform.hypervisor() as hypervisor:
        await hypervisor.session.machine(jid).grant(f"student@{DOMAIN}", right)
