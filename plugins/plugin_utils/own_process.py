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

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.common.warnings import deprecate, warn
from ansible.module_utils.datatag import deprecator_from_collection_name
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_settings
from ansible_collections.archipel.platform.plugins.module_utils.execution import Run, describe_failure, open_session
from ansible_collections.archipel.platform.plugins.module_utils.library import MISSING
from ansible_collections.archipel.platform.plugins.module_utils.secrecy import find_secrets
from ansible_collections.archipel.platform.plugins.module_utils.shapes import find_wrong_forms
from ansible_collections.archipel.platform.plugins.plugin_utils.kept_session import KeptSession

try:
    from archipel.client.failures import EXPECTED
except ImportError:
    pass  # then modules run as Ansible runs them, and tell the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.execution import Module

    from archipel.client import Session

MODULES = "ansible_collections.archipel.platform.plugins.modules."
HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
ANY_PYTHON = frozenset({None, "", "auto", "auto_silent", "auto_legacy", "auto_legacy_silent"})


class ActionModule(ActionBase):
    """Runs any module of the collection."""

    _supports_check_mode = True
    _supports_async = True  # by way of a process of its own

    KEPT: ClassVar[KeptSession] = KeptSession(open_session)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task's module."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        if not self._is_at_home(variables):
            done: dict[str, Any] = self._execute_module(task_vars=variables, wrap_async=bool(self._task.async_val))
            return result | done
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        with _environment(environment):
            return result | self._call(self._find_module())

    def _is_at_home(self, variables: Mapping[str, Any]) -> bool:
        """Whether what the user asks for can be done in this process."""
        host = self._task.delegate_to
        told = variables.get("ansible_delegated_vars", {}).get(host, {}) if host else variables
        python = self._templar.template(told.get("ansible_python_interpreter"))
        return (
            MISSING is None
            and self._connection.transport in {"local", "ansible.builtin.local"}
            and self._connection.become is None
            and not self._task.async_val
            and python in ANY_PYTHON | {sys.executable}
        )

    @property
    def _name(self) -> str:
        """The full name of the task's module, whatever the task calls it."""
        return str(self._task.resolved_action or self._task.action)

    def _find_module(self) -> Module:
        module: Module = importlib.import_module(MODULES + self._name.rpartition(".")[2]).MODULE
        return module

    def _call(self, module: Module) -> dict[str, Any]:
        """Do the work of a module; the result has no secret in it."""
        given = _plain(self._task.args)
        secrets = find_secrets(given)
        checked = self._check_arguments(module, given, secrets)
        arguments = checked.validated_parameters
        secrets |= checked._no_log_values
        warnings: list[str] = []

        async def work(session: Session) -> Mapping[str, Any]:
            def tell(progress: str) -> None:
                self._tell(remove_values(progress, secrets))

            return await module.work_in(
                Run(arguments, session, self._task.check_mode, self._task.diff, warn=warnings.append, tell=tell, secrets=secrets)
            )

        try:
            module.refuse(arguments)
            result = dict(self.KEPT.run(connection_settings(arguments), work))
        except (*EXPECTED, ValueError) as error:
            result = {"failed": True, **describe_failure(error, check_mode=self._task.check_mode)}
        for warning in warnings:
            warn(remove_values(warning, secrets))
        shown: dict[str, Any] = remove_values(result | {"invocation": {"module_args": _show(arguments, module)}}, secrets)
        return shown

    def _tell_wrong(self, checked: ValidationResult, wrong_forms: str) -> str:
        """Return the words for the first error; an option that there is not goes first, for another may be missing because of it."""
        unknown = next((error for error in checked.errors if isinstance(error, UnsupportedError)), None)
        return wrong_forms or checked.errors.msg if unknown is None else f"Unsupported parameters for ({self._name}) module: {unknown.msg}"

    def _check_arguments(self, module: Module, given: Mapping[str, Any], secrets: set[str]) -> ValidationResult:
        """Return the arguments as the module takes them; what is wrong is told as Ansible tells it of modules."""
        checked = ArgumentSpecValidator(dict(module.arguments), **module.constraints).validate(given)
        wrong_forms = "; ".join(find_wrong_forms(given, module.arguments))
        if checked.error_messages or wrong_forms:
            raise AnsibleActionFail(remove_values(self._tell_wrong(checked, wrong_forms), secrets | checked._no_log_values))
        for old in checked._deprecations:
            deprecator = deprecator_from_collection_name(old.get("collection_name") or "archipel.platform")
            deprecate(msg=old["msg"], version=old.get("version"), date=old.get("date"), deprecator=deprecator)
        for both in checked._warnings:
            warn(f"Both option {both['option']} and its alias {both['alias']} are set.")
        return checked

    def _tell(self, progress: str) -> None:
        if not self._task.no_log:
            Display().display(f"{self._task.get_name()}: {progress}")


@contextlib.contextmanager
def _environment(wanted: Mapping[str, Any]) -> Iterator[None]:
    """Give this process the environment that a task asks for, meanwhile."""
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in wanted.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _plain(value: Any) -> Any:
    """Return an argument as a module gets it that runs elsewhere: what JSON knows, without what Ansible attaches to values."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool):
        return value
    kind = next((kind for kind in (int, float) if isinstance(value, kind)), str)
    return kind(value)


def _show(arguments: Mapping[str, Any], module: Module) -> dict[str, Any]:
    """Return the arguments as verbose runs show them."""
    secret = [(name, option) for name, option in module.arguments.items() if option.get("no_log")]
    hidden = {name for option_name, option in secret for name in (option_name, *option.get("aliases", ()))}
    return {name: HIDDEN if name in hidden and value is not None else value for name, value in arguments.items()}
