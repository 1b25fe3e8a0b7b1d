# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting, pausing and stopping a machine, each until it is so."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import is_active
from ansible_collections.archipel.platform.plugins.module_utils.progress import waiting

try:
    from archipel.client import MachineState, WaitTimedOut
    from archipel.protocol.errors import LibvirtFailed
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import VirtualMachine

RUNNING, PAUSED, STOPPED = "running", "paused", "stopped"
RUN_STATES = (RUNNING, PAUSED, STOPPED)


def run_state(state: MachineState) -> str:
    """Return the declared state that a machine's state is; states that cannot be declared keep their own words."""
    if not is_active(state):
        return STOPPED
    return RUNNING if state in {MachineState.RUNNING, MachineState.ASLEEP} else str(state)


async def reach(machine: VirtualMachine, wanted: str, shutdown_timeout: float, *, force: bool) -> None:
    """Bring a machine to ``running``, ``paused`` or ``stopped`` and wait until it is; see :func:`stop`."""
    if wanted == STOPPED:
        await stop(machine, shutdown_timeout, force=force)
        return
    state = await machine.state()
    if state is MachineState.SHUTTING_DOWN:
        async with _waiting_for_guest(machine, shutdown_timeout):
            await machine.wait_for_state(MachineState.OFF, timeout=shutdown_timeout)
    async with waiting(f"{_name(machine)}: waiting until it is {wanted}"):
        if not is_active(await machine.state()):
            await machine.start()
        await (_resume(machine) if wanted == RUNNING else _suspend(machine))


async def _resume(machine: VirtualMachine) -> None:
    if await machine.state() is MachineState.PAUSED:
        await machine.resume()
    await machine.wait_for_state(MachineState.RUNNING, MachineState.ASLEEP)


async def _suspend(machine: VirtualMachine) -> None:
    if await machine.state() is not MachineState.PAUSED:
        await machine.suspend()
    await machine.wait_for_state(MachineState.PAUSED)


async def stop(machine: VirtualMachine, shutdown_timeout: float, *, force: bool) -> None:
    """Have the guest shut down; switch it off after the time-out, but only with ``force``.

    Raises :class:`WaitTimedOut` for a guest that does not end, :class:`LibvirtFailed` if it cannot be asked.
    """
    state = await machine.state()
    if not is_active(state):
        return
    try:
        if state is MachineState.PAUSED:
            await machine.resume()  # a paused guest hears nothing
        await _shut_down(machine)
        async with _waiting_for_guest(machine, shutdown_timeout):
            await machine.wait_for_state(MachineState.OFF, MachineState.CRASHED, timeout=shutdown_timeout)
    except (LibvirtFailed, WaitTimedOut) as error:
        if not force:
            raise _advise(error) from None
        async with waiting(f"{_name(machine)}: its guest did not shut down; switching it off"):
            await machine.destroy()
            await machine.wait_for_state(MachineState.OFF, MachineState.CRASHED)


def _waiting_for_guest(machine: VirtualMachine, most: float) -> AbstractAsyncContextManager[None]:
    return waiting(f"{_name(machine)}: waiting for its guest to shut down, at most {most:g} s")


def _name(machine: VirtualMachine) -> str:
    return machine.name or machine.bare


async def _shut_down(machine: VirtualMachine) -> None:
    try:
        await machine.shutdown()
    except LibvirtFailed:
        if is_active(await machine.state()):  # else it ended by itself a moment ago
            raise


def _advise(error: Exception) -> Exception:
    advice = "raise shutdown_timeout, or set force to switch it off then"
    return WaitTimedOut(f"{error}; {advice}") if isinstance(error, WaitTimedOut) else error
