# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's part of the demo: libvirt, the guests' network and image, the agent.

``python -m testbed.demo.host FOLDER COMMAND`` prints a JSON object; an error ends it with 1 and words on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libvirt

from testbed.agent import Agent, AgentError
from testbed.demo import machines, serving
from testbed.demo.acceleration import lend_device, prove_kvm, take_device_back
from testbed.demo.folder import DemoError, DemoFolder
from testbed.demo.serving import FurtherHypervisor
from testbed.demo.virtualization import PrivateLibvirt, Virtualization, answers, choose, connect, recall, remember, stop_service

Answer = dict[str, Any]


class Host:
    """What root keeps in the demo's folder."""

    def __init__(self, demo: DemoFolder) -> None:
        self.demo = demo
        self.folder = demo.host
        self.image = self.folder / machines.IMAGE
        self.private = PrivateLibvirt(self.folder / "libvirt")
        self.agent_folder = self.folder / "agent"
        self._choice_file = self.folder / "libvirt.json"
        self._network_mark = self.folder / "network"
        self._device_memo = self.folder / "kvm"

    def prepare(self, image: Path) -> Answer:
        """Find or start libvirt, remove what an earlier demo left in it, make the guests' network, install their image."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        choice = self._keep_or_choose()
        lent = not choice.private and lend_device(self._device_memo)
        self.image.parent.mkdir(exist_ok=True)
        shutil.copyfile(image, self.image)
        with connect(choice.uri) as connection:
            machines.refuse_strangers(connection, self.folder)
            left_over = machines.remove_domains(connection, self.folder)
        return {**self.revive(), "left_over": left_over, "lent_kvm": lent}

    def revive(self) -> Answer:
        """Start the guests' network where a reboot has ended it, and say what there is."""
        choice = self._recall()
        with connect(choice.uri) as connection:
            network = machines.make_network(connection, [] if choice.private else machines.read_routes())
            self._network_mark.touch()
            versions = [_dotted(connection.getLibVersion()), _dotted(connection.getVersion())]
        return {"uri": choice.uri, "private": choice.private, "versions": versions, "network": network}

    def probe(self) -> Answer:
        """Say who runs the guests: KVM if a guest really boots with it, else QEMU's emulation."""
        with connect(self._recall().uri) as connection:
            works = prove_kvm(connection, self.image, self.folder / "probe.log")
        return {"domain_type": "kvm" if works else "qemu"}

    def start_agent(self, account: str, admin: str) -> Answer:
        """Configure the agent, let it check itself, and start it anew; machines run on meanwhile."""
        return serving.start_agent(self.demo, self.agent_folder, self._recall().uri, account, admin)

    def start_further(self, count: int, admin: str) -> Answer:
        """Start the hypervisors beside the first."""
        return {"started": [FurtherHypervisor(self.demo, number).start(admin) for number in range(2, count + 1)]}

    def report(self) -> Answer:
        """Say what is there and answers."""
        choice = recall(self._choice_file)
        usable = choice is not None and self._is_usable(choice)
        return {
            "uri": choice.uri if choice else None,
            "private": bool(choice and choice.private),
            "libvirt": usable,
            "domains": self._list_domains(choice.uri) if choice and usable else {},
            "agent": Agent(self.agent_folder).pid,
            "further": [further.report() for further in FurtherHypervisor.all_of(self.demo)],
        }

    def stop(self) -> Answer:
        """Remove the agent, every domain of ours, the network, libvirt if it is ours, and root's folder."""
        if not self.folder.exists():
            return {"domains": [], "processes": []}
        Agent(self.agent_folder).stop()
        choice = recall(self._choice_file)
        removed = [name for further in FurtherHypervisor.all_of(self.demo) for name in further.stop()]
        if choice is not None:
            with contextlib.suppress(libvirt.libvirtError), connect(choice.uri) as connection:
                removed += machines.remove_domains(connection, self.folder)
                if self._network_mark.exists():
                    machines.remove_network(connection)
            stop_service(choice)
        take_device_back(self._device_memo)
        self.private.stop()
        processes = list(_end_processes(self.demo.path))
        shutil.rmtree(self.folder)
        return {"domains": removed, "processes": processes}

    def _keep_or_choose(self) -> Virtualization:
        choice = recall(self._choice_file)
        if choice is None or not self._is_usable(choice):
            choice = choose(self.private.folder)
            remember(choice, self._choice_file)
        return choice

    def _recall(self) -> Virtualization:
        choice = recall(self._choice_file)
        if choice is None:
            raise DemoError("no libvirt was chosen yet")
        return choice

    def _is_usable(self, choice: Virtualization) -> bool:
        return (not choice.private or self.private.pid is not None) and answers(choice.uri)

    def _list_domains(self, uri: str) -> dict[str, bool]:
        with connect(uri) as connection:
            return {
                domain.name(): bool(domain.isActive()) for domain in connection.listAllDomains() if machines.is_ours(domain, self.folder)
            }


def _dotted(number: int) -> str:
    """Return a version as libvirt counts it: 1,000,000 times the major one, 1,000 times the minor one, the release."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def _end_processes(folder: Path) -> Iterator[int]:
    """Kill the servers of ours that no file tells of, because their starter was killed a moment too early.

    They work in the folder, were started with its name, and have no terminal.
    """
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            works_here = (process / "cwd").readlink().is_relative_to(folder)
            named_so = os.fsencode(folder) in (process / "cmdline").read_bytes()
            terminal = (process / "stat").read_text().rpartition(")")[2].split()[4]
            if works_here and named_so and terminal == "0":
                os.kill(int(process.name), signal.SIGKILL)
                yield int(process.name)


@contextlib.contextmanager
def work_alone(demo: DemoFolder) -> Iterator[None]:
    """Wait for another process of this kind: its starter may have been killed while it went on."""
    with demo.mark.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="testbed.demo.host")
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", choices=["prepare", "revive", "probe", "agent", "further", "report", "stop"])
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    os.umask(0o022)
    demo = DemoFolder(options.folder)
    os.environ["PYTHONPYCACHEPREFIX"] = str(demo.bytecode)  # for the agent, as for this process
    host = Host(demo)
    commands: dict[str, Callable[..., Answer]] = {
        "prepare": lambda image: host.prepare(Path(image)),
        "revive": host.revive,
        "probe": host.probe,
        "agent": host.start_agent,
        "further": lambda count, admin: host.start_further(int(count), admin),
        "report": host.report,
        "stop": host.stop,
    }
    try:
        # The probe takes its time and changes nothing that others look at.
        with contextlib.nullcontext() if options.command == "probe" else work_alone(demo):
            answer = commands[options.command](*options.arguments)
    except (DemoError, AgentError, libvirt.libvirtError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
