# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that every entity takes: rights, subscriptions, tags, roster."""

from __future__ import annotations

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, attribute, children, not_empty, payload

_GRANTING = frozenset({"1", "true", "yes", "y", "oui", "o"})  # the founders' words; anything else revokes


@payload
class Permission(Payload, tag="permission"):
    """A right as an entity lists it; ``default`` says whether everybody known has it."""

    name: str = attribute()
    description: str | None = attribute(default=None)
    default: bool | None = attribute(default=None)


@payload
class Grant(Payload, tag="permission"):
    """One right of one person, given or taken away; ``value`` is "1" or "0" (see :attr:`granted`)."""

    target: str = attribute(not_empty, name="permission_target")
    name: str = attribute(not_empty, name="permission_name")
    value: str = attribute(name="permission_value", default="0")
    type: str = attribute(name="permission_type", default="user")

    @property
    def granted(self) -> bool:
        """Whether the right is given; every word but the founders' words for yes takes it away."""
        return self.value.strip().lower() in _GRANTING


@payload
class ListRights(Request[tuple[Permission, ...]], namespace=ns.PERMISSIONS, action="list", reads=True):
    """Which rights exist on this entity."""


@payload
class GetRights(Request[tuple[Permission, ...]], namespace=ns.PERMISSIONS, action="get", reads=True):
    """Which rights somebody was explicitly granted on this entity (bare JID)."""

    permission_type: str = attribute(default="user")
    permission_target: str = attribute(not_empty)


@payload
class GetOwnRights(Request[tuple[Permission, ...]], namespace=ns.PERMISSIONS, action="getown", reads=True):
    """Which rights the sender himself was granted; the target must be his own bare JID."""

    permission_type: str = attribute(default="user")
    permission_target: str = attribute(not_empty)


@payload
class SetRights(Request[None], namespace=ns.PERMISSIONS, action="set"):
    """Grant and revoke rights, all or none."""

    grants: tuple[Grant, ...] = children()


@payload
class SetOwnRights(Request[None], namespace=ns.PERMISSIONS, action="setown"):
    """Change the sender's own rights; nobody gives himself what he does not have."""

    grants: tuple[Grant, ...] = children()


@payload
class AddSubscription(Request[None], namespace=ns.SUBSCRIPTION, action="add"):
    """Take somebody into the entity's roster, with the right to see its presence."""

    jid: str = attribute(not_empty)


@payload
class RemoveSubscription(Request[None], namespace=ns.SUBSCRIPTION, action="remove"):
    """Remove somebody from the entity's roster, with his right to see its presence."""

    jid: str = attribute(not_empty)


TAG_SEPARATOR = ";;"


@payload
class SetTags(Request[None], namespace=ns.TAGS, action="settags"):
    """Replace the entity's tags (separated by two semicolons)."""

    tags: str = attribute()

    @classmethod
    def of(cls, tags: tuple[str, ...]) -> SetTags:
        """Return the request for a list of tags."""
        return cls(tags=TAG_SEPARATOR.join(tags))

    @property
    def words(self) -> tuple[str, ...]:
        """The tags, without blanks around them, each once, in the order given."""
        return tuple(dict.fromkeys(word.strip() for word in self.tags.split(TAG_SEPARATOR) if word.strip()))


@payload
class Tag(Payload, tag="tag"):
    """The item of the platform's tags node: the tags of one entity."""

    jid: str = attribute()
    tags: str = attribute(default="")


@payload
class Contact(Payload, tag="item"):
    """An item of an entity's roster."""

    jid: str = attribute()
    subscription: str = attribute(default="none")


@payload
class GetRoster(Request[tuple[Contact, ...]], namespace=ns.ROSTER, action="getroster", reads=True):
    """Who is in the entity's roster."""
