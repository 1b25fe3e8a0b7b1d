# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent must not forget, through crashes and new versions."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.orm import Session

from archipel.agent import appliance_tables as _appliance_tables  # noqa: F401 - declares its tables
from archipel.agent import database
from archipel.agent import health_tables as _health_tables  # noqa: F401 - declares its tables
from archipel.agent import migration_tables as _migration_tables  # noqa: F401 - declares its tables
from archipel.agent import ownership_tables as _ownership_tables  # noqa: F401 - declares its tables
from archipel.agent import parking_tables as _parking_tables  # noqa: F401 - declares its tables
from archipel.agent import schedule_tables as _schedule_tables  # noqa: F401 - declares its tables
from archipel.agent.notices import tables as _notice_tables  # noqa: F401 - declares its tables
from archipel.agent.secret import Secret, make_password
from archipel.agent.store import GrantRecord, MachineExists, MachineRecord, NoSuchMachine, Phase, Store, StoreError, canonical_uuid
from archipel.agent.tables import SCHEMA, Base
from archipel.protocol.vcard import Organisation

UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
OTHER = "7f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
WEB = MachineRecord(uuid=UUID, name="Web", password=Secret("hunter2"))
ENTITY = f"{UUID}@lab.example"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "archipel.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(path)
    yield opened
    await opened.close()


def grant(subject: str = "eve@lab.example", right: str = "info", **more: datetime) -> GrantRecord:
    return GrantRecord(entity=ENTITY, subject=subject, token=right, granted_by="admin@lab.example", **more)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


class TestMachines:
    async def test_a_machine_is_read_as_it_was_written(self, store: Store):
        full = replace(
            WEB,
            phase=Phase.FREEING,
            intent={"keep_disks": True},
            adopted=True,
            organisation=Organisation("o", "u", "l", "i", "c"),
            tags=("a b", "ü"),
        )
        await store.add_machine(full)
        assert await store.machine(UUID) == full
        assert await store.machine(UUID.upper()) == full
        assert await store.machine(OTHER) is None

    async def test_machines_survive_closing(self, store: Store, path: Path):
        await store.add_machine(WEB)
        await store.close()
        again = await Store.open(path)
        found = await again.machine(UUID)
        await again.close()
        assert found == WEB
        assert found.password.reveal() == "hunter2"

    async def test_uuid_and_name_are_unique_in_any_spelling(self, store: Store):
        await store.add_machine(WEB)
        for twin in (replace(WEB, uuid=OTHER, name="wEB"), replace(WEB, name="other")):
            with pytest.raises(MachineExists, match="already"):
                await store.add_machine(twin)
        await store.add_machine(replace(WEB, uuid=OTHER, name="Straße"))
        with pytest.raises(MachineExists):
            await store.rename_machine(UUID, "STRASSE")
        assert await store.machine(UUID) == WEB

    async def test_a_machine_may_be_renamed_to_another_spelling_of_its_own_name(self, store: Store):
        await store.add_machine(WEB)
        await store.rename_machine(UUID, "WEB")
        assert (await store.machine(UUID)) == replace(WEB, name="WEB")

    async def test_changes_change_one_thing_each(self, store: Store):
        await store.add_machine(WEB)
        await store.set_phase(UUID, Phase.FREEING, {"keep_disks": True})
        await store.set_tags(UUID, ["x", "y"])
        await store.set_organisation(UUID.upper(), Organisation(orgname="o"))
        expected = replace(WEB, phase=Phase.FREEING, intent={"keep_disks": True}, tags=("x", "y"), organisation=Organisation(orgname="o"))
        assert await store.machine(UUID) == expected
        await store.set_phase(UUID, Phase.ACTIVE)
        assert await store.machine(UUID) == replace(expected, phase=Phase.ACTIVE, intent={})

    async def test_a_change_of_what_is_not_there_is_an_error(self, store: Store):
        for change in (store.set_phase(UUID, Phase.ACTIVE), store.set_tags(UUID, []), store.rename_machine(UUID, "x")):
            with pytest.raises(NoSuchMachine, match=UUID):
                await change

    async def test_machines_are_listed_by_phase_oldest_first(self, store: Store):
        old = replace(WEB, uuid=OTHER, name="old", created_at=WEB.created_at - timedelta(days=1), phase=Phase.ACTIVE)
        await store.add_machine(WEB)
        await store.add_machine(old)
        assert await store.machines() == (old, WEB)
        assert await store.machines(Phase.ACTIVE, Phase.FREEING) == (old,)

    async def test_removing_a_machine_takes_the_rights_on_it_along(self, store: Store):
        await store.add_machine(WEB)
        elsewhere = replace(grant(), entity="hyp@lab.example")
        await store.change_grants([grant(), elsewhere])
        await store.remove_machine(UUID, ENTITY)
        await store.remove_machine(UUID, ENTITY)
        assert await store.machines() == ()
        assert await store.grants() == (elsewhere,)

    @pytest.mark.parametrize(
        "wrong", ["", "web", f"{{{UUID}}}", UUID.replace("-", ""), UUID.upper(), f"../{UUID}"[:36], "urn:uuid:" + UUID]
    )
    def test_only_a_canonical_uuid_is_an_identity(self, wrong: str):
        with pytest.raises(ValueError, match="UUID"):
            replace(WEB, uuid=wrong)

    def test_uuids_are_made_canonical_where_that_is_wanted(self):
        assert canonical_uuid(UUID.upper()) == UUID


