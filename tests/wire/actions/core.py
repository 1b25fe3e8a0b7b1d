# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of every agent: rights, subscriptions, tags, roster, machines and their control and definition."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, NEVER, OFF, PAUSED, RUNNING, Action, Wrong, grant, no_account, values
from tests.wire.platform import CONTROL, DEFINITION, HOST, PERMISSIONS, ROSTER, SUBSCRIPTION, TAGS

ORGANISATION = ("orgname", "orgunit", "locality", "userid", "categories")
CARD = (
    "<devices><interface type='network'><mac address='52:54:00:0a:0b:0c'/><source network='default'/><target dev='tap7'/></interface>"
    "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/nowhere/disk.qcow2'/><target dev='vda'/></disk>"
    "<graphics type='vnc' port='5999' autoport='no' listen='127.0.0.1'/></devices>"
)
COUNTERS = " ".join(f"{way}_{what}='*'" for way in ("rx", "tx") for what in ("bytes", "packets", "errs", "drop"))
FIGURES = ("model", "memory", "nrCPU", "mHzCPU", "nrNumaNodes", "nrSockets", "nrCoreperSocket", "nrThreadperCore")
NODE = " ".join(f"{name}='*'" for name in FIGURES)
INTERFACE = "<interface type='network'><mac address='52:54:00:00:00:aa'/><source network='default'/></interface>"

BAD_GRANTS = tuple(
    Wrong(mentions, inner=grant("{person}", "message") + element)
    for mentions, element in (
        ("permission_target", "<permission permission_type='user' permission_name='message' permission_value='1'/>"),
        ("permission_target", grant("", "message")),
        ("permission_name", "<permission permission_type='user' permission_target='{person}' permission_value='1'/>"),
        ("permission_type", grant("{person}", "message", kind="role")),
    )
)
NOT_A_JID = tuple(
    Wrong("permission_target", inner=grant("{person}", "message") + grant(name, "message")) for name in ("not a jid", "agents.localhost")
)
UNKNOWN_RIGHT = Wrong("permission_name", inner=grant("{person}", "presence") + grant("{person}", "mesage"), mentions="'mesage'")


def every_entity(kind: str) -> tuple[Action, ...]:
    """What hypervisors and machines take alike."""
    target = "permission_type='user' permission_target='{person}'"
    return (
        Action(kind, PERMISSIONS, "list", "permission_list", -6, answer=None),
        # permission_get is everybody's by default, once he is known
        Action(kind, PERMISSIONS, "get", None, -4, target, answer=grant_name("message"), malformed=no_account("permission_target")),
        Action(kind, PERMISSIONS, "getown", None, -4, target, answer=grant_name("message"), malformed=no_account("permission_target")),
        Action(
            kind,
            PERMISSIONS,
            "set",
            "permission_set",
            -5,
            inner=grant("nobody@agents.localhost", "permission_set"),
            malformed=(*BAD_GRANTS, *NOT_A_JID, UNKNOWN_RIGHT),
        ),
        Action(
            kind,
            PERMISSIONS,
            "setown",
            "permission_setown",
            -5,
            inner=grant("{person}", "message", "0"),
            malformed=(*BAD_GRANTS, *NOT_A_JID),
        ),
        Action(kind, SUBSCRIPTION, "add", "subscription_add", -8, "jid='{person}'", malformed=no_account("jid")),
        Action(kind, SUBSCRIPTION, "remove", "subscription_remove", -9, "jid='{person}'", malformed=no_account("jid")),
        Action(
            kind,
            TAGS,
            "settags",
            "settags",
            -7,
            "tags='web;;lab'",
            malformed=(Wrong("tags"), *(Wrong("tags", f"tags='{tags}'") for tags in ("x" * 101, ";;".join(map(str, range(51)))))),
        ),
        Action(kind, ROSTER, "getroster", "getroster", -450001, answer=None),
    )


def grant_name(name: str) -> str:
    return f"<permission name='{name}'/>"


def device(action: str) -> Action:
    """A change of a device. libvirt's test driver plugs nothing in or out; that it works is shown with real guests."""
    wrong = ("", "<device/>", f"<device>{INTERFACE}{INTERFACE}</device>", INTERFACE)
    return Action(
        MACHINE,
        DEFINITION,
        action,
        "define",
        -1007,
        inner=f"<device>{INTERFACE}</device>",
        unsupported=True,
        malformed=(*(Wrong("device", inner=inner) for inner in wrong), Wrong("live", "live='x'", f"<device>{INTERFACE}</device>")),
    )


