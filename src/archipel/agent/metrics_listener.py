# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""The port where figures are read: ``GET /metrics`` in the OpenMetrics format, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import http
import ipaddress
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from archipel.agent.options import HOST, Host, Kind, Section, optional

METRICS: Final = Section("METRICS")
DEADLINE: Final = 5.0  # seconds for a request and its answer
MOST_AT_ONCE: Final = 10  # connections; more are closed at once
LARGEST_REQUEST: Final = 8192  # bytes


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


class MetricsListener:
    """Answers whoever connects to one address, a few at a time, without a thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._connections = 0

    async def start(self, address: Host) -> asyncio.Server:
        """Listen; raises :class:`OSError` if that cannot be done."""
        return await asyncio.start_server(self._serve, address.name, address.port, limit=LARGEST_REQUEST)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MOST_AT_ONCE:
                async with asyncio.timeout(DEADLINE):
                    await self._answer(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks wrongly, or leaves, gets nothing
        finally:
            self._connections -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status, body = self._find(head.split(b"\r\n", 1)[0].split(b" "))
        kind = CONTENT_TYPE_LATEST if status is http.HTTPStatus.OK else "text/plain; charset=utf-8"
        lines = (f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close")
        writer.write("\r\n".join((*lines, "", "")).encode())
        if not head.startswith(b"HEAD "):
            writer.write(body)
        await writer.drain()

    def _find(self, request: list[bytes]) -> tuple[http.HTTPStatus, bytes]:
        if len(request) != 3:
            return http.HTTPStatus.BAD_REQUEST, b"this is no HTTP request\n"
        if request[0] not in (b"GET", b"HEAD"):
            return http.HTTPStatus.METHOD_NOT_ALLOWED, b"only GET is answered\n"
        if request[1].partition(b"?")[0] != b"/metrics":
            return http.HTTPStatus.NOT_FOUND, b"there is nothing but /metrics\n"
        return http.HTTPStatus.OK, bytes(generate_latest(self._registry))  # type: ignore[no-untyped-call] # the library's
