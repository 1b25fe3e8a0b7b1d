# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One task's changes inside a guest, one after the other, in an order in which none hinders another."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.execution import PartlyFailed
from ansible_collections.archipel.platform.plugins.module_utils.guest.accounts import AccountPassword
from ansible_collections.archipel.platform.plugins.module_utils.guest.files import FetchedFile, GuestFile
from ansible_collections.archipel.platform.plugins.module_utils.guest.states import Frozen, GuestClock
from ansible_collections.archipel.platform.plugins.module_utils.progress import waiting
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource, reconcile

try:
    from archipel.client.guest_shell import Completed, GuestShell
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.execution import Run

    from archipel.client.guest import Guest


async def change_guest(run: Run) -> dict[str, Any]:
    """Do what the arguments declare and return the module's result."""
    arguments, name = run.arguments, run.arguments["machine"]
    guest = (await Directory.load(run.hypervisor, [name])).machine(name).guest
    result: dict[str, Any] = {"changed": False}
    diffs: list[dict[str, str]] = []
    for resource in _before_program(run, guest):
        await _change(run, resource, result, diffs)
    if arguments["program"] is not None:
        await _run_program(
            run, GuestShell(guest, timeout=arguments["program_timeout"], most_output=arguments["output_limit"] << 20), result
        )
    for resource in _after_program(run, guest):
        await _change(run, resource, result, diffs)
    return result | ({"diff": diffs} if run.diff_mode else {})


def _before_program(run: Run, guest: Guest) -> Iterator[Resource]:
    arguments, shell = run.arguments, GuestShell(guest, tell=_progress(run))
    if arguments["frozen"] is False:
        yield Frozen(guest, False)
    if arguments["max_clock_offset"] is not None:
        yield GuestClock(guest, arguments["max_clock_offset"])
    for entry in arguments["files"] or ():
        yield GuestFile(shell, entry, show=run.diff_mode)
    if arguments["password"] is not None:
        yield AccountPassword(guest, shell, arguments, run.warn)


def _after_program(run: Run, guest: Guest) -> Iterator[Resource]:
    shell = GuestShell(guest, tell=_progress(run))
    for entry in run.arguments["fetch"] or ():
        yield FetchedFile(shell, entry)
    if run.arguments["frozen"]:
        yield Frozen(guest, True)


async def _change(run: Run, resource: Resource, result: dict[str, Any], diffs: list[dict[str, str]]) -> None:
    async with waiting(f"{run.arguments['machine']}: at work: {resource.title}"):
        change = await reconcile(resource, check_mode=run.check_mode)
    result["changed"] = result["changed"] or change.changed
    for key, value in resource.report(change).items():
        result[key] = result.get(key, []) + value if isinstance(value, list) else value
    diffs.append(change.diff())


async def _run_program(run: Run, shell: GuestShell, result: dict[str, Any]) -> None:
    """Run the program unless what it would do is done."""
    for option, there in (("creates", True), ("removes", False)):
        path = run.arguments[option]
        if path is not None and (await shell.run(f"test -e {shlex.quote(path)}")).code == (0 if there else 1):
            return
    result["changed"] = True
    if run.check_mode:
        return
    words = [run.arguments["program"], *run.arguments["arguments"]]
    async with waiting(f"{run.arguments['machine']}: {words[0]} runs in the guest"):
        done = await shell.run(f"exec {shlex.join(words)}", (run.arguments["stdin"] or "").encode())
    result.update(_texts(done))
    if done.code:
        raise PartlyFailed(f"{words[0]} ended with {done.code} in the guest: {result['stderr'].strip()[:500]}", result)


def _texts(done: Completed) -> dict[str, Any]:
    return {"rc": done.code, "stdout": done.stdout.decode(errors="replace"), "stderr": done.stderr.decode(errors="replace")}


def _progress(run: Run) -> Callable[[int, int], None]:
    """Return what tells each tenth of a large file."""
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        tenth = done * 10 // max(total, 1)
        if tenth > told:
            told = tenth
            run.tell(f"{done >> 10} of {total >> 10} KiB")

    return tell
