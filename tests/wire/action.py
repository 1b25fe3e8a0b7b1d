# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One action of one kind of entity, as it goes over the wire: with its right, allowed, and wrong in each of its fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt

HYPERVISOR, MACHINE = "hypervisor", "virtualmachine"
NEVER = "never-made"  # the name in requests that must make nothing


def in_state(state: int) -> Callable[[Any], bool]:
    return lambda domain: domain.state()[0] == state


RUNNING, PAUSED, OFF = map(in_state, (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_SHUTOFF))


@dataclass(frozen=True)
class Wrong:
    """A request that is malformed: in which field, and what the error mentions (its name, unless told otherwise)."""

    field: str
    attributes: str = ""
    inner: str = ""
    mentions: str = ""

    @property
    def told(self) -> str:
        return self.mentions or self.field


@dataclass(frozen=True)
class Action:
    """An action of one kind of entity.

    In attributes, content and answer stand ``{{jid}}``, ``{{full}}`` and ``{{uuid}}`` for a managed machine's, ``{{other}}`` for the
    JID of a domain that is not managed, ``{{person}}`` for the asker, ``{{host}}`` for the hypervisor, ``{{pools}}`` for the folder
    of storage pools, ``{{definition}}`` for a changed definition. ``before`` are commands, each a namespace and a request, that the
    administrator gives the same entity so that this one can be allowed; ``prepare`` makes ready, behind the agent's back, what the
    request needs of libvirt. ``right`` None: whoever is known may. ``answer`` None: any, looked at elsewhere. ``refusal`` is the code
    and the condition with which everybody who may ask is refused. ``effect`` is what libvirt says of the machine afterwards;
    ``unsupported``: libvirt's test driver cannot do it. ``rights_on_machine`` are what is needed on the machine besides.
    """

    kind: str
    namespace: str
    action: str
    right: str | None
    code: int
    attributes: str = ""
    inner: str = ""
    state: str = "off"
    answer: str | None = ""
    effect: Callable[[Any], bool] | None = None
    unsupported: bool = False
    before: tuple[tuple[str, str], ...] = ()
    malformed: tuple[Wrong, ...] = ()
    prepare: Callable[[Any], object] | None = None
    refusal: tuple[int, str] | None = None
    rights_on_machine: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.namespace, self.action

    def request(self, words: dict[str, str], wrong: Wrong | None = None) -> str:
        """The command, or a malformed one."""
        attributes, inner = (self.attributes, self.inner) if wrong is None else (wrong.attributes, wrong.inner)
        return f"<archipel action='{self.action}' {attributes.format(**words)}>{inner.format(**words)}</archipel>"

    def __str__(self) -> str:
        return f"{self.kind}-{self.namespace.removeprefix('archipel:')}-{self.action}"


def grant(target: str, name: str, value: str = "1", kind: str = "user") -> str:
    """An element as founding clients write it."""
    return f"<permission permission_type='{kind}' permission_target='{target}' permission_name='{name}' permission_value='{value}'/>"


NO_ACCOUNTS = ("", "{0}=''", "{0}='   '", "{0}='@'", "{0}='no jid at all'", "{0}='agents.localhost'", "{0}='@agents.localhost'")


def no_account(name: str) -> tuple[Wrong, ...]:
    """What names nobody."""
    return tuple(Wrong(name, text.format(name)) for text in NO_ACCOUNTS)


def values(*wrong: str, name: str = "value") -> tuple[Wrong, ...]:
    return (Wrong(name), *(Wrong(name, f"{name}='{text}'") for text in wrong))
