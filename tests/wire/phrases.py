# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the founders' phrases are answered with, by the action that they ask for (appliances: test_appliances.py)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.wire.action import HYPERVISOR, MACHINE
from tests.wire.actions.network import NAME, NETWORK
from tests.wire.actions.parking import OWN, PARKING
from tests.wire.platform import CONTROL, HOST, ROSTER

HEALTH, PLACE, DISPLAY = "archipel:hypervisor:health", "archipel:hypervisor:geolocalization", "archipel:virtualmachine:vnc"
NUMBER = r"[0-9.]+"


@dataclass(frozen=True)
class Reply:
    """A regular expression that the whole answer fits, and the value that is said with the phrase.

    In both stand the words that requests of tests/wire/actions/ have, and ``{{name}}``, the machine's. ``state`` is what the machine
    then shows.
    """

    told: str
    value: str = ""
    shown: str = ""


REPLIES: dict[tuple[str, str, str], Reply] = {
    (HYPERVISOR, HOST, "capabilities"): Reply("<capabilities>.*<host>.*</capabilities>"),
    (HYPERVISOR, HOST, "nodeinfo"): Reply(rf"{NUMBER} CPUs \(.+, {NUMBER} MHz\), {NUMBER} MiB of memory"),
    (HYPERVISOR, HOST, "migrationinfo"): Reply("[a-z+]+://.*, machines in {machines}"),
    (HYPERVISOR, HOST, "ip"): Reply("[0-9.]+|[0-9a-f:]+"),
    (HYPERVISOR, HOST, "rostervm"): Reply(r"(.*\n)?{name} \({full}\)(\n.*)?"),
    (HYPERVISOR, HOST, "alloc"): Reply("I made [0-9a-f-]{{36}}@{domain}\\.", "made {name}"),
    (HYPERVISOR, HOST, "free"): Reply(r"{name} is gone\.", "{name}"),
    (HYPERVISOR, HOST, "clone"): Reply(r"I am copying it; the copy is [0-9a-f-]{{36}}@{domain}\. I say when it is there\.", "{name}"),
    (HYPERVISOR, PLACE, "get"): Reply(r"I am at latitude 48\.8566 and longitude 2\.3522\."),
    (HYPERVISOR, HEALTH, "history"): Reply(rf"[0-9-]+ [0-9:]+: CPU {NUMBER} % idle, load .*, memory {NUMBER} of {NUMBER} MiB used, .*"),
    (HYPERVISOR, HEALTH, "logs"): Reply(".*{name}.*"),
    (HYPERVISOR, NETWORK, "get"): Reply(r"(.*\n)?default: runs(\n.*)?"),
    (HYPERVISOR, NETWORK, "create"): Reply(r"The network is started\.", NAME),
    (HYPERVISOR, NETWORK, "destroy"): Reply(r"The network is stopped\.", NAME),
    (HYPERVISOR, NETWORK, "getnics"): Reply(r"(.*\n)?lo(\n.*)?"),
    (HYPERVISOR, PARKING, "park"): Reply(r"Parked\.", "{name}"),
    (HYPERVISOR, PARKING, "unpark"): Reply(r"I bring back what is parked; I say when it is there\.", "{name}"),
    (HYPERVISOR, PARKING, "list"): Reply(r"(.*\n)?{name} \({uuid}\), parked by admin@{domain} on [0-9-]+ [0-9:]+(\n.*)?"),
    (MACHINE, OWN, "park"): Reply(r"See you\.", "1"),
    (MACHINE, ROSTER, "getroster"): Reply(r"(.*\n)?.*admin@{domain}.*"),
    (MACHINE, CONTROL, "create"): Reply(r"I am starting\.", shown="Running"),
    (MACHINE, CONTROL, "shutdown"): Reply(r"I am shutting down\.", shown="Off"),
    (MACHINE, CONTROL, "destroy"): Reply(r"I am off\.", shown="Off"),
    (MACHINE, CONTROL, "suspend"): Reply(r"I am paused\.", shown="Paused"),
    (MACHINE, CONTROL, "resume"): Reply(r"I am running again\.", shown="Running"),
    (MACHINE, CONTROL, "info"): Reply(rf"I am running, with 64 of 64 MiB and 2 CPUs at {NUMBER} %\."),
    (MACHINE, CONTROL, "xmldesc"): Reply("<domain type=.*<name>{name}</name>.*</domain>"),
    (MACHINE, CONTROL, "networkinfo"): Reply(rf".+: {NUMBER} bytes in, {NUMBER} bytes out"),
    (MACHINE, DISPLAY, "display"): Reply(rf"My vnc display has port {NUMBER} of [0-9.]+(; WebSocket: .*)?, TLS: (yes|no)\."),
}
