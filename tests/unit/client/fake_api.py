# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ejabberd's API with the commands for shared roster groups, on loopback or on a socket; as versions 23.01 and 24.12 behave."""

from __future__ import annotations

import base64
import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

FLAGS = {"@all@": "all_users", "@online@": "online_users"}


class FakeApi:
    """The groups, and what is answered in their place; ``lists``: several names are taken as a list, and are told, as newer versions do."""

    def __init__(self, *, lists: bool = False) -> None:
        self.lists = lists
        self.groups: dict[str, dict[str, Any]] = {}
        self.called: list[str] = []
        self.logins: set[str] = set()
        self.instead: tuple[int, str] | None = None

    def answer(self, command: str, login: str, arguments: dict[str, Any]) -> tuple[int, str]:
        """Return status and body."""
        self.called.append(command)
        self.logins.add(base64.b64decode(login.removeprefix("Basic ")).decode())
        if self.instead is not None:
            return self.instead
        if command == "srg_create" and isinstance(arguments["display"], list) is not self.lists:
            return 400, '"bad argument"'
        return 200, json.dumps(getattr(self, command)(**arguments))

    def srg_list(self, host: str) -> list[str]:
        return list(self.groups)

    def srg_get_info(self, group: str, host: str) -> list[dict[str, str]]:
        found = self.groups[group]
        flags = [{"key": FLAGS[word], "value": "true"} for word in FLAGS if word in found["members"]]
        told = {
            "label": found["label"],
            "displayed_groups": ("\n, \n" if self.lists else "\n").join(found["display"]),
            "description": found["description"],
        }
        return [{"key": key, "value": value} for key, value in told.items()] + flags

    def srg_get_members(self, group: str, host: str) -> list[str]:
        return sorted(self.groups[group]["members"] - FLAGS.keys())

    def srg_create(self, group: str, host: str, label: str, description: str, display: str | list[str]) -> int:
        if self.lists and {*display} - {*self.groups, group}:
            return 1
        members = self.groups.get(group, {}).get("members", set()) - FLAGS.keys()
        names = display if isinstance(display, list) else [name for name in display.split("\\n") if name]
        self.groups[group] = {"label": label, "description": description, "display": names, "members": members}
        return 0

    def srg_delete(self, group: str, host: str) -> int:
        del self.groups[group]
        return 0

    def srg_user_add(self, user: str, host: str, group: str, grouphost: str) -> int:
        self.groups[group]["members"].add(user if user in FLAGS else f"{user}@{host}")
        return 0

    def srg_user_del(self, user: str, host: str, group: str, grouphost: str) -> int:
        self.groups[group]["members"].remove(user if user in FLAGS else f"{user}@{host}")
        return 0

    def handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            """Hands requests over, and logs nothing."""

            def do_POST(self) -> None:
                arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = api.answer(self.path.rpartition("/")[2], self.headers["Authorization"], arguments)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
                pass

        return Handler

    @contextlib.contextmanager
    def serve(self, server: socketserver.BaseServer) -> Iterator[None]:
        """Serve until the block ends."""
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @contextlib.contextmanager
    def on_loopback(self) -> Iterator[str]:
        """Serve on a free port and yield the address."""
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self.handler())
        with self.serve(server):
            yield f"http://127.0.0.1:{server.server_address[1]}/secret/api"