class TestGrants:
    async def test_grants_are_read_as_they_were_written(self, store: Store):
        end = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        given = grant(expires_at=end)
        await store.change_grants([given])
        assert await store.grants() == await store.grants(ENTITY) == (given,)
        assert (await store.grants())[0].expires_at == end
        assert await store.grants("other@lab.example") == ()

    async def test_a_grant_replaces_the_one_of_the_same_right(self, store: Store):
        await store.change_grants([grant()])
        later = grant(expires_at=datetime(2030, 1, 1, tzinfo=UTC))
        await store.change_grants([later])
        assert await store.grants() == (later,)

    async def test_adding_and_removing_are_one_step(self, store: Store):
        await store.change_grants([grant(), grant(right="create")])
        with pytest.raises(StoreError, match="NOT NULL"):
            await store.change_grants([grant(right="free"), replace(grant(), token=None)], [grant().key])
        assert {one.token for one in await store.grants()} == {"info", "create"}
        await store.change_grants([grant(right="free")], [grant().key])
        assert {one.token for one in await store.grants()} == {"create", "free"}

    def test_times_have_a_zone(self):
        with pytest.raises(ValueError, match="time zone"):
            grant(expires_at=datetime(2030, 1, 1))

    async def test_all_grants_on_an_entity_go_at_once(self, store: Store):
        await store.change_grants([grant(), grant("bob@lab.example"), replace(grant(), entity="hyp@lab.example")])
        await store.drop_grants(ENTITY)
        assert [one.entity for one in await store.grants()] == ["hyp@lab.example"]


class TestValues:
    async def test_values_are_kept(self, store: Store):
        assert await store.value("key") is None
        await store.set_value("key", "one")
        await store.set_value("key", "two")
        assert await store.value("key") == "two"

    async def test_the_agent_keeps_its_identity(self, store: Store):
        assert canonical_uuid(await store.agent_id(), strict=True) == await store.agent_id()


class TestTransactions:
    async def test_an_exception_undoes_everything(self, store: Store):
        def work(session: Session) -> None:
            session.execute(text("INSERT INTO agent_values VALUES ('a', 'b')"))
            raise LookupError

        with pytest.raises(LookupError):
            await store.run(work)
        assert await store.value("a") is None

    async def test_all_work_is_done_on_one_thread(self, store: Store):
        names = await asyncio.gather(*(store.run(lambda _session: threading.current_thread().name) for _ in range(20)))
        assert len(set(names)) == 1
        assert threading.current_thread().name not in names

    async def test_work_goes_on_when_the_waiting_task_is_cancelled(self, store: Store):
        task = asyncio.create_task(store.set_value("a", "b"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.value("a") == "b"

    async def test_commits_reach_the_disk(self, store: Store):
        def pragmas(session: Session) -> list[object]:
            return [session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]

        assert await store.run(pragmas) == ["wal", 2, 1]

    async def test_another_program_may_read_meanwhile(self, store: Store, path: Path):
        await store.add_machine(WEB)
        with closing(sqlite3.connect(path)) as reader:
            assert reader.execute("SELECT name FROM virtual_machines").fetchall() == [("Web",)]
            await store.set_tags(UUID, ["x"])

    async def test_errors_show_no_values(self, store: Store):
        def work(session: Session) -> None:
            session.execute(text("INSERT INTO nowhere VALUES (:password)"), {"password": "hunter2"})

        with pytest.raises(StoreError, match="no such table") as caught:
            await store.run(work)
        assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"

    async def test_a_closed_store_says_so(self, store: Store):
        await store.close()
        with pytest.raises(StoreError, match="is closed"):
            await store.machines()


class TestFile:
    async def test_it_and_its_companions_are_private(self, store: Store, path: Path):
        await store.add_machine(WEB)
        assert {file.name: mode_of(file) for file in path.parent.iterdir()} == {
            "archipel.sqlite3": 0o600,
            "archipel.sqlite3-wal": 0o600,
            "archipel.sqlite3-shm": 0o600,
        }
        assert mode_of(path.parent) == 0o700

    async def test_it_is_made_private_if_it_was_not(self, store: Store, path: Path):
        await store.close()
        os.chmod(path, 0o644)
        await (await Store.open(path)).close()
        assert mode_of(path) == 0o600

    async def test_another_program_s_database_is_left_alone(self, tmp_path: Path):
        founding = tmp_path / "hypervisor.sqlite3"
        with closing(sqlite3.connect(founding)) as connection:
            connection.execute("CREATE TABLE virtualmachines (jid TEXT)")
        with pytest.raises(StoreError, match=r"another program: name a new file in \[HYPERVISOR\] hypervisor_database_path"):
            await Store.open(founding)
        with closing(sqlite3.connect(founding)) as connection:
            assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master")] == ["virtualmachines"]

    @pytest.mark.parametrize("content,message", [(b"no database" * 100, "file is not a database"), (None, "Is a directory")])
    async def test_what_is_no_database_is_refused(self, tmp_path: Path, content: bytes | None, message: str):
        file = tmp_path / "file" if content else tmp_path
        if content:
            file.write_bytes(content)
        with pytest.raises(StoreError, match=message):
            await Store.open(file)

    async def test_a_locked_database_is_refused_in_the_end(self, store: Store, path: Path, monkeypatch: pytest.MonkeyPatch):
        await store.close()
        monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.01)
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError, match="database is locked"):
                await Store.open(path)


