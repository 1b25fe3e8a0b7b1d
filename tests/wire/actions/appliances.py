# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appliances; what they do with a feed that is there is looked at in test_appliances.py."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

CASTS, APPLIANCE = "archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"
NOBODYS = "uuid='00000000-0000-4000-8000-000000000001'"
NO_UUID = tuple(Wrong("uuid", attributes) for attributes in ("", "uuid=''", "uuid='../../etc/passwd'", "uuid='1'"))
NO_URL = ("", "url=''", "url='file:///etc/passwd'", "url='ftp://a.example/'", "url='https://a.example/a b'", f"url='https://{'a' * 2000}'")
NOT_THERE = "item-not-found"

ROWS = (
    Action(HYPERVISOR, CASTS, "get", "vmcasting_get", -6001, answer=None),
    Action(
        HYPERVISOR,
        CASTS,
        "register",
        "vmcasting_register",
        -6002,
        "url='http://192.0.2.1/rss.xml'",
        refusal=(-6002, "not-acceptable"),
        malformed=tuple(Wrong("url", attributes) for attributes in NO_URL),
    ),
    *(
        Action(HYPERVISOR, CASTS, name, f"vmcasting_{name}", code, NOBODYS, refusal=(code, NOT_THERE), malformed=NO_UUID)
        for name, code in (("unregister", -6003), ("downloadappliance", -6004), ("getappliances", -6006), ("deleteappliance", -6007))
    ),
    Action(HYPERVISOR, CASTS, "stopdownload", "vmcasting_downloadappliance", -6004, NOBODYS, refusal=(-6004, NOT_THERE), malformed=NO_UUID),
    Action(HYPERVISOR, CASTS, "downloadqueue", "vmcasting_downloadqueue", -6005, answer=None),
    Action(HYPERVISOR, CASTS, "getinstalledappliances", "vmcasting_getinstalledappliances", -6008, answer=None),
    Action(MACHINE, APPLIANCE, "get", "appliance_get", -4002, answer=None),
    Action(MACHINE, APPLIANCE, "attach", "appliance_attach", -4001, NOBODYS, refusal=(-4001, NOT_THERE), malformed=NO_UUID),
    Action(MACHINE, APPLIANCE, "detach", "appliance_detach", -4003, refusal=(-4003, NOT_THERE)),
    Action(
        MACHINE,
        APPLIANCE,
        "package",
        "appliance_package",
        -4004,
        "name='made'",
        state="running",
        refusal=(-4004, "unexpected-request"),
        malformed=(
            *(Wrong("name", attributes) for attributes in ("", "name=''", "name='.hidden'", f"name='{'a' * 101}'", "name='a&#10;b'")),
            Wrong("gzip", "name='made' gzip='perhaps'"),
            Wrong("include_iso", "name='made' include_iso='perhaps'"),
        ),
    ),
)
