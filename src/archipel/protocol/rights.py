# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of rights: which tokens exist on which kind of entity, and what they mean.

The names are the founding protocol's. Of its two dead tokens, ``roster`` is alive here (with ``getroster``, its counterpart for
requests), ``sendfiles`` is left out: no entity takes files. ``domain_policy_bypass`` is new. Those of its modules can be granted
before a capability serves them (:mod:`archipel.protocol.founding_rights`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from archipel.protocol.entities import ANY_ENTITY, ON_HYPERVISOR, ON_VIRTUAL_MACHINE, EntityKind, Token
from archipel.protocol.founding_rights import MODULE_TOKENS

__all__ = [
    "ALL",
    "ANY_ENTITY",
    "CORE_TOKENS",
    "DOMAIN_POLICY_BYPASS",
    "MODULE_TOKENS",
    "ON_HYPERVISOR",
    "ON_VIRTUAL_MACHINE",
    "EntityKind",
    "Token",
    "TokenCatalogue",
    "core_catalogue",
]

ALL: Final = "all"
DOMAIN_POLICY_BYPASS: Final = "domain_policy_bypass"


class TokenCatalogue:
    """The tokens that exist on an agent; capabilities add theirs, in the place of those that waited for them."""

    def __init__(self, tokens: Iterable[Token] = (), *, waiting: Iterable[Token] = ()) -> None:
        self._tokens: dict[tuple[EntityKind, str], Token] = {}
        self._waiting = {(kind, token.name): token for token in waiting for kind in sorted(token.entities)}
        for token in tokens:
            self.register(token)

    def register(self, token: Token) -> None:
        """Add a token; the same one may be added again.

        Raises :class:`ValueError` if the name is no word or means something else on the same kind of entity already.
        """
        if not (token.name.isascii() and token.name.isidentifier() and token.name == token.name.lower()):
            raise ValueError(f"{token.name!r} is not a token: write lower-case letters, digits and underscores")
        for kind in sorted(token.entities):
            if self._tokens.get((kind, token.name), token) != token:
                raise ValueError(f"the token {token.name!r} is declared twice, differently, for a {kind}")
        self._tokens.update({(kind, token.name): token for kind in sorted(token.entities)})

    def find(self, kind: EntityKind, name: str) -> Token | None:
        """Return the token of that name on entities of that kind."""
        return self._tokens.get((kind, name)) or self._waiting.get((kind, name))

    def waits(self, kind: EntityKind, name: str) -> bool:
        """Whether a token can be granted, but no capability asks for it yet."""
        return (kind, name) in self._waiting and (kind, name) not in self._tokens

    def tokens(self, kind: EntityKind) -> tuple[Token, ...]:
        """Return the tokens of entities of that kind, in the order in which they were added, then those that wait."""
        return tuple(token for (on, _name), token in {**self._tokens, **self._remaining()}.items() if on is kind)

    def _remaining(self) -> dict[tuple[EntityKind, str], Token]:
        return {key: token for key, token in self._waiting.items() if key not in self._tokens}

    def near(self, kind: EntityKind, name: str) -> tuple[str, ...]:
        """Return up to three names that somebody may have meant who wrote ``name``."""
        names = [token.name for token in self.tokens(kind)]
        return tuple(difflib.get_close_matches(name.lower(), names, n=3))


CORE_TOKENS: Final = (
    Token(ALL, "Everything on this entity, but for the rights that are granted one by one", ANY_ENTITY),
    Token("presence", "See the entity's presence", ANY_ENTITY),
    Token("message", "Talk to the entity in a chat", ANY_ENTITY),
    Token("permission_get", "See the rights of others", ANY_ENTITY, default=True),
    Token("permission_getown", "See one's own rights", ANY_ENTITY),
    Token("permission_list", "See which rights exist", ANY_ENTITY),
    Token("permission_set", "Grant the rights that one has oneself, and revoke others'", ANY_ENTITY),
    Token("permission_setown", "Give up own rights", ANY_ENTITY),
    Token("subscription_add", "Take people into the entity's roster, with the right to see its presence", ANY_ENTITY),
    Token("subscription_remove", "Remove people from the entity's roster", ANY_ENTITY),
    Token("settags", "Change the entity's tags", ANY_ENTITY),
    Token("getavatars", "See the pictures to choose from", ANY_ENTITY),
    Token("setavatar", "Change the entity's picture", ANY_ENTITY),
    Token("alloc", "Make virtual machines", ON_HYPERVISOR),
    Token("free", "Destroy virtual machines", ON_HYPERVISOR),
    Token("rostervm", "See all virtual machines of the hypervisor", ON_HYPERVISOR),
    Token("clone", "Copy virtual machines whose definition and drives one may see (xmldesc, drives_get)", ON_HYPERVISOR),
    Token("ip", "See the hypervisor's address", ON_HYPERVISOR),
    Token("migrationinfo", "See how machines migrate to the hypervisor", ON_HYPERVISOR),
    Token("capabilities", "See what libvirt can do on this host", ON_HYPERVISOR),
    Token("nodeinfo", "See what the host is made of", ON_HYPERVISOR),
    Token("manage", "Take over libvirt domains that exist already", ON_HYPERVISOR),
    Token("unmanage", "Let virtual machines go without touching their domains", ON_HYPERVISOR),
    Token("setorginfo", "Change name and organisation of virtual machines", ON_HYPERVISOR),
    Token("info", "See state and resources", ON_VIRTUAL_MACHINE),
    Token("create", "Start the virtual machine", ON_VIRTUAL_MACHINE),
    Token("shutdown", "Ask the guest to shut down", ON_VIRTUAL_MACHINE),
    Token("destroy", "Switch the virtual machine off", ON_VIRTUAL_MACHINE),
    Token("reboot", "Ask the guest to reboot", ON_VIRTUAL_MACHINE),
    Token("suspend", "Pause the virtual machine", ON_VIRTUAL_MACHINE),
    Token("resume", "Let the paused virtual machine go on", ON_VIRTUAL_MACHINE),
    Token("xmldesc", "See the definition", ON_VIRTUAL_MACHINE),
    Token("migrate", "Move the virtual machine to another hypervisor", ON_VIRTUAL_MACHINE),
    Token("autostart", "Choose whether the virtual machine starts with the host", ON_VIRTUAL_MACHINE),
    Token("memory", "Change the memory of the virtual machine", ON_VIRTUAL_MACHINE),
    Token("setvcpus", "Change the number of virtual CPUs", ON_VIRTUAL_MACHINE),
    Token("networkinfo", "See the traffic of the network interfaces", ON_VIRTUAL_MACHINE),
    Token("define", "Change the definition, within the domain policy", ON_VIRTUAL_MACHINE),
    Token("undefine", "Remove the definition", ON_VIRTUAL_MACHINE),
    Token("capabilities", "See what libvirt offers this machine", ON_VIRTUAL_MACHINE),
    Token("nodeinfo", "See what the host of this machine is made of", ON_VIRTUAL_MACHINE),
    Token("free", "Destroy this virtual machine", ON_VIRTUAL_MACHINE),
    Token("screenshot", "See the screen", ON_VIRTUAL_MACHINE),
    Token("roster", "See the entity's roster in a chat", ON_VIRTUAL_MACHINE),
    Token("getroster", "See the entity's roster", ANY_ENTITY),
    Token(
        DOMAIN_POLICY_BYPASS,
        "Pass the domain policy: definitions may use any device and file of the host (equals root there)",
        ANY_ENTITY,
        reserved=True,
    ),
)


def core_catalogue() -> TokenCatalogue:
    """Return a catalogue with the tokens that every agent has, and those of founding modules that wait for a capability."""
    return TokenCatalogue(CORE_TOKENS, waiting=MODULE_TOKENS)