ON_MACHINE = (
    Action(
        MACHINE,
        CONTROL,
        "info",
        "info",
        -1009,
        state="running",
        answer="<info state='1' maxMem='65536' memory='65536' nrVirtCpu='2' cpuPrct='*' hypervisor='{host}' autostart='0' sequence='*' epoch='*'/>",
    ),
    Action(MACHINE, CONTROL, "create", "create", -1001, answer="<domain id='*'/>", effect=RUNNING),
    Action(MACHINE, CONTROL, "shutdown", "shutdown", -1005, state="running", effect=OFF),
    Action(MACHINE, CONTROL, "destroy", "destroy", -1004, state="running", effect=OFF),
    Action(MACHINE, CONTROL, "reboot", "reboot", -1006, state="running", effect=RUNNING),
    Action(MACHINE, CONTROL, "suspend", "suspend", -1002, state="running", effect=PAUSED),
    Action(MACHINE, CONTROL, "resume", "resume", -1003, state="paused", effect=RUNNING),
    Action(MACHINE, CONTROL, "xmldesc", "xmldesc", -1011, answer=None, malformed=(Wrong("inactive", "inactive='maybe'"),)),
    Action(
        MACHINE,
        CONTROL,
        "autostart",
        "autostart",
        -1015,
        "value='1'",
        effect=lambda domain: domain.autostart() == 1,
        malformed=values("maybe", "2"),
    ),
    Action(
        MACHINE,
        CONTROL,
        "memory",
        "memory",
        -1016,
        "value='32768'",
        state="running",
        effect=lambda domain: domain.info()[2] == 32768,
        malformed=values("9", "-65536", "lots", "1e4", "\u20ac", "", "9" * 400),
    ),
    Action(
        MACHINE,
        CONTROL,
        "setvcpus",
        "setvcpus",
        -1016,
        "value='1'",
        state="running",
        effect=lambda domain: domain.vcpusFlags() == 1,
        malformed=values("0", "two", "1.5", "\u0661"),
    ),
    Action(MACHINE, CONTROL, "networkinfo", "networkinfo", -1017, state="running", answer=f"<network name='*' {COUNTERS}/>"),
    Action(
        MACHINE,
        CONTROL,
        "addresses",
        "networkinfo",
        -1017,
        state="running",
        answer="<address interface='tap7' mac='52:54:00:0a:0b:0c' address='*' prefix='24' source='lease'/>",
    ),
    Action(MACHINE, CONTROL, "free", "free", -1020, malformed=(Wrong("keep", "keep='everything'"),)),
    Action(
        MACHINE,
        DEFINITION,
        "define",
        "define",
        -1007,
        inner="{definition}",
        effect=lambda domain: domain.maxMemory() == 32768,
        malformed=(
            Wrong("domain"),
            Wrong("domain", inner="<machine/>"),
            *(
                Wrong("domain", inner=f"<domain type='test'>{uuid}</domain>", mentions="uuid")
                for uuid in ("", "<uuid>1234</uuid>", "<uuid>6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69</uuid>")
            ),
        ),
    ),
    Action(MACHINE, DEFINITION, "undefine", "undefine", -1008),
    Action(MACHINE, DEFINITION, "capabilities", "capabilities", -1019, answer=None),
    *map(device, ("attachdevice", "detachdevice", "updatedevice")),
)

NO_MACHINE = (Wrong("jid", inner="<item/>"), Wrong("jid", inner="<item jid=''/>"))
LONG = "x" * 1001
ON_HYPERVISOR = (
    Action(HYPERVISOR, HOST, "rostervm", "rostervm", -9003, answer=None),
    Action(HYPERVISOR, HOST, "ip", "ip", -9005, answer="<ip>*</ip>"),
    Action(HYPERVISOR, HOST, "capabilities", "capabilities", -9009, answer=None),
    Action(HYPERVISOR, HOST, "nodeinfo", "nodeinfo", -9014, answer=f"<nodeinfo {NODE}/>"),
    Action(
        HYPERVISOR,
        HOST,
        "alloc",
        "alloc",
        -9001,
        " ".join(f"{name}=''" for name in ORGANISATION),
        answer="<virtualmachine jid='*'/>",
        malformed=(
            Wrong("uuid", f"name='{NEVER}' uuid='12'", mentions="UUID"),
            Wrong("name", "name='never/made'", mentions="slash"),
            *(Wrong(name, f"name='{NEVER}' {name}='{LONG}'") for name in ORGANISATION),
            Wrong("domain", f"name='{NEVER}'", f"<domain>{'<a>' * 200}{'</a>' * 200}</domain>"),
        ),
    ),
    Action(
        HYPERVISOR,
        HOST,
        "free",
        "free",
        -9002,
        "jid='{jid}'",
        answer="<virtualmachine jid='{jid}'/>",
        malformed=(Wrong("jid"), Wrong("jid", "jid=' '"), Wrong("keep", "jid='{jid}' keep='all'")),
    ),
    Action(HYPERVISOR, HOST, "manage", "manage", -9010, inner="<item jid='{other}'/>", malformed=NO_MACHINE),
    Action(HYPERVISOR, HOST, "unmanage", "unmanage", -9011, inner="<item jid='{jid}'/>", malformed=NO_MACHINE),
    Action(
        HYPERVISOR,
        HOST,
        "setorginfo",
        "setorginfo",
        -9013,
        "target='{uuid}'",
        "<ORGNAME>IUT</ORGNAME>",
        answer="<virtualmachine jid='{full}'/>",
        malformed=(
            Wrong("target"),
            Wrong("target", "target=''"),
            *(Wrong(name, "target='{uuid}'", f"<{name}>{LONG}</{name}>") for name in map(str.upper, ORGANISATION)),
            Wrong("FN", "target='{uuid}'", "<FN>never/made</FN>", mentions="slash"),
        ),
    ),
)

ROWS = (*ON_HYPERVISOR, *every_entity(HYPERVISOR), *ON_MACHINE, *every_entity(MACHINE))
