# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen of a real QEMU guest, which draws PPM."""

from __future__ import annotations

import base64
import io
import uuid
from xml.etree import ElementTree as ET

from PIL import Image

from archipel.protocol.screenshots import FULL, THUMBNAIL, GetScreenshot
from tests.integration.collection.platform import Platform

UUID = str(uuid.uuid4())
DEFINITION = f"""<domain type='qemu'><name>shown</name><uuid>{UUID}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices><graphics type='vnc' port='-1'/><video><model type='vga'/></video></devices>
</domain>"""


async def test_the_screen_of_a_guest_is_seen_whole_and_as_a_thumbnail(platform: Platform) -> None:
    async with platform.hypervisor() as hypervisor:
        machine = await hypervisor.alloc("shown", uuid=UUID, domain=ET.fromstring(DEFINITION))
        assert await machine.ask(GetScreenshot()) is None, "it is off"
        await machine.start()
        for size in (FULL, THUMBNAIL):
            shown = await machine.ask(GetScreenshot(size=size))
            assert shown is not None
            picture = Image.open(io.BytesIO(base64.b64decode(shown.data)))
            assert (picture.format, picture.size) == ("PNG", (shown.width, shown.height))
            assert (shown.width <= 216 and shown.height <= 162) is (size == THUMBNAIL)
        await hypervisor.free(UUID)
