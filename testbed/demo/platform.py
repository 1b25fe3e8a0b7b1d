# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's platform: made from nothing, brought back to life, stopped without a trace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from testbed.certificates import make_authority
from testbed.demo.accounts import ADMIN, HYPERVISOR, PEOPLE, hypervisor_accounts, make_accounts
from testbed.demo.folder import CHECKOUT, DemoError, DemoFolder, as_root
from testbed.demo.progress import ENDS_WITH_US, Progress
from testbed.demo.surroundings import program_environment, write_programs, write_surroundings
from testbed.ejabberd import Ejabberd, EjabberdError, make_ejabberd
from testbed.guest import GuestImage, GuestImageError, make_guest

DOMAIN: Final = "archipel.localhost"
# A build product of the checkout, shared with its tests; "make clean" removes it.
GUEST: Final = CHECKOUT / ".cache" / "guest"
WHY_LOOPBACK: Final = (
    "PLAIN gives the server the password itself, and ejabberd before 26.07 lets a request with PLAIN open somebody else's session:\n"
    "this server listens on loopback only"
)
NOTHING: Final[dict[str, Any]] = {"uri": None, "libvirt": False, "domains": {}, "agent": None, "further": []}
RUNNERS: Final = {"kvm": "KVM", "qemu": "QEMU's emulation: KVM does not work on this host"}


