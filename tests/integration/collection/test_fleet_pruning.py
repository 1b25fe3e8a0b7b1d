# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken out of a declaration is taken off the platform: rights, contacts, jobs, tags, drives; and claims on what is gone end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import libvirt

from archipel.client import Hypervisor, VirtualMachine
from tests.integration.collection.platform import DOMAIN, Platform
from tests.integration.collection.playbook import Ansible, Outcome, Task

STUDENT, TEACHER = f"student@{DOMAIN}", f"teacher@{DOMAIN}"
LINES: dict[str, Any] = {
    "roster": [STUDENT, TEACHER],
    "permissions": [
        {"subject": STUDENT, "rights": ["presence", "info"]},
        {"subject": TEACHER, "rights": ["presence", "info", "vnc_display"], "exclusive": True},
        {"group": "class/b", "role": "student", "expires": "2090-07-01"},
        {"subject": f"guest@{DOMAIN}", "rights": ["info"], "state": "denied"},
    ],
    "schedule": [{"name": "night", "job": "shutdown", "hour": 22}],
}
ON_HYPERVISOR: dict[str, Any] = {
    "permissions": [{"subject": STUDENT, "rights": ["presence", "rostervm"]}, {"subject": TEACHER, "rights": ["all"]}],
    "rosters": [{"people": [STUDENT]}],
    "tags": [{"tags": ["school", "cold"]}],
    "schedules": [{"name": "morning", "job": "shutdown", "hour": 6, "state": "absent"}],
}
NOTHING: dict[str, Any] = {"fleet": "course", "vms": [{"name": "seat", "memory": 32}]}


def declare(document: dict[str, Any], name: str = "declare", **arguments: Any) -> Task:
    return {"name": name, "archipel.platform.fleet": {"document": document, **arguments}}


def rows(answer: Any) -> list[tuple[str, str, str]]:
    assert not answer.get("failed"), answer.get("msg")
    return sorted((row["action"], row["kind"], row["name"]) for row in answer["plan"] if row["action"] != "none")


async def look(platform: Platform, uses: Any) -> Any:
    async with platform.hypervisor() as hypervisor:
        return await uses(hypervisor)


async def find_machine(hypervisor: Hypervisor, name: str = "seat") -> VirtualMachine:
    entry = next(entry for entry in await hypervisor.machines() if entry.name == name)
    return VirtualMachine(hypervisor.session, entry.jid, entry.name)


async def read_lines(hypervisor: Hypervisor) -> dict[str, Any]:
    """Return what people have on the machine and on the hypervisor, without what its maker has."""
    machine = await find_machine(hypervisor)
    found = {}
    for name, entity in (("machine", machine), ("hypervisor", hypervisor)):
        own = [
            rule for rule in await entity.rules() if rule.entity == entity.bare and rule.right != "all" and rule.given_by != hypervisor.bare
        ]
        found[name] = {
            "rules": sorted((rule.subject or rule.group or "", rule.right or rule.role or "", rule.effect) for rule in own),
            "roster": sorted(contact.jid for contact in await entity.roster() if not contact.jid.startswith("admin@")),
            "jobs": [job.comment for job in await entity.schedule.list()],
        }
    found["tags"] = sorted((await hypervisor.session.tags()).get(hypervisor.bare, ()))
    return found


async def give_by_hand(hypervisor: Hypervisor) -> None:
    machine = await find_machine(hypervisor)
    await machine.grant(STUDENT, "shutdown")
    await hypervisor.grant(STUDENT, "capabilities")


async def grant_before(hypervisor: Hypervisor) -> None:
    await hypervisor.grant(STUDENT, "presence")


async def owned(hypervisor: Hypervisor) -> set[str]:
    return {f"{item.kind} {item.label}" for item in await hypervisor.owned()}


