# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of a module: one session, the work in it, its result or its failure in words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_settings, find_hypervisor
from ansible_collections.archipel.platform.plugins.module_utils.library import require_library

try:
    from archipel.client import Session
    from archipel.client.failures import EXPECTED, describe
    from archipel.protocol.errors import CommandError, PermissionDenied
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from archipel.client import Hypervisor

    Work = Callable[[Hypervisor], Awaitable[Mapping[str, Any]]]


class PartlyFailed(ValueError):
    """Some of several entities failed; ``result`` is what the module has to tell all the same."""

    def __init__(self, message: str, result: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.result = dict(result)


def run(module: AnsibleModule, work: Work) -> None:
    """Do ``work`` in a session with the module's hypervisor, and end the module."""
    require_library(module)
    try:
        result = asyncio.run(_work_in_session(module.params, work))
    except (*EXPECTED, ValueError) as error:
        module.fail_json(**describe_failure(error))
    module.exit_json(**result)


async def _work_in_session(arguments: Mapping[str, Any], work: Work) -> Mapping[str, Any]:
    async with Session(connection_settings(arguments)) as session:
        return await work(find_hypervisor(session, arguments))


def describe_failure(error: BaseException) -> dict[str, Any]:
    """Return what ``fail_json`` is told: the words, and for scripts the missing right and the condition of RFC 6120."""
    if isinstance(error, PartlyFailed):
        return {"msg": str(error), **error.result}
    failure: dict[str, Any] = {"msg": describe(error)}
    if isinstance(error, PermissionDenied) and error.right:
        failure["missing_right"] = error.right
    if isinstance(error, CommandError):
        failure["condition"] = str(error.condition)
    return failure
