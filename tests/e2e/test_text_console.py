# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest's serial console in a chat: a shell answers, one person at a time, and it ends with the session and the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from archipel.client import Session, VirtualMachine
from archipel.xmpp.tls import client_context
from tests.documentation import is_like, read_talks
from tests.e2e.real_guest import Place
from tests.integration.collection.platform import DOMAIN, password_of
from tests.wire.matching import CLIENT
from tests.wire.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOOT_DEADLINE = 90  # seconds; under emulation, on a machine that is busy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(place: Place, admin: Session) -> VirtualMachine:
    """The guest, off."""
    return await place.make_machine(admin, "talker")


async def enter(place: Place, resource: str) -> Person:
    ejabberd = place.platform.ejabberd
    tls = client_context(ejabberd.ca_file)
    person = Person(f"admin@{DOMAIN}", password_of("admin"), tls, (ejabberd.host, ejabberd.port), resource)
    await person.log_in()
    return person


async def write(person: Person, machine: VirtualMachine, line: str) -> None:
    person.send(f"<message type='chat' to='{machine.jid}'><body>{line}</body></message>")


async def expect(person: Person, words: str, since: int = 0) -> None:
    def told() -> str:
        return "\n".join(stanza.findtext(f"{{{CLIENT}}}body") or "" for stanza in person.received[since:] if stanza.get("type") == "chat")

    await person.until(lambda: words in told(), words, BOOT_DEADLINE)


async def test_a_shell_answers_in_a_chat(place: Place, machine: VirtualMachine, root: Path) -> None:
    person = await enter(place, "phone")
    await machine.start()
    _commands, [opening, typed] = read_talks(root / "docs" / "chat.md")
    assert is_like(opening.answer, await person.say(str(machine.jid), opening.words))
    await expect(person, "READY")
    await write(person, machine, typed.words)
    await expect(person, f"\n{typed.answer}")
    await write(person, machine, "echo $((6 * 7))-seen")
    await expect(person, "42-seen")
    other = await enter(place, "tablet")
    assert "cannot be opened" in await other.say(str(machine.jid), "open console")
    await write(person, machine, "sleep 1000")
    await expect(person, "sleep 1000")
    await write(person, machine, "~^C")
    await write(person, machine, "echo $((6 * 8))-back")
    await expect(person, "48-back")
    await write(person, machine, "~.")
    await expect(person, "The console is closed: you closed it.")
    assert "-seen" not in place.platform.agent.audit_file.read_text()
    assert "serial console" in await other.say(str(machine.jid), "open console")  # it was let go of
    await other.log_out()
    await person.log_out()


async def test_a_flood_stays_a_trickle_and_the_machines_end_is_the_sessions(place: Place, machine: VirtualMachine) -> None:
    person = await enter(place, "desk")
    assert "serial console" in await person.say(str(machine.jid), "open console")  # the one before ended with its client
    since = len(person.received)
    await write(person, machine, "for i in $(seq 3000); do echo $i-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done; echo $((6 * 9))-end")
    await expect(person, "54-end", since)
    told = [stanza for stanza in person.received[since:] if stanza.get("type") == "chat"]
    assert all(len(stanza.findtext(f"{{{CLIENT}}}body") or "") < 3100 for stanza in told)
    await machine.destroy()
    await expect(person, "The console is closed: the console has ended.")
    await person.log_out()
