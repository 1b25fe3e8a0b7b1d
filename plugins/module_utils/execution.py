# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module is, and one run of it: one session, the work in it, its result or its failure in words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_settings, find_hypervisor
from ansible_collections.archipel.platform.plugins.module_utils.library import require_library
from ansible_collections.archipel.platform.plugins.module_utils.progress import telling
from ansible_collections.archipel.platform.plugins.module_utils.secrecy import find_secrets
from ansible_collections.archipel.platform.plugins.module_utils.shapes import find_wrong_forms

try:
    from archipel.client import Session
    from archipel.client.errors import MachineNotFound
    from archipel.client.failures import EXPECTED, describe
    from archipel.protocol.errors import CommandError, PermissionDenied
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import ConnectionSettings, Hypervisor

NOT_MADE = " (this is check mode: what an earlier task would make is not there)"

Say = Callable[[str], None]


class _DiscreetModule(AnsibleModule):
    """Shows no secret, also where it is the arguments that are wrong; ``given`` are the arguments as they came."""

    given: Mapping[str, Any]

    def _load_params(self) -> None:
        super()._load_params()
        self.given = dict(self.params)
        self.no_log_values.update(find_secrets(self.given))


def open_session(settings: ConnectionSettings) -> Session:
    """Return a session that is not begun yet."""
    return Session(settings)


class NotThere(ValueError):
    """Something that is named is not there."""


class PartlyFailed(ValueError):
    """Some of several entities failed; ``result`` is what the module has to tell all the same."""

    def __init__(self, message: str, result: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.result = dict(result)


@dataclass(frozen=True)
class Run:
    """One run of a module, as its work sees it.

    ``warn`` takes what the user should know although nothing failed, ``tell`` how far long work has come: who runs a playbook
    sees that at once. Nothing that is added to ``secrets`` is shown of the run.
    """

    arguments: Mapping[str, Any]
    session: Session
    check_mode: bool
    diff_mode: bool
    warn: Say
    tell: Say
    secrets: set[str] = field(default_factory=set)

    @property
    def hypervisor(self) -> Hypervisor:
        """The hypervisor that the arguments name; raises :class:`ValueError` if they name none."""
        return find_hypervisor(self.session, self.arguments)


Work = Callable[[Run], Awaitable[Mapping[str, Any]]]


def _nothing_to_refuse(_arguments: Mapping[str, Any]) -> None:
    """Stand in for the check of a module whose argument specification says all."""


@dataclass(frozen=True)
class Module:
    """A module: what it takes, and what it does in a session.

    ``constraints`` are further arguments of :class:`AnsibleModule` (``mutually_exclusive``, ``required_if``, ...). ``refuse``
    raises :class:`ValueError` for arguments that contradict each other, before anybody is asked. What :mod:`secrecy` finds in the
    arguments is never shown. A module whose arguments hold secrets in other words keeps them all out of the system's log with
    ``log_arguments=False``.
    """

    arguments: Mapping[str, Any]
    work: Work
    constraints: Mapping[str, Any] = field(default_factory=dict)
    refuse: Callable[[Mapping[str, Any]], None] = _nothing_to_refuse
    log_arguments: bool = True

    def run(self) -> None:
        """Run as Ansible runs modules: in a process of its own, which ends here."""
        module = _DiscreetModule(dict(self.arguments), supports_check_mode=True, no_log=not self.log_arguments, **self.constraints)
        require_library(module)
        wrong_forms = "; ".join(find_wrong_forms(module.given, self.arguments))
        if wrong_forms:
            module.fail_json(wrong_forms)
        try:
            self.refuse(module.params)
            result = asyncio.run(self._log_in_and_work(module))
        except (*EXPECTED, ValueError) as error:
            module.fail_json(**describe_failure(error, check_mode=module.check_mode))
        module.exit_json(**result)

    async def _log_in_and_work(self, module: AnsibleModule) -> Mapping[str, Any]:
        async with open_session(connection_settings(module.params)) as session:
            modes = (module.check_mode, module._diff)
            return await self.work_in(Run(module.params, session, *modes, warn=module.warn, tell=module.log, secrets=module.no_log_values))

    async def work_in(self, run: Run) -> Mapping[str, Any]:
        """Do the work, and tell that it goes on where nothing else is told."""
        async with telling(run.tell, "waiting for answers"):
            return await self.work(run)


def describe_failure(error: BaseException, *, check_mode: bool = False) -> dict[str, Any]:
    """Return what ``fail_json`` is told: the words, and for scripts the missing right and the condition of RFC 6120."""
    if isinstance(error, PartlyFailed):
        return {"msg": str(error), **error.result}
    failure: dict[str, Any] = {"msg": describe(error)}
    if check_mode and isinstance(error, MachineNotFound | NotThere):
        failure["msg"] += NOT_MADE
    if isinstance(error, PermissionDenied) and error.right:
        failure["missing_right"] = error.right
    if isinstance(error, CommandError):
        failure["condition"] = str(error.condition)
    return failure
