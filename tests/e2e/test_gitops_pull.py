# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control host that applies what a repository says: the playbook that sets it up, its service and timer, under a real systemd."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.certificates import Authority
from testbed.gate import open_gate
from testbed.systemd_host import SystemdHost
from testbed.systemd_namespace import CHECKOUT_INSIDE
from tests.e2e.other_host import open_host
from tests.integration.collection.platform import Platform, open_platform, password_of

pytestmark = pytest.mark.timeout(600)

PROGRAMS = "/opt/archipel-gitops/bin"
PROGRAM = f"""#!{CHECKOUT_INSIDE}/.venv/bin/python
from ansible.cli.{{}} import main
main()
"""
COLLECTIONS = "/usr/share/ansible/collections/ansible_collections/archipel"
REPOSITORY = "/srv/platform.git"
FIGURES = "/var/lib/archipel-gitops-figures"
STATE = "/var/lib/archipel-gitops"
SERVICE, TIMER = "archipel-gitops.service", "archipel-gitops.timer"


@pytest.fixture(scope="module")
def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform, out here, on libvirt's test driver."""
    with open_platform(tmp_path_factory.mktemp("pull"), authority) as platform:
        yield platform
        platform.clear()


@pytest.fixture(scope="module")
def host(platform: Platform) -> Iterator[SystemdHost]:
    """A host with Ansible, the collection and its library, from which the server can be reached."""
    with open_host() as host, open_gate(host.leader or 0, platform.ejabberd.port):
        for name, module in {"ansible": "adhoc", "ansible-playbook": "playbook", "ansible-pull": "pull"}.items():
            write(host, f"{PROGRAMS}/{name}", PROGRAM.format(module), "755")
        host.run("mkdir", "-p", COLLECTIONS)
        host.run("ln", "-s", CHECKOUT_INSIDE, f"{COLLECTIONS}/platform")
        host.run("git", "config", "--system", "--add", "safe.directory", "*")
        yield host


def write(host: SystemdHost, path: str, text: str, mode: str = "644") -> None:
    host.run("install", "-D", "-m", mode, "/dev/stdin", path, given=text)


