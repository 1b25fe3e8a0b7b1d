# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing an entity's picture (namespace ``archipel:avatar``)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, attribute, children, not_empty, payload, text
from archipel.protocol.vcard import PNG, media_type

_FILE_NAME: Final = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f]{1,255}")


def file_name(value: str) -> str | None:
    """Check that a text names a file without its folder; an empty one names none."""
    return None if not value or _FILE_NAME.fullmatch(value) else "must be the name of a picture as getavatars tells it, without a folder"


@payload
class Avatar(Payload, tag="avatar"):
    """A picture to choose from; ``hash`` is the MD5 of ``data``, which is base64: by it clients know what they have already."""

    name: str = attribute()
    content_type: str = attribute(name="content-type")
    hash: str = attribute()
    data: str = text()

    @classmethod
    def of(cls, name: str, picture: bytes) -> Avatar:
        """Return what is told of a picture."""
        data = base64.b64encode(picture)
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(name=name, content_type=media_type(picture) or PNG, hash=digest, data=data.decode())


@payload
class Avatars(Payload, tag="avatars"):
    """Pictures by their names; ``more`` is new here: how many follow that had no room in this answer."""

    more: int | None = attribute(default=None)
    pictures: tuple[Avatar, ...] = children()


@payload
class GetAvatars(Request[Avatars], namespace=ns.AVATAR, action="getavatars", reads=True):
    """The pictures to choose from; ``after`` is new here: those that follow the picture of this name."""

    after: str = attribute(file_name, default="")


@payload
class SetAvatar(Request[None], namespace=ns.AVATAR, action="setavatar"):
    """Choose the entity's picture by its name."""

    avatar: str = attribute(not_empty, file_name)
