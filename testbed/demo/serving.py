# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's agents, and its further hypervisors: each with a libvirt of its own in namespaces of its own. Root's part."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt

from testbed.agent import Agent, make_agent
from testbed.demo import machines
from testbed.demo.accounts import HYPERVISOR, hypervisor_account
from testbed.demo.folder import DemoError, DemoFolder
from testbed.demo.virtualization import PrivateLibvirt, answers, connect
from testbed.ejabberd import Ejabberd

Answer = dict[str, Any]


def start_agent(demo: DemoFolder, folder: Path, uri: str, account: str, admin: str) -> Answer:
    """Configure an agent, let it check itself, and start it anew; machines run on meanwhile. Raises DemoError."""
    agent = make_agent(
        folder,
        Ejabberd(demo.ejabberd),
        uri,
        (demo.accounts / account).read_text().strip(),
        account=account,
        admins=(admin,),
        options={
            ("STORAGE", "golden_drives_dir"): str((demo.host / machines.IMAGE).parent),
            ("POLICY", "allowed_networks"): machines.NETWORK,
            **({} if account == HYPERVISOR else {("HYPERVISOR", "hypervisor_name"): account}),  # the host's name is the first one's
        },
    )
    agent.stop()
    check = subprocess.run(agent.command("--check"), capture_output=True, text=True, check=False)
    if check.returncode:
        raise DemoError(f"archipel-agent --check says:\n{check.stdout}{check.stderr}")
    agent.start()
    return {"check": check.stdout, "pid": agent.pid, "log": str(agent.folder / "agent.log")}


class FurtherHypervisor:
    """A hypervisor beside the first: its number, from 2 on, is in the name of its account and of its folder."""

    def __init__(self, demo: DemoFolder, number: int) -> None:
        self.demo = demo
        self.account = hypervisor_account(number)
        self.folder = demo.host / str(number)
        self.libvirt = PrivateLibvirt(self.folder / "libvirt")
        self._agent_folder = self.folder / "agent"

    @classmethod
    def all_of(cls, demo: DemoFolder) -> list[FurtherHypervisor]:
        """Return those that have been begun, by their numbers."""
        names = [part.name for part in demo.host.iterdir()] if demo.host.exists() else []
        return [cls(demo, number) for number in sorted(int(name) for name in names if name.isdecimal())]

    def start(self, admin: str) -> Answer:
        """Start what of it does not run, and the agent anew. Raises DemoError."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        if self.libvirt.pid is None:
            self.libvirt.start()
        with connect(self.libvirt.uri) as connection:
            machines.make_network(connection, [])
        return {**start_agent(self.demo, self._agent_folder, self.libvirt.uri, self.account, admin), "uri": self.libvirt.uri}

    def report(self) -> Answer:
        """Say what is there and answers."""
        usable = self.libvirt.pid is not None and answers(self.libvirt.uri)
        domains = dict(self._list_domains()) if usable else {}
        return {
            "account": self.account,
            "uri": self.libvirt.uri,
            "libvirt": usable,
            "domains": domains,
            "agent": Agent(self._agent_folder).pid,
        }

    def stop(self) -> list[str]:
        """End the agent, and libvirt with all machines; returns their names."""
        Agent(self._agent_folder).stop()
        names: list[str] = []
        with contextlib.suppress(libvirt.libvirtError):
            names = [name for name, _runs in self._list_domains()] if self.libvirt.pid is not None else []
        self.libvirt.stop()
        return names

    def _list_domains(self) -> Iterator[tuple[str, bool]]:
        with connect(self.libvirt.uri) as connection:
            for domain in connection.listAllDomains():
                yield domain.name(), bool(domain.isActive())
