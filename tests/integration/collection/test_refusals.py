# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules refuse, and what agents refuse them: always with the name of what is wrong."""

from __future__ import annotations

import asyncio

from tests.integration.collection.platform import DOMAIN, Platform, password_of
from tests.integration.collection.playbook import Ansible, Task

STUDENT = f"student@{DOMAIN}"
AS_STUDENT = {"xmpp_jid": STUDENT, "xmpp_password": password_of("student")}


def vm(**arguments: object) -> Task:
    return {"archipel.platform.vm": arguments}


def permission(**arguments: object) -> Task:
    return {"archipel.platform.permission": arguments}


def test_an_error_names_the_missing_right(ansible: Ansible) -> None:
    tasks = [
        {**vm(name="web", state="running"), "register": "made"},
        permission(subject=STUDENT, rights=["presence", "rostervm"]),
        permission(machine="web", subject=STUDENT, rights=["presence", "info"]),
        vm(name="web", state="running", **AS_STUDENT),
        vm(name="web", state="stopped", **AS_STUDENT),
        vm(name="other", **AS_STUDENT),
        permission(machine="web", subject=STUDENT, rights=["all"], **AS_STUDENT),
        {"archipel.platform.roster": {"machine": "web", "people": [STUDENT], **AS_STUDENT}},
        {"archipel.platform.hypervisor_info": {"gather": ["node"], **AS_STUDENT}},
    ]
    answers = ansible.run(tasks)
    assert not any(answer.get("failed") for answer in answers[:4])
    assert [answer.get("missing_right") for answer in answers[4:]] == [
        "shutdown",
        "capabilities",
        "permission_set",
        "getroster",
        "nodeinfo",
    ]
    assert answers[4]["condition"] == "forbidden"
    assert "shutdown" in answers[4]["msg"]


def test_who_may_not_see_the_list_still_names_machines_by_uuid(ansible: Ansible) -> None:
    uuid = "22222222-2222-4222-8222-222222222222"
    tasks = [
        vm(name="mine", uuid=uuid),
        permission(subject=STUDENT, rights=["presence"]),
        permission(machine="mine", subject=STUDENT, rights=["presence", "info", "create"]),
        vm(name="mine", uuid=uuid, state="running", **AS_STUDENT),
        vm(name="mine", state="running", **AS_STUDENT),
    ]
    answers = ansible.run(tasks)
    assert (answers[3]["machine"]["state"], answers[3]["machine"]["name"]) == ("running", "mine")
    assert answers[4]["missing_right"] == "rostervm"


def test_an_unknown_right_is_named_in_both_modes(ansible: Ansible) -> None:
    wrong = permission(subject=STUDENT, rights=["rostervn"])
    for answer in ansible.run([{**wrong, "check_mode": True}, wrong]):
        assert answer["failed"]
        assert "'rostervn'" in answer["msg"]
        assert "did you mean rostervm" in answer["msg"]


def test_domains_of_others_are_left_alone(ansible: Ansible, platform: Platform) -> None:
    platform.define_domain("legacy")
    tasks = [vm(name="legacy", state="absent"), vm(name="legacy", memory=128), vm(name="nowhere", state="adopted")]
    absent, present, nowhere = ansible.run(tasks)
    assert "that Archipel does not manage: it is not removed; adopt it first" in absent["msg"]
    assert "that Archipel does not manage: adopt it first" in present["msg"]
    assert "has no such domain to adopt" in nowhere["msg"]
    assert platform.domains() == {"legacy"}


def test_one_failure_of_many_does_not_keep_the_others_from_their_changes(ansible: Ansible, platform: Platform) -> None:
    platform.define_domain("legacy")
    (answer,) = ansible.run([vm(memory=64, machines=[{"name": "one"}, {"name": "legacy"}, {"name": "two"}])])
    assert answer["failed"]
    assert answer["msg"].startswith("1 of 3 failed on hypervisor@example.org: legacy: ")
    assert answer["changed"]
    assert [machine["name"] for machine in answer["machines"]] == ["one", "two"]
    assert platform.domains() == {"one", "legacy", "two"}


def test_nothing_is_done_in_check_mode(ansible: Ansible, platform: Platform) -> None:
    tasks = [
        vm(name="web", state="running"),
        permission(subject=STUDENT, rights=["info", "alloc"][1:]),
        {"archipel.platform.roster": {"people": [STUDENT]}},
    ]
    assert all(answer["changed"] for answer in ansible.run(tasks, "--check"))
    assert platform.domains() == set()
    assert asyncio.run(read_hypervisor(platform)) == (frozenset(), set())


async def read_hypervisor(platform: Platform) -> tuple[frozenset[str], set[str]]:
    """Return the student's rights on the hypervisor, and who is in its roster."""
    async with platform.hypervisor() as hypervisor:
        return await hypervisor.rights_of(STUDENT), {contact.jid for contact in await hypervisor.roster()}
