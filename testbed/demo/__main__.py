# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's command line; ``make demo`` and ``make demo-stop`` call it."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from typing import Any, Final

from testbed.certificates import CertificateError
from testbed.demo.accounts import PEOPLE
from testbed.demo.folder import DemoError, DemoFolder, as_root
from testbed.demo.machines import MACHINES
from testbed.demo.platform import Platform, check_tools
from testbed.demo.progress import Progress
from testbed.demo.tour import Tour
from testbed.ejabberd import Ejabberd, EjabberdError
from testbed.guest import GuestImageError

MOST_HYPERVISORS: Final = 9  # each takes some 150 MB
LOOK_AROUND = """
The platform stays until `make demo-stop`. To look around, in this shell:

  source {folder}/env
  archipel ls                              all machines; as somebody else: archipel --profile student ls
  archipel watch                           what happens, when it happens; leave with Ctrl-C
  archipel chat {machine} hello             a machine is a contact: say help, info, shutdown, start ...
  ansible-inventory --graph
  ansible-playbook archipel.platform.demo
  {virsh}

With any XMPP client that speaks SCRAM-SHA-256:

  account    {accounts}
  password   in {folder}/accounts/NAME, such as {folder}/accounts/{person}
  server     {host}, port {port}, STARTTLS required ({websocket} for browsers)
  trust      {ca_file}
"""


def start(demo: DemoFolder, *, plain_inside_tls: bool, hypervisors: int) -> None:
    """Bring the platform up and show it."""
    check_tools()
    progress = Progress()
    if os.geteuid():
        progress.step("root's part goes through sudo: the folder, libvirt, the agent, and virsh")
        if subprocess.run(["sudo", "-v"], check=False).returncode:
            raise DemoError("sudo refuses: work as root, or as a user who may use sudo")
    demo.make()
    with demo.locked():
        platform = Platform(demo, progress, hypervisors)
        platform.start(plain_inside_tls=plain_inside_tls)
        uri = platform.report()["uri"]
        Tour(platform, uri).go()
        progress.step("done")
        print(describe_surroundings(demo, platform.ejabberd, uri))


def stop(demo: DemoFolder) -> None:
    """Remove everything that the demo made."""
    progress = Progress()
    if not demo.exists:
        progress.step(f"there is no demo in {demo.path}")
        return
    with demo.locked():
        Platform(demo, progress).stop()
    progress.step(f"removed the demo: its processes, machines, network, accounts and {demo.path}; packages stay")


def tell_status(demo: DemoFolder) -> int:
    """Print what runs; returns 0 if all does."""
    if not demo.exists:
        print(f"there is no demo in {demo.path}")
        return 1
    report = Platform(demo, Progress()).report()
    print(f"ejabberd  {_process(report['ejabberd'])}")
    print(f"libvirt   {report['uri'] or 'none'}{' (private)' if report.get('private') else ''}{'' if report['libvirt'] else ', not there'}")
    print(f"agent     {_process(report['agent'])}")
    _tell_machines(report)
    for further in report["further"]:
        print(f"libvirt   {further['uri']} (private){'' if further['libvirt'] else ', not there'}")
        print(f"agent     {_process(further['agent'])} ({further['account']})")
        _tell_machines(further)
    parts = (report["ejabberd"], *(part[name] for part in (report, *report["further"]) for name in ("libvirt", "agent")))
    return 0 if all(parts) else 1


def _tell_machines(report: dict[str, Any]) -> None:
    for name, runs in report["domains"].items():
        print(f"machine   {name}: {'runs' if runs else 'is off'}")


def describe_surroundings(demo: DemoFolder, server: Ejabberd, uri: str) -> str:
    """Return the words about how to look around."""
    return LOOK_AROUND.format(
        folder=demo.path,
        machine=MACHINES[0],
        virsh="virsh list --all" if os.geteuid() == 0 else shlex.join(as_root(["virsh", "-c", uri, "list", "--all"])),
        accounts=", ".join(f"{name}@{server.domain}" for name in PEOPLE),
        person=PEOPLE[-1],
        host=server.host,
        port=server.port,
        websocket=server.websocket_url,
        ca_file=server.ca_file,
    )


def _process(pid: int | None) -> str:
    return f"process {pid}" if pid else "does not run"


def main() -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m testbed.demo", description="A whole platform on this machine, to look at.")
    parser.add_argument("command", choices=["start", "stop", "status"])
    parser.add_argument(
        "--plain-inside-tls",
        action="store_true",
        help="let the server offer SASL PLAIN too, inside TLS, for clients of the founding time; the password then reaches the server",
    )
    parser.add_argument(
        "--hypervisors",
        type=int,
        choices=range(1, MOST_HYPERVISORS + 1),
        default=1,
        metavar=f"1-{MOST_HYPERVISORS}",
        help="how many hypervisors there are; those beside the first have a libvirt of their own each",
    )
    options = parser.parse_args()
    try:
        demo = DemoFolder.choose()
        if options.command == "status":
            return tell_status(demo)
        if options.command == "stop":
            stop(demo)
        else:
            start(demo, plain_inside_tls=options.plain_inside_tls, hypervisors=options.hypervisors)
    except (DemoError, EjabberdError, CertificateError, GuestImageError, subprocess.CalledProcessError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        if options.command == "start":
            print("demo: `make demo-stop` removes what was made so far", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; `make demo` goes on or begins anew, `make demo-stop` removes what is there", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
