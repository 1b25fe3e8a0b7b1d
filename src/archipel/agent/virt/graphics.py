# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The display and the serial console of a domain: what its XML says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

# Where QEMU listens on every address, it is reached on the loopback.
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - that is what is not connected to


@dataclass(frozen=True, slots=True)
class Graphics:
    """The first graphics device: its type, and where it listens on this host.

    ``port`` is None until libvirt has chosen one; ``socket`` is the path of a Unix socket, which takes the place of address and port.
    """

    type: str
    port: int | None
    address: str
    socket: str | None

    @property
    def reachable(self) -> bool:
        """Whether there is something to connect to."""
        return self.socket is not None or self.port is not None


def read_graphics(xml: str) -> Graphics | None:
    """Return the graphics device that a domain's XML names, if any: of several the first that browsers can open, which is VNC."""
    devices = ET.fromstring(xml).findall("devices/graphics")  # noqa: S314 - libvirt wrote it
    if not devices:
        return None
    graphics = next((found for found in devices if found.get("type") == "vnc"), devices[0])
    listen = graphics.find("listen")
    attributes: dict[str, str] = {} if listen is None else listen.attrib
    kind = attributes.get("type", "address")
    address: str = attributes.get("address") or graphics.get("listen") or ""
    port = None if kind in {"none", "socket"} else _read_port(graphics.get("port", "")) or _read_port(graphics.get("tlsPort", ""))
    socket = graphics.get("socket") or (attributes.get("socket") if kind == "socket" else None)
    return Graphics(graphics.get("type", ""), port, _EVERYWHERE.get(address, address), socket)


def has_console(xml: str) -> bool:
    """Whether a domain's XML names a serial console."""
    devices = ET.fromstring(xml).find("devices")  # noqa: S314 - libvirt wrote it
    return devices is not None and any(devices.find(name) is not None for name in ("console", "serial"))


def _read_port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536 else None
