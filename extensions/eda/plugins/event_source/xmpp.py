# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events of Archipel's hypervisors and virtual machines, for ansible-rulebook."""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

try:
    from archipel.client import MachineState, PresenceChanged, Pushed, Resynced, Said, Session, SubscriptionRefused
    from archipel.client.failures import describe
    from archipel.client.login import add_environment, connection_settings, load_profile
    from archipel.client.tags import KeptTags
    from archipel.client.watch import Absent, Returned, Sighting, Watch, Watched, log_in
    from archipel.protocol.changes import declared_changes
    from archipel.protocol.events import Push
    from archipel.protocol.presence import Status
    from archipel.protocol.rights import EntityKind
    from archipel.xmpp.errors import WireError
except ImportError as error:  # main tells the user
    MISSING: ImportError | None = error
else:
    MISSING = None

DOCUMENTATION = r"""
---
name: xmpp
short_description: Events of hypervisors and virtual machines
version_added: 0.1.0
author:
  - Archipel for Ansible contributors (@archipel)
description:
  - An event source for ansible-rulebook. It listens to hypervisors and all their managed machines over one XMPP session, also to
    machines that are made later, and delivers each push and each change of presence as an event.
  - It never ends. A session that is lost is set up again, for ever; a login that the server refuses ends it with an error.
  - 'All events have C(type), C(host) (C(name), C(jid), C(uuid), C(hypervisor), C(kind), C(tags)), C(state) (what the host shows:
    V(running), V(paused), V(off), V(crashed), V(asleep), V(shutting down), V(not defined); V(online) for a hypervisor; V(offline);
    or empty, if that is not known) and C(shows), the text of its presence.'
  - 'C(type=push): something changed. C(topic) and C(change) are the words of docs/events.md, C(words) says what happened, C(who) is
    the account whose doing it was (empty if that is not certain), C(own) whether that is the account of the source, C(sequence) and
    C(epoch) count, C(date) is the local time there.'
  - 'C(type=presence): the host shows something else, or went offline.'
  - 'C(type=resync): pushes may have been missed, so that what is true must be asked for. C(reason) is V(begin), V(reconnected), V(gap),
    V(restarted), V(returned) or V(overflow). At the beginning each host has one.'
  - 'C(type=absent): a hypervisor has been offline for O(absence) seconds. It is told once, and then, when it is back, C(type=returned).
    While the source has no connection of its own, nobody is told to be absent.'
  - 'C(type=refused): the account may not hear the pushes of this host; C(text) says why.'
  - 'C(type=message): the host said C(text).'
  - Ansible takes what comes in an event for templates. In all texts a blank breaks up what would begin one.
  - C(meta.uuid) of a push is made of what names the push on the wire, so that it is the same for every listener.
options:
  xmpp_jid:
    description: The account to log in with. If not given, the environment variable E(ARCHIPEL_JID) is used, then the O(profile).
    type: str
  xmpp_password_file:
    description:
      - A file whose first line is the password. Only its owner may be able to read it.
      - If not given, the secret of the O(profile) is used if the account is the profile's, else the environment variable
        E(ARCHIPEL_PASSWORD) or E(ARCHIPEL_PASSWORD_FILE).
      - There is no option for the password itself, as ansible-rulebook writes options of sources into its logs.
    type: path
  xmpp_host:
    description: Name or address of the XMPP server; else the environment variable E(ARCHIPEL_HOST), else the SRV records of the domain.
    type: str
  xmpp_port:
    description: The port of O(xmpp_host); else the environment variable E(ARCHIPEL_PORT), else V(5222).
    type: int
  xmpp_ca_file:
    description: Certificates (PEM) of the authorities to trust in place of the system's; else those of E(ARCHIPEL_CA_FILE).
    type: path
  xmpp_pubsub_service:
    description: The address of the publish-subscribe service; C(pubsub.) and the account's domain unless given.
    type: str
  xmpp_allow_plain:
    description: Permit the mechanism PLAIN inside TLS, for accounts that the server takes from LDAP.
    type: bool
    default: false
  insecure_plaintext:
    description: Do without TLS. For a test on loopback.
    type: bool
    default: false
  profile:
    description: The name of a login that C(archipel login) stored; else the environment variable E(ARCHIPEL_PROFILE).
    type: str
  timeout:
    description: How many seconds an entity may take to answer one request; V(30) unless given.
    type: float
  hypervisors:
    description:
      - The accounts of the hypervisors to listen to.
      - Unless given, the one in the environment variable E(ARCHIPEL_HYPERVISOR), or those of the O(profile), or else those among the
        account's contacts.
    type: list
    elements: str
  entities:
    description: Only these machines, by name, UUID or JID. Events of the hypervisors are always delivered.
    type: list
    elements: str
  tags:
    description: Only machines that have one of these tags when the event comes. Events of the hypervisors are always delivered.
    type: list
    elements: str
  absence:
    description: How many seconds a hypervisor is offline until that is told.
    type: float
    default: 30
  limit_plays:
    description:
      - What C(meta.hosts) is, to which ansible-rulebook then limits the plays of its actions, with C(--limit).
      - With V(none) there is none, and the hosts of the ruleset count, as for plays that run on C(localhost).
      - Who makes a machine chooses its name. With V(name) a name that would not be the name of just one host in a limit is replaced
        by the JID, but nobody can know which groups there are in an inventory; V(jid) is safe, and goes with inventories that have
        C(host_format="{jid}").
    type: str
    choices: [none, name, jid, hypervisor]
    default: none
requirements:
  - The Python distribution C(archipel), which is part of this collection, in the Python that runs ansible-rulebook.
    Install it with C(python -m pip install ~/.ansible/collections/ansible_collections/archipel/platform).
"""