class Platform:
    """Server, libvirt and agent of the demo."""

    def __init__(self, demo: DemoFolder, progress: Progress, hypervisors: int = 1) -> None:
        self.demo = demo
        self.progress = progress
        self.hypervisors = hypervisor_accounts(hypervisors)

    @property
    def ejabberd(self) -> Ejabberd:
        """The server; it must have been made."""
        return Ejabberd(self.demo.ejabberd)

    def start(self, *, plain_inside_tls: bool) -> None:
        """Bring up the platform that is there, if it is whole; else make a new one. Raises DemoError."""
        if self.demo.complete.exists():
            try:
                self._revive(plain_inside_tls=plain_inside_tls)
            except (DemoError, EjabberdError) as error:
                self.progress.step(f"the demo that is here cannot go on, so it is made anew: {error}")
            else:
                return
        self._remove_parts()
        self._make(plain_inside_tls=plain_inside_tls)

    def stop(self) -> None:
        """Remove everything."""
        self._remove_parts()
        self.demo.remove()

    def report(self) -> dict[str, Any]:
        """Say what runs, see `testbed.demo.host.Host.report`; ``ejabberd`` is its process."""
        found = self._ask_host("report") if self.demo.host.exists() else {**NOTHING}
        return {**found, "ejabberd": self.ejabberd.pid if self.demo.ejabberd.exists() else None}

    # -- a new platform -------------------------------------------------------------------------------------------------

    def _make(self, *, plain_inside_tls: bool) -> None:
        image = self._make_guest()
        found = self._ask_host("prepare", str(image.disk))
        probe = self._start_host("probe")  # takes seconds where KVM does not work
        self._tell_host(found)
        self._make_server(plain_inside_tls=plain_inside_tls)
        write_programs(self.demo)
        self._log_people_in()
        self._start_agent()
        domain_type = self._read_host(probe)["domain_type"]
        self.progress.step(f"guests will run with {RUNNERS[domain_type]}")
        facts = {"uri": found["uri"], "domain_type": domain_type, "hypervisors": len(self.hypervisors)}
        self._write_surroundings(facts)
        (self.demo.path / "facts.json").write_text(json.dumps(facts))
        self.demo.complete.touch()

    def _write_surroundings(self, facts: dict[str, Any]) -> None:
        write_surroundings(self.demo, self.ejabberd, facts["uri"], facts["domain_type"], self.hypervisors)

    def _make_guest(self) -> GuestImage:
        fresh = not (GUEST / "sources.sha256").exists()
        if fresh:
            self.progress.step("making the guests' image from Debian's packages")
        try:
            image = make_guest(GUEST)
        except GuestImageError as error:
            if "apt-get update" not in str(error):
                raise DemoError(str(error)) from error
            subprocess.run(as_root(["apt-get", "-qq", "update"]), check=True)
            image = make_guest(GUEST)
        size = (image.disk.stat().st_size + 500_000) // 1_000_000
        self.progress.step(f"guests' image: {size} MB, a kernel and busybox ({GUEST})")
        return image

    def _make_server(self, *, plain_inside_tls: bool) -> None:
        authority = make_authority(self.demo.authority)
        server = make_ejabberd(
            self.demo.ejabberd,
            DOMAIN,
            authority,
            hypervisors=self.hypervisors,
            admins=(ADMIN,),
            plain_inside_tls=plain_inside_tls,
            websocket=True,
        )
        server.start()
        make_accounts(server, self.demo.accounts, self.hypervisors)
        how = "SCRAM-SHA-256, and PLAIN inside TLS as you asked" if plain_inside_tls else "SCRAM-SHA-256"
        self.progress.step(f"ejabberd: {server.host}:{server.port}, domain {DOMAIN}, TLS required, {how}")
        if plain_inside_tls:
            self.progress.detail(WHY_LOOPBACK)
        self.progress.detail(
            f"accounts: {', '.join((*self.hypervisors, *PEOPLE))}; passwords in {self.demo.accounts} (only you can read them)"
        )

    def _log_people_in(self) -> None:
        """Store a login of each of them for the command line, and make the nodes that all hypervisors share."""
        server, environment = self.ejabberd, program_environment(self.demo)
        known = [word for name in self.hypervisors for word in ("--hypervisor", f"{name}@{DOMAIN}")]
        connection = ["--host", server.host, "--port", str(server.port), "--ca-file", str(server.ca_file), "--no-keyring"]
        for name in PEOPLE:
            login = ["login", f"{name}@{DOMAIN}", *connection, "--password-file", str(self.demo.accounts / name)]
            command = ["archipel", "--profile", name, *known, *login]
            self.progress.run_or_fail(command, environment, self.demo.logs / f"login-{name}.log")
        self.progress.step(f"archipel login: {', '.join(PEOPLE)}")
        command = ["archipel", "--profile", ADMIN, "platform", "init", *known]
        output = self.progress.run_or_fail(command, environment, self.demo.logs / "platform-init.log")
        self.progress.step("archipel platform init:")
        self.progress.detail(output)

    # -- a platform that is there ---------------------------------------------------------------------------------------

    def _revive(self, *, plain_inside_tls: bool) -> None:
        server = self.ejabberd
        if server.settings.plain_inside_tls != plain_inside_tls:
            raise DemoError(f"its server was made {'with' if server.settings.plain_inside_tls else 'without'} PLAIN inside TLS")
        facts = json.loads((self.demo.path / "facts.json").read_text())
        if facts.get("hypervisors", 1) != len(self.hypervisors):
            raise DemoError(f"it was made with {facts.get('hypervisors', 1)} hypervisors")
        if not self._ask_host("report")["libvirt"]:
            raise DemoError("its libvirt is gone")
        self.progress.step("a demo is here already: what is missing is started, and the agent anew, from this checkout")
        self._tell_host(self._ask_host("revive"))
        if server.pid is None:
            server.start()
        self.progress.step(f"ejabberd: {server.host}:{server.port}, process {server.pid}")
        self._start_agent()
        self._write_surroundings(facts)

    def _remove_parts(self) -> None:
        if self.demo.host.exists():
            answer = self._ask_host("stop")
            if answer["domains"]:
                self.progress.step(f"removed the machines {', '.join(answer['domains'])}")
        if (self.demo.ejabberd / "settings.json").exists():
            self.ejabberd.stop()
        self.demo.clear()

    # -- root's part ----------------------------------------------------------------------------------------------------

    def _start_agent(self) -> None:
        answer = self._ask_host("agent", HYPERVISOR, ADMIN)
        self.progress.step(f"archipel-agent: process {answer['pid']}, log {answer['log']}; before, archipel-agent --check said:")
        self.progress.detail(answer["check"])
        if len(self.hypervisors) > 1:
            self._start_further_agents()

    def _start_further_agents(self) -> None:
        answer = self._ask_host("further", str(len(self.hypervisors)), ADMIN)
        for name, started in zip(self.hypervisors[1:], answer["started"], strict=True):
            self.progress.step(
                f"{name}: archipel-agent: process {started['pid']}; a private libvirt in namespaces of its own, {started['uri']}"
            )

    def _tell_host(self, found: dict[str, Any]) -> None:
        kind = "a private one in namespaces of its own: none runs here" if found["private"] else "the one of this host"
        libvirt, qemu = found["versions"]
        self.progress.step(f"libvirt {libvirt}, QEMU {qemu}: {kind}")
        if found.get("left_over"):
            self.progress.detail(f"removed what an earlier demo left: {', '.join(found['left_over'])}")
        if found.get("lent_kvm"):
            self.progress.detail("no udev runs here: /dev/kvm is given to the group kvm, as Debian's rule would, until demo-stop")
        self.progress.detail(f"guests' network: {found['network']}, with this host and nobody else")

    def _ask_host(self, command: str, *arguments: str) -> dict[str, Any]:
        return self._read_host(self._start_host(command, *arguments))

    def _start_host(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        # Bytecode that root writes into a user's checkout could not be removed by the user.
        python = [sys.executable, "-X", f"pycache_prefix={self.demo.bytecode}"]
        program: Sequence[str] = [*python, "-m", "testbed.demo.host", str(self.demo.path), command, *arguments]
        return subprocess.Popen(
            as_root([*ENDS_WITH_US, *program]),
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _read_host(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        output, errors = process.communicate()
        if process.returncode:
            raise DemoError(errors.strip() or f"{process.args!r} ended with {process.returncode}")
        answer: dict[str, Any] = json.loads(output)
        return answer


def check_tools() -> None:
    """Raise DemoError when something is missing that the demo cannot do without."""
    if os.geteuid() and not shutil.which("sudo"):
        raise DemoError("the demo needs root for libvirt and the agent: work as root, or install sudo")
    for tool in ("erl", "qemu-system-x86_64", "virsh"):
        if not shutil.which(tool):
            raise DemoError(f"{tool} is missing: run it as `make demo`, which installs what is missing")
