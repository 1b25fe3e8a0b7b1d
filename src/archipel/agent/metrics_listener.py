# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""The port where figures are read: ``GET /metrics`` in the OpenMetrics format, and nothing else."""

from __future__ import annotations

import asyncio
import http
import ipaddress
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from archipel.agent.http_port import HttpPort
from archipel.agent.options import HOST, Host, Kind, Section, optional

METRICS: Final = Section("METRICS")
SEND_SECONDS: Final = 5.0  # for an answer to be taken
MOST_AT_ONCE: Final = 10  # connections


def _parse_address(text: str) -> Host:
    host = HOST.parse(text)
    try:
        ipaddress.ip_address(host.name)
    except ValueError:
        raise ValueError(f"{host.name!r} is not an IP address") from None
    if host.port is None:
        raise ValueError(f"{text!r} has no port")
    return host


def _parse_loopback(text: str) -> Host:
    host = _parse_address(text)
    if not ipaddress.ip_address(host.name).is_loopback:
        raise ValueError(f"{host.name} can be reached from other hosts; if that is wanted, write it to insecure_metrics_listen")
    return host


ADDRESS: Final = Kind("address:port, such as 192.0.2.7:9177", _parse_address)
LOOPBACK: Final = Kind("127.0.0.1:port or [::1]:port", _parse_loopback)


@dataclass(frozen=True, kw_only=True)
class MetricsSettings:
    """Where figures may be read; nowhere unless the file says so."""

    listen: Host | None = METRICS.option("metrics_listen", optional(LOOPBACK), "", "Where metrics are read on this host: 127.0.0.1:9177.")
    insecure_listen: Host | None = METRICS.option(
        "insecure_metrics_listen", optional(ADDRESS), "", "The same for other hosts: whoever reaches the port reads, without a password."
    )

    @property
    def addresses(self) -> tuple[Host, ...]:
        """All that is listened on."""
        return tuple(host for host in (self.listen, self.insecure_listen) if host is not None)


class MetricsListener(HttpPort):
    """Answers with all figures of a registry, as they are just then."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("metrics", MOST_AT_ONCE)
        self._registry = registry

    async def answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer with the figures, or with what is wrong with the request."""
        status, body = self._find(head.split(b"\r\n", 1)[0].split(b" "))
        kind = CONTENT_TYPE_LATEST if status is http.HTTPStatus.OK else "text/plain; charset=utf-8"
        lines = (f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close")
        writer.write("\r\n".join((*lines, "", "")).encode())
        if not head.startswith(b"HEAD "):
            writer.write(body)
        async with asyncio.timeout(SEND_SECONDS):
            await writer.drain()

    def _find(self, request: list[bytes]) -> tuple[http.HTTPStatus, bytes]:
        if len(request) != 3:
            return http.HTTPStatus.BAD_REQUEST, b"this is no HTTP request\n"
        if request[0] not in (b"GET", b"HEAD"):
            return http.HTTPStatus.METHOD_NOT_ALLOWED, b"only GET is answered\n"
        if request[1].partition(b"?")[0] != b"/metrics":
            return http.HTTPStatus.NOT_FOUND, b"there is nothing but /metrics\n"
        return http.HTTPStatus.OK, bytes(generate_latest(self._registry))  # type: ignore[no-untyped-call] # the library's