def test_a_line_that_is_removed_is_removed_from_the_platform_and_nothing_else_is(ansible: Ansible, platform: Platform) -> None:
    asyncio.run(look(platform, grant_before))
    full = {**NOTHING, **ON_HYPERVISOR, "vms": [{**NOTHING["vms"][0], **LINES}]}
    made, again = ansible.run([declare(full), declare(full)])
    assert not made.get("failed"), made["msg"]
    assert (again["changed"], again["counts"]["forget"]) == (False, 0), rows(again)
    asyncio.run(look(platform, give_by_hand))

    kept, too_much = ansible.run([declare(NOTHING), declare(NOTHING, prune=True, prune_limit="3")])
    assert (kept["changed"], rows(kept)) == (False, [])
    assert "10 objects would be removed" in too_much["msg"], too_much["msg"]
    [pruned] = ansible.run_thrice([declare(NOTHING, prune=True, prune_limit="10")])
    pruned.assert_truthful()
    assert rows(pruned.first) == [
        ("remove", "contact", f"hypervisor: {STUDENT}"),
        ("remove", "contact", f"seat: {STUDENT}"),
        ("remove", "contact", f"seat: {TEACHER}"),
        ("remove", "grant", f"hypervisor: {STUDENT}: rostervm"),
        ("remove", "grant", "seat: group class/b: role student"),
        ("remove", "grant", f"seat: guest@{DOMAIN}: info (denied)"),
        ("remove", "grant", f"seat: {STUDENT}: info, presence"),
        ("remove", "grant", f"seat: {TEACHER}: info, presence, vnc_display"),
        ("remove", "job", "seat: night"),
        ("remove", "tag", "hypervisor: cold, school"),
    ]
    for answer in (pruned.first, pruned.second):
        assert [(row["name"], row["reason"]) for row in answer["skipped_objects"]] == [
            (f"hypervisor: {TEACHER}: all", "skipped because nobody else would have all rights there")
        ]
    left = asyncio.run(look(platform, read_lines))
    assert left == {
        "machine": {"rules": [(STUDENT, "shutdown", "allow")], "roster": [], "jobs": []},
        "hypervisor": {
            "rules": [(STUDENT, "capabilities", "allow"), (STUDENT, "presence", "allow")],
            "roster": [],
            "jobs": [],
        },
        "tags": [],
    }


def test_a_word_taken_out_of_a_list_is_taken_back(ansible: Ansible, platform: Platform) -> None:
    def seat(**lines: Any) -> dict[str, Any]:
        return {"fleet": "course", "vms": [{"name": "seat", "memory": 32, **lines}]}

    before = seat(roster=[STUDENT, TEACHER], permissions={"subject": STUDENT, "rights": ["info", "presence", "shutdown"]})
    fewer = seat(roster=[TEACHER], permissions={"subject": STUDENT, "rights": ["info", "presence"]})
    exclusive = seat(permissions={"subject": STUDENT, "rights": ["info"], "exclusive": True})
    absent = seat(permissions={"subject": STUDENT, "state": "absent"})
    outcomes: list[Outcome] = ansible.run_thrice(
        [
            declare(before),
            declare(fewer, "fewer", prune=True),
            declare(exclusive, "exclusive"),
            declare(absent, "absent"),
        ]
    )
    for outcome in outcomes:
        outcome.assert_truthful()
    assert rows(outcomes[1].first) == [("remove", "contact", f"seat: {STUDENT}"), ("remove", "grant", f"seat: {STUDENT}: shutdown")]
    assert [row[0] for row in rows(outcomes[2].first)] == ["change"]
    assert "grant course" not in asyncio.run(look(platform, owned))


def test_what_another_declaration_gave_is_not_taken(ansible: Ansible) -> None:
    document = {**NOTHING, "permissions": [{"subject": STUDENT, "rights": ["rostervm"]}]}
    first, other = ansible.run([declare(document), declare({**document, "fleet": "other", "vms": []})])
    assert not first.get("failed")
    assert f"{STUDENT} rostervm belongs to the declaration 'course'" in other["msg"]


