# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MACHINE, MachineWish
from ansible_collections.archipel.platform.plugins.module_utils.machine.plan import MachinePlan, change_while_running, make_plan
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot
from ansible_collections.archipel.platform.plugins.module_utils.machine.specification import read_specification

from archipel.client import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.domain import changes
from archipel.protocol.domain.domain import Domain, parse
from archipel.protocol.virtual_machine import Info
from tests.unit.client.scripted_stream import MACHINE_FULL, ScriptedStream, command, error, vm_command

RUNNING, PAUSED, OFF = 1, 3, 5
NOTHING = f"<query xmlns='{ns.VM_CONTROL}'/>"


def domain(memory: int = 64, maximum: int = 128, vcpus: int = 1) -> Domain:
    return parse(
        f"<domain type='kvm'><name>web</name><memory unit='MiB'>{maximum}</memory><currentMemory unit='MiB'>{memory}</currentMemory>"
        f"<vcpu current='{vcpus}'>4</vcpu><os><type>hvm</type></os></domain>"
    )


def plan(
    machine: VirtualMachine, now: int, stored: Domain, running: Domain | None = None, blocked: frozenset[str] = frozenset(), **given: Any
) -> MachinePlan:
    """Return the plan for a machine in this state of which this is declared."""
    info = Info(state=now, max_memory=131072, memory=65536, vcpus=1, hypervisor="hyp@example.org/host", autostart=False)
    wish = MachineWish.of({**dict.fromkeys(MACHINE), "name": "web", **given})
    snapshot = Snapshot(machine, info, stored, running or (None if now == OFF else stored))
    made: MachinePlan = make_plan(wish, read_specification(wish), snapshot, blocked)
    return made


def test_a_machine_that_is_off_is_defined_anew(machine: VirtualMachine) -> None:
    made = plan(machine, OFF, domain(), memory="96", state="running")
    assert made.definition is not None
    assert (made.steps, made.stops, made.ends_in, made.reasons) == ((), False, "running", ())


def test_what_is_so_already_is_left_alone(machine: VirtualMachine) -> None:
    for state in (OFF, RUNNING):
        assert plan(machine, state, domain(), memory="64") == MachinePlan()


def test_a_running_machine_is_changed_in_place(machine: VirtualMachine) -> None:
    made = plan(machine, RUNNING, domain(), memory="96", vcpus=2)
    assert [type(step) for step in made.steps] == [changes.SetMemory, changes.SetVcpus]
    assert (made.stops, made.reasons) == (False, ())


def test_what_needs_a_restart_is_stored_and_told(machine: VirtualMachine) -> None:
    made = plan(machine, RUNNING, domain(), max_memory="256", blocked=frozenset({"orgname"}))
    assert made.definition is not None
    assert made.reasons == ("the most memory a machine can have is fixed while it runs", "orgname can only change while the machine is off")


def test_what_waits_since_earlier_is_told_until_the_restart(machine: VirtualMachine) -> None:
    made = plan(machine, RUNNING, domain(vcpus=2), running=domain(vcpus=4), vcpus=2)
    assert (made.definition, made.reasons) == (None, ("vcpus takes effect at the next start",))


def test_what_is_taken_back_waits_no_longer(machine: VirtualMachine) -> None:
    made = plan(machine, RUNNING, domain(maximum=256), running=domain(maximum=128), max_memory="128")
    assert made.definition is not None
    assert [type(step) for step in made.steps] == []


@pytest.mark.parametrize("state, ends_in", [(RUNNING, "running"), (PAUSED, "paused")])
def test_a_restart_ends_as_it_began(state: int, ends_in: str, machine: VirtualMachine) -> None:
    made = plan(machine, state, domain(), max_memory="256", restart=True, blocked=frozenset({"orgname"}))
    assert (made.stops, made.ends_in, made.steps, made.reasons) == (True, ends_in, (), ())


def test_nothing_restarts_without_need(machine: VirtualMachine) -> None:
    assert not plan(machine, RUNNING, domain(), memory="96", restart=True).stops


def test_a_machine_that_shall_be_off_is_stopped_before_it_is_changed(machine: VirtualMachine) -> None:
    made = plan(machine, RUNNING, domain(), max_memory="256", state="stopped")
    assert (made.stops, made.ends_in, made.reasons) == (True, "stopped", ())


# -- live steps ---------------------------------------------------------------------------------------------------------

DISK = "<disk type='file'><target dev='vdb' bus='virtio'/></disk>"
STEPS = [
    (changes.SetMemory(reason="m", kib=98304), "control", "<archipel value='98304' action='memory'/>"),
    (changes.SetVcpus(reason="v", count=2), "control", "<archipel value='2' action='setvcpus'/>"),
    (
        changes.AttachDevice(reason="a", xml=DISK),
        "definition",
        f"<archipel live='1' action='attachdevice'><device>{DISK}</device></archipel>",
    ),
    (
        changes.DetachDevice(reason="d", xml=DISK),
        "definition",
        f"<archipel live='1' action='detachdevice'><device>{DISK}</device></archipel>",
    ),
    (
        changes.UpdateDevice(reason="u", xml=DISK),
        "definition",
        f"<archipel live='1' action='updatedevice'><device>{DISK}</device></archipel>",
    ),
    (
        changes.ChangeMedia(reason="c", xml=DISK, target="vdb"),
        "definition",
        f"<archipel live='1' action='updatedevice'><device>{DISK}</device></archipel>",
    ),
]


@pytest.mark.parametrize("step, namespace, request_", STEPS)
async def test_each_live_step_is_one_request(
    step: changes.Step, namespace: str, request_: str, machine: VirtualMachine, stream: ScriptedStream
) -> None:
    stream.answer(command("set", MACHINE_FULL, f"archipel:vm:{namespace}", request_), NOTHING)
    assert await change_while_running(machine, (step,)) == []
    assert len(stream.asked) == 1


async def test_what_libvirt_refuses_is_told_and_the_rest_is_done(machine: VirtualMachine, stream: ScriptedStream) -> None:
    refusal = error(
        "internal-server-error",
        f"<text xmlns='{ns.STANZAS}'>no such device</text>",
        f"<archipel-error-libvirt xmlns='{ns.ERROR_LIBVIRT}'/>",
        code=55,
    )
    stream.answer(vm_command("set", "<archipel value='98304' action='memory'/>"), refusal)
    stream.answer(vm_command("set", "<archipel value='2' action='setvcpus'/>"), NOTHING)
    refused = await change_while_running(machine, (STEPS[0][0], STEPS[1][0]))
    assert refused == ["m: libvirt refuses it while the machine runs (no such device)"]
    assert len(stream.asked) == 2
