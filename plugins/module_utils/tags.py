# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tags of machines and hypervisors, as module ``tag`` declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together
from ansible_collections.archipel.platform.plugins.module_utils.directory import find_entities
from ansible_collections.archipel.platform.plugins.module_utils.entries import is_present
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.protocol.every_entity import TAG_SEPARATOR
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedEntity

    from archipel.client import Hypervisor

WHAT: Mapping[str, Mapping[str, Any]] = {
    "tags": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "exclusive": {"type": "bool", "default": False},
}
KIND: Mapping[str, Mapping[str, Any]] = {"machine": {"type": "str"}, **WHAT}


async def _list_tags(hypervisor: Hypervisor) -> Mapping[str, tuple[str, ...]]:
    """Return the tags of all entities of the server by their accounts."""
    return await ask_together(hypervisor.session, "tags", hypervisor.session.tags)


class DeclaredTags(Resource):
    """Tags of a machine, or of the hypervisor if none is named; the value is the sorted list of those declared, or of all if exclusive.

    ``named`` is the machine where it is known already.
    """

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool, named: NamedEntity | None = None) -> None:
        self.hypervisor, self.machine, self._named = hypervisor, arguments.get("machine"), named
        self.title = named.name if named else self.machine or hypervisor.bare
        self.tags = sorted({tag.strip() for tag in arguments["tags"]})
        self.present, self.exclusive = is_present(arguments), bool(arguments.get("exclusive"))
        self._all: tuple[str, ...] = ()
        for tag in self.tags:
            if not tag or TAG_SEPARATOR in tag:
                raise ValueError(f"{self.title}: tags: {tag!r} is no tag: a word or more, without {TAG_SEPARATOR!r}")

    async def named(self) -> NamedEntity:
        """Return who has the tags; looked for once."""
        if self._named is None:
            [self._named] = await find_entities(self.hypervisor, None if self.machine is None else [self.machine])
        return self._named

    async def read(self) -> Values:
        """Return the tags that the declaration is about."""
        bare = (await self.named()).entity.bare
        self._all = (await _list_tags(self.hypervisor)).get(bare, ())
        return {"tags": sorted(self._all if self.exclusive else {*self.tags} & {*self._all})}

    def desired(self, current: Values) -> Values:
        """Return those of them that shall be there."""
        return {"tags": self.tags if self.present else []}

    async def apply(self, current: Values, desired: Values) -> None:
        """Write all tags anew, the others as they were."""
        await (await self.named()).entity.set_tags(self._after(current, desired))

    def _after(self, before: Values, after: Values) -> list[str]:
        gone = {*before["tags"]} - {*after["tags"]}
        kept = [tag for tag in self._all if tag not in gone]
        return [*kept, *(tag for tag in after["tags"] if tag not in kept)]

    def report(self, change: Change) -> dict[str, Any]:
        """Return name, account and all tags; in check mode those that there would be."""
        named = self._named
        return {"name": self.title, "jid": named.entity.bare if named else None, "tags": sorted(self._after(change.before, change.after))}


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return the tags of the hypervisor and of its machines, of those that have any."""
    found = await _list_tags(hypervisor)
    entries = sorted((entry for entry in await hypervisor.machines() if entry.managed), key=lambda entry: entry.name)
    named = [({"machine": entry.name}, entry.bare) for entry in entries]
    return [{**name, "tags": sorted(found[bare]), "exclusive": True} for name, bare in [({}, hypervisor.bare), *named] if found.get(bare)]