class Author:
    """Somebody who commits to the repository that the host knows."""

    def __init__(self, host: SystemdHost, root: Path, folder: Path) -> None:
        self._host, self._checkout = host, folder / "checkout"
        shutil.copytree(root / "examples" / "gitops", self._checkout)
        self._git("init", "--quiet", "--initial-branch=main")
        host.run("git", "init", "--quiet", "--bare", "--initial-branch=main", REPOSITORY)
        self.publish()

    def _git(self, *command: str) -> str:
        who = ("-c", "user.name=Teacher", "-c", "user.email=teacher@example.org", "-c", "safe.directory=*")
        done = subprocess.run(["git", *who, *command], cwd=self._checkout, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def publish(self, machines: str | None = None) -> str:
        """Publish a commit, with other machines declared if given; return which."""
        if machines is not None:
            (self._checkout / "declarations" / "machines.yml").write_text(machines)
            (self._checkout / "declarations" / "people.yml").unlink(missing_ok=True)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", "Declarations")
        self._git("bundle", "create", "--quiet", "../bundle", "main")
        shutil.copy(self._checkout.parent / "bundle", self._host.reach("/srv/bundle"))
        self._host.run("git", "-C", REPOSITORY, "fetch", "--quiet", "--force", "/srv/bundle", "main:main")
        return self._git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def author(host: SystemdHost, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Author:
    return Author(host, root, tmp_path_factory.mktemp("author"))


def set_up(host: SystemdHost, *more: str) -> str:
    """Run the playbook on the host itself; return how often it changed something."""
    values = {
        "archipel_gitops_repository": REPOSITORY,
        "archipel_gitops_metrics": FIGURES,
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    command = [f"{PROGRAMS}/ansible-playbook", "archipel.platform.gitops_pull", "-i", "localhost,", "-c", "local", "-e", json.dumps(values)]
    said = host.run("env", "HOME=/root", "PYTHONDONTWRITEBYTECODE=1", *command, *more)
    recap = re.search(r"changed=(\d+) .*failed=0", said)
    assert recap is not None, said
    return recap[1]


@pytest.fixture(scope="module")
def served(host: SystemdHost, author: Author, platform: Platform) -> SystemdHost:
    """The host, set up, with a login."""
    assert set_up(host, "--check") != "0"
    assert set_up(host) != "0"
    assert set_up(host) == "0", "a second run changes nothing"
    login = platform.environment() | {"ARCHIPEL_CA_FILE": "/etc/archipel-gitops/ca.pem", "PYTHONPATH": f"{CHECKOUT_INSIDE}/src"}
    del login["ARCHIPEL_PASSWORD"]
    write(host, "/etc/archipel-gitops/ca.pem", platform.ejabberd.ca_file.read_text())
    login |= {"ARCHIPEL_PASSWORD_FILE": f"{STATE}/password", "PYTHONDONTWRITEBYTECODE": "1"}
    write(host, "/etc/archipel-gitops/environment", "".join(f"{name}={value}\n" for name, value in login.items()), "600")
    host.run("install", "-d", "-o", "archipel-gitops", "-m", "750", STATE)
    host.run("install", "-o", "archipel-gitops", "-m", "600", "/dev/stdin", f"{STATE}/password", given=password_of("admin"))
    return host


def run_service(host: SystemdHost) -> dict[str, Any]:
    """Run the service to its end, and return what was written down of it."""
    host.run("systemctl", "start", SERVICE, check=False)
    status: dict[str, Any] = json.loads(host.run("cat", f"{STATE}/status.json"))
    return status


def read_log(host: SystemdHost) -> str:
    return host.run("journalctl", "--no-pager", "--unit", SERVICE, "--output", "cat", check=False)


def test_units_are_as_systemd_wants_them(served: SystemdHost) -> None:
    said = served.run("sh", "-c", f"systemd-analyze verify /etc/systemd/system/{SERVICE} /etc/systemd/system/{TIMER} 2>&1")
    assert "archipel" not in said
    assert served.run("systemctl", "is-active", TIMER).strip() == "active"
    assert served.run("systemctl", "is-enabled", TIMER).strip() == "enabled"
    exposure = served.run("systemd-analyze", "security", "--no-pager", SERVICE).splitlines()[-1]
    assert " OK " in exposure, exposure


def test_what_the_repository_says_is_applied_and_told(served: SystemdHost, author: Author, platform: Platform) -> None:
    commit = author.publish()
    status = run_service(served)
    assert (status["succeeded"], status["commit"]) == (True, commit), read_log(served)
    assert platform.domains() == {"web", "db", "seat-01", "seat-02"}
    assert "archipel_gitops_succeeded 1" in served.run("cat", f"{FIGURES}/archipel-gitops.prom")
    assert json.loads(served.run("cat", f"{STATE}/report/plan.json"))["counts"]["create"] > 0
    assert run_service(served)["succeeded"]
    assert not json.loads(served.run("cat", f"{STATE}/report/plan.json"))["changed"]


def test_a_run_that_fails_is_told_and_the_next_one_goes_on(served: SystemdHost, author: Author, platform: Platform) -> None:
    author.publish("vms: [{name: web, hypervisor: north, memmory: 64}]\n")
    status = run_service(served)
    assert (status["succeeded"], status["result"]) == (False, "exit-code"), read_log(served)
    assert "archipel_gitops_succeeded 0" in served.run("cat", f"{FIGURES}/archipel-gitops.prom")
    assert "memmory" in read_log(served)
    author.publish("vms: [{name: web, hypervisor: north, memory: 64}]\n")
    assert run_service(served)["succeeded"], read_log(served)
    assert platform.domains() == {"web"}


def test_who_comes_second_goes_away(served: SystemdHost) -> None:
    before = served.run("cat", f"{STATE}/status.json")
    # The lock's folder is there while the service runs: the one who holds the lock makes it first.
    held = "mkdir -p /run/archipel-gitops && touch /run/archipel-gitops/lock && chown -R archipel-gitops /run/archipel-gitops"
    served.run("sh", "-c", f"{held} && flock /run/archipel-gitops/lock systemctl start {SERVICE}")
    assert served.run("cat", f"{STATE}/status.json") == before
    assert served.run("systemctl", "is-failed", SERVICE, check=False).strip() == "inactive"


def test_check_mode_of_the_playbook_tells_of_another_time_and_writes_nothing(served: SystemdHost) -> None:
    other = ("-e", "archipel_gitops_on_calendar=*:0/5")
    before = served.run("cat", f"/etc/systemd/system/{TIMER}")
    assert set_up(served, "--check", *other) != "0"
    assert served.run("cat", f"/etc/systemd/system/{TIMER}") == before
    assert set_up(served) == "0"
    assert set_up(served, *other) != "0"
    assert "OnCalendar=*:0/5" in served.run("cat", f"/etc/systemd/system/{TIMER}")
    assert served.run("systemctl", "is-active", TIMER).strip() == "active"
    assert set_up(served) != "0"


def test_ansible_pull_in_check_mode_tells_what_it_would_do_and_does_nothing(
    served: SystemdHost, author: Author, platform: Platform
) -> None:
    author.publish("vms: [{name: web, hypervisor: north, memory: 64}, {name: foreseen, hypervisor: north, memory: 64}]\n")
    where = f"--url {REPOSITORY} --checkout main --directory {STATE}/repository --inventory localhost, --force"
    told = f"--extra-vars archipel_mode=apply --extra-vars archipel_report={STATE}/report"
    as_account = f"runuser -u archipel-gitops -- env HOME={STATE} PATH={PROGRAMS}:/usr/bin:/bin LC_ALL=C.UTF-8"
    pull = f"{as_account} {PROGRAMS}/ansible-pull --check {where} {told} site.yml"
    before = platform.domains()
    said = served.run("sh", "-c", f"cd {STATE} && set -a && . /etc/archipel-gitops/environment && exec {pull}")
    assert re.search(r"changed=1 .*failed=0", said), said
    plan = json.loads(served.run("cat", f"{STATE}/report/plan.json"))
    assert [(entry["action"], entry["kind"], entry["name"]) for entry in plan["plan"]] == [("create", "machine", "foreseen")]
    assert platform.domains() == before
    assert run_service(served)["succeeded"], read_log(served)
    assert platform.domains() == before | {"foreseen"}


def test_drift_is_told_and_stays_until_somebody_applies(served: SystemdHost, author: Author, platform: Platform) -> None:
    author.publish("vms: [{name: web, hypervisor: north, memory: 96}, {name: foreseen, hypervisor: north, memory: 64}]\n")
    assert set_up(served, "-e", "archipel_gitops_mode=drift") != "0"
    for _again in range(2):
        status = run_service(served)
        assert (status["succeeded"], status["result"]) == (False, "exit-code"), read_log(served)
        assert "1 not as declared: machine web on north" in read_log(served)
    assert set_up(served) != "0"
    assert run_service(served)["succeeded"], read_log(served)
    assert json.loads(served.run("cat", f"{STATE}/report/plan.json"))["counts"]["change"] == 1
    assert run_service(served)["succeeded"]
    assert not json.loads(served.run("cat", f"{STATE}/report/plan.json"))["changed"]
    assert platform.domains() == {"web", "foreseen"}
