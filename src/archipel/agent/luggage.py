# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent remembers of a machine, packed for another agent: rights, owners, tags, vCard, jobs, wishes; no secrets."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from archipel.agent.jids import MalformedJid, account_jid
from archipel.agent.notices.preferences import Wish
from archipel.agent.ownership import ClaimRecord, machine_of
from archipel.agent.rules import Reach, RuleRecord, Scope
from archipel.agent.schedule_book import JobRecord
from archipel.agent.schedule_times import check_fields
from archipel.agent.secret import Secret
from archipel.agent.store import GrantRecord, MachineRecord, Phase
from archipel.protocol.errors import BadRequest
from archipel.protocol.migration import LONGEST_PACKAGE
from archipel.protocol.preferences import Verbosity, read_hours, read_zone
from archipel.protocol.rules import read_time
from archipel.protocol.vcard import Organisation

MOST_BYTES: Final = 8 << 20
"""Of a package that is unpacked: what is sent is compressed."""
ROOM: Final = 0.25
"""Share of a package that is left free before a machine moves, for what people add while it does."""
_KINDS: Final = {
    "name": str,
    "adopted": bool,
    "autostart": bool,
    "created_at": datetime,
    "maker": str,
    "avatar": str | None,
    "oom": int | None,
}
_MOMENTS: Final = frozenset({"granted_at", "expires_at", "created_at", "moment", "due", "started", "claimed_at"})
_FLAGS: Final = frozenset({"is_group", "is_role", "denies"})
_OPTIONAL: Final = frozenset({"expires_at", "moment", "started"})
_NAMES: Final = {
    "grants": "rights",
    "rules": "rules",
    "jobs": "scheduled jobs",
    "wishes": "contacts with wishes what to be told",
    "tags": "tags",
    "claims": "things that declarations own",
}


@dataclass(frozen=True)
class Job:
    """A scheduled job of the machine."""

    record: JobRecord

    def values(self) -> dict[str, Any]:
        """Return the columns of its row."""
        return {**{item.name: getattr(self.record, item.name) for item in fields(self.record)}, "fields": dict(self.record.fields)}