class TestKeptFolders:
    """Whose the folder is that a machine leaves behind."""

    async def remove(self, store: Store, *grants: GrantRecord, phase: Phase = Phase.FREEING, keeps_folder: bool = True) -> frozenset[str]:
        await store.add_machine(replace(WEB, phase=phase))
        await store.change_grants(grants)
        await store.remove_machine(UUID, ENTITY, keeps_folder=keeps_folder)
        return await store.folder_owners(UUID.upper())

    async def test_it_is_theirs_who_had_all_rights_for_good(self, store: Store):
        soon = datetime.now(UTC) + timedelta(days=1)
        held = grant("a@lab.example", "all"), grant("b@lab.example", "all"), grant("c@lab.example", "info")
        assert await self.remove(store, *held, grant("d@lab.example", "all", expires_at=soon)) == {"a@lab.example", "b@lab.example"}
        assert await store.grants() == ()
        assert await store.folder_owners(OTHER) == frozenset()

    async def test_the_last_machine_counts(self, store: Store):
        await self.remove(store, grant("a@lab.example", "all"))
        assert await self.remove(store, grant("b@lab.example", "all")) == {"b@lab.example"}
        assert await self.remove(store, grant("b@lab.example", "all"), keeps_folder=False) == frozenset()

    @pytest.mark.parametrize("keeps_folder", [False, True])
    async def test_one_that_was_never_whole_does_not(self, store: Store, keeps_folder: bool):
        await self.remove(store, grant("a@lab.example", "all"))
        owners = await self.remove(store, grant("b@lab.example", "all"), phase=Phase.ALLOCATING, keeps_folder=keeps_folder)
        assert owners == {"a@lab.example"}

    async def test_it_survives_closing(self, store: Store, path: Path):
        await self.remove(store, grant("a@lab.example", "all"))
        await store.close()
        again = await Store.open(path)
        assert await again.folder_owners(UUID) == {"a@lab.example"}
        await again.close()


