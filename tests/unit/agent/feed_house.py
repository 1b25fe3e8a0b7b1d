# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of feeds on loopback, which can break off, and packages for it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import ssl
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FEED_UUID = "11111111-1111-4111-8111-111111111111"
ITEM_UUID = "22222222-2222-4222-8222-222222222222"


@dataclass
class FeedHouse:
    """``files`` by path; ``breaks``: how often a file ends after half of it; ``ranges``: what was asked for with Range.

    With a ``gate`` the second half of an appliance comes when that is opened.
    """

    base: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: int = 0
    ranges: list[str] = field(default_factory=list)
    redirect: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"{self.base}/rss.xml"

    def offer(self, content: bytes, *, sha256: str | None = "", name: str = "web", uuid: str = ITEM_UUID, url: str = "") -> None:
        """Let the feed offer one appliance; its right digest unless told otherwise, None: no digest."""
        self.files["/web.xvm2"] = content
        digest = hashlib.sha256(content).hexdigest() if sha256 == "" else sha256
        told = f" sha256='{digest}'" if digest else ""
        item = (
            f"<item><title>{name}</title><uuid>{uuid}</uuid><description><![CDATA[a <web> server]]></description>"
            f"<pubDate>today</pubDate><enclosure url='{url or self.base + '/web.xvm2'}' length='{len(content)}'{told}/></item>"
        )
        self.files["/rss.xml"] = (
            f"<rss version='2.0'><channel><title>Lab</title><uuid>{FEED_UUID}</uuid><description>d</description>{item}</channel></rss>"
        ).encode()


@contextlib.contextmanager
def open_feed_house(certificate: Path | None = None) -> Iterator[FeedHouse]:
    """Serve feeds, by https if there is a certificate with its key."""
    house = FeedHouse()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in house.redirect:
                self.send_response(302)
                self.send_header("Location", house.redirect[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = house.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = 0
            if wanted := self.headers.get("Range"):
                house.ranges.append(wanted)
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()[:8]}"')
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            rest = content[start:]
            if house.breaks and self.path.endswith(".xvm2"):
                house.breaks -= 1
                rest = rest[: len(rest) // 2]
            with contextlib.suppress(ConnectionError):  # who has read enough leaves
                if house.gate and self.path.endswith(".xvm2"):
                    self.wfile.write(rest[: len(rest) // 2])
                    house.gate.wait(10)
                    rest = rest[len(rest) // 2 :]
                self.wfile.write(rest)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    house.base = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield house
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pack(members: dict[str, bytes], mode: str = "w") -> bytes:
    """A package with these files."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return held.getvalue()
