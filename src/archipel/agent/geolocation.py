# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""Where this host stands: as the configuration says, or as a service tells that is asked over HTTPS when somebody wants to know."""

from __future__ import annotations

import asyncio
import enum
import logging
import math
import time
import urllib.request
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from archipel.agent import options as kinds
from archipel.agent.options import Kind, Section, choice, optional
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.geolocalization import Place
from archipel.protocol.xml import child_named

log = logging.getLogger(__name__)

TIMEOUT: Final = 10.0  # seconds for each step of the conversation with the service
DEADLINE: Final = 20.0  # seconds for all of it
VALID: Final = 24 * 3600.0  # seconds; hosts seldom move
MOST_BYTES: Final = 65536

GEOLOCALIZATION: Final = Section("GEOLOCALIZATION")


class Mode(enum.StrEnum):
    """Where the place comes from."""

    MANUAL = "manual"
    AUTO = "auto"


def _degrees(most: float) -> Kind[float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{text!r} is not a number") from None
        if not math.isfinite(value) or abs(value) > most:
            raise ValueError(f"{text} is out of range")
        return value

    return Kind(f"degrees, from -{most:g} to {most:g}", parse)


LATITUDE: Final = _degrees(90)
LONGITUDE: Final = _degrees(180)


@dataclass(frozen=True, kw_only=True)
class GeolocationSettings:
    """Where the place comes from."""

    mode: Mode = GEOLOCALIZATION.option("localization_mode", choice(Mode), "manual", "manual: as stands below; auto: asked of a service.")
    latitude: float | None = GEOLOCALIZATION.option("localization_latitude", optional(LATITUDE), "", "How far north, in manual mode.")
    longitude: float | None = GEOLOCALIZATION.option("localization_longitude", optional(LONGITUDE), "", "How far east, in manual mode.")
    service: str = GEOLOCALIZATION.option(
        "localization_service_url", kinds.TEXT, "", "Where the service is, in auto mode; nothing is asked unless it begins with https://."
    )
    request: str = GEOLOCALIZATION.option("localization_service_request", kinds.TEXT, "", "Path of the service, behind the option above.")


class PlaceFinder:
    """Finds the place; what a service told is remembered for a day."""

    def __init__(self, settings: GeolocationSettings) -> None:
        self._settings = settings
        self._asking = asyncio.Lock()
        self._known: tuple[float, Place] | None = None

    async def find(self) -> Place:
        """Return the place; raises :class:`CommandError` that says what to configure, or what the service did."""
        settings = self._settings
        if settings.mode is Mode.AUTO:
            return await self._ask()
        if settings.latitude is None or settings.longitude is None:
            text = "nobody has said where this host stands: set localization_latitude and localization_longitude in [GEOLOCALIZATION]"
            raise CommandError(text, condition=Condition.ITEM_NOT_FOUND)
        return Place(latitude=settings.latitude, longitude=settings.longitude)

    async def _ask(self) -> Place:
        url = self._settings.service + self._settings.request
        if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
            text = "[GEOLOCALIZATION] localization_service_url must begin with https://: nothing is asked in clear"
            raise CommandError(text, condition=Condition.NOT_ALLOWED)
        async with self._asking:
            if self._known is None or time.monotonic() - self._known[0] > VALID:
                self._known = (time.monotonic(), await _fetch(url))
            return self._known[1]


async def _fetch(url: str) -> Place:
    try:
        async with asyncio.timeout(DEADLINE):
            return read_place(await asyncio.to_thread(download, url))
    except (OSError, ValueError, ET.ParseError) as error:  # a TimeoutError is an OSError
        log.warning("the place of this host is not known: %s: %s", urlsplit(url).hostname, error)
        text = f"the service {urlsplit(url).hostname} does not tell where this host stands: {error or 'it does not answer'}"
        raise CommandError(text, condition=Condition.REMOTE_SERVER_TIMEOUT) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody: another address may be a host within, or in clear."""

    def redirect_request(self, *_: Any) -> None:
        """Do not ask elsewhere."""


def download(url: str) -> bytes:
    """Return the beginning of what stands at an address of https. Raises :class:`OSError`."""
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(url, timeout=TIMEOUT) as answer:
        content: bytes = answer.read(MOST_BYTES)
        return content


def read_place(document: bytes) -> Place:
    """Return the place in an answer: ``Latitude`` and ``Longitude`` in its top element. Raises ValueError or ParseError."""
    root = ET.fromstring(document)  # noqa: S314 - expat limits entity expansion
    found = [child_named(root, name) for name in ("Latitude", "Longitude")]
    texts = ["" if element is None else (element.text or "").strip() for element in found]
    return Place(latitude=LATITUDE.parse(texts[0]), longitude=LONGITUDE.parse(texts[1]))
