# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:hypervisor:network on the wire: what the actions answer and do (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import secrets
import socket
import uuid as uuids
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import libvirt
import pytest

from tests.wire.matching import LIBVIRT, assert_error, assert_payload, child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

NETWORK = "archipel:hypervisor:network"
DNSMASQ = "http://libvirt.org/schemas/network/dnsmasq/1.0"


class Net:
    """A network of one test, as its definition says it."""

    def __init__(self) -> None:
        self.name, self.uuid = f"net-{secrets.token_hex(4)}", str(uuids.uuid4())

    def xml(self, more: str = "", *, uuid: bool = True) -> str:
        identity = f"<uuid>{self.uuid}</uuid>" if uuid else ""
        return f"<network><name>{self.name}</name>{identity}{more}</network>"


@pytest.fixture
def net(platform: Platform) -> Iterator[Net]:
    net = Net()
    yield net
    with platform.libvirt() as connection:
        for found in connection.listAllNetworks():
            if found.name() == net.name:
                if found.isActive():
                    found.destroy()
                found.undefine()


def states(platform: Platform) -> dict[str, tuple[str, bool, bool]]:
    """UUID, running and autostart of each network, by its name."""
    with platform.libvirt() as connection:
        return {
            found.name(): (found.UUIDString(), bool(found.isActive()), bool(found.autostart())) for found in connection.listAllNetworks()
        }


async def ask(person: Person, platform: Platform, action: str, attributes: str = "", inner: str = "", kind: str = "set") -> ET.Element:
    return await person.command(platform.host, NETWORK, f"<archipel action='{action}' {attributes}>{inner}</archipel>", kind)


@pytest.mark.usefixtures("usual_news")
async def test_a_life_of_a_network_is_done_pushed_and_shouted(platform: Platform, admin: Person, net: Net):
    since = len(admin.received)
    assert_payload(await ask(admin, platform, "define", "autostart='1'", net.xml()), NETWORK, "")
    assert states(platform)[net.name] == (net.uuid, False, True)
    await admin.expect_push(platform.hypervisor, "network", "defined", since)
    for action, reference, active in (("create", net.name, True), ("destroy", net.uuid, False)):
        assert_payload(await ask(admin, platform, action, f"uuid='{reference}'"), NETWORK, "")
        assert states(platform)[net.name] == (net.uuid, active, True)
        await admin.expect_push(platform.hypervisor, "network", {"create": "created", "destroy": "destroyed"}[action], since)
    [started, stopped] = await admin.until(lambda: admin.heard(platform.hypervisor, since, "headline")[:2], "two shouts")
    assert net.name in show(started)
    assert net.uuid in show(stopped)
    assert_payload(await ask(admin, platform, "undefine", f"uuid='{net.name}'"), NETWORK, "")
    assert net.name not in states(platform)
    await admin.expect_push(platform.hypervisor, "network", "undefined", since)


async def test_what_virsh_does_is_pushed(platform: Platform, admin: Person, net: Net):
    since = len(admin.received)
    with platform.libvirt() as connection:
        connection.networkDefineXML(net.xml()).create()
    await admin.expect_push(platform.hypervisor, "network", "defined", since)
    await admin.expect_push(platform.hypervisor, "network", "created", since)


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_networks_stand_in_their_groups_with_their_autostart(platform: Platform, admin: Person, net: Net, kind: str):
    assert_payload(await ask(admin, platform, "define", "autostart='1'", net.xml()), NETWORK, "")
    query = child(await ask(admin, platform, "get", kind=kind), "query")
    assert [name_of(group) for group in query] == ["activedNetworks", "unactivedNetworks"]
    found = [{child(network, "name").text: network.get("autostart") for network in group} for group in query]
    assert found[0]["default"] == "0"
    assert found[1][net.name] == "1"
    assert {name_of(network) for group in query for network in group} == {"network"}


