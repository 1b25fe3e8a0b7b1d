# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run tells in the end: the plan, what was done, what failed, what was left, what waits for a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.execution import describe_failure
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Action, Step, count_actions, differing

HYPERVISOR = "hypervisor"
MOST_WORDS = 10
"""Failures that the message tells; all are in the result."""


@dataclass(frozen=True)
class Outcome:
    """The module's result, and in words why it failed, if it did."""

    result: dict[str, Any]
    failure: str | None


def tell_outcome(steps: Sequence[Step], *, check_mode: bool, diff: bool) -> Outcome:
    """Return the result of a run over these steps."""
    planned = [step for step in steps if not step.stopped]
    failed = [step for step in steps if step.error is not None]
    left = [step for step in steps if step.because is not None]
    done = [step for step in planned if step.changes and (check_mode or step.done)]
    result: dict[str, Any] = {
        "changed": bool(done),
        "plan": [step.row() for step in planned if step.changes or not step.pruned],
        "done": [] if check_mode else [{"action": str(step.action), **step.name()} for step in done],
        "failed_objects": [_tell_failure(step) for step in failed],
        "skipped_objects": [{**step.name(), "reason": f"skipped because {step.because}"} for step in left],
        "needs_restart": [{**step.name(), "reasons": list(step.restart_reasons)} for step in planned if _waits(step)],
        "counts": {**count_actions(planned), "failed": len(failed), "skipped": len(left)},
    }
    if diff:
        result["diff"] = [step.change().diff() for step in planned if step.changes]
    return Outcome(result, _words(failed, left, len(steps)) if failed else None)


def _waits(step: Step) -> bool:
    return bool(step.restart_reasons) and step.action is not Action.REMOVE


def _tell_failure(step: Step) -> dict[str, Any]:
    why = {} if step.error is None else describe_failure(step.error)
    return {**step.name(), "declared_at": str(step.item.place), "keys": _keys_of(step), **why}


def _keys_of(step: Step) -> list[str]:
    """Return the options that were to change."""
    return differing(step.before, step.after) if step.before and step.after else []


def _title(step: Step) -> str:
    """Return what failed: kind, name, hypervisor, where it is declared, and what of it was to change."""
    return ", ".join([f"{step.key} ({step.item.place})", *_keys_of(step)])


def _words(failed: Sequence[Step], left: Sequence[Step], count: int) -> str:
    told = [f"{_title(step)}: {describe_failure(step.error)['msg']}" for step in failed[:MOST_WORDS] if step.error]
    more = f"; and {len(failed) - MOST_WORDS} more" if len(failed) > MOST_WORDS else ""
    skipped = f"; {len(left)} others were skipped because of that" if left else ""
    return f"{len(failed)} of {count} failed: {'; '.join(told)}{more}{skipped}"
