# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks about a real guest that writes all the time: disks plugged in, snapshots, copies, moves to another host and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from archipel.client import ConnectionSettings, Session
from archipel.client.platform import prepare_platform
from testbed.certificates import Authority
from tests.e2e.moving_guest import Scene, open_scene
from tests.integration.collection.playbook import Ansible, Task
from tests.wire.platform import ADMIN, Machine

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(root: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with open_scene(root, authority, tmp_path_factory.mktemp("scene")) as scene:
        first, second = scene.pair.both
        where = {"host": first.ejabberd.host, "port": first.ejabberd.port, "ca_file": first.ejabberd.ca_file}
        async with Session(ConnectionSettings(jid=scene.pair.admin.bare, password=first.passwords[ADMIN], **where)) as session:
            await prepare_platform(session, [first.hypervisor, second.hypervisor])
        yield scene


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(scene: Scene) -> Machine:
    """A machine that runs and writes, in a folder that both hosts see."""
    machine = await scene.make_machine("writer", shared=True)
    await scene.start_writing(scene.pair.first, machine)
    return machine


class Playbooks:
    """Tasks for the platform of a scene, each run in check mode, for real and again."""

    def __init__(self, scene: Scene, root: Path, folder: Path) -> None:
        first = scene.pair.first
        environment = {
            "ARCHIPEL_JID": scene.pair.admin.bare,
            "ARCHIPEL_PASSWORD": first.passwords[ADMIN],
            "ARCHIPEL_HOST": first.ejabberd.host,
            "ARCHIPEL_PORT": str(first.ejabberd.port),
            "ARCHIPEL_CA_FILE": str(first.ejabberd.ca_file),
            "ARCHIPEL_HYPERVISOR": first.hypervisor,
        }
        self._ansible = Ansible(root, folder, environment)

    async def declare(self, module: str, **arguments: Any) -> dict[str, Any]:
        """Declare something: check mode tells the truth, and a second run changes nothing. Return what the first real run said."""
        task: Task = {"name": module, f"archipel.platform.{module}": arguments}
        [outcome] = await asyncio.to_thread(self._ansible.run_thrice, [task])
        outcome.assert_truthful()
        return dict(outcome.first)


@pytest.fixture
def playbooks(scene: Scene, root: Path, tmp_path: Path) -> Playbooks:
    return Playbooks(scene, root, tmp_path)


async def test_a_disk_is_plugged_into_the_running_guest_grows_and_goes(scene: Scene, machine: Machine, playbooks: Playbooks):
    first = scene.pair.first
    answer = await playbooks.declare("vm_disk", machine="writer", name="more", size="8 MiB")
    assert (answer["changed"], answer["needs_restart"], answer["disks"][0]["target"]) == (True, False, "vdb")
    assert await scene.execute(first, machine, "cat /sys/block/vdb/size") == f"{(8 << 20) // 512}\n"
    await playbooks.declare("vm_disk", machine="writer", name="more", size="16 MiB")
    assert await scene.execute(first, machine, "cat /sys/block/vdb/size") == f"{(16 << 20) // 512}\n"
    await playbooks.declare("vm_disk", machine="writer", name="more", state="absent")
    assert await scene.execute(first, machine, "ls /sys/block") == await scene.execute(first, machine, "ls /sys/block | grep -v vdb")


async def test_a_running_guest_moves_and_its_host_is_emptied_and_filled_again(scene: Scene, machine: Machine, playbooks: Playbooks):
    first, second = scene.pair.both
    before = await scene.count(first, machine)
    moved = await playbooks.declare("vm_migrate", machine="writer", destination=second.hypervisor)
    assert (moved["machines"][0]["hypervisor"], moved["machines"][0]["state"]) == (second.hypervisor, "running")
    assert await scene.count(second, machine) > before

    maintenance = {"hypervisor": second.hypervisor, "state": "maintenance", "destinations": [first.hypervisor]}
    emptied = await playbooks.declare("hypervisor", **maintenance)
    assert emptied["hypervisor"]["machines"] == {"writer": first.hypervisor}
    assert machine.uuid not in second.domains
    back = await playbooks.declare("hypervisor", hypervisor=second.hypervisor, state="active")
    assert back["hypervisor"]["machines"] == {"writer": second.hypervisor}
    assert await scene.count(second, machine) > before
    await playbooks.declare("vm_migrate", hypervisor=second.hypervisor, machine="writer", destination=first.hypervisor)


async def test_a_guest_goes_back_to_a_snapshot_with_its_memory(scene: Scene, machine: Machine, playbooks: Playbooks):
    first = scene.pair.first
    await scene.execute(first, machine, "echo before >/tmp/mark")
    await playbooks.declare("vm_snapshot", machine="writer", name="first", description="before")
    await scene.execute(first, machine, "echo after >/tmp/mark")
    await playbooks.declare("vm_snapshot", machine="writer", name="second")
    await playbooks.declare("vm_snapshot", machine="writer", name="first", state="reverted")
    assert await scene.execute(first, machine, "cat /tmp/mark") == "before\n"
    await playbooks.declare("vm_snapshot", machine="writer", pattern="*", keep=0, state="absent")


async def test_a_golden_image_and_linked_copies_are_made_of_what_the_guest_wrote(scene: Scene, machine: Machine, playbooks: Playbooks):
    first = scene.pair.first
    written = await scene.stop_writing(first, machine)
    await playbooks.declare("vm", name="writer", state="stopped", shutdown_timeout=1, force=True)
    await playbooks.declare("golden_image", name="written", machine="writer")
    await playbooks.declare("vm_clone", machine="writer", names=["whole"])
    answer = await playbooks.declare("vm_disk", machine="writer", name="linked", size="32 MiB", golden="written.qcow2", attached=False)
    used = await playbooks.declare("golden_image", name="written")
    assert [user["image"] for user in used["images"][0]["users"]] == [answer["disks"][0]["path"]]
    copy = next(entry for entry in (await playbooks.declare("vm_clone", machine="writer", names=["whole"]))["machines"])
    assert copy["copy_of"] == machine.uuid
    records = scene.records(first, Machine(copy["uuid"], "whole", machine.domain))
    assert records[:written] == [f"record {number}" for number in range(written)]