async def test_only_networks_that_run_have_their_names_told(platform: Platform, admin: Person, net: Net):
    await ask(admin, platform, "define", "autostart='0'", net.xml())
    query = child(await ask(admin, platform, "getnames"), "query")
    names = [found.get("name") for found in query]
    assert "default" in names
    assert net.name not in names
    assert names == sorted(name or "" for name in names)


async def test_a_machine_tells_what_its_hypervisor_tells(platform: Platform, admin: Person, machine: Machine):
    for action in ("getnames", "bridges", "getnics", "getnwfilters"):
        answers = [await admin.command(to, NETWORK, f"<archipel action='{action}'/>") for to in (platform.host, machine.full)]
        told = [[found.attrib for found in child(answer, "query")] for answer in answers]
        assert told[0] == told[1]
    nics = child(await ask(admin, platform, "getnics"), "query")
    assert [found.get("name") for found in nics] == sorted(name for _index, name in socket.if_nameindex())


# -- saving, as founding clients do it ----------------------------------------------------------------------------------


async def test_a_network_that_is_saved_badly_is_as_it_was(platform: Platform, admin: Person, net: Net):
    assert_payload(await ask(admin, platform, "define", "autostart='1'", net.xml()), NETWORK, "")
    before = states(platform)[net.name]
    await ask(admin, platform, "undefine", f"uuid='{net.uuid}'")
    assert net.name not in states(platform)
    answer = await ask(admin, platform, "define", "autostart='0'", net.xml("<ip address='10.0.0.1' netmask='255.255.255.300'/>"))
    assert_error(answer, code=-7001, condition="bad-request", mentions="ip/@netmask", action="define")
    assert f"the network {net.name} is defined as it was before" in show(answer)
    assert states(platform)[net.name] == before


async def test_what_libvirt_refuses_is_not_lost_either(platform: Platform, admin: Person, net: Net):
    await ask(admin, platform, "define", "autostart='1'", net.xml())
    await ask(admin, platform, "undefine", f"uuid='{net.name}'")
    with platform.libvirt() as connection:
        taken = connection.networkLookupByName("default").UUIDString()
    answer = await ask(admin, platform, "define", "", net.xml(f"<uuid>{taken}</uuid>", uuid=False))
    assert_error(
        answer, code=libvirt.VIR_ERR_OPERATION_FAILED, condition="internal-server-error", namespace=LIBVIRT, mentions="as it was before"
    )
    assert states(platform)[net.name] == (net.uuid, False, True)


async def test_a_network_that_is_saved_well_keeps_identity_and_autostart(platform: Platform, admin: Person, net: Net):
    await ask(admin, platform, "define", "autostart='1'", net.xml())
    await ask(admin, platform, "undefine", f"uuid='{net.name}'")
    assert_payload(await ask(admin, platform, "define", "", net.xml("<mtu size='1400'/>", uuid=False)), NETWORK, "")
    assert states(platform)[net.name] == (net.uuid, False, True)


async def test_somebody_else_gets_nothing_back(platform: Platform, admin: Person, student: Person, net: Net):
    await platform.grant(admin, platform.host, student, "network_define")
    await ask(admin, platform, "define", "", net.xml())
    await ask(admin, platform, "undefine", f"uuid='{net.name}'")
    answer = await ask(student, platform, "define", "", net.xml("<ip address='10'/>"))
    assert_error(answer, code=-7001, condition="bad-request", mentions="ip/@address")
    assert net.name not in states(platform)


async def test_the_definition_in_place_survives_a_bad_one(platform: Platform, admin: Person, net: Net):
    await ask(admin, platform, "define", "autostart='1'", net.xml())
    await ask(admin, platform, "create", f"uuid='{net.name}'")
    await ask(admin, platform, "define", "autostart='1'", net.xml("<ip address='10'/>"))
    assert states(platform)[net.name] == (net.uuid, True, True)


