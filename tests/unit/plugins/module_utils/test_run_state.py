# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import reach, run_state, stop

from archipel.client import MachineState, VirtualMachine, WaitTimedOut
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import LibvirtFailed
from tests.unit.client.scripted_stream import ScriptedStream, error, vm_command

NOTHING = f"<query xmlns='{ns.VM_CONTROL}'/>"
NO_TIME = 0.01  # seconds
REFUSAL = error(
    "internal-server-error",
    f"<text xmlns='{ns.STANZAS}'>not now</text>",
    f"<archipel-error-libvirt xmlns='{ns.ERROR_LIBVIRT}'/>",
    code=55,
)


def info(*states: int) -> list[str]:
    """Return answers to ``info``, one after the other."""
    attributes = "maxMem='1' memory='1' nrVirtCpu='1' hypervisor='hyp@example.org/host' autostart='0'"
    return [f"<query xmlns='{ns.VM_CONTROL}'><info state='{state}' {attributes}/></query>" for state in states]


def script(stream: ScriptedStream, *states: int, **answers: str) -> None:
    """Let the machine be in these states, one question after the other, and answer these actions."""
    stream.answer(vm_command("get", "<archipel action='info'/>"), *info(*states))
    for action, answer in answers.items():
        stream.answer(vm_command("set", f"<archipel action='{action}'/>"), answer)


def actions(stream: ScriptedStream) -> list[str]:
    """Return what was asked for, but for the questions."""
    return [text.partition('action="')[2].partition('"')[0] for text in stream.asked if 'action="info"' not in text]


RUNNING, PAUSED, SHUTDOWN, OFF = 1, 3, 4, 5


@pytest.mark.parametrize(
    "state, word",
    [
        (MachineState.RUNNING, "running"),
        (MachineState.ASLEEP, "running"),
        (MachineState.PAUSED, "paused"),
        (MachineState.OFF, "stopped"),
        (MachineState.CRASHED, "stopped"),
        (MachineState.NOT_DEFINED, "stopped"),
        (MachineState.SHUTTING_DOWN, "shutting down"),
    ],
)
def test_states_are_told_in_the_words_of_the_declaration(state: MachineState, word: str) -> None:
    assert run_state(state) == word


async def test_a_guest_is_asked_to_shut_down(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script(stream, RUNNING, OFF, shutdown=NOTHING)
    await stop(machine, 1, force=False)
    assert actions(stream) == ["shutdown"]


async def test_what_is_off_stays_so(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script(stream, OFF)
    await stop(machine, 1, force=True)
    assert actions(stream) == []


async def test_a_paused_guest_has_to_hear_it(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script(stream, PAUSED, OFF, resume=NOTHING, shutdown=NOTHING)
    await stop(machine, 1, force=False)
    assert actions(stream) == ["resume", "shutdown"]


async def test_a_guest_that_does_not_end_is_a_failure_with_advice(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script(stream, RUNNING, shutdown=NOTHING)
    with pytest.raises(WaitTimedOut, match="last seen running; raise shutdown_timeout, or set force"):
        await stop(machine, NO_TIME, force=False)
    assert actions(stream) == ["shutdown"]


async def test_only_force_switches_it_off(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script(stream, RUNNING, RUNNING, OFF, shutdown=NOTHING, destroy=NOTHING)
    await stop(machine, NO_TIME, force=True)
    assert actions(stream) == ["shutdown", "destroy"]


async def test_a_guest_that_ended_by_itself_needs_no_asking(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script(stream, RUNNING, OFF, shutdown=REFUSAL)
    await stop(machine, 1, force=False)
    assert actions(stream) == ["shutdown"]


async def test_what_libvirt_refuses_is_told(machine: VirtualMachine, stream: ScriptedStream) -> None:
    script(stream, RUNNING, shutdown=REFUSAL)
    with pytest.raises(LibvirtFailed, match="not now"):
        await stop(machine, 1, force=False)


@pytest.mark.parametrize(
    "wanted, states, done",
    [
        ("running", [OFF, OFF, RUNNING], ["create"]),
        ("running", [PAUSED, PAUSED, PAUSED, RUNNING], ["resume"]),
        ("running", [SHUTDOWN, OFF, OFF, RUNNING], ["create"]),
        ("paused", [OFF, OFF, RUNNING, PAUSED], ["create", "suspend"]),
        ("paused", [RUNNING, RUNNING, RUNNING, PAUSED], ["suspend"]),
        ("paused", [PAUSED], []),
        ("stopped", [RUNNING, OFF], ["shutdown"]),
    ],
)
async def test_each_state_is_reached_from_each(
    wanted: str, states: list[int], done: list[str], machine: VirtualMachine, stream: ScriptedStream
) -> None:
    started = f"<query xmlns='{ns.VM_CONTROL}'><domain id='1'/></query>"
    script(stream, *states, create=started, resume=NOTHING, suspend=NOTHING, shutdown=NOTHING)
    await reach(machine, wanted, 1, force=False)
    assert actions(stream) == done
