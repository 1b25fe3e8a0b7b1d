# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told while something takes long: who is waited for, by the innermost who knows, and nothing where nothing takes long."""

from __future__ import annotations

import asyncio

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import progress
from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import stop
from ansible_collections.archipel.platform.plugins.module_utils.progress import Crowd, telling, waiting

from archipel.client import VirtualMachine, WaitTimedOut
from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import ScriptedStream, vm_command
from tests.wire.waiting import eventually

MACHINE_INFO = "<info state='1' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='hyp@example.org/host' autostart='0'/>"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told, without how long it took; every wait is long."""
    monkeypatch.setattr(progress, "FIRST", 0)
    monkeypatch.setattr(progress, "AGAIN", 0.001)
    return []


async def until(told: list[str], *texts: str) -> None:
    """Wait until these texts were told, and return."""
    await eventually(lambda: all(any(text in line for line in told) for text in texts))


async def test_what_takes_long_is_told_again_and_again(told: list[str]) -> None:
    async with telling(told.append, "copying"):
        await eventually(lambda: len(told) > 2)
    assert set(told) == {"copying (0 s)"}


async def test_what_is_over_is_not_told(told: list[str]) -> None:
    async with telling(told.append, "copying"):
        pass
    await asyncio.sleep(0.01)
    assert told == []


async def test_the_innermost_has_the_word(told: list[str]) -> None:
    async with telling(told.append, "outer"), waiting("middle"):
        async with waiting("inner"):
            await until(told, "inner")
        assert set(told) == {"inner (0 s)"}
        await until(told, "middle")
    assert not any("outer" in line for line in told)


async def test_those_at_work_are_named_and_counted(told: list[str]) -> None:
    crowd, go_on = Crowd(5), asyncio.Event()

    async def work(name: str) -> None:
        with crowd.at_work(name):
            await go_on.wait()

    async with telling(told.append, crowd):
        works = [asyncio.create_task(work(name)) for name in ("a", "b", "c", "d")]
        await until(told, "0 of 5 done; at work: a, b, c, 1 more")
        go_on.set()
        await asyncio.gather(*works)
        await until(told, "4 of 5 done")


async def test_without_anybody_who_wants_to_hear_nothing_is_told(told: list[str]) -> None:
    async with waiting("something"):
        await asyncio.sleep(0.01)
    assert told == []


async def test_a_guest_that_does_not_obey_is_told_of(told: list[str], machine: VirtualMachine, stream: ScriptedStream) -> None:
    stream.answer(vm_command("get", "<archipel action='info'/>"), f"<query xmlns='{ns.VM_CONTROL}'>{MACHINE_INFO}</query>")
    stream.answer(vm_command("set", "<archipel action='shutdown'/>"), f"<query xmlns='{ns.VM_CONTROL}'/>")
    async with telling(told.append, "waiting for answers"):
        with pytest.raises(WaitTimedOut):
            await stop(machine, 0.05, force=False)
    assert any("waiting for its guest to shut down, at most 0.05 s" in line for line in told)
