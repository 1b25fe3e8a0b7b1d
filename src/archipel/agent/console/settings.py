# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""The options of the console, in the section that the founding agent had for its displays."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from archipel.agent import options as kinds
from archipel.agent.options import Kind, Section, integer, list_of, optional, seconds

VNC = Section("VNC")
_NO_CERTIFICATE = frozenset({"", "none", "no", "false"})


def _parse_certificate(text: str) -> Path | None:
    return None if text.lower() in _NO_CERTIFICATE else kinds.EXISTING_FILE.parse(text)


def _parse_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def _parse_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{text!r} is not the address of a page, such as https://console.lab.example")
    return text.rstrip("/")


def _parse_origin(text: str) -> str:
    if urlsplit(text).path or urlsplit(_parse_url(text)).path:
        raise ValueError(f"{text!r} is not an origin: write scheme, host and port alone, such as https://gui.lab.example")
    return text.lower()


CERTIFICATE = Kind("the path of a PEM file with key and certificate, or none", _parse_certificate)
ADDRESS = Kind("an IP address", _parse_address)
URL = Kind("the address of a page, http(s)://host[:port][/path]", _parse_url)
ORIGIN = Kind("http(s)://host[:port]", _parse_origin)


@dataclass(frozen=True, kw_only=True)
class ConsoleSettings:
    """Where consoles are served, to whom, and how many."""

    certificate: Path | None = VNC.option(
        "vnc_certificate_file", CERTIFICATE, "none", "Key and certificate of the console's listener; with it nothing but TLS is served."
    )
    listen: str = VNC.option(
        "console_listen", ADDRESS, "127.0.0.1", "Address of the console's listener; others than the loopback's need the certificate."
    )
    port: int = VNC.option("console_port", integer(0, 65535), "0", "Its port; 0 takes any that is free, which each link names.")
    url: str | None = VNC.option(
        "console_url", optional(URL), "", "What browsers reach the listener by, such as a reverse proxy's; left out, its own address."
    )
    origins: tuple[str, ...] = VNC.option(
        "console_origins", list_of(ORIGIN), "", "Web pages of other origins that may open consoles, such as a GUI's."
    )
    viewers: int = VNC.option("console_viewers", integer(1, 400), "100", "Most consoles that are open at once.")
    viewers_per_person: int = VNC.option("console_viewers_per_person", integer(1, 400), "10", "Most that one person has open.")
    viewers_per_machine: int = VNC.option("console_viewers_per_machine", integer(1, 400), "10", "Most that are open to one machine.")
    idle_timeout: float = VNC.option(
        "console_idle_timeout", seconds(1, 86400), "1800", "Time after which a console is closed that nothing passes through."
    )
    founding_ports: bool = VNC.option(
        "insecure_vnc_ports",
        kinds.BOOLEAN,
        "False",
        "For clients of the founding time: each running machine's display at its port + 1000, to whoever comes, without any token.",
    )

    @property
    def on_loopback(self) -> bool:
        """Whether the listener is reached from this host alone."""
        return ipaddress.ip_address(self.listen).is_loopback