EXAMPLES = r"""
# The account, its password and its server come from the environment, the hypervisors from its contacts.
- archipel.platform.xmpp:

# Two hypervisors, and of their machines those of a course.
- archipel.platform.xmpp:
    xmpp_jid: watchman@example.org
    xmpp_password_file: /etc/archipel/watchman.password
    hypervisors:
      - hypervisor1@example.org
      - hypervisor2@example.org
    tags:
      - course-101
    absence: 60
"""

log = logging.getLogger("archipel.event_source")

UUIDS = uuid.UUID("f3b0a5c2-7d0e-5c86-9a44-0f5a1f4f7a35")  # the namespace of the pushes' uuids
PAUSE = 2.0  # seconds until listening is begun anew
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # no pattern of Ansible's, no list, no file
RESERVED = frozenset({"all", "ungrouped", "localhost"})
TEMPLATE = re.compile(r"\{(?=[{%#])")
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
LIMITS = ("none", "name", "jid", "hypervisor")


def read_list(value: Any) -> list[str]:
    """Return a list of texts."""
    return [value] if isinstance(value, str) else [str(entry) for entry in value]


def read_bool(value: Any) -> bool:
    """Return a choice of yes or no."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "false": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError("give true or false")
    return words[str(value).lower()]


def read_limit(value: Any) -> str:
    """Return one of the ways to limit plays."""
    if value not in LIMITS:
        raise ValueError(f"give one of {', '.join(LIMITS)}")
    return str(value)


def read_seconds(value: Any) -> float:
    """Return a time."""
    seconds = float(value)
    if not 0 < seconds < float("inf"):
        raise ValueError("give a number of seconds that is more than 0")
    return seconds


OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    "xmpp_jid": str,
    "xmpp_password_file": str,
    "xmpp_host": str,
    "xmpp_port": int,
    "xmpp_ca_file": str,
    "xmpp_pubsub_service": str,
    "xmpp_allow_plain": read_bool,
    "insecure_plaintext": read_bool,
    "profile": str,
    "timeout": read_seconds,
    "hypervisors": read_list,
    "entities": read_list,
    "tags": read_list,
    "absence": read_seconds,
    "limit_plays": read_limit,
}
DEFAULTS: Mapping[str, Any] = {"absence": 30.0, "limit_plays": "none"}


def read_options(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with their types, with the environment's and the defaults; raises :class:`ValueError`, which names the option."""
    own = {name: value for name, value in args.items() if not name.startswith("eda_")}  # those are ansible-rulebook's
    if "xmpp_password" in own:
        raise ValueError(
            "xmpp_password: options of a source are written into logs; give xmpp_password_file, a profile, or ARCHIPEL_PASSWORD"
        )
    for name in own:
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, 1)
            raise ValueError(f"{name} is no option" + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(OPTIONS)}"))
    found = {}
    for name, value in add_environment(own).items():
        try:
            found[name] = OPTIONS[name](value)
        except (TypeError, ValueError) as wrong:
            raise ValueError(f"{name}: {value!r} does not do: {wrong}") from None
    if "hypervisors" not in found and os.environ.get("ARCHIPEL_HYPERVISOR"):
        found["hypervisors"] = [os.environ["ARCHIPEL_HYPERVISOR"]]
    return {**DEFAULTS, **found}


