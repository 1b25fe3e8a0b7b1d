# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is declared of a machine's definition: by single options, or by a whole definition. Both answer the same questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.machine import whole_definition

try:
    from archipel.protocol.domain.changes import Plan, Redefine, Restart, plan
    from archipel.protocol.domain.declaration import DomainDeclaration
    from archipel.protocol.domain.domain import Domain, parse
    from archipel.protocol.domain.rendering import apply, describe, render
    from archipel.protocol.domain.xml_values import DomainXmlError
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MachineWish

# Processors whose model libvirt writes out when the machine starts: a running definition cannot tell them apart.
_EXPANDED_AT_START = frozenset({"host-model", "maximum"})


class Specification(ABC):
    """What is declared of a definition."""

    needs_domain_type = False
    """Whether a new machine's definition wants to know who runs domains on the host."""

    @property
    @abstractmethod
    def declares(self) -> bool:
        """Whether anything is declared."""

    @abstractmethod
    def describe(self, domain: Domain | None) -> Mapping[str, Any]:
        """Return what a definition says about everything that is declared."""

    @abstractmethod
    def make(self, name: str, uuid: str | None, domain_type: str) -> Domain:
        """Return the definition of a new machine."""

    @abstractmethod
    def change(self, current: Domain) -> Domain:
        """Return a definition with everything that is declared, and the rest as it is."""

    @abstractmethod
    def plan(self, current: Domain, desired: Domain, *, running: bool) -> Plan:
        """Return the steps from one to the other."""

    @abstractmethod
    def pending(self, running: Domain, desired: Domain) -> list[str]:
        """Return, in words, in what a running machine differs from the definition of its next start, as far as declared."""


def read_specification(wish: MachineWish) -> Specification:
    """Return what is declared; raises :class:`ValueError` (``DeclarationError``, ``DomainXmlError``), which names the option."""
    if wish.definition is not None:
        try:
            return WholeDefinition(wish.definition)
        except DomainXmlError as error:
            raise DomainXmlError(f"{wish.title}: definition: {str(error).removeprefix('the definition ')}") from None
    options = {("type" if name == "domain_type" else name): value for name, value in wish.hardware.items()}
    return SingleOptions(DomainDeclaration.from_options({"name": wish.title, **options}))  # a UUID where no name is declared


class SingleOptions(Specification):
    """Options that were declared one by one."""

    def __init__(self, declaration: DomainDeclaration) -> None:
        self.declaration = declaration
        self.needs_domain_type = declaration.type is None

    @property
    def declares(self) -> bool:
        """Whether anything but the name is declared."""
        return bool(self.declaration.declared().keys() - {"name"})

    def describe(self, domain: Domain | None) -> Mapping[str, Any]:
        """Return the values by the names of the module's options."""
        if domain is None:
            return {_option(name): None for name in self.declaration.declared() if name != "name"}
        return {_option(name): value for name, value in describe(domain, like=self.declaration).items()}

    def make(self, name: str, uuid: str | None, domain_type: str) -> Domain:
        """Return a complete definition, with sensible values for what is not declared."""
        domain = render(self.declaration, uuid, type=domain_type)
        domain.name = name
        return domain

    def change(self, current: Domain) -> Domain:
        """Return the current definition with the options in it."""
        return apply(self.declaration, onto=current)

    def plan(self, current: Domain, desired: Domain, *, running: bool) -> Plan:
        """Return the steps, live ones where libvirt can."""
        return plan(current, desired, running)

    def pending(self, running: Domain, desired: Domain) -> list[str]:
        """Compare what both say; what a running definition does not tell reliably is left out."""
        now, then = dict(self.describe(running)), dict(self.describe(desired))
        if then.get("cpu") in _EXPANDED_AT_START and now["cpu"] not in {"host-passthrough", *_EXPANDED_AT_START}:
            now["cpu"] = then["cpu"]
        if "memory" in now and (running.memory or 0) >= (desired.current_memory or desired.memory or 0):
            now["memory"] = then["memory"]  # the balloon follows the guest's pace
        return [f"{name} takes effect at the next start" for name, value in then.items() if now[name] != value]


class WholeDefinition(Specification):
    """A definition written out by somebody, such as a template."""

    def __init__(self, text: str) -> None:
        self.written = parse(text)
        self.stated = whole_definition.statement(self.written.element)

    @property
    def declares(self) -> bool:
        """A whole definition always declares something."""
        return True

    def describe(self, domain: Domain | None) -> Mapping[str, Any]:
        """Return the text of what is stated, as it stands in ``domain``."""
        if domain is None:
            return {"definition": None}
        return {"definition": whole_definition.to_text(whole_definition.project(self.stated, domain.element))}

    def make(self, name: str, uuid: str | None, domain_type: str) -> Domain:
        """Return the definition as it was written, under the machine's own name and UUID."""
        domain = self.written.copy()
        domain.name, domain.uuid = name, uuid
        return domain

    def change(self, current: Domain) -> Domain:
        """Return the definition as it was written; cards without MAC address keep those they have."""
        domain = self.make(current.name or "", current.uuid, "")
        if self.describe(current) == self.describe(domain):
            return current.copy()
        whole_definition.keep_card_addresses(domain.element, current.element)
        return domain

    def plan(self, current: Domain, desired: Domain, *, running: bool) -> Plan:
        """Return the one step that stores the definition; a running machine takes it on at its next start."""
        found = whole_definition.project(self.stated, current.element)
        parts = whole_definition.differing_parts(self.stated, found)
        if not parts and self.describe(current) == self.describe(desired):
            return Plan()
        store = Redefine(xml=desired.to_text(), reason="the definition changes")
        waiting = [Restart(place=part, reason=f"{part} takes effect at the next start") for part in parts] if running else []
        return Plan((store, *waiting))

    def pending(self, running: Domain, desired: Domain) -> list[str]:
        """Compare what is stated with the running definition, but for what libvirt writes out at each start."""
        stated = whole_definition.statement(self.stated, without=("cpu", "currentMemory"))
        found = whole_definition.project(stated, running.element)
        return [f"{part} takes effect at the next start" for part in whole_definition.differing_parts(stated, found)]


def _option(name: str) -> str:
    return "domain_type" if name == "type" else name
