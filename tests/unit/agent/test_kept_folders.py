# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a machine left behind, or somebody prepared, are not had by whoever names the UUID."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from archipel.agent.allocation import Wish, adopt, allocate, destroy, finish_free, let_go
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STUDENT, UUID, VM, Calendar, FakeHost, failure


@pytest.fixture
def folder(online: Hypervisor) -> Path:
    """The folder of the machine, which is not made yet."""
    return folder_of(online)


async def make(hypervisor: Hypervisor, caller: Caller, folder: Path) -> None:
    await allocate(hypervisor, caller, Wish("web", uuid=UUID))
    (folder / "exam.qcow2").write_text("secret")


async def free(hypervisor: Hypervisor, *, keep_disks: bool = True) -> None:
    machine = hypervisor.machines[UUID]
    await destroy(machine, keep_disks=keep_disks)
    await finish_free(hypervisor, machine, ADMIN.bare)


def prepare(folder: Path, file: str = "exam.qcow2") -> None:
    folder.mkdir(parents=True)
    (folder / file).write_text("secret")


async def assert_refused(hypervisor: Hypervisor, caller: Caller) -> None:
    """Whoever wants a machine on the folder is told what to do, and it is as it was."""
    with pytest.raises(CommandError, match=r"^uuid: .* leave the UUID out, or ask an administrator") as refused:
        await allocate(hypervisor, caller, Wish("again", uuid=UUID))
    assert refused.value.condition == Condition.CONFLICT
    assert UUID not in hypervisor.machines


async def assert_taken(hypervisor: Hypervisor, caller: Caller) -> None:
    """Whose the folder is gets a machine on it, with what it holds."""
    before = sorted(os.listdir(folder_of(hypervisor)))
    await allocate(hypervisor, caller, Wish("again", uuid=UUID))
    assert sorted(os.listdir(folder_of(hypervisor))) == before


def folder_of(hypervisor: Hypervisor) -> Path:
    return hypervisor.services.settings.machines.base_path / UUID


async def test_kept_disks_are_not_for_whoever_knows_the_uuid(xmpp: FakeXmpp, online: Hypervisor, folder: Path) -> None:
    await make(online, ADMIN, folder)
    await free(online)
    await assert_refused(online, STUDENT)
    assert (folder / "exam.qcow2").read_text() == "secret"
    assert UUID not in xmpp.accounts
    assert await online.services.store.machines() == ()


async def test_who_had_the_machine_takes_them_again_and_they_are_his_then(online: Hypervisor, folder: Path) -> None:
    await make(online, OWNER, folder)
    await free(online)
    await assert_refused(online, STUDENT)
    await assert_taken(online, OWNER)
    assert (folder / "exam.qcow2").read_text() == "secret"
    await free(online, keep_disks=False)
    assert not os.listdir(folder.parent)


async def test_an_administrator_takes_them_for_others(online: Hypervisor, folder: Path) -> None:
    await make(online, OWNER, folder)
    await free(online)
    await assert_taken(online, ADMIN)


async def test_so_does_who_may_use_any_file_of_the_host(online: Hypervisor, folder: Path) -> None:
    await make(online, ADMIN, folder)
    await free(online)
    await online.services.rights.grant(HYP, STUDENT.bare, DOMAIN_POLICY_BYPASS, granted_by=ADMIN.bare)
    await assert_taken(online, STUDENT)


async def test_they_belong_to_all_who_had_all_rights_for_good(online: Hypervisor, folder: Path, calendar: Calendar) -> None:
    await make(online, ADMIN, folder)
    await online.services.rights.grant(VM, OWNER.bare, "all", granted_by=ADMIN.bare)
    await online.services.rights.grant(VM, STUDENT.bare, "all", granted_by=ADMIN.bare, expires_at=calendar() + timedelta(hours=1))
    await free(online)
    await assert_refused(online, STUDENT)
    await assert_taken(online, OWNER)


