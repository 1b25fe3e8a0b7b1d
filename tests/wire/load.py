# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""People who use their machines all the time, and what they were told: the ledger against which a platform is checked after a fault."""

from __future__ import annotations

import random
import re
import uuid as uuids
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from tests.wire.matching import child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, HOST, PERMISSIONS, Machine, Platform

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANSWER_WAIT = 60.0


@dataclass
class Known:
    """What is known of a machine by what was answered; ``open`` names what was asked and not answered."""

    machine: Machine
    made: bool = False
    freed: bool = False
    memory: str = "65536"
    running: bool = False
    rights: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)


class Ledger:
    """Asks for changes and remembers which were acknowledged."""

    def __init__(self, platform: Platform, person: Person, friend: str, chance: random.Random) -> None:
        self.platform = platform
        self.person = person
        self.machines: list[Known] = []
        self._friend = friend
        self._chance = chance

    async def work(self) -> None:
        """Do something at random, and note what came of it; raises AssertionError when no answer comes."""
        alive = [known for known in self.machines if known.made and not known.freed and not known.open]
        if len(alive) < 3 or self._chance.random() < 0.2:
            await self.make()
        else:
            known = self._chance.choice(alive)
            step = self._chance.choice([self.define, self.start, self.grant, self.revoke, self.free])
            await step(known)

    async def make(self) -> None:
        uuid = str(uuids.UUID(int=self._chance.getrandbits(128), version=4))
        known = Known(Machine(uuid, f"vm-{uuid[:8]}", self.platform.domain))
        self.machines.append(known)
        request = f"<archipel action='alloc' name='{known.machine.name}' uuid='{uuid}'>{known.machine.definition()}</archipel>"
        if await self._ask(known, "alloc", self.platform.host, HOST, request):
            known.made = True

    async def define(self, known: Known) -> None:
        memory = str(self._chance.randrange(20_000, 60_000))
        definition = known.machine.definition().replace("65536", memory)
        if await self._ask(known, "define", known.machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>"):
            known.memory = memory

    async def start(self, known: Known) -> None:
        action = "destroy" if known.running else "create"
        if await self._ask(known, action, known.machine.full, CONTROL, f"<archipel action='{action}'/>"):
            known.running = not known.running

    async def grant(self, known: Known) -> None:
        right = self._chance.choice(["info", "create", "message", "define"])
        if await self._set_right(known, right, "1"):
            known.rights.add(right)

    async def revoke(self, known: Known) -> None:
        if known.rights and await self._set_right(known, right := min(known.rights), "0"):
            known.rights.discard(right)

    async def free(self, known: Known) -> None:
        request = f"<archipel action='free' jid='{known.machine.bare}'/>"
        if await self._ask(known, "free", self.platform.host, HOST, request):
            known.freed = True

    async def _set_right(self, known: Known, right: str, value: str) -> bool:
        permission = f"permission_type='user' permission_target='{self._friend}' permission_name='{right}' permission_value='{value}'"
        request = f"<archipel action='set'><permission {permission}/></archipel>"
        return await self._ask(known, f"right {right}", known.machine.full, PERMISSIONS, request)

    async def _ask(self, known: Known, what: str, address: str, namespace: str, request: str) -> bool:
        """Ask; what gets no answer of the agent's stays open, because nobody knows whether it was done."""
        known.open.add(what)
        answer = await self.person.ask(address, f"<query xmlns='{namespace}'>{request}</query>", deadline=ANSWER_WAIT)
        if answer.get("type") == "error" and is_of_the_server(answer):
            return False
        known.open.discard(what)
        assert answer.get("type") == "result", f"{what}: {show(answer)}"
        return True

    # -- the reckoning --------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Check that what was acknowledged is so, that what was freed is gone, and that nothing is half there."""
        roster = await self.platform.roster_of_machines(self.person)
        managed = {jid.partition("@")[0] for jid, item in roster.items() if item.get("managed") == "True"}
        for known in self.machines:
            where = f"{known}"
            there = known.machine.uuid in managed
            if known.freed:
                assert not there, f"freed, but there: {where}"
            elif known.made and "free" not in known.open:
                assert there, f"made, but not there: {where}"
            if there and not known.open:
                await self._check_machine(known)
        self.assert_whole(managed)

    async def _check_machine(self, known: Known) -> None:
        definition = self.platform.definition_in_libvirt(known.machine.uuid) or ""
        assert f"<memory unit='KiB'>{known.memory}</memory>" in definition, f"{known}: {definition}"
        stored = {
            token
            for (token,) in self.platform.rows(
                "SELECT token FROM grants WHERE entity = ? AND subject = ?", known.machine.bare, self._friend
            )
        }
        assert stored == known.rights, f"{known}: {stored}"
        answer = await self.person.command(known.machine.full, CONTROL, "<archipel action='info'/>", "get")
        assert answer.get("type") == "result", f"{known}: {show(answer)}"
        assert child(child(answer, "query"), "info").get("state") == ("1" if known.running else "5"), f"{known}: {show(answer)}"

    def assert_whole(self, managed: set[str]) -> None:
        """Check that rows, accounts, folders and domains are of the same machines: no half-made ones, no orphans."""
        platform = self.platform
        rows = dict(platform.rows("SELECT uuid, phase FROM virtual_machines"))
        assert set(rows.values()) <= {"active"}, rows
        with platform.libvirt() as connection:
            domains = {domain.UUIDString() for domain in connection.listAllDomains()}
        folders = {path.name for path in platform.agent.machines.iterdir()} if platform.agent.machines.exists() else set()
        accounts = {name for name in platform.accounts() if UUID.fullmatch(name)}
        assert {"rows": set(rows), "accounts": accounts, "folders": folders, "domains": domains} == dict.fromkeys(
            ("rows", "accounts", "folders", "domains"), managed
        )


def is_of_the_server(answer: ET.Element) -> bool:
    """Whether an error is the server's word that nobody is there, not the agent's."""
    return not any(name_of(part).startswith(("archipel-error", "libvirt-error")) for part in child(answer, "error"))
