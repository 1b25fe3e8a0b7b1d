# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:hypervisor:storage on the wire (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import secrets
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.documentation import read_steps
from tests.wire.actions.storage_pools import STORAGE, pool
from tests.wire.matching import PERMISSION, assert_error, assert_payload, child, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]


async def ask(platform: Platform, person: Person, action: str, attributes: str = "", inner: str = "") -> ET.Element:
    return await person.command(platform.host, STORAGE, f"<archipel action='{action}' {attributes}>{inner}</archipel>")


async def do(platform: Platform, person: Person, action: str, attributes: str = "", inner: str = "") -> None:
    assert_payload(await ask(platform, person, action, attributes, inner), STORAGE, "")


async def start_pool(platform: Platform, admin: Person) -> str:
    """Define and start a pool; its name."""
    name = f"pool-{secrets.token_hex(4)}"
    await do(platform, admin, "pooldefine", inner=pool(name))
    await do(platform, admin, "poolcreate", f"name='{name}'")
    return name


async def listed(platform: Platform, person: Person, name: str) -> dict[str, str] | None:
    answer = await ask(platform, person, "pools")
    assert answer.get("type") == "result", show(answer)
    return next((dict(one.attrib) for one in child(answer, "query") if one.get("name") == name), None)


async def test_a_pool_lives_from_its_definition_to_its_end_as_it_is_told(platform: Platform, admin: Person):
    name = f"pool-{secrets.token_hex(4)}"
    before = len(admin.received)
    await do(platform, admin, "pooldefine", "autostart='1'", pool(name))
    told = await listed(platform, admin, name)
    assert told is not None
    assert (told["type"], told["active"], told["autostart"], told["path"], told["capacity"]) == ("dir", "0", "1", f"/srv/{name}", "0")
    await do(platform, admin, "poolcreate", f"name='{name}' build='1'")
    told = await listed(platform, admin, name)
    assert told is not None
    assert told["active"] == "1"
    assert int(told["capacity"]) > 0
    await do(platform, admin, "volumecreate", f"pool='{name}' name='data.qcow2' size='4' unit='M' format='qcow2'")
    volumes = child(await ask(platform, admin, "volumes", f"pool='{name}'"), "query")
    assert [(one.get("name"), one.get("capacity")) for one in volumes] == [("data.qcow2", "4194304")]
    for action, attributes in (
        ("poolrefresh", f"name='{name}'"),
        ("volumedelete", f"pool='{name}' name='data.qcow2'"),
        ("pooldestroy", f"name='{name}'"),
        ("poolundefine", f"name='{name}'"),
    ):
        await do(platform, admin, action, attributes)
    assert await listed(platform, admin, name) is None
    await admin.expect_push(platform.hypervisor, "storage", "poolundefined", before)
    changes = [push.change for push in admin.pushes(platform.hypervisor, before) if push.what[0] == "storage"]
    pools = ["pooldefined", "poolcreated", "volumecreated", "poolrefreshed", "volumedeleted", "pooldestroyed", "poolundefined"]
    assert changes == pools


