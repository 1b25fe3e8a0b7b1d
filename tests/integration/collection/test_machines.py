# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module ``vm`` tells and does, beyond what every scenario shows."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from archipel.client import MachineState
from archipel.protocol.domain.domain import parse
from tests.integration.collection.platform import Platform
from tests.integration.collection.playbook import Ansible, Task

UUID = "44444444-4444-4444-8444-444444444444"
TEMPLATE = "{{ lookup('ansible.builtin.template', 'domain.xml.j2') }}"


def vm(**arguments: object) -> Task:
    return {"archipel.platform.vm": {"name": "web", **arguments}}


def after(answer: dict[str, Any]) -> str:
    """Return what a task showed as the state after it."""
    (diff,) = answer["diff"]
    return str(diff["after"])


def audit(platform: Platform) -> list[dict[str, Any]]:
    """Return all that the agent wrote down of who did what."""
    return [json.loads(line) for line in platform.agent.audit_file.read_text().splitlines()]


def test_a_result_tells_how_the_machine_is(ansible: Ansible) -> None:
    (answer,) = ansible.run([vm(uuid=UUID, state="running", memory="64", max_memory="1 GiB", vcpus=2)])
    assert answer["machine"] == {
        "name": "web",
        "uuid": UUID,
        "jid": f"{UUID}@example.org",
        "state": "running",
        "memory": 64,
        "max_memory": 1024,
        "vcpus": 2,
        "autostart": False,
        "needs_restart": False,
        "restart_reasons": [],
    }
    assert answer["machines"] == [answer["machine"]]
    assert answer["needs_restart"] is False


def test_only_what_is_declared_is_compared_and_shown(ansible: Ansible) -> None:
    made, shown = ansible.run([vm(memory=64, vcpus=2, tags=["a"]), vm(memory=96)])
    assert after(made) == "state: present\nmemory: 64\nvcpus: 2\ntags:\n- a\n"
    assert shown["diff"] == [
        {"before_header": "web", "after_header": "web", "before": "state: present\nmemory: 64\n", "after": "state: present\nmemory: 96\n"}
    ]
    assert shown["machine"]["vcpus"] == 2


def test_what_a_running_machine_cannot_take_on_waits_for_a_restart(ansible: Ansible) -> None:
    declared = {"max_vcpus": 4, "orgname": "University"}
    tasks = [vm(state="running", vcpus=1), vm(**declared), vm(**declared), vm(**declared, restart=True), vm(**declared)]
    _made, told, again, restarted, done = ansible.run(tasks)
    assert told["changed"]
    assert told["needs_restart"]
    assert told["machine"]["restart_reasons"] == [
        "the most processors a machine can have is fixed while it runs",
        "orgname can only change while the machine is off",
    ]
    assert "max_vcpus: 4\norgname: ''\nneeds_restart: true\n" in after(told)
    assert (again["changed"], again["needs_restart"]) == (False, True)
    assert again["machine"]["restart_reasons"][0] == "max_vcpus takes effect at the next start"
    assert (restarted["changed"], restarted["needs_restart"]) == (True, False)
    assert restarted["machine"]["state"] == "running"
    assert after(restarted) == "state: present\nmax_vcpus: 4\norgname: University\n"
    assert (done["changed"], done["needs_restart"]) == (False, False)


def test_a_restart_that_nothing_needs_is_not_made(ansible: Ansible, platform: Platform) -> None:
    _made, answer = ansible.run([vm(state="running", memory=64, max_memory=128), vm(memory=128, restart=True)])
    assert answer["changed"]
    assert answer["machine"]["memory"] == 128
    assert "shutdown" not in {entry["action"] for entry in audit(platform) if entry["entity"] == answer["machine"]["jid"]}


def test_a_paused_machine_is_paused_again_after_its_restart(ansible: Ansible) -> None:
    _made, answer = ansible.run([vm(state="paused"), vm(max_memory="1 GiB", restart=True)])
    assert answer["machine"]["state"] == "paused"
    assert answer["machine"]["max_memory"] == 1024


def test_what_somebody_changed_meanwhile_is_put_right(ansible: Ansible, platform: Platform) -> None:
    (made,) = ansible.run([vm(memory=64, vcpus=1)])
    asyncio.run(change_memory(platform, made["machine"]["uuid"]))
    (answer,) = ansible.run([vm(memory=64, vcpus=1)])
    assert "memory: 32" in answer["diff"][0]["before"]
    assert "memory: 64" in after(answer)