@dataclass(frozen=True, kw_only=True)
class Luggage:
    """All that goes with a machine whose entity is ``entity`` (bare JID).

    ``avatar`` is the name of its picture, ``oom`` what its process is given at each start, ``wishes`` what contacts (bare JIDs) want to
    be told by it, ``claims`` which declarations own it and what is on it.
    """

    entity: str
    name: str
    adopted: bool
    autostart: bool
    created_at: datetime
    organisation: Organisation
    tags: tuple[str, ...] = ()
    maker: str = ""
    avatar: str | None = None
    oom: int | None = None
    grants: tuple[GrantRecord, ...] = ()
    rules: tuple[RuleRecord, ...] = ()
    jobs: tuple[Job, ...] = ()
    wishes: Mapping[str, Wish] = field(default_factory=lambda: MappingProxyType({}))
    claims: tuple[ClaimRecord, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} is not what it must be")
        if not all(isinstance(text, str) for text in vars(self.organisation).values()):
            raise TypeError("the organisation is not what it must be")

    def record(self, uuid: str, password: Secret) -> MachineRecord:
        """Return the machine as it is remembered, with its UUID and its account's password."""
        return MachineRecord(
            uuid=uuid,
            name=self.name,
            password=password,
            phase=Phase.ACTIVE,
            adopted=self.adopted,
            organisation=self.organisation,
            tags=self.tags,
            created_at=self.created_at,
        )

    def pack(self, *, room: float = 0) -> str:
        """Return it as text. Raises :class:`BadRequest` if that, with a share of ``room``, is more than a stanza carries."""
        values = self._values()
        packed = base64.b64encode(zlib.compress(_write(values).encode(), 9)).decode()
        if len(packed) > LONGEST_PACKAGE * (1 - room):
            sizes = {name: len(_write(values[name])) for name in _NAMES}
            most = max(_NAMES, key=sizes.__getitem__)
            text = f"what is remembered of {self.name} is more than one message carries"
            raise BadRequest(f"{text}, above all its {len(values[most])} {_NAMES[most]}: remove some of them first")
        return packed

    def _values(self) -> dict[str, Any]:
        return {
            **{item.name: getattr(self, item.name) for item in fields(self)},
            "organisation": asdict(self.organisation),
            "grants": [asdict(grant) for grant in self.grants],
            "rules": [{**vars(rule), "scope": str(rule.scope)} for rule in self.rules],
            "jobs": [job.values() for job in self.jobs],
            "wishes": {contact: asdict(wish) for contact, wish in self.wishes.items()},
            "claims": [asdict(claim) for claim in self.claims],
        }

    @classmethod
    def unpack(cls, text: str, entity: str) -> Luggage:
        """Return what was packed for the machine ``entity``. Raises :class:`BadRequest` for what is not, or is another's."""
        try:
            values = _read_values(json.loads(_inflate(text)))
            if values.pop("entity") != entity:
                raise ValueError("it is another machine's")
            known = {item.name for item in fields(cls)}
            return cls(
                **{
                    **{name: value for name, value in values.items() if name in known},  # a newer agent may remember more
                    "entity": entity,
                    "organisation": Organisation(**values["organisation"]),
                    "tags": tuple(map(str, values["tags"])),
                    "grants": tuple(_grant(found, entity) for found in values["grants"]),
                    "rules": tuple(_rule(found, entity) for found in values["rules"]),
                    "jobs": tuple(Job(_job(found, entity)) for found in values["jobs"]),
                    "wishes": {account_jid(contact): _wish(found) for contact, found in values.get("wishes", {}).items()},
                    "claims": tuple(_claim(found, entity) for found in values.get("claims", [])),
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError, MalformedJid, BadRequest) as error:
            raise BadRequest(f"package: is not what is remembered of a machine ({type(error).__name__})") from error


def _inflate(text: str) -> bytes:
    try:
        engine = zlib.decompressobj()
        found = engine.decompress(base64.b64decode(text, validate=True), MOST_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError("it is not compressed as it must be") from error
    if not engine.eof:
        raise ValueError("it is too long, or cut")
    return found


def _write(value: object) -> str:
    return json.dumps(value, default=_write_moment, separators=(",", ":"))


def _write_moment(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is nothing that is packed")


def _read_values(value: Any, name: str = "") -> Any:
    """Return what JSON tells with its moments; no text in it is one that neither XML, nor a file's name, nor the database takes."""
    if isinstance(value, dict):
        return {_check_text(key): _read_values(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [_read_values(part) for part in value]
    if name in _MOMENTS and value is not None:
        return read_time(value)
    return _check_text(value) if isinstance(value, str) else value


def _check_text(text: str) -> str:
    text.encode()
    if "\0" in text:
        raise ValueError("a text has a null character")
    return text


def _check_kinds(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the columns of a grant, rule or job, each of which is of its kind."""
    for name, value in values.items():
        kind = bool if name in _FLAGS else datetime if name in _MOMENTS else str
        if not isinstance(value, kind) and not (value is None and name in _OPTIONAL):
            raise TypeError(f"{name} is not what it must be")
    return values


def _grant(values: dict[str, Any], entity: str) -> GrantRecord:
    return replace(GrantRecord(**_check_kinds(values)), entity=entity, subject=account_jid(values["subject"]))


def _rule(values: dict[str, Any], entity: str) -> RuleRecord:
    rule = RuleRecord(**{**_check_kinds(values), "entity": entity, "scope": Scope.parse(values["scope"])})
    if rule.scope.reach is not Reach.ENTITY:
        raise ValueError("a rule reaches further than the machine")
    return rule


def _job(values: dict[str, Any], entity: str) -> JobRecord:
    columns = {name: value for name, value in values.items() if name != "fields"}
    told = MappingProxyType(dict(_check_kinds(values["fields"])))
    check_fields(told)
    return JobRecord(**{**_check_kinds(columns), "entity": entity, "fields": told, "started": None})


def _claim(values: dict[str, Any], entity: str) -> ClaimRecord:
    claim = ClaimRecord(**_check_kinds(values))
    if machine_of((claim.kind, claim.key)) != entity.partition("@")[0]:
        raise ValueError("something is owned that does not go with the machine")
    return claim


def _wish(values: dict[str, Any]) -> Wish:
    verbosity, quiet, zone, alarms = (values[item.name] for item in fields(Wish))
    if zone is not None:
        read_zone(zone)
    if not (alarms is None or isinstance(alarms, bool)):
        raise ValueError("alarms come, or they do not")
    return Wish(
        verbosity=None if verbosity is None else Verbosity(verbosity),
        quiet=None if quiet is None else read_hours(quiet),
        zone=zone,
        alarms=alarms,
    )
