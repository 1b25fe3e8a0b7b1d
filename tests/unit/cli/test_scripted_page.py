# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/cli-guests.md, from the top to the bottom, against scripted answers: what libvirt's test driver cannot do."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest

from archipel.protocol import namespaces as ns
from archipel.protocol.guest import encode
from tests.documentation import Step, read_steps
from tests.unit.cli.conftest import CommandLine, query, script_machines
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, command, normal
from tests.unit.client.test_long_work import script_events

FEED, APPLIANCE = (f"2b6c4d0e-0000-4000-8000-00000000000{number}" for number in (1, 2))
FILTER = "<filter name='no-mac-spoofing' chain='mac'><rule action='return' direction='out' priority='-350'/></filter>"
MOTD = "Welcome\n"
LAMP = f"name='lamp' description='Web server' uuid='{APPLIANCE}'"
GUEST = """<guest hostname='web' name='Debian GNU/Linux 12 (bookworm)' kernel='6.1.0-13-amd64' machine='x86_64' timezone='CEST'>
  <interface name='eth0' mac='52:54:00:12:34:56'><address address='192.0.2.17' prefix='24'/></interface><user name='root'/>
  <filesystem mountpoint='/' type='ext4' total='21474836480' used='1610612736'/></guest>"""

INFO = f"<info state='1' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='{HYPERVISOR_FULL}' autostart='0'/>"


def _execution(code: int, output: str = "") -> str:
    return f"<exec pid='7' exited='1' exitcode='{code}'><output stream='stdout'>{encode(output.encode())}</output></exec>"


def _link(kind: str) -> str:
    url = f"https://hypervisor.example.org:6080/{kind}.html#q5Zt"
    return f"<console kind='{kind}' url='{url}' websocket='wss://hypervisor.example.org:6080/ws' token='q5Zt' lifetime='60'/>"


CARD = "<interface type='network'><source network='default'/></interface>"


def _device(action: str, live: int) -> tuple[str, str, str, str, str]:
    return ("set", MACHINE_FULL, ns.VM_DEFINITION, f"<archipel live='{live}' action='{action}'><device>{CARD}</device></archipel>", "")


