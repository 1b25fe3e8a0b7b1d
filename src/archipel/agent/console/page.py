# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages with noVNC and a plain terminal, as the console's listener hands them out: files of this package, nothing else."""

from __future__ import annotations

import functools
from http import HTTPStatus
from pathlib import Path
from typing import Final

from websockets.datastructures import Headers
from websockets.http11 import Response

from archipel.protocol.console import ConsoleKind

FOLDER: Final = Path(__file__).parent / "web"
PAGES: Final = {ConsoleKind.VNC: "vnc.html", ConsoleKind.TEXT: "text.html"}
_TYPES: Final = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
# Everything comes from this listener; noVNC draws its cursors as data.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PROTECTION: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@functools.cache
def load_files() -> dict[str, tuple[str, bytes]]:
    """Return type and content of each file by its path below the listener's address."""
    files = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in _TYPES)
    return {path.relative_to(FOLDER).as_posix(): (_TYPES[path.suffix], path.read_bytes()) for path in files}


def answer_path(path: str) -> Response:
    """Return the file of that path; 404 for everything else."""
    found = load_files().get(path.partition("?")[0].removeprefix("/"))
    if found is None:
        return refuse(HTTPStatus.NOT_FOUND, "there is no such page: ask the machine for a link to its console")
    return _respond(HTTPStatus.OK, *found)


def refuse(status: HTTPStatus, text: str) -> Response:
    """Return a refusal in plain words."""
    return _respond(status, "text/plain; charset=utf-8", f"{text}\n".encode())


def _respond(status: HTTPStatus, kind: str, body: bytes) -> Response:
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **_PROTECTION})
    return Response(status, status.phrase, headers, body)