def clear_words() -> dict[tuple[str, str], str]:
    """Return what each topic and change means, for people."""
    return {
        (topic, str(change)): LINK.sub(r"\1", change.when).replace("`", "")
        for topic, changes in declared_changes().items()
        for change in changes
    }


def describe_state(who: Watched, status: Status | None) -> str:
    """Return the state that a host shows."""
    if status is None:
        return "offline"
    return "online" if who.kind is EntityKind.HYPERVISOR else str(MachineState.shown_by(status) or "")


def disarm(value: Any) -> Any:
    """Return a value without the beginnings of templates: people choose names, and Ansible would carry out what stands in them."""
    if isinstance(value, str):
        return TEMPLATE.sub("{ ", value)
    if isinstance(value, Mapping):
        return {name: disarm(entry) for name, entry in value.items()}
    return [disarm(entry) for entry in value] if isinstance(value, list) else value


def push_uuid(who: Watched, push: Push) -> str:
    """Return what is the same for everybody who hears this push; agents that do not count have the time, to the microsecond."""
    identity = f"{push.epoch}/{push.sequence}" if push.epoch else f"{push.date.isoformat()}/{push.topic}/{push.change}"
    return str(uuid.uuid5(UUIDS, f"{who.jid}/{identity}"))


def limit_of(who: Watched, limit_plays: str) -> str:
    """Return the host to which plays are limited; nothing if they are not."""
    if limit_plays == "name" and PLAIN_NAME.fullmatch(who.name) and who.name not in RESERVED:
        return who.name
    return {"none": "", "hypervisor": who.hypervisor}.get(limit_plays, who.jid)