async def change_memory(platform: Platform, uuid: str) -> None:
    async with platform.hypervisor() as hypervisor:
        await (await hypervisor.machine(uuid)).set_memory(32 * 1024)


def test_an_adopted_machine_is_as_it_was(ansible: Ansible, platform: Platform) -> None:
    uuid = platform.define_domain("legacy")
    adopted, declared = ansible.run([vm(name="legacy", state="adopted"), vm(name="legacy", state="running", memory=32)])
    assert adopted["diff"][0]["before"] == "state: unmanaged\n"
    assert after(adopted) == "state: adopted\n"
    assert (adopted["machine"]["uuid"], adopted["machine"]["memory"]) == (uuid, 64)
    assert declared["machine"]["memory"] == 32
    assert asyncio.run(state_of(platform, uuid)) is MachineState.RUNNING


async def state_of(platform: Platform, uuid: str) -> MachineState:
    async with platform.hypervisor() as hypervisor:
        return await (await hypervisor.machine(uuid)).state()


@pytest.mark.parametrize("remove", [False, True])
def test_disks_are_kept_unless_told(remove: bool, ansible: Ansible, platform: Platform) -> None:
    (made,) = ansible.run([vm(memory=64)])
    disk = platform.agent.machines / made["machine"]["uuid"] / "disk.qcow2"
    disk.write_text("data")
    (gone,) = ansible.run([vm(state="absent", remove_disks=remove)])
    assert gone["machine"]["state"] == "absent"
    assert platform.domains() == set()
    assert disk.exists() is not remove


def test_a_whole_definition_keeps_what_libvirt_made_of_it(ansible: Ansible, platform: Platform) -> None:
    (made,) = ansible.run([vm(definition=TEMPLATE)])
    before = asyncio.run(definition_of(platform, made["machine"]["uuid"]))
    task = {**vm(definition=TEMPLATE), "vars": {"lab_memory": 128}}
    (changed,) = ansible.run([task])
    assert '<memory unit="KiB">65536</memory>' in changed["diff"][0]["before"]
    assert '<memory unit="MiB">128</memory>' in after(changed)
    assert "secret" not in str(changed["diff"])
    now = asyncio.run(definition_of(platform, made["machine"]["uuid"]))
    assert parse(now).interfaces[0].mac == parse(before).interfaces[0].mac
    assert parse(now).name == "web"


async def definition_of(platform: Platform, uuid: str) -> str:
    async with platform.hypervisor() as hypervisor:
        definition = await (await hypervisor.machine(uuid)).definition(inactive=True)
        assert definition is not None
        return definition.to_text()


@pytest.mark.parametrize("as_list", [False, True])
def test_passwords_in_a_definition_are_shown_nowhere(as_list: bool, ansible: Ansible) -> None:
    machine = {"name": "web", "definition": TEMPLATE}
    (made,) = ansible.run([{"archipel.platform.vm": {"machines": [machine]} if as_list else machine}], "-vvv")
    shown = json.dumps(made["invocation"])
    assert "secret" not in json.dumps(made)
    assert "autoport='yes' passwd='********'" in shown, "all but the password may be seen"


def test_a_machine_without_definition_gets_one(ansible: Ansible, platform: Platform) -> None:
    asyncio.run(make_empty(platform))
    undefined, defined = ansible.run([vm(), vm(state="running", memory=64)])
    assert (undefined["changed"], undefined["machine"]["state"]) == (False, "not defined")
    assert (defined["machine"]["state"], defined["machine"]["memory"]) == ("running", 64)


async def make_empty(platform: Platform) -> None:
    async with platform.hypervisor() as hypervisor:
        await hypervisor.alloc("web")


def test_forty_machines_are_one_session(ansible: Ansible, platform: Platform) -> None:
    machines = [{"name": f"desk-{number}"} for number in range(40)]
    many = {"archipel.platform.vm": {"machines": machines, "memory": 64}}
    made, again = ansible.run([many, many])
    assert (made["changed"], again["changed"]) == (True, False)
    assert len(made["machines"]) == 40
    made_by = [entry["jid"] for entry in audit(platform) if entry["action"] == "alloc" and "desk-" in str(entry)]
    assert len(made_by) == 40
    assert len(set(made_by)) == 1