SOURCES = {
    "fs": "<source><device path='/dev/sdz1'/></source>",
    "netfs": "<source><host name='files.example'/><dir path='/exports/lab'/><format type='nfs'/></source>",
    "logical": "<source><name>vg0</name></source>",
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_a_pool_of_each_type_is_defined_and_keeps_its_source(platform: Platform, admin: Person, kind: str):
    """libvirt's test driver keeps such pools and mounts nothing."""
    name = f"pool-{secrets.token_hex(4)}"
    inner = f"<pool type='{kind}'><name>{name}</name>{SOURCES[kind]}<target><path>/srv/{name}</path></target></pool>"
    await do(platform, admin, "pooldefine", inner=inner)
    await do(platform, admin, "poolcreate", f"name='{name}'")
    told = await listed(platform, admin, name)
    assert told is not None
    assert (told["type"], told["active"]) == (kind, "1")
    with platform.libvirt() as connection:
        kept = ET.fromstring(connection.storagePoolLookupByName(name).XMLDesc()).find("source")
    wanted = ET.fromstring(SOURCES[kind])
    assert kept is not None
    for part in wanted:
        found = kept.find(part.tag)
        assert found is not None
        assert (dict(found.attrib), found.text) == (dict(part.attrib), part.text)
    await do(platform, admin, "pooldestroy", f"name='{name}'")
    await do(platform, admin, "poolundefine", f"name='{name}'")


async def test_who_lacks_the_host_defines_pools_in_the_folders_for_that_only(platform: Platform, admin: Person, student: Person):
    await platform.grant(admin, platform.host, student, "all")
    name = f"pool-{secrets.token_hex(4)}"
    for inner in (pool(name), pool(name, kind="netfs"), pool(name, "/etc/x")):
        answer = await ask(platform, student, "pooldefine", inner=inner)
        assert_error(answer, code=-1, condition="forbidden", mentions="pool: ", namespace=PERMISSION, action="pooldefine")
    inside = f"{platform.agent.folder}/vm/pools/{name}"
    await do(platform, student, "pooldefine", inner=pool(name, inside))
    again = await ask(platform, student, "pooldefine", inner=pool(name, f"{inside}-b"))
    assert_error(again, code=-3102, condition="conflict", mentions="already", action="pooldefine")
    await do(platform, admin, "poolundefine", f"name='{name}'")


async def test_no_pool_lies_where_machines_drives_are(platform: Platform, admin: Person, machine: Machine):
    for path in (platform.agent.machines / machine.uuid, platform.agent.machines.parent):
        answer = await ask(platform, admin, "pooldefine", inner=pool("thief", str(path)))
        assert_error(answer, code=-3102, condition="bad-request", mentions="lie in one another", action="pooldefine")


async def volumes_of(platform: Platform, person: Person, name: str) -> dict[str, dict[str, str]]:
    listed = child(await ask(platform, person, "volumes", f"pool='{name}'"), "query")
    return {one.get("name", ""): dict(one.attrib) for one in listed}


@pytest.mark.parametrize("by_path", [True, False])
async def test_a_volume_stands_on_another_one_and_is_as_large(platform: Platform, admin: Person, by_path: bool):
    name = await start_pool(platform, admin)
    base = f"/srv/{name}/base.img" if by_path else "base.img"
    await do(platform, admin, "volumecreate", f"pool='{name}' name='base.img' size='4' unit='M'")
    await do(platform, admin, "volumecreate", f"pool='{name}' name='over' unit='M' backing='{base}' backingformat='raw'")
    told = (await volumes_of(platform, admin, name))["over"]
    assert (told["format"], told["capacity"]) == ("qcow2", "4194304")
    assert (told["backing"], told["backingformat"]) == (f"/srv/{name}/base.img", "raw")
    smaller = await ask(
        platform, admin, "volumecreate", f"pool='{name}' name='less' size='3' unit='M' backing='{base}' backingformat='raw'"
    )
    assert_error(smaller, code=-3108, condition="bad-request", mentions="size: ", action="volumecreate")
    assert "less" not in await volumes_of(platform, admin, name)
    kept = await ask(platform, admin, "volumedelete", f"pool='{name}' name='base.img'")
    assert_error(kept, code=-3109, condition="conflict", mentions="in use: over", action="volumedelete")
    for volume in ("over", "base.img"):
        await do(platform, admin, "volumedelete", f"pool='{name}' name='{volume}'")


async def test_nothing_stands_on_what_a_machine_writes_or_what_is_not_there(platform: Platform, admin: Person, machine: Machine):
    name = await start_pool(platform, admin)
    await do(platform, admin, "volumecreate", f"pool='{name}' name='data.img' size='4' unit='M'")
    disk = f"<disk type='volume' device='disk'><source pool='{name}' volume='data.img'/><target dev='vda' bus='virtio'/></disk>"
    with platform.libvirt() as connection:
        connection.defineXML(machine.definition(more=f"<devices>{disk}</devices>"))
    for base, condition, words in (("data.img", "conflict", "backing: data.img is a disk of"), ("none", "item-not-found", "backing: ")):
        answer = await ask(platform, admin, "volumecreate", f"pool='{name}' name='over' unit='M' backing='{base}' backingformat='raw'")
        assert_error(answer, code=-3108, condition=condition, mentions=words, action="volumecreate")
    assert set(await volumes_of(platform, admin, name)) == {"data.img"}


@pytest.mark.parametrize("by_path", [True, False])
async def test_who_lacks_the_host_puts_nothing_on_pools_that_are_not_for_everybody(
    platform: Platform, admin: Person, student: Person, by_path: bool
):
    name = await start_pool(platform, admin)
    await do(platform, admin, "volumecreate", f"pool='{name}' name='base.img' size='4' unit='M'")
    await platform.grant(admin, platform.host, student, "all")
    base = f"/srv/{name}/base.img" if by_path else "base.img"
    answer = await ask(platform, student, "volumecreate", f"pool='{name}' name='mine' unit='M' backing='{base}' backingformat='raw'")
    assert_error(answer, code=-1, condition="forbidden", mentions="allowed_pools", namespace=PERMISSION, action="volumecreate")


@pytest.mark.parametrize("by_path", [True, False])
async def test_a_volume_that_a_machine_has_stays(platform: Platform, admin: Person, machine: Machine, by_path: bool):
    name = await start_pool(platform, admin)
    await do(platform, admin, "volumecreate", f"pool='{name}' name='data.img' size='4' unit='M'")
    source, kind = (f"file='/srv/{name}/data.img'", "file") if by_path else (f"pool='{name}' volume='data.img'", "volume")
    disk = f"<devices><disk type='{kind}' device='disk'><source {source}/><target dev='vda' bus='virtio'/></disk></devices>"
    with platform.libvirt() as connection:
        connection.defineXML(machine.definition(more=disk))
    for action in ("volumedelete", "volumeresize"):
        answer = await ask(platform, admin, action, f"pool='{name}' name='data.img' size='8' unit='M'")
        assert child(answer, "error")[0].tag.endswith("conflict"), show(answer)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    answer = await ask(platform, admin, "pooldestroy", f"name='{name}'")
    assert_error(answer, code=-3104, condition="conflict", mentions="shut them down first", action="pooldestroy")
    await admin.command(machine.full, CONTROL, "<archipel action='destroy'/>")
    await do(platform, admin, "pooldestroy", f"name='{name}'")
    await do(platform, admin, "poolundefine", f"name='{name}'")


async def test_what_the_page_says_in_a_chat_works(platform: Platform, admin: Person, root: Path):
    await do(platform, admin, "pooldefine", inner=pool("lab"))
    for step in read_steps(root / "docs" / "storage-pools.md"):
        said = step.command.removeprefix("archipel chat hypervisor@example.org ")
        assert tuple((await admin.say(platform.host, said)).splitlines()) == step.shown, said
        if said == "start pool lab":
            assert "lab: dir, " in await admin.say(platform.host, "pools")
    assert await listed(platform, admin, "lab") is None
