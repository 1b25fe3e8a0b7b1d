# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Modules in Ansible's own process.

Ansible starts a Python for each run of a module, which costs more than the module's work: half a second for each round of a
loop. Ours need nothing of a host; on the one where the playbook runs they are called instead. The rounds of a loop share one
session, and what long work tells is on the screen at once.

A module runs as Ansible runs modules where the user asks for what only that does: another host, another user (C(become)), another
Python (C(ansible_python_interpreter)), C(async).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.archipel.platform.plugins.module_utils import execution
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_settings
from ansible_collections.archipel.platform.plugins.module_utils.execution import Run, describe_failure
from ansible_collections.archipel.platform.plugins.module_utils.library import MISSING
from ansible_collections.archipel.platform.plugins.plugin_utils.kept_session import KeptSession

try:
    from archipel.client.failures import EXPECTED
except ImportError:
    pass  # then modules run as Ansible runs them, and tell the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.execution import Module

    from archipel.client import ConnectionSettings, Session

MODULES = "ansible_collections.archipel.platform.plugins.modules."
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def _open_session(settings: ConnectionSettings) -> Session:
    return execution.Session(settings)  # looked up when it is needed: the library may be missing


class ActionModule(ActionBase):
    """Runs any module of the collection."""

    _supports_check_mode = True
    _supports_async = True  # by way of a process of its own

    KEPT: ClassVar[KeptSession] = KeptSession(_open_session)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task's module."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        if not self._is_at_home(variables):
            return result | self._execute_module(task_vars=variables, wrap_async=bool(self._task.async_val))
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        with mock.patch.dict(os.environ, {name: str(value) for name, value in environment.items()}):
            return result | self._call(self._find_module())

    def _is_at_home(self, variables: Mapping[str, Any]) -> bool:
        """Whether what the user asks for can be done in this process."""
        python = self._templar.template(variables.get("ansible_python_interpreter"))
        return (
            MISSING is None
            and self._connection.transport in {"local", "ansible.builtin.local"}
            and self._connection.become is None
            and not self._task.async_val
            and python in {None, "", "auto", "auto_silent", sys.executable}
        )

    def _find_module(self) -> Module:
        name = self._task.action.rpartition(".")[2]
        module: Module = importlib.import_module(MODULES + name).MODULE
        return module

    def _call(self, module: Module) -> dict[str, Any]:
        """Do the work of a module; the result has no secret in it."""
        validation, arguments = self.validate_argument_spec(dict(module.arguments), **module.constraints)
        warnings: list[str] = []

        async def work(session: Session) -> Mapping[str, Any]:
            run = Run(arguments, session, self._task.check_mode, self._task.diff, warn=warnings.append, tell=self._tell)
            return await module.work(run)

        try:
            module.refuse(arguments)
            result = dict(self.KEPT.run(connection_settings(arguments), work))
        except (*EXPECTED, ValueError) as error:
            result = {"failed": True, **describe_failure(error)}
        result |= {"warnings": warnings} if warnings else {}
        secrets = validation._no_log_values | set(module.find_secrets(arguments))
        shown: dict[str, Any] = remove_values(result | {"invocation": {"module_args": _show(arguments, module)}}, secrets)
        return shown

    def _tell(self, progress: str) -> None:
        Display().display(f"{self._task.get_name()}: {progress}")


def _show(arguments: Mapping[str, Any], module: Module) -> dict[str, Any]:
    """Return the arguments as verbose runs show them."""
    hidden = {name for name, option in module.arguments.items() if option.get("no_log")}
    return {name: HIDDEN if name in hidden and value is not None else value for name, value in arguments.items()}