class TestMigrations:
    async def test_they_make_the_tables_that_the_code_declares(self, store: Store):
        def differences(session: Session) -> list[object]:
            return list(compare_metadata(MigrationContext.configure(session.connection()), Base.metadata))

        assert await store.run(differences) == []

    def test_the_newest_is_the_one_that_the_code_expects(self):
        config = Config()
        config.set_main_option("script_location", str(database.MIGRATIONS))
        assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA]

    async def test_one_of_the_first_version_is_brought_up_to_date(self, store: Store, path: Path):
        await store.add_machine(WEB)
        await store.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                "DROP TABLE rules; DROP TABLE roles; DROP TABLE subject_groups; DROP TABLE makers; ALTER TABLE grants DROP COLUMN reason;"
                "DROP TABLE platform_roles; DROP TABLE contact_preferences; DROP TABLE migrations_out; DROP TABLE migrations_in; DROP TABLE appliances; DROP TABLE appliance_feeds; DROP TABLE parked_machines;"
                "DROP TABLE health_samples; DROP TABLE scheduled_jobs; DROP TABLE kept_folders; DROP TABLE ownership;"
                "UPDATE alembic_version SET version_num = '0001'"
            )
        again = await Store.open(path)
        assert (await again.machines(), await again.folder_owners(UUID)) == ((WEB,), frozenset())
        await again.close()

    async def test_a_newer_database_is_refused_and_not_touched(self, store: Store, path: Path):
        await store.add_machine(WEB)
        await store.close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        before = content_of(path)
        with pytest.raises(StoreError, match=f"written by a newer agent .tables 9999, this one knows {SCHEMA}"):
            await Store.open(path)
        assert content_of(path) == before

    async def test_an_older_database_is_copied_then_changed(self, store: Store, path: Path, newer: Callable[..., None]):
        await store.add_machine(WEB)
        await store.close()
        newer()
        await (await Store.open(path)).close()
        backup = path.with_name(f"archipel.sqlite3.tables-{SCHEMA}.backup")
        assert mode_of(backup) == 0o600
        for file, revision, colour in ((path, "9000", True), (backup, SCHEMA, False)):
            with closing(sqlite3.connect(file)) as connection:
                assert connection.execute("SELECT name FROM virtual_machines").fetchall() == [("Web",)]
                assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]
                columns = {column[1] for column in connection.execute("PRAGMA table_info(virtual_machines)")}
                assert ("colour" in columns) is colour

    async def test_a_migration_that_fails_changes_nothing(self, store: Store, path: Path, newer: Callable[..., None]):
        await store.add_machine(WEB)
        await store.close()
        newer(also='op.execute("SELECT * FROM nowhere")')
        with pytest.raises(StoreError, match="no such table: nowhere"):
            await Store.open(path)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(SCHEMA,)]
            assert "colour" not in {column[1] for column in connection.execute("PRAGMA table_info(virtual_machines)")}

    @pytest.fixture
    def newer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Make the agent one that knows a further migration."""

        def install(also: str = "pass") -> None:
            folder = tmp_path / "migrations"
            shutil.copytree(database.MIGRATIONS, folder)
            (folder / "versions" / "9000_colour.py").write_text(f"{NEXT_REVISION}    {also}\n")
            monkeypatch.setattr(database, "MIGRATIONS", folder)
            monkeypatch.setattr(database, "SCHEMA", "9000")

        return install


NEXT_REVISION = f"""
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{SCHEMA}"


def upgrade() -> None:
    op.add_column("virtual_machines", sa.Column("colour", sa.String))
"""

WRITER = """
import asyncio, sys, uuid
from pathlib import Path
from archipel.agent.secret import Secret
from archipel.agent.store import GrantRecord, MachineRecord, Phase, Store

async def main() -> None:
    store = await Store.open(Path(sys.argv[1]))
    while True:
        identity = str(uuid.uuid4())
        await store.add_machine(MachineRecord(uuid=identity, name=identity, password=Secret("x" * 32)))
        print("added", identity, flush=True)
        entity = f"{identity}@lab.example"
        await store.change_grants([GrantRecord(entity=entity, subject=entity, token=f"t{n}", granted_by=entity) for n in range(5)])
        print("granted", identity, flush=True)
        await store.set_phase(identity, Phase.ACTIVE)
        print("active", identity, flush=True)

asyncio.run(main())
"""


def write_until_killed(path: Path, acknowledged: int) -> list[tuple[str, str]]:
    """Let another process write, kill it -9 after so many acknowledged changes, and return these."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(acknowledged)]
    process.kill()
    lines += process.stdout.readlines()
    process.wait()
    return [(event, identity) for event, identity in (line.split() for line in lines if line.endswith("\n"))]


async def check_nothing_acknowledged_is_lost(path: Path, rounds: int) -> None:
    promised: dict[str, set[str]] = {}
    for _ in range(rounds):
        kill_after = random.randint(1, 60)
        for event, identity in write_until_killed(path, kill_after):
            promised.setdefault(identity, set()).add(event)
        store = await Store.open(path)
        machines = {machine.uuid: machine for machine in await store.machines()}
        grants = [grant.entity.partition("@")[0] for grant in await store.grants()]
        await store.close()
        for identity, events in promised.items():
            assert identity in machines
            assert grants.count(identity) in ({5} if "granted" in events else {0, 5}), "a list of grants is all or nothing"
            assert "active" not in events or machines[identity].phase is Phase.ACTIVE


async def test_a_killed_agent_loses_nothing_that_was_acknowledged(path: Path):
    """A few kills by default; ``ARCHIPEL_KILLS=100`` makes a long run of it."""
    await check_nothing_acknowledged_is_lost(path, rounds=int(os.environ.get("ARCHIPEL_KILLS", "3")))


class TestPasswords:
    def test_representations_hide_them(self):
        assert "hunter2" not in f"{WEB} {WEB!r} {[WEB]}"

    def test_new_ones_are_long_and_different(self):
        made = {make_password(32).reveal() for _ in range(100)}
        assert len(made) == 100
        assert all(len(password) == 32 and password.isalnum() and password.isascii() for password in made)