# Type of the IQ, to whom, namespace, request, content of the answer.
SCRIPT = (
    ("set", MACHINE_FULL, ns.VM_CONSOLE, "<archipel kind='vnc' action='token'/>", _link("vnc")),
    ("set", MACHINE_FULL, ns.VM_CONSOLE, "<archipel kind='text' action='token'/>", _link("text")),
    *(_device(action, live) for action, live in (("attachdevice", 0), ("updatedevice", 1), ("detachdevice", 0))),
    (
        *("get", MACHINE_FULL, ns.VM_CONTROL),
        "<archipel action='addresses'/>",
        "<address interface='vnet0' mac='52:54:00:12:34:56' address='192.0.2.17' prefix='24' source='lease'/>",
    ),
    ("get", MACHINE_FULL, ns.VM_GUEST, "<archipel action='info'/>", GUEST),
    (
        *("set", MACHINE_FULL, ns.VM_GUEST),
        "<archipel path='ls' timeout='10' action='exec'><input/><arg>-l</arg><arg>/srv</arg></archipel>",
        _execution(0, "total 0\n"),
    ),
    ("set", MACHINE_FULL, ns.VM_GUEST, "<archipel path='false' timeout='20' action='exec'><input/></archipel>", _execution(1)),
    (
        *("set", MACHINE_FULL, ns.VM_GUEST),
        f"<archipel path='/etc/motd' append='1' action='filewrite'><content>{encode(MOTD.encode())}</content></archipel>",
        "<file path='/etc/motd' size='8'/>",
    ),
    (
        *("set", MACHINE_FULL, ns.VM_GUEST),
        "<archipel path='/etc/motd' offset='0' count='131072' action='fileread'/>",
        f"<file path='/etc/motd' size='8' eof='1'>{encode(MOTD.encode())}</file>",
    ),
    ("get", MACHINE_FULL, ns.VM_CONTROL, "<archipel action='info'/>", INFO),
    ("set", MACHINE_FULL, ns.VM_CONTROL, "<archipel hypervisorjid='second@example.org/host2' action='migrate'/>", ""),
    ("get", f"{MACHINE}/second", ns.VM_CONTROL, "<archipel action='info'/>", INFO),
    ("set", MACHINE_FULL, ns.VM_MIGRATION, "<archipel action='cancel'/>", ""),
    ("get", MACHINE_FULL, ns.VM_GUEST, "<archipel action='ping'/>", ""),
    ("set", MACHINE_FULL, ns.VM_GUEST, "<archipel action='freeze'/>", "<filesystems count='1'/>"),
    ("set", MACHINE_FULL, ns.VM_GUEST, "<archipel action='thaw'/>", "<filesystems count='1'/>"),
    ("set", MACHINE_FULL, ns.VM_GUEST, "<archipel action='synctime'/>", "<time seconds='1795280400' offset='0.1'/>"),
    (
        "get",
        HYPERVISOR_FULL,
        ns.HYPERVISOR_NETWORK,
        "<archipel action='getnwfilters'/>",
        "<filter name='clean-traffic'/><filter name='no-mac-spoofing'/>",
    ),
    ("get", HYPERVISOR_FULL, ns.HYPERVISOR_NETWORK, "<archipel name='no-mac-spoofing' action='nwfilterget'/>", FILTER),
    ("set", HYPERVISOR_FULL, ns.HYPERVISOR_NETWORK, f"<archipel action='nwfilterdefine'>{FILTER}</archipel>", ""),
    ("set", HYPERVISOR_FULL, ns.HYPERVISOR_NETWORK, "<archipel name='lab' action='nwfilterundefine'/>", ""),
    (
        *("get", HYPERVISOR_FULL, ns.HYPERVISOR_NETWORK),
        "<archipel uuid='default' action='leases'/>",
        "<lease mac='52:54:00:12:34:56' ip='192.0.2.17' prefix='24' hostname='web' expiry='0'/>",
    ),
    (
        *("set", HYPERVISOR_FULL, ns.HYPERVISOR_STORAGE),
        "<archipel pool='images' name='one' size='2048' unit='M' shrink='0' action='volumeresize'/>",
        "",
    ),
    ("set", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, "<archipel url='https://feeds.example.org/rss.xml' action='register'/>", ""),
    (
        *("set", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING),
        "<archipel action='get'/>",
        f"<source name='Course' url='https://feeds.example.org/rss.xml' uuid='{FEED}'><appliance {LAMP} size='7340' status='3'/></source>",
    ),
    ("set", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, f"<archipel uuid='{APPLIANCE}' action='downloadappliance'/>", ""),
    (
        *("get", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING),
        "<archipel action='downloadqueue'/>",
        f"<download uuid='{APPLIANCE}' name='lamp' percentage='42.4' total='7340'/>",
    ),
    ("set", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, f"<archipel uuid='{APPLIANCE}' action='stopdownload'/>", ""),
    ("get", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, "<archipel action='getinstalledappliances'/>", f"<appliance {LAMP}/>"),
    ("get", MACHINE_FULL, ns.VM_VMCASTING, "<archipel action='get'/>", f"<appliance {LAMP} status='none'/>"),
    ("set", MACHINE_FULL, ns.VM_VMCASTING, f"<archipel uuid='{APPLIANCE}' action='attach'/>", ""),
    ("set", MACHINE_FULL, ns.VM_VMCASTING, "<archipel action='detach'/>", ""),
    ("set", MACHINE_FULL, ns.VM_VMCASTING, "<archipel name='webserver' gzip='1' include_iso='1' action='package'/>", ""),
    ("set", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, f"<archipel uuid='{APPLIANCE}' action='deleteappliance'/>", ""),
    ("set", HYPERVISOR_FULL, ns.HYPERVISOR_VMCASTING, f"<archipel uuid='{FEED}' action='unregister'/>", ""),
)


@pytest.fixture
def scripted(archipel: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    Path("motd.txt").write_text(MOTD)
    Path("filter.xml").write_text(FILTER)
    Path("card.xml").write_text(CARD)
    script_machines(archipel.wire)
    for entity in (MACHINE, HYPERVISOR):
        script_events(archipel.wire, entity)
    for kind, to, namespace, request, content in SCRIPT:
        archipel.wire.answer(command(kind, to, namespace, request), query(namespace, content))
    return archipel


def _screen(text: str) -> str:
    return re.sub(r" +$", "", re.sub(r"(\S)  +", r"\1  ", text), flags=re.MULTILINE).strip()


def test_the_page_of_guests_and_appliances_is_true(scripted: CommandLine, root: Path) -> None:
    steps = read_steps(root / "docs" / "cli-guests.md")
    for step, following in itertools.pairwise([*steps, Step("", ())]):
        if step.command.startswith("archipel "):
            code = int(following.shown[0]) if following.command == "echo $?" else 0
            result = scripted.run(*shlex.split(step.command)[1:], code=code)
            assert _screen(result.output) == _screen("\n".join(step.shown)), f"$ {step.command}"
    asked = set(scripted.wire.asked)
    assert [request for kind, to, namespace, request, _ in SCRIPT if normal(command(kind, to, namespace, request)) not in asked] == []
    assert Path("copy.txt").read_text() == MOTD