def test_a_claim_on_what_somebody_removed_ends(ansible: Ansible, platform: Platform) -> None:
    lab = {"name": "lab", "state": "active", "ips": [{"address": "10.99.0.1", "prefix": 24}]}
    pool = {"name": "fast", "type": "dir", "path": "/tmp/fast"}
    document = {"fleet": "course", "networks": [lab], "pools": [pool]}
    [made] = ansible.run([declare(document)])
    assert rows(made) == [("create", "network", "lab"), ("create", "pool", "fast")]
    connection = libvirt.open(platform.uri)
    for found in (connection.networkLookupByName("lab"), connection.storagePoolLookupByName("fast")):
        if found.isActive():
            found.destroy()
        found.undefine()
    connection.close()
    [ended] = ansible.run_thrice([declare({"fleet": "course"}, limit=None)])
    ended.assert_truthful()
    assert rows(ended.first) == [("forget", "network", "lab"), ("forget", "pool", "fast")]
    assert (ended.first["plan"][0]["before"], ended.first["plan"][0]["after"]) == ({"owner": "course"}, {"owner": None})
    assert (ended.first["counts"]["forget"], ended.first["counts"]["remove"]) == (2, 0)
    assert asyncio.run(look(platform, owned)) == set()


DRIVE = {"name": "system", "size": "4 MiB"}
GOLDEN: dict[str, Any] = {
    "fleet": "course",
    "vms": [
        {"name": "template", "memory": 32, "domain_type": "test", "drives": [DRIVE]},
        {
            "name": "seat-{n}",
            "count": 2,
            "memory": 32,
            "domain_type": "test",
            "state": "running",
            "drives": [{**DRIVE, "golden": "scene.qcow2"}],
        },
    ],
    "images": [{"name": "scene", "machine": "template", "drive": "system"}],
}


def images(platform: Platform) -> set[str]:
    """Return the names of these tests' images in the folders of machines, and among golden ones; other tests leave theirs."""
    return {file.name for file in Path(platform.agent.folder).rglob("*.qcow2")} & {"scene.qcow2", "system.qcow2"}


def test_a_course_on_a_golden_image_goes_whole_with_its_drives(ansible: Ansible, platform: Platform) -> None:
    [made] = ansible.run([declare(GOLDEN)])
    assert not made.get("failed"), made["msg"]
    assert images(platform) == {"scene.qcow2", "system.qcow2"}
    [kept, refused] = ansible.run(
        [
            {**declare({"fleet": "course"}, prune=True), "check_mode": True},
            declare({"fleet": "course"}, prune=True, prune_disks=True, prune_limit="3"),
        ]
    )
    assert "scene.qcow2: 2 images stand on it" in kept["msg"]
    assert "4 objects would be removed" in refused["msg"]
    assert "with 3 drives that take" in refused["msg"]
    [gone] = ansible.run_thrice([declare({"fleet": "course"}, prune=True, prune_disks=True)])
    gone.assert_truthful()
    assert [row[:2] for row in rows(gone.first)] == [("remove", "image"), *[("remove", "machine")] * 3]
    machine = next(row for row in gone.first["plan"] if row["name"] == "seat-1")
    assert machine["before"]["drives"][0]["file"] == "system.qcow2"
    assert "with 1 drives that take" in machine["reason"]
    assert images(platform) == set()
    assert platform.domains() == set()


def test_an_image_on_which_somebody_else_stands_stays(ansible: Ansible, platform: Platform) -> None:
    seat = {"name": "theirs", "memory": 32, "domain_type": "test", "drives": [{**DRIVE, "golden": "scene.qcow2"}]}
    made, other, pruned = ansible.run(
        [
            declare(GOLDEN),
            declare({"fleet": "other", "vms": [seat]}),
            {**declare({"fleet": "course"}, prune=True, prune_disks=True), "check_mode": True},
        ]
    )
    assert not made.get("failed"), made["msg"]
    assert not other.get("failed"), other["msg"]
    assert "scene.qcow2: 3 images stand on it" in pruned["msg"]
    assert images(platform) == {"scene.qcow2", "system.qcow2"}
