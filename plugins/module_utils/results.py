# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module tells that has one report where others have a list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.libvirt_resource import NEEDS_RESTART
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Resource, reconcile_all

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.execution import Run


async def reconcile_one(resource: Resource, key: str, run: Run) -> dict[str, Any]:
    """Bring a resource to its declared state and return the module's result, with its report in ``key``; raises what that raises."""
    result = await reconcile_all([resource], key, run)
    return {**result, key: result[key][0]}


def tell_single(result: Mapping[str, Any], many: str, one: str, run: Run) -> dict[str, Any]:
    """Return the result of an option ``many`` that was left out with its only report under a name of its own, too."""
    return {**result} if run.arguments[many] is not None else {**result, one: result[many][0]}


def tell_restarts(result: Mapping[str, Any], key: str, run: Run, advice: str) -> dict[str, Any]:
    """Return the result with whether anything in it waits for a restart, and warn of each that does; ``advice`` says when that ends."""
    waiting = [report["name"] for report in result[key] if report[NEEDS_RESTART]]
    for name in waiting:
        run.warn(f"{name}: what changed takes effect {advice}")
    return {**result, NEEDS_RESTART: bool(waiting)}
