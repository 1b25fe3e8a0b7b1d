# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights whose holders need more than a real server to be seen at work: who holds one may, who lacks it is told which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archipel.agent import download as download_module
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.rights import EntityKind
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import ADMIN, HYP, STUDENT, VM, domain_xml
from tests.unit.agent.feed_house import FEED_UUID, ITEM_UUID, FeedHouse, open_feed_house, pack

CASTS, APPLIANCE, PARKING = ns.HYPERVISOR_VMCASTING, ns.VM_VMCASTING, ns.HYPERVISOR_PARKING
NEW = "0b1c2d3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
DISK = "<disk type='file'><driver name='qemu' type='raw'/><source file='/old/disk.raw'/><target dev='vda'/></disk>"
PACKAGE = pack({"description.xml": domain_xml("old", NEW, DISK).encode(), "disk.raw": b"x"})


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """A folder on a disk: images are read from no other."""
    return tmp_path


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedHouse]:
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    with open_feed_house() as house:
        house.offer(PACKAGE)
        yield house


@dataclass(frozen=True)
class Order:
    """What a right lets somebody ask of a machine or, unless told otherwise, of the hypervisor; what is done before by others."""

    right: str
    namespace: str
    request: str
    before: tuple[str, ...] = ()
    of_machine: bool = False

    def __str__(self) -> str:
        return self.right


def casts(action: str, *before: str) -> Order:
    """An order about feeds and their appliances."""
    return Order(f"vmcasting_{action}", CASTS, ORDERS[action], before)


ORDERS = {
    "register": "<archipel action='register' url='{url}'/>",
    "unregister": f"<archipel action='unregister' uuid='{FEED_UUID}'/>",
    **{action: f"<archipel action='{action}' uuid='{ITEM_UUID}'/>" for action in ("downloadappliance", "getappliances", "deleteappliance")},
}
ATTACH, DETACH = f"<archipel action='attach' uuid='{ITEM_UUID}'/>", "<archipel action='detach'/>"
DOWNLOADED = ("register", "downloadappliance")


@pytest.mark.parametrize(
    "order",
    [
        casts("register"),
        casts("unregister", "register"),
        casts("downloadappliance", "register"),
        casts("getappliances", "register"),
        casts("deleteappliance", *DOWNLOADED),
        Order("appliance_attach", APPLIANCE, ATTACH, DOWNLOADED, of_machine=True),
        Order("appliance_detach", APPLIANCE, DETACH, (*DOWNLOADED, "attach"), of_machine=True),
        Order("appliance_package", APPLIANCE, "<archipel action='package' name='made'/>", of_machine=True),
        Order(
            "vmparking_create_parked",
            PARKING,
            f"<archipel action='create_parked'><item uuid='{NEW}'>{domain_xml('new', NEW)}</item></archipel>",
        ),
    ],
    ids=str,
)
async def test_who_holds_it_may_and_who_lacks_it_is_told(
    online: Hypervisor, machine: VirtualMachine, house: FeedHouse, order: Order
) -> None:
    entity, place = (machine, VM) if order.of_machine else (online, HYP)
    for action in order.before:
        if action == "attach":
            await ask(machine, APPLIANCE, ATTACH, ADMIN)
        else:
            await ask(online, CASTS, ORDERS[action].format(url=house.url), ADMIN)
    others = {token.name for token in entity.services.rights.catalogue.tokens(entity.kind)} - {order.right, "all"}
    await entity.services.rights.grant(place, STUDENT.bare, *others, granted_by=HYP)
    with pytest.raises(PermissionDenied, match=f"'{order.right}'"):
        await ask(entity, order.namespace, order.request.format(url=house.url), STUDENT)
    await entity.services.rights.revoke(place, STUDENT.bare, *others)
    await entity.services.rights.grant(place, STUDENT.bare, order.right, granted_by=HYP)
    await ask(entity, order.namespace, order.request.format(url=house.url), STUDENT)


GUARDS_NOTHING = [
    (EntityKind.VIRTUAL_MACHINE, "drives_create_golden"),
    (EntityKind.VIRTUAL_MACHINE, "nodeinfo"),
    *((EntityKind.HYPERVISOR, f"nuagenetwork_{name}") for name in ("create", "delete", "update")),
    *((kind, f"nuagenetwork_{name}") for kind in EntityKind for name in ("get", "getnames")),
]


@pytest.mark.parametrize("kind, right", GUARDS_NOTHING)
async def test_what_guards_nothing_is_granted_as_founding_clients_ask(
    hypervisor: Hypervisor, machine: VirtualMachine, kind: EntityKind, right: str
) -> None:
    """They send whole sets, and are refused none of them."""
    entity = hypervisor if kind is EntityKind.HYPERVISOR else machine
    grant = f"<permission permission_type='user' permission_target='{STUDENT.bare}' permission_name='{right}' permission_value='1'/>"
    await ask(entity, ns.PERMISSIONS, f"<archipel action='set'>{grant}</archipel>", ADMIN)
    assert entity.services.rights.tokens_of(entity.bare, STUDENT.bare) == (right,)
    assert not any(right in {found.right, found.in_chat.right} for found in entity.services.registry.commands(kind))