# -- the policy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more, place",
    [
        (f"<d:options xmlns:d='{DNSMASQ}'><d:option value='dhcp-script=/x'/></d:options>", "another XML namespace"),
        ("<ip address='10.1.0.1' prefix='24'><tftp root='/etc'/></ip>", "ip[1]/tftp"),
        ("<route address='1.1.1.0' prefix='24' gateway='10.1.0.2'/>", "network/route"),
        ("<ip address='8.8.8.8' prefix='24'/>", "ip[1]/@address"),
    ],
)
async def test_what_reaches_the_host_takes_the_right_to_pass_the_policy(
    platform: Platform, admin: Person, student: Person, net: Net, more: str, place: str
):
    await platform.grant(admin, platform.host, student, "network_define")
    answer = await ask(student, platform, "define", "", net.xml(more))
    assert_error(answer, code=-1, condition="forbidden", mentions=place, namespace="archipel:error:permission")
    assert child(answer, "error")[2].get("right") == "domain_policy_bypass"
    assert net.name not in states(platform)


@pytest.mark.parametrize("mode", ["hostdev", "passthrough", "private", "vepa"])
async def test_the_hosts_devices_take_it_too(platform: Platform, admin: Person, student: Person, net: Net, mode: str):
    await platform.grant(admin, platform.host, student, "network_define")
    inner = "<address type='pci' domain='0' bus='4' slot='0' function='1'/>" if mode == "hostdev" else "<interface dev='eth0'/>"
    xml = net.xml(f"<forward mode='{mode}'>{inner}</forward>")
    answer = await ask(student, platform, "define", "", xml)
    assert_error(answer, code=-1, condition="forbidden", mentions="forward/@mode", namespace="archipel:error:permission")
    assert_payload(await ask(admin, platform, "define", "", xml), NETWORK, "")


async def test_groups_of_ports_of_an_open_vswitch_are_kept(platform: Platform, admin: Person, net: Net):
    group = "<portgroup name='lab' default='yes'><vlan trunk='yes'><tag id='7'/><tag id='8'/></vlan></portgroup>"
    switch = "<forward mode='bridge'/><bridge name='ovsbr0'/><virtualport type='openvswitch'/>"
    assert_payload(await ask(admin, platform, "define", "", net.xml(switch + group)), NETWORK, "")
    [found] = [one for one in child(await ask(admin, platform, "get"), "query").iter() if name_of(one) == "portgroup"]
    assert (found.get("name"), found.get("default")) == ("lab", "yes")
    assert [(tag.get("id")) for tag in found.iter() if name_of(tag) == "tag"] == ["7", "8"]


# -- in a conversation --------------------------------------------------------------------------------------------------


async def test_networks_are_started_and_stopped_in_a_chat(platform: Platform, admin: Person, net: Net):
    await ask(admin, platform, "define", "", net.xml())
    assert f"{net.name}: does not run" in await admin.say(platform.host, "list networks")
    assert await admin.say(platform.host, f"start network {net.name}") == "The network is started."
    assert f"{net.name}: runs" in await admin.say(platform.host, "list networks")
    assert "cut off" in await admin.say(platform.host, f"destroy network {net.name}")
    assert await admin.say(platform.host, "yes") == "The network is stopped."
    assert "lo" in (await admin.say(platform.host, "network cards")).split()
    assert await admin.say(platform.host, "start network") == "Which network (name or UUID)? (Or say cancel.)"
    assert await admin.say(platform.host, "cancel") == "All right, I forget it."


async def test_leases_of_a_driver_without_them_are_an_error(platform: Platform, admin: Person):
    answer = await ask(admin, platform, "leases", "uuid='default'")
    assert_error(answer, code=libvirt.VIR_ERR_NO_SUPPORT, condition="internal-server-error", namespace=LIBVIRT, mentions="not supported")


async def test_a_network_that_is_not_there_is_libvirts_error(platform: Platform, admin: Person):
    for action in ("create", "destroy", "undefine", "leases"):
        answer = await ask(admin, platform, action, "uuid='no-such-network'")
        assert_error(answer, code=libvirt.VIR_ERR_NO_NETWORK, condition="internal-server-error", namespace=LIBVIRT)
