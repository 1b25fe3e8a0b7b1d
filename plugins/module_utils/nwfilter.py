# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A network filter of libvirt as module ``nwfilter`` declares it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.entries import definition_or
from ansible_collections.archipel.platform.plugins.module_utils.libvirt_resource import ABSENT, PRESENT, LibvirtResource
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Values
from ansible_collections.archipel.platform.plugins.module_utils.xml_specification import (
    SingleOptions,
    Specification,
    WholeDefinition,
    parse_definition,
)

try:
    from archipel.protocol import filter_options
    from archipel.protocol.errors import LibvirtFailed
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from archipel.client import Hypervisor

IN_USE = 55  # libvirt's VIR_ERR_OPERATION_INVALID, which it has for nothing else here

RULE = {
    "action": {"type": "str", "choices": ["drop", "reject", "accept", "return", "continue"], "required": True},
    "direction": {"type": "str", "choices": ["in", "out", "inout"], "required": True},
    "priority": {"type": "int"},
    "statematch": {"type": "bool"},
    "protocol": {"type": "str"},
    "fields": {"type": "dict"},
}
# The names are those of archipel.protocol.filter_options.
FILTER_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "chain": {"type": "str"},
    "priority": {"type": "int"},
    "rules": {"type": "list", "elements": "dict", "options": RULE, "required_by": {"fields": ["protocol"]}},
    "filterrefs": {
        "type": "list",
        "elements": "dict",
        "options": {"filter": {"type": "str", "required": True}, "parameters": {"type": "dict"}},
    },
}
KIND: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "uuid": {"type": "str"},
    "state": {"type": "str", "choices": [PRESENT, ABSENT]},
    "definition": {"type": "str"},
    **FILTER_OPTIONS,
}
DEFINITION_OR_OPTIONS = definition_or(FILTER_OPTIONS)


def read_specification(arguments: Mapping[str, Any]) -> Specification:
    """Return what is declared; raises :class:`ValueError`, which names the option."""
    if arguments["definition"] is not None:
        return WholeDefinition(parse_definition(arguments["definition"], "filter"), {}, None)
    declared = filter_options.read_declaration({name: arguments[name] for name in FILTER_OPTIONS})
    return SingleOptions(filter_options.FILTER, declared, filter_options.make_filter, filter_options.change_filter)


class DeclaredFilter(LibvirtResource):
    """One filter; its values are the declared options."""

    what = "filter"
    specify = staticmethod(read_specification)

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        super().__init__(arguments)
        self.filters = hypervisor.network_filters
        self.check_mode = check_mode
        self._found: ET.Element | None = None

    @property
    def definition(self) -> ET.Element | None:
        """The definition as it was read."""
        return self._found

    async def read(self) -> Values:
        """Return what is declared, as it stands."""
        found = self._found = await self.filters.find(self.title)
        if found is None:
            return {"state": ABSENT}
        self.refuse_other(found.findtext("uuid"))
        return {"state": PRESENT, **(self.specification.describe(found) if self.state == PRESENT else {})}

    def desired(self, current: Values) -> Values:
        """Return the declared values."""
        if self.state == ABSENT:
            return {"state": ABSENT}
        return {"state": PRESENT, **self.specification.describe(self.wanted_definition())}

    async def apply(self, current: Values, desired: Values) -> None:
        """Define or remove the filter; machines that use it are filtered anew at once."""
        if self.state == PRESENT:
            await self.filters.define(self.wanted_definition())
            return
        try:
            await self.filters.undefine(self.title)
        except LibvirtFailed as error:
            if error.code != IN_USE:
                raise
            raise ValueError(
                f"{self.title}: running machines use the filter, themselves or by another filter ({error.text}): "
                "take it from their network cards, or shut them down, first"
            ) from None

    def report(self, change: Change) -> dict[str, Any]:
        """Return the filter as it was last read."""
        found = self._found
        if found is None:
            return {"name": self.title, "uuid": None, "state": ABSENT}
        return {"name": self.title, "uuid": found.findtext("uuid"), "state": PRESENT, **filter_options.describe_filter(found)}


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return all filters, in the words of ``KIND``."""
    names = await hypervisor.network_filters.list()
    found = await asyncio.gather(*(hypervisor.network_filters.find(name) for name in names))
    pairs = zip(names, found, strict=True)
    return [{"name": name, **filter_options.describe_filter(element)} for name, element in pairs if element is not None]
