# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of a real LDAP directory hold rights: ejabberd's mod_shared_roster_ldap as docs/rights.md sets it up, OpenLDAP, an agent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from archipel.client import ConnectionSettings, Session
from archipel.protocol.errors import CommandError
from archipel.protocol.rules import NewRule
from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd
from testbed.slapd import MANAGER, Slapd, group, person
from tests.documentation import read_blocks
from tests.wire.platform import ADMIN, HYPERVISOR, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOMAIN = "ldap.localhost"
PEOPLE = ("ada", "bob", "carol")
SEVERAL_READINGS = 5.0  # seconds


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Slapd]:
    """A directory with three people; ``tp1`` and ``staff`` are for the hypervisor to see, ``private`` is not."""
    directory = Slapd(tmp_path_factory.mktemp("slapd"), authority)
    directory.start()
    try:
        directory.plant()
        for name in PEOPLE:
            directory.add_person(name, f"{name}-secret")
        directory.add_group("tp1", person("ada"), seen_by=(HYPERVISOR,))
        directory.add_group("staff", person("carol"), group("tp1"), seen_by=(HYPERVISOR,))
        directory.add_group("private", person("bob"))
        yield directory
    finally:
        directory.stop()


def configure(ejabberd: Ejabberd, directory: Slapd, page: Path) -> None:
    """Set the server up as the page says, but for where the directory is and how long the server remembers what it read there."""
    [shown] = read_blocks(page, "yaml")
    roster: dict[str, Any] = yaml.safe_load(shown)["modules"]["mod_shared_roster_ldap"]
    roster |= {"ldap_servers": [directory.name], "ldap_port": directory.port, "ldap_tls_cacertfile": str(directory.ca_file)}
    roster |= {"ldap_rootdn": MANAGER, "ldap_password": directory.password, "cache_life_time": "1 second"}
    file = ejabberd.folder / "ejabberd.yml"
    configuration = yaml.safe_load(file.read_text())
    configuration["modules"]["mod_shared_roster_ldap"] = roster
    file.write_text(json.dumps(configuration))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(directory: Slapd, authority: Authority, root: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """An agent that reads the groups each second."""
    async with open_platform(
        tmp_path_factory.mktemp("platform"),
        authority,
        DOMAIN,
        {("RIGHTS", "rights_groups_interval"): "1"},
        configure=lambda ejabberd: configure(ejabberd, directory, root / "docs" / "rights.md"),
    ) as platform:
        yield platform
        assert "Traceback" not in platform.log, platform.log


@contextlib.asynccontextmanager
async def log_in(platform: Platform, name: str, password: str) -> AsyncIterator[Session]:
    server = platform.ejabberd
    settings = ConnectionSettings(jid=f"{name}@{DOMAIN}", password=password, host=server.host, port=server.port, ca_file=server.ca_file)
    async with Session(settings) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(platform: Platform) -> AsyncIterator[Session]:
    """The administrator, whose account is the server's own."""
    platform.ejabberd.register(ADMIN, "admin-secret")
    async with log_in(platform, ADMIN, "admin-secret") as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(platform: Platform) -> AsyncIterator[dict[str, Session]]:
    """The directory's people, each with an account."""
    for name in PEOPLE:
        platform.ejabberd.register(name, f"{name}-secret")
    async with contextlib.AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(log_in(platform, name, f"{name}-secret")) for name in PEOPLE}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(platform: Platform, admin: Session) -> Machine:
    """A machine on which members of tp1 may do what students may."""
    hypervisor = admin.hypervisor(platform.host)
    made = await hypervisor.alloc("seat")
    await hypervisor.grant_rules(NewRule(group="tp1", role="student", scope="hypervisor"))
    return Machine(made.bare.partition("@")[0], "seat", DOMAIN)


async def groups(platform: Platform, admin: Session) -> dict[str, set[str]]:
    """What the agent knows of the server's groups."""
    found = await admin.hypervisor(platform.host).groups()
    return {each.name: {member.jid.partition("@")[0] for member in each.members} for each in found if each.shared}


async def may(session: Session, machine: Machine) -> bool:
    try:
        await session.machine(machine.full).info()
    except CommandError:
        return False
    return True


async def until_members_are(platform: Platform, admin: Session, wanted: dict[str, set[str]]) -> None:
    async def are_so() -> bool:
        return await groups(platform, admin) == wanted

    await eventually(are_so, f"the groups are {wanted}")


@pytest.mark.usefixtures("people")
async def test_the_hypervisor_sees_the_groups_that_name_it_and_a_group_within_a_group_is_not_looked_into(
    platform: Platform, admin: Session
):
    await until_members_are(platform, admin, {"tp1": {"ada"}, "staff": {"carol"}})


async def test_a_member_has_the_right_and_loses_it_when_the_directory_takes_him_out(
    directory: Slapd, machine: Machine, people: dict[str, Session]
):
    ada, bob = people["ada"], people["bob"]

    async def only_ada() -> bool:
        return [await may(session, machine) for session in (ada, bob)] == [True, False]

    async def only_bob() -> bool:
        return [await may(session, machine) for session in (ada, bob)] == [False, True]

    await eventually(only_ada)
    directory.change_group("tp1", "add", person("bob"))
    directory.change_group("tp1", "delete", person("ada"))
    await eventually(only_bob)


@pytest.mark.usefixtures("people")
async def test_whom_the_own_roster_has_is_in_no_group_of_the_directory(platform: Platform, admin: Session):
    carol = f"carol@{DOMAIN}"
    await admin.hypervisor(platform.host).add_subscription(carol)
    await until_members_are(platform, admin, {"tp1": {"bob"}})
    await admin.hypervisor(platform.host).remove_subscription(carol)
    await until_members_are(platform, admin, {"tp1": {"bob"}, "staff": {"carol"}})


async def test_while_the_directory_is_away_members_stay_what_they_were(directory: Slapd, machine: Machine, people: dict[str, Session]):
    assert await may(people["bob"], machine)
    directory.stop()
    await asyncio.sleep(SEVERAL_READINGS)
    assert await may(people["bob"], machine)
    assert not await may(people["ada"], machine)