class Source:
    """Turns what a watch sees into events."""

    def __init__(self, session: Session, options: Mapping[str, Any]) -> None:
        self.session = session
        self.options = options
        self.tags = KeptTags(session)
        self.words = clear_words()
        self._shown: dict[str, Status | None] = {}

    def wants(self, machine: Watched) -> bool:
        """Whether somebody asked for events of this machine."""
        entities = self.options.get("entities")
        return entities is None or any(machine.answers_to(reference) for reference in entities)

    async def make_event(self, sighting: Sighting) -> dict[str, Any] | None:
        """Return the event for something that was seen; ``None`` if nobody asked for it."""
        who, seen = sighting
        tags = await self.tags.of(who.jid)
        if who.kind is EntityKind.VIRTUAL_MACHINE and "tags" in self.options and not set(self.options["tags"]) & set(tags or ()):
            return None
        state, shows = self.follow_state(who, seen)
        host = {
            "name": who.name,
            "jid": who.jid,
            "uuid": who.uuid,
            "hypervisor": who.hypervisor,
            "kind": str(who.kind),
            "tags": [*(tags or ())],
        }
        limit = limit_of(who, self.options["limit_plays"])
        event: dict[str, Any] = {
            **self.describe(who, seen),
            "host": host,
            "state": state,
            "shows": shows,
            "meta": {
                "uuid": push_uuid(who, seen.push) if isinstance(seen, Pushed) else str(uuid.uuid4()),
                **({"hosts": [limit]} if limit else {}),
            },
        }
        return {name: disarm(value) for name, value in event.items()}

    def follow_state(self, who: Watched, seen: Any) -> tuple[str, str]:
        """Return what a host showed when this happened (who reads the events may be slow): its state and its own words."""
        if isinstance(seen, PresenceChanged):
            self._shown[who.jid] = seen.status
        elif isinstance(seen, Resynced):
            self._shown.pop(who.jid, None)
        elif isinstance(seen, Absent):
            self._shown[who.jid] = None
        if who.jid not in self._shown:
            status = self.session.presences.status(who.jid)
            return ("", "") if status is None else (describe_state(who, status), status.text)
        status = self._shown[who.jid]
        return describe_state(who, status), "" if status is None else status.text

    def describe(self, who: Watched, seen: Any) -> dict[str, Any]:
        """Return what kinds of events differ in."""
        match seen:
            case Pushed(push=push):
                return {
                    "type": "push",
                    "topic": push.topic,
                    "change": push.change,
                    "words": self.words.get((push.topic, push.change), ""),
                    "who": push.by,
                    "own": push.by == self.session.jid,
                    "sequence": push.sequence,
                    "epoch": push.epoch,
                    "date": push.date.isoformat(),
                }
            case PresenceChanged():
                return {"type": "presence"}
            case Resynced(reason=reason):
                return {"type": "resync", "reason": str(reason)}
            case Absent(seconds=seconds):
                return {"type": "absent", "seconds": seconds}
            case Returned():
                return {"type": "returned"}
            case SubscriptionRefused(error=refusal):
                return {"type": "refused", "text": describe(refusal)}
            case Said(text=text):
                return {"type": "message", "text": text}
        raise TypeError(f"{who.jid}: an event of a kind that is not known: {type(seen).__name__}")


async def find_hypervisors(session: Session, options: Mapping[str, Any]) -> list[str]:
    """Return the hypervisors of the options, the environment or the profile, or else those among the account's contacts."""
    profile = load_profile(options)
    named = options.get("hypervisors") or (() if profile is None else profile.hypervisors)
    found = list(named or await session.find_hypervisors())
    if not found:
        raise ValueError(
            "hypervisors: name them in the rulebook, in the environment (ARCHIPEL_HYPERVISOR) or in the profile; "
            "there is none among the account's contacts"
        )
    return found


async def deliver(queue: asyncio.Queue[Any], session: Session, options: Mapping[str, Any]) -> None:
    """Put every event into the queue, in order; who takes them may be slow."""
    source = Source(session, options)
    hypervisors = await find_hypervisors(session, options)
    async with Watch(session, hypervisors, wanted=source.wants, absence=options["absence"]) as watch:
        async for sighting in watch:
            event = await source.make_event(sighting)
            if event is not None:
                await queue.put(event)
                await asyncio.sleep(0)


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Deliver events until this is cancelled."""
    if MISSING is not None:
        raise RuntimeError(
            f"the Python distribution archipel is missing ({MISSING}); it is part of the collection: "
            "python -m pip install ~/.ansible/collections/ansible_collections/archipel/platform, with the Python that runs ansible-rulebook"
        )
    options = read_options(args)
    async with log_in(connection_settings(options)) as session:
        while True:
            try:
                await deliver(queue, session, options)
            except WireError as failure:  # while it began to listen; later losses are bridged
                log.warning("the connection was lost: %s", failure)
                await asyncio.sleep(PAUSE)
