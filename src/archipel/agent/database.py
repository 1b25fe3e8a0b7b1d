# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the agent's SQLite file: private, durable, with the tables of this version."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError

from archipel.agent.tables import SCHEMA

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT = 5.0  # seconds; somebody who looks into the file with another program locks it for less


class StoreError(Exception):
    """The agent's database cannot be used; the text names the file and says what to do."""


def open_database(path: Path) -> Engine:
    """Return an engine for the database at ``path``, made or brought up to date if necessary.

    It has one connection, which belongs to the calling thread. Raises :class:`StoreError`.
    """
    try:
        _make_private(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None},  # transactions begin below, DDL included
        poolclass=StaticPool,
        hide_parameters=True,  # errors would show passwords
    )
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    try:
        _bring_up_to_date(engine, path)
    except DBAPIError as error:
        engine.dispose()
        raise StoreError(f"{path} cannot be opened: {error.orig}") from error
    except StoreError:
        engine.dispose()
        raise
    return engine


@contextlib.contextmanager
def claim(path: Path) -> Iterator[None]:
    """Keep the database at ``path`` for this process alone; a crash gives it up. Raises :class:`StoreError`.

    Two agents of one state would log in with the same accounts and throw each other out of the server.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        _make_private(lock)
        file = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{lock} cannot be opened: {error.strerror}") from error
    try:
        _lock(file, path)
        yield
    finally:
        os.close(file)


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{path} is in use by another agent on this host: stop it first") from None


def _make_private(path: Path) -> None:
    """Make the file with mode 0600 before SQLite does; its companions (-wal, -shm) take the mode over."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_mode & 0o077:
            os.fchmod(file, 0o600)
    finally:
        os.close(file)


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    """Write ahead, and to the disk before a commit returns (https://sqlite.org/pragma.html#pragma_synchronous)."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _bring_up_to_date(engine: Engine, path: Path) -> None:
    with engine.begin() as connection:
        tables = inspect(connection).get_table_names()
        revision = connection.scalar(text("SELECT version_num FROM alembic_version")) if "alembic_version" in tables else None
    if revision == SCHEMA:
        return
    if tables and revision is None:
        raise StoreError(f"{path} is a database of another program: name a new file in [HYPERVISOR] hypervisor_database_path")
    if revision is not None and revision > SCHEMA:
        raise StoreError(
            f"{path} was written by a newer agent (tables {revision}, this one knows {SCHEMA}): install that version again, "
            f"or put the copy back that it made ({backup_path(path, SCHEMA).name})"
        )
    if revision is not None:
        _back_up(engine, backup_path(path, revision))
    _migrate(engine)


def backup_path(path: Path, revision: str) -> Path:
    """Return where the database is copied to before the tables of ``revision`` are changed."""
    return path.with_name(f"{path.name}.tables-{revision}.backup")


def _back_up(engine: Engine, target: Path) -> None:
    _make_private(target)
    source = engine.raw_connection()
    try:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            cast(sqlite3.Connection, source.driver_connection).backup(copy)
    finally:
        source.close()


def _migrate(engine: Engine) -> None:
    """Run what migrations are missing, in one transaction: a crash leaves the tables as they were."""
    # Only here: the agent starts three times a year with new tables and every day without.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
