# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import geolocation
from archipel.agent.config import ConfigError
from archipel.agent.geolocation import GeolocationSettings, Mode, PlaceFinder, read_place
from archipel.agent.hypervisor import Hypervisor
from archipel.protocol.errors import CommandError, Condition
from testbed.certificates import Authority
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import ADMIN, make_settings

ANSWER = b"<Response><Status>OK</Status><Latitude>48.85</Latitude><Longitude>2.35</Longitude></Response>"
FOUNDING = """[GEOLOCALIZATION]
localization_mode = auto
localization_latitude = 0.0
localization_longitude = 0.0
localization_service_url = ipinfodb.com
localization_service_request = /ip_query.php
localization_service_method = GET
localization_service_response_root_node = Response
"""


def configured(folder: Path, more: str) -> GeolocationSettings:
    settings: GeolocationSettings = make_settings(folder, more).capabilities["geolocalization"]
    return settings


class Service(http.server.BaseHTTPRequestHandler):
    """Tells a place at /, sends to somewhere else at /elsewhere."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(302 if self.path == "/elsewhere" else 200)
        if self.path == "/elsewhere":
            self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(ANSWER if self.path == "/" else b"<html/>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service on this host, which the system's authorities vouch for; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("localhost", tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        Service.asked.clear()
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


async def test_what_is_configured_is_told(tmp_path: Path) -> None:
    settings = configured(tmp_path, "[GEOLOCALIZATION]\nlocalization_latitude = -33.9\nlocalization_longitude = 18.4")
    place = await PlaceFinder(settings).find()
    assert (place.latitude, place.longitude) == (-33.9, 18.4)


@pytest.mark.parametrize("value", ["91", "nan", "inf", "north", "-90.1"])
def test_what_is_no_latitude_is_an_error_of_the_configuration(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="localization_latitude"):
        configured(tmp_path, f"[GEOLOCALIZATION]\nlocalization_latitude = {value}")


async def test_nothing_is_made_up(hypervisor: Hypervisor) -> None:
    with pytest.raises(CommandError, match="localization_latitude") as caught:
        await ask(hypervisor, "archipel:hypervisor:geolocalization", "<archipel action='get'/>", ADMIN)
    assert (caught.value.code, caught.value.condition) == (-9001, Condition.ITEM_NOT_FOUND)


async def test_a_founding_configuration_is_read_and_asks_nobody_in_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(tmp_path, FOUNDING)
    assert {problem.option for problem in settings.warnings} == {"localization_service_method", "localization_service_response_root_node"}
    monkeypatch.setattr(geolocation, "download", lambda _url: pytest.fail("it was asked"))
    with pytest.raises(CommandError, match="must begin with https://"):
        await PlaceFinder(settings.capabilities["geolocalization"]).find()


async def test_a_service_is_asked_once_for_all(service: str) -> None:
    finder = PlaceFinder(GeolocationSettings(mode=Mode.AUTO, latitude=None, longitude=None, service=service, request="/"))
    places = await asyncio.gather(*(finder.find() for _ in range(3)))
    assert {(place.latitude, place.longitude) for place in places} == {(48.85, 2.35)}
    assert Service.asked == ["/"]


@pytest.mark.parametrize("path", ["/elsewhere", "/nothing"])
async def test_a_service_that_tells_no_place_is_an_error_and_leads_nowhere_else(service: str, path: str) -> None:
    finder = PlaceFinder(GeolocationSettings(mode=Mode.AUTO, latitude=None, longitude=None, service=service, request=path))
    with pytest.raises(CommandError, match="does not tell where this host stands"):
        await finder.find()
    assert Service.asked == [path]


async def test_a_service_that_nobody_vouches_for_is_not_believed(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    finder = PlaceFinder(GeolocationSettings(mode=Mode.AUTO, latitude=None, longitude=None, service=service, request="/"))
    with pytest.raises(CommandError, match="certificate"):
        await finder.find()
    assert Service.asked == []


@given(st.one_of(st.binary(max_size=200), st.text(max_size=50).map(lambda text: f"<a><Latitude>{text}</Latitude></a>".encode())))
def test_whatever_a_service_says_is_a_place_or_an_error(document: bytes) -> None:
    with pytest.raises((ValueError, ET.ParseError)):
        read_place(document)
