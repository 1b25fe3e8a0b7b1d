# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a machine's screen (``screenshot`` in namespace ``archipel:vm:control``)."""

from __future__ import annotations

from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, attribute, payload, text

THUMBNAIL: Final = "thumbnail"
FULL: Final = "full"


@payload
class Screenshot(Payload, tag="screenshot"):
    """A picture: width and height in pixels, ``data`` in base64."""

    mime: str = attribute()
    width: int = attribute()
    height: int = attribute()
    data: str = text()


@payload
class GetScreenshot(Request[Screenshot | None], namespace=ns.VM_CONTROL, action="screenshot", reads=True):
    """What the machine's screen shows now; nothing while it is off, and where the administrator has switched that off.

    Founding clients ask every few seconds, whatever the machine does: there is no screen, which is no error.

    ``size`` is ``thumbnail``, or anything else for the whole screen.
    """

    size: str = attribute(default=FULL)
