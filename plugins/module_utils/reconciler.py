# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read, compare what is declared, apply unless in check mode, read again, tell before and after: what all changing modules do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import names_hypervisor
from ansible_collections.archipel.platform.plugins.module_utils.execution import PartlyFailed, describe_failure
from ansible_collections.archipel.platform.plugins.module_utils.progress import Crowd, waiting

try:
    from archipel.client.failures import EXPECTED, describe
    from archipel.protocol.errors import CommandError, PermissionDenied, RemoteError
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.execution import Run

Values = Mapping[str, Any]


class Resource(ABC):
    """Something that can be brought to a declared state; ``title`` is its name for people."""

    title: str
    waits_for: Sequence[Resource] = ()
    """Those of a run that are dealt with before this one."""

    @abstractmethod
    async def read(self) -> Values:
        """Return the present values of what is declared, and of nothing else."""

    @abstractmethod
    def desired(self, current: Values) -> Values:
        """Return the values that applying leads to."""

    async def verify(self, current: Values, desired: Values) -> None:  # noqa: B027 - most have nothing that could be missing
        """Raise what would keep :meth:`apply` from its end, as far as that can be known before anything is changed."""

    @abstractmethod
    async def apply(self, current: Values, desired: Values) -> None:
        """Lead from one to the other."""

    @abstractmethod
    def report(self, change: Change) -> dict[str, Any]:
        """Return what the module's result says of this resource."""


@dataclass(frozen=True)
class Change:
    """What was, and what is now (in check mode: what would be)."""

    title: str
    before: Values
    after: Values

    @property
    def changed(self) -> bool:
        """Whether there is a difference."""
        return self.before != self.after

    def diff(self) -> dict[str, str]:
        """Return the difference as Ansible shows it."""
        return {
            "before_header": self.title,
            "after_header": self.title,
            "before": to_yaml(self.before),
            "after": to_yaml(self.after),
        }


async def reconcile(resource: Resource, *, check_mode: bool) -> Change:
    """Bring one resource to its declared state.

    Raises what applying raises, or :class:`PartlyFailed` if something was changed before that.
    """
    before = await resource.read()
    after = resource.desired(before)
    if after != before:
        await resource.verify(before, after)
    if after != before and not check_mode:
        try:
            await resource.apply(before, after)
        except (*EXPECTED, ValueError) as error:
            if not isinstance(error, PartlyFailed) and await _differs(resource, before):
                raise PartlyFailed(f"{describe(error)}; something was changed before that", _for_scripts(error)) from error
            raise
        after = await resource.read()
    return Change(resource.title, before, after)


async def _differs(resource: Resource, before: Values) -> bool:
    """Whether a resource is no longer as it was; false if nobody can tell any more."""
    try:
        return await resource.read() != before
    except (*EXPECTED, ValueError):
        return False


def _is_begun(error: BaseException) -> bool:
    return isinstance(error, PartlyFailed) and bool(error.result.get("changed"))


def _for_scripts(error: BaseException) -> dict[str, Any]:
    return {name: value for name, value in describe_failure(error).items() if name != "msg"} | {"changed": True}


def _name_place(error: BaseException, title: str, run: Run) -> BaseException:
    """Put what it is about, and its hypervisor, before words that name neither, such as libvirt's."""
    cause = error.__cause__ if isinstance(error, PartlyFailed) else error
    refused = isinstance(cause, CommandError) and not isinstance(cause, PermissionDenied | RemoteError)
    if refused and title not in str(error):
        place = f"{title} on {run.hypervisor.bare}" if names_hypervisor(run.arguments) else title
        error.args = (f"{place}: {error}",)
    return error


def _tell_place(run: Run) -> str:
    """Return where it failed, if it is about one hypervisor."""
    return f" on {run.hypervisor.bare}" if names_hypervisor(run.arguments) else ""


async def reconcile_all(resources: Sequence[Resource], key: str, run: Run) -> dict[str, Any]:
    """Bring all resources to their declared states, at once, and return the module's result, with a report of each in ``key``.

    The failure of one does not keep the others from their changes: raises its error if there is just one resource, else
    :class:`PartlyFailed`.
    """
    crowd = Crowd(len(resources))
    async with waiting(crowd):
        outcomes = await asyncio.gather(*_in_turn(resources, crowd, check_mode=run.check_mode), return_exceptions=True)
    failed = {resource.title: outcome for resource, outcome in zip(resources, outcomes, strict=True) if isinstance(outcome, BaseException)}
    if len(resources) == 1 and failed:
        [(title, error)] = failed.items()
        raise _name_place(error, title, run)
    done = [(resource, change) for resource, change in zip(resources, outcomes, strict=True) if isinstance(change, Change)]
    result = {
        "changed": any(change.changed for _resource, change in done) or any(map(_is_begun, failed.values())),
        key: [resource.report(change) for resource, change in done],
    }
    if run.diff_mode:
        result["diff"] = [change.diff() for _resource, change in done]
    if failed:
        texts = "; ".join(f"{title}: {describe(error)}" for title, error in failed.items())
        raise PartlyFailed(f"{len(failed)} of {len(resources)} failed{_tell_place(run)}: {texts}", result)
    return result


def _in_turn(resources: Sequence[Resource], crowd: Crowd, *, check_mode: bool) -> list[asyncio.Task[Change]]:
    """Begin with all resources at once, but for those that wait for others; those go on whatever comes of them."""
    begun: dict[int, asyncio.Task[Change]] = {}

    async def take_turn(resource: Resource) -> Change:
        await asyncio.gather(*(begun[id(other)] for other in resource.waits_for), return_exceptions=True)
        with crowd.at_work(resource.title):
            return await reconcile(resource, check_mode=check_mode)

    for resource in resources:
        begun[id(resource)] = asyncio.ensure_future(take_turn(resource))
    return list(begun.values())


def to_yaml(values: Values) -> str:
    """Return values as people read them best: plain types, nothing sorted, long texts line by line; no values are no text."""
    if not values:
        return ""
    import yaml  # late: it takes longer than most runs, and few ask for a difference; where Ansible runs, it is there

    class ReadableDumper(yaml.SafeDumper):
        """Shows texts of several lines as blocks."""

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    ReadableDumper.add_representer(str, represent_text)
    return str(yaml.dump(_plain(values), Dumper=ReadableDumper, sort_keys=False, allow_unicode=True, default_flow_style=False))


def _plain(value: Any) -> Any:
    """Return a value made of nothing but what every YAML reader knows; texts of enumerations become texts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, str) else value
