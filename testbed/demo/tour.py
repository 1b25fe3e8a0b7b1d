# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo shows on its platform. Every step is checked: one that does not come out as promised raises DemoError."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from testbed.demo.accounts import STUDENT
from testbed.demo.contact_requests import accept_requests
from testbed.demo.folder import CHECKOUT, DemoError, as_root
from testbed.demo.machines import MACHINES, NETWORK
from testbed.demo.platform import Platform
from testbed.demo.surroundings import program_environment
from testbed.demo.watching import Watch, run_virsh

PLAYBOOK: Final = str(CHECKOUT / "playbooks" / "demo.yml")
CHANGED_DECLARATION: Final = ("--extra-vars", '{"db_memory": 160}')
# The whole difference that the changed declaration makes.
CHANGES: Final = ["-memory: 128", "+memory: 160"]
RECAP: Final = re.compile(r"^\S+ +: ok=\d+ +changed=(\d+) +unreachable=(\d+) +failed=(\d+)", re.MULTILINE)
MISSING_RIGHT: Final = 3  # exit code of the archipel command
GUEST_SECONDS: Final = 20  # for a shutdown, which takes less than one, or a start
ATTEMPTS: Final = 3


class Tour:
    """The steps, in their order."""

    def __init__(self, platform: Platform, uri: str) -> None:
        self.demo = platform.demo
        self.progress = platform.progress
        self.server = platform.ejabberd
        self.uri = uri
        self.hypervisors = platform.hypervisors
        self.environment = program_environment(self.demo)

    def go(self) -> None:
        """Take all steps."""
        self.declare()
        self.declare_again()
        self.predict_change()
        self.list_machines()
        self.let_student_work()
        self.suspend_behind_the_back()
        if len(self.hypervisors) > 1:
            self.visit_hypervisors()

    def declare(self) -> None:
        """Run the play."""
        self.progress.step("ansible-playbook playbooks/demo.yml")
        self._play("play")

    def declare_again(self) -> None:
        """Run the play a second time: it must change nothing."""
        self.progress.step("ansible-playbook playbooks/demo.yml, a second time:")
        output = self._play("play-again", show=False)
        self.progress.detail(output[output.index("PLAY RECAP") :].splitlines()[1:2])
        if changed := int(read_recap(output)[1]):
            raise DemoError(f"the second run reports {changed} changed; see {self.demo.logs / 'play-again.log'}")

    def predict_change(self) -> None:
        """Show what a changed declaration would change, and only that."""
        self.progress.step(f"ansible-playbook playbooks/demo.yml --check --diff {CHANGED_DECLARATION[0]} '{CHANGED_DECLARATION[1]}'")
        output = self._play("play-check", "--check", "--diff", *CHANGED_DECLARATION, show=False)
        difference = read_difference(output)
        self.progress.detail(difference)
        if read_changes(difference) != CHANGES:
            raise DemoError(f"the difference should be {CHANGES} and no more; see {self.demo.logs / 'play-check.log'}")

    def list_machines(self) -> None:
        """Show the inventory: the machines by their live states."""
        self.progress.step("ansible-inventory --graph")
        output = self._run("inventory", "ansible-inventory", "--graph")
        for machine in MACHINES:
            if not re.search(rf"@state_running:\n(?:.*\n)*?  \|  \|--{machine}\n", output):
                raise DemoError(f"the inventory does not show {machine} as running")

    def let_student_work(self) -> None:
        """Stop and start the student's machine as the student; see the others refused."""
        own, other = MACHINES[-1], MACHINES[0]
        accept_requests(self.server, STUDENT, self.demo.accounts / STUDENT, len(MACHINES))
        self.progress.step(f"the student's client says yes to the machines that ask to be contacts; archipel --profile {STUDENT} ls")
        listed = self._run("student-ls", "archipel", "--profile", STUDENT, "ls")
        if missing := [machine for machine in MACHINES if not re.search(rf"^{machine} +running ", listed, re.MULTILINE)]:
            raise DemoError(f"the student should see {missing} running; see {self.demo.logs / 'student-ls.log'}")
        self.progress.step(f"archipel --profile {STUDENT} show {own}")
        self._run("student-show", "archipel", "--profile", STUDENT, "show", own)
        self._insist("shutdown", own)
        self._insist("start", own)
        for verb, right in (("show", "info"), ("start", "create"), ("shutdown", "shutdown")):
            self.progress.step(f"archipel --profile {STUDENT} {verb} {other}")
            self._refuse(f"refused-{verb}", right, other, verb, other)

    def _insist(self, verb: str, machine: str) -> None:
        """Let the student bring a machine to a state; a guest that has just begun to boot does not hear the first request."""
        command = ["archipel", "--profile", STUDENT, verb, machine, "--wait", "--timeout", str(GUEST_SECONDS)]
        for attempt in range(ATTEMPTS):
            self.progress.step(" ".join(command))
            if not self.progress.run(command, self.environment, self.demo.logs / f"student-{verb}-{attempt}.log")[0]:
                return
        raise DemoError(f"{machine} does not {verb} within {ATTEMPTS} times {GUEST_SECONDS} s")

    def _refuse(self, log: str, right: str, machine: str, *command: str) -> None:
        file = self.demo.logs / f"student-{log}.log"
        status, output = self.progress.run(["archipel", "--profile", STUDENT, *command], self.environment, file)
        if status != MISSING_RIGHT or f"lacks the right '{right}' on {machine}" not in output:
            raise DemoError(f"the student should be refused for want of the right {right!r} on {machine}; see {file}")

    def visit_hypervisors(self) -> None:
        """Show the network of each hypervisor: every one has a libvirt of its own."""
        self.progress.step("archipel network list")
        output = self._run("networks", "archipel", "network", "list")
        if output.count(NETWORK) < len(self.hypervisors):
            raise DemoError(f"each of {len(self.hypervisors)} hypervisors should have a network {NETWORK}")

    def suspend_behind_the_back(self) -> None:
        """Pause a machine with virsh, and see that everybody who watches knows at once."""
        machine = MACHINES[1]
        with Watch(machine, self.environment, self.demo.logs / "watch.log") as watch:
            watch.wait_for("Running")
            for verb, status, change in (("suspend", "is Paused", "suspended"), ("resume", "is Running", "resumed")):
                self.progress.step(f"virsh {verb} {machine}, while `archipel watch {machine}` runs:")
                called = run_virsh(as_root(["virsh", "--quiet", "--connect", self.uri, verb, machine]))
                seen = watch.wait_for(status, change)
                self.progress.detail(seen.lines)
                delay = (seen.moment - called.began) * 1000
                self.progress.detail(f"seen {delay:.0f} ms after virsh was called, which itself took {called.seconds * 1000:.0f} ms")

    def _play(self, log: str, *options: str, show: bool = True) -> str:
        return self._run(log, "ansible-playbook", PLAYBOOK, *options, show=show)

    def _run(self, log: str, *command: str, show: bool = True) -> str:
        file = self.demo.logs / f"{log}.log"
        status, output = self.progress.run(command, self.environment, file, show=show)
        if status:
            raise DemoError(f"{' '.join(command)} ended with {status}; see {file}" + ("" if show else f"\n{output.strip()}"))
        return output


def read_recap(output: str) -> re.Match[str]:
    """Return the counts of a play's recap: changed, unreachable, failed. Raises DemoError."""
    found = RECAP.search(output)
    if found is None:
        raise DemoError("the play ended without a recap")
    return found


def read_difference(output: str) -> list[str]:
    """Return the lines of all differences that a play has shown."""
    shown: list[str] = []
    inside = False
    for line in output.splitlines():
        inside = line.startswith("--- ") or (inside and line[:1] in {"+", "-", " ", "@"})
        if inside:
            shown.append(line)
    return shown


def read_changes(difference: Iterable[str]) -> list[str]:
    """Return the lines of a difference that go or come."""
    return [line for line in difference if line[:1] in {"+", "-"} and line[:3] not in {"+++", "---"}]