async def test_the_last_machine_decides_whose_they_are(online: Hypervisor, folder: Path) -> None:
    await make(online, OWNER, folder)
    await free(online)
    await allocate(online, ADMIN, Wish("again", uuid=UUID))
    await free(online)
    await assert_refused(online, OWNER)


async def test_an_attempt_that_failed_changes_nothing_about_it(online: Hypervisor, folder: Path, host: FakeHost, xmpp: FakeXmpp) -> None:
    await make(online, OWNER, folder)
    await free(online)
    xmpp.refuse["register"] = CommandError("not now")
    with pytest.raises(CommandError, match="not now"):
        await allocate(online, ADMIN, Wish("again", uuid=UUID))
    xmpp.refuse.clear()
    assert (folder / "exam.qcow2").read_text() == "secret"
    await assert_taken(online, OWNER)


async def test_a_crash_while_they_were_kept_does_not_lose_whose_they_are(xmpp: FakeXmpp, online: Hypervisor, folder: Path) -> None:
    await make(online, OWNER, folder)
    machine = online.machines.pop(UUID)
    await online.services.store.set_phase(UUID, Phase.FREEING, {"keep_disks": True})
    await machine.close()
    await online.recover()
    assert await online.services.store.machines() == ()
    await assert_refused(online, STUDENT)
    await assert_taken(online, OWNER)


async def test_what_was_prepared_is_for_administrators(online: Hypervisor, folder: Path) -> None:
    prepare(folder)
    await assert_refused(online, OWNER)
    await assert_taken(online, ADMIN)


async def test_an_empty_folder_is_for_everybody(online: Hypervisor, folder: Path) -> None:
    os.makedirs(folder)
    await assert_taken(online, STUDENT)


async def test_a_folder_that_cannot_be_read_is_not_taken(online: Hypervisor, folder: Path) -> None:
    prepare(folder.parent, folder.name)  # not even a folder
    with pytest.raises(CommandError, match="uuid: the machine's folder cannot be read"):
        await allocate(online, STUDENT, Wish(uuid=UUID))


async def test_the_disks_of_a_machine_that_was_let_go_stay_its_people_s(online: Hypervisor, folder: Path) -> None:
    await make(online, OWNER, folder)
    await let_go(online, [UUID])
    await assert_refused(online, STUDENT)
    await assert_taken(online, OWNER)


async def test_a_domain_that_is_taken_in_has_its_files_already(online: Hypervisor, folder: Path, host: FakeHost) -> None:
    prepare(folder)
    host.add(UUID, "old")
    await adopt(online, OWNER, [UUID])
    assert online.machines[UUID].adopted


async def test_of_a_folder_that_is_gone_nobody_is_the_owner(online: Hypervisor, folder: Path) -> None:
    await make(online, OWNER, folder)
    await free(online)
    assert await online.services.store.folder_owners(UUID) == {OWNER.bare}
    await allocate(online, OWNER, Wish("again", uuid=UUID))
    await free(online, keep_disks=False)
    assert await online.services.store.folder_owners(UUID) == frozenset()


async def test_files_that_could_not_be_removed_are_nobody_else_s(
    online: Hypervisor, folder: Path, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(online, OWNER, folder)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda *_arguments, **_named: None)
        await free(online, keep_disks=False)
    await assert_refused(online, STUDENT)


async def test_whose_they_are_is_known_although_the_making_never_ended(online: Hypervisor, folder: Path, host: FakeHost) -> None:
    """A crash while an administrator made a machine on them; he is not their owner for that."""
    await make(online, OWNER, folder)
    await free(online)
    record = MachineRecord(uuid=UUID, name="again", password=Secret("x"), intent={"keep_disks": True})
    await online.services.store.add_machine(record)
    host.domain(UUID).refuse["undefine"] = failure()
    await online.recover()
    assert (folder / "exam.qcow2").exists()
    assert await online.services.store.folder_owners(UUID) == {OWNER.bare}
