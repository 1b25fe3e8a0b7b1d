# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two hypervisors have to know of each other, and how one asks the other."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, TypeVar

from archipel.agent import avatars, oom_setting, ownership, rule_store, schedule_book
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.jids import MalformedJid, bare_jid
from archipel.agent.luggage import Job, Luggage
from archipel.agent.migration_settings import NAME, MigrationSettings
from archipel.agent.notices.preferences import read_wishes
from archipel.agent.store import MachineRecord, StoreError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.migration import Expect
from archipel.protocol.payload import Request
from archipel.protocol.xml import child_named
from archipel.xmpp import stanzas
from archipel.xmpp.serial import serialize

log = logging.getLogger(__name__)
T = TypeVar("T")

ANSWER_DEADLINE: Final = 30.0  # seconds; as long as people wait who ask, and who died meanwhile is asked again after it
LARGEST_STANZA: Final = 250_000  # bytes; the server ends the session that sends more (Debian's ejabberd: 256 KiB)
RIGHTS: Final = ("soft_alloc", "migrationinfo")
"""What a hypervisor needs to hold at another one that it hands machines over to."""


def settings_of(hypervisor: Hypervisor) -> MigrationSettings:
    """Return the options of migration."""
    found: MigrationSettings = hypervisor.services.settings.capabilities[NAME]
    return found


def peers_of(hypervisor: Hypervisor) -> frozenset[str]:
    """Return the accounts of the other hypervisors that this one trusts."""
    return frozenset(settings_of(hypervisor).peers) - {hypervisor.bare}


def refuse_untrusted(hypervisor: Hypervisor, caller: Caller, *, admins: bool = False) -> None:
    """Raise ``not-allowed`` for who is no hypervisor that machines are taken from; ``admins``: administrators may, too.

    The right alone does not do: whoever hands a machine over says which rights people have on it.
    """
    if caller.bare in peers_of(hypervisor) or (admins and hypervisor.services.rights.is_admin(caller.bare)):
        return
    text = f"{caller.bare} is no hypervisor that this one takes machines from: an administrator lists those in migration_peers"
    raise CommandError(text, condition=Condition.NOT_ALLOWED)


def find_peer(hypervisor: Hypervisor, address: str) -> str:
    """Return the full JID that machines are sent to, or raise why none are."""
    wanted = address.strip()
    try:
        bare = bare_jid(wanted)
    except MalformedJid as error:
        raise BadRequest(f"hypervisorjid: {error}") from error
    if not wanted.partition("/")[2]:
        raise BadRequest(f"hypervisorjid: write the full JID, as its presence has it: {bare}/HOST")
    if bare == hypervisor.bare:
        raise CommandError("hypervisorjid: the machine is on this hypervisor already", condition=Condition.CONFLICT)
    if bare not in peers_of(hypervisor):
        text = f"hypervisorjid: {bare} is no hypervisor that this one entrusts machines to: an administrator lists those in migration_peers"
        raise CommandError(text, condition=Condition.NOT_ALLOWED)
    return f"{bare}/{wanted.partition('/')[2]}"


def refuse_too_large(name: str, announcement: Expect) -> None:
    """Raise :class:`BadRequest` for what is to be said of a machine ``name`` and is more than a stanza carries."""
    size = len(serialize(announcement.write()).encode())
    if size > LARGEST_STANZA:
        text = f"the definition of {name} and the list of its files have {size} bytes, and one message carries {LARGEST_STANZA}"
        raise BadRequest(f"{text}: take out what it does not need")


async def ask(hypervisor: Hypervisor, to: str, request: Request[T]) -> T:
    """Ask another hypervisor (full JID), over the hypervisor's own stream, and return its answer.

    Raises the :class:`CommandError` that it answers, or a :class:`~archipel.xmpp.errors.WireError`: then nobody knows.
    """
    asked = stanzas.command(request, to, "get" if request.reads else "set")
    answer = await hypervisor.stream.request(asked, ANSWER_DEADLINE)
    query = child_named(answer, "query")
    if query is None:
        raise CommandError(f"{to} answers what is no answer")
    return type(request).read_answer(query)


async def pack(machine: VirtualMachine, record: MachineRecord, *, autostart: bool) -> Luggage:
    """Return all that is remembered of a machine, as it stands now. Raises :class:`StoreError`."""
    store, bare = machine.services.store, machine.bare
    kept = await rule_store.load(store)
    jobs = [job for job in await schedule_book.read_jobs(store) if job.entity == bare]
    return Luggage(
        entity=bare,
        name=record.name,
        adopted=record.adopted,
        autostart=autostart,
        created_at=record.created_at,
        organisation=record.organisation,
        tags=record.tags,
        maker=kept.makers.get(bare, ""),
        avatar=await asyncio.to_thread(avatars.read_choice, machine.services.settings, bare),
        oom=await asyncio.to_thread(_read_oom, machine),
        grants=await store.grants(bare),
        rules=tuple(rule for rule in kept.rules if rule.entity == bare),
        jobs=tuple(map(Job, jobs)),
        wishes=await read_wishes(store, bare),
        claims=await ownership.claims_of_machine(store, machine.uuid),
    )


def _read_oom(machine: VirtualMachine) -> int | None:
    try:
        return oom_setting.read_setting(machine.folder)
    except OSError as error:
        log.warning("%s: what its process is given at each start cannot be read: %s", machine.bare, error)
        return None


async def let_peers_in(hypervisor: Hypervisor) -> None:
    """Give the trusted hypervisors the rights that they need here, and take them from those that are trusted no more."""
    rights, peers = hypervisor.services.rights, peers_of(hypervisor)
    try:
        for grant in await hypervisor.services.store.grants(hypervisor.bare):
            if grant.token in RIGHTS and grant.granted_by == hypervisor.bare and grant.subject not in peers:
                await rights.revoke(hypervisor.bare, grant.subject, grant.token)
        for peer in peers:
            await rights.grant(hypervisor.bare, peer, *RIGHTS, granted_by=hypervisor.bare)
    except StoreError as error:
        log.error("the rights of other hypervisors cannot be written: %s", error)
