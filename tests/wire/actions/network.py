# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions about the host's networks and their filters. libvirt's test driver has neither leases nor filters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import libvirt

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

NETWORK = "archipel:hypervisor:network"
NAME = "row-net"
DEFINITION = f"<network><name>{NAME}</name><forward mode='nat'/><ip address='10.77.0.1' netmask='255.255.255.0'/></network>"
WITHOUT_NAME = (Wrong("uuid"), Wrong("uuid", "uuid=' '"))


def prepare(*, active: bool | None) -> Callable[[Any], None]:
    """Have the network of these rows run or not; None: there is none."""

    def work(connection: Any) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            connection.networkLookupByName(NAME).destroy()
        with contextlib.suppress(libvirt.libvirtError):
            connection.networkLookupByName(NAME).undefine()
        if active is not None:
            network = connection.networkDefineXML(DEFINITION)
            if active:
                network.create()

    return work


def names(domain: Any) -> list[str]:
    return [network.name() for network in domain.connect().listAllNetworks()]


def runs(domain: Any) -> bool:
    return bool(domain.connect().networkLookupByName(NAME).isActive())


ON_HYPERVISOR = (
    Action(
        HYPERVISOR,
        NETWORK,
        "define",
        "network_define",
        -7001,
        "autostart='1'",
        DEFINITION,
        effect=lambda domain: domain.connect().networkLookupByName(NAME).autostart() == 1,
        prepare=prepare(active=None),
        malformed=(
            Wrong("autostart", "autostart='maybe'", DEFINITION),
            Wrong("network"),
            Wrong("network", inner="<domain/>"),
            Wrong("network", inner="<network/>", mentions="network/name"),
            Wrong("network", inner=DEFINITION.replace("'nat'", "'wormhole'"), mentions="forward/@mode"),
            Wrong("network", inner=DEFINITION.replace("10.77.0.1", "10.77.0.300"), mentions="ip/@address"),
            Wrong("network", inner=DEFINITION.replace("row-net", "row/net"), mentions="network/name"),
        ),
    ),
    Action(
        HYPERVISOR,
        NETWORK,
        "undefine",
        "network_undefine",
        -7002,
        f"uuid='{NAME}'",
        prepare=prepare(active=False),
        effect=lambda domain: NAME not in names(domain),
        malformed=WITHOUT_NAME,
    ),
    Action(
        HYPERVISOR,
        NETWORK,
        "create",
        "network_create",
        -7003,
        f"uuid='{NAME}'",
        prepare=prepare(active=False),
        effect=runs,
        malformed=WITHOUT_NAME,
    ),
    Action(
        HYPERVISOR,
        NETWORK,
        "destroy",
        "network_destroy",
        -7004,
        f"uuid='{NAME}'",
        prepare=prepare(active=True),
        effect=lambda domain: not runs(domain),
        malformed=WITHOUT_NAME,
    ),
    Action(HYPERVISOR, NETWORK, "get", "network_get", -7005, answer=None),
    Action(
        HYPERVISOR,
        NETWORK,
        "describe",
        "network_get",
        -7014,
        f"uuid='{NAME}'",
        prepare=prepare(active=True),
        answer=None,
        malformed=WITHOUT_NAME,
    ),
    Action(
        HYPERVISOR,
        NETWORK,
        "update",
        "network_define",
        -7015,
        "autostart='1'",
        DEFINITION.replace("</network>", "<portgroup name='class'/></network>"),
        prepare=prepare(active=True),
        effect=lambda domain: "name='class'" in domain.connect().networkLookupByName(NAME).XMLDesc(),
        malformed=(
            Wrong("autostart", "autostart='maybe'", DEFINITION),
            Wrong("network"),
            Wrong("network", inner=DEFINITION.replace("10.77.0.1", "10.77.0.300"), mentions="ip/@address"),
        ),
    ),
    Action(HYPERVISOR, NETWORK, "leases", "network_leases", -7010, "uuid='default'", unsupported=True, malformed=WITHOUT_NAME),
    Action(
        HYPERVISOR,
        NETWORK,
        "nwfilterget",
        "network_getnwfilters",
        -7011,
        "name='clean-traffic'",
        unsupported=True,
        malformed=(Wrong("name"), Wrong("name", "name=''")),
    ),
    Action(
        HYPERVISOR,
        NETWORK,
        "nwfilterdefine",
        "network_nwfilter_define",
        -7012,
        inner="<filter name='no-mail'/>",
        unsupported=True,
        malformed=(Wrong("filter"), Wrong("filter", inner="<filter/>")),
    ),
    Action(
        HYPERVISOR,
        NETWORK,
        "nwfilterundefine",
        "network_nwfilter_define",
        -7013,
        "name='no-mail'",
        unsupported=True,
        malformed=(Wrong("name"), Wrong("name", "name=''")),
    ),
)


def on(kind: str) -> tuple[Action, ...]:
    """What hypervisors and machines tell alike."""
    return (
        Action(kind, NETWORK, "getnames", "network_getnames", -7007, answer=None),
        Action(kind, NETWORK, "bridges", "network_bridges", -7006, answer=None),
        Action(kind, NETWORK, "getnics", "network_getnics", -7008, answer=None),
        Action(kind, NETWORK, "getnwfilters", "network_getnwfilters", -7009),
    )


ROWS = (*ON_HYPERVISOR, *on(HYPERVISOR), *on(MACHINE))
