# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An agent of its own folder, started as the service starts it: the same program, the same kind of configuration."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from testbed.daemon import Daemon, DaemonError
from testbed.ejabberd import Ejabberd

READY_SECONDS = 60


class AgentError(Exception):
    """The agent did not start; the message holds the end of its log."""


class Agent:
    """One agent: made by :func:`make_agent`, opened again by ``Agent(folder)``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.configuration = self.folder / "archipel.conf"
        self.audit_file = self.folder / "audit.log"
        self.database = self.folder / "lib" / "archipel.sqlite3"
        self.machines = self.folder / "vm" / "drives"
        self.environment: dict[str, str] = {}  # more variables for it
        self._daemon = Daemon("agent", self.folder)

    @property
    def pid(self) -> int | None:
        """The process of the agent, None when it does not run."""
        return self._daemon.pid

    def start(self) -> None:
        """Start it and wait until it serves (it tells so as it tells systemd). Raises AgentError."""
        with _Notifications(self.folder / "notify") as notifications:
            environment = {**os.environ, **self.environment, "NOTIFY_SOCKET": str(notifications.path)}
            try:
                self._daemon.start(self.command(), environment, notifications.ready, READY_SECONDS)
            except DaemonError as error:
                raise AgentError(str(error)) from error

    def stop(self) -> None:
        """End it as systemd would."""
        self._daemon.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self._daemon.kill()

    def read_log(self, lines: int = 50) -> str:
        """Return the end of its log."""
        return self._daemon.read_log(lines)

    def command(self, *options: str) -> list[str]:
        """Return the command line of this agent."""
        return [str(Path(sys.executable).with_name("archipel-agent")), "--config", str(self.configuration), *options]


def make_agent(
    folder: Path,
    ejabberd: Ejabberd,
    libvirt_uri: str,
    password: str,
    *,
    account: str = "hypervisor",
    admins: tuple[str, ...] = ("admin",),
    options: Mapping[tuple[str, str], str] | None = None,
) -> Agent:
    """Make the folder of an agent, not yet started; ``options`` maps (section, name) to further settings."""
    folder.mkdir(parents=True, exist_ok=True)
    agent = Agent(folder)
    settings: dict[tuple[str, str], str] = {
        ("DEFAULT", "xmpp_server"): ejabberd.domain,
        ("DEFAULT", "archipel_folder_lib"): str(agent.folder / "lib"),
        ("DEFAULT", "archipel_folder_data"): str(agent.folder / "vm"),
        ("GLOBAL", "xmpp_hosts"): f"{ejabberd.host}:{ejabberd.port}",
        ("GLOBAL", "xmpp_ca_file"): str(ejabberd.ca_file),
        ("GLOBAL", "archipel_root_admins"): " ".join(f"{name}@{ejabberd.domain}" for name in admins),
        ("GLOBAL", "libvirt_uri"): libvirt_uri.replace("%", "%%"),
        ("HYPERVISOR", "hypervisor_xmpp_jid"): f"{account}@{ejabberd.domain}",
        ("HYPERVISOR", "hypervisor_xmpp_password_file"): str(agent.folder / "password"),
        ("LOGGING", "audit_log_path"): str(agent.audit_file),
        **(options or {}),
    }
    _write_secret(agent.folder / "password", password)
    agent.configuration.write_text(_render(settings))
    return agent


def _render(settings: Mapping[tuple[str, str], str]) -> str:
    sections: dict[str, list[str]] = {}
    for (section, name), value in settings.items():
        sections.setdefault(section, []).append(f"{name} = {value}\n")
    return "\n".join(f"[{section}]\n{''.join(lines)}" for section, lines in sections.items())


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


class _Notifications:
    """What the service manager would hear (sd_notify(3))."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def __enter__(self) -> _Notifications:
        self.path.unlink(missing_ok=True)
        self._socket.bind(str(self.path))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def ready(self) -> bool:
        """Whether READY=1 was said."""
        try:
            return b"READY=1" in self._socket.recv(4096)
        except BlockingIOError:
            return False
