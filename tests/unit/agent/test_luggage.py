# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes with a machine is what a machine has, or refused before anything is begun with it."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from archipel.agent.luggage import Luggage
from archipel.protocol.errors import BadRequest
from tests.unit.agent.fakes import OWNER, UUID
from tests.unit.agent.test_shelf import DOMAIN, WHOLE

GRANT = {"subject": OWNER.bare, "token": "info", "granted_by": OWNER.bare, "granted_at": "2026-01-01T00:00:00Z", "expires_at": None}
RULE = {**{name: value for name, value in GRANT.items() if name != "token"}, "right": "info", "scope": "entity"}
TIMES = {"year": "*", "month": "*", "day": "*", "hour": "3", "minute": "0", "second": "0"}
JOB: dict[str, Any] = {
    "entity": "",
    "uid": UUID,
    "action": "create",
    "parameter": "",
    "fields": TIMES,
    "zone": "UTC",
    "moment": None,
    "comment": "",
    "creator": OWNER.bare,
    "due": "2026-01-01T00:00:00Z",
    "started": None,
}


def unpack(**changes: Any) -> Luggage:
    values = {**json.loads(zlib.decompress(base64.b64decode(WHOLE["package"]))), **changes}
    entity = f"{UUID}@{DOMAIN}"
    whole = {name: [{"entity": entity, **row} for row in rows] if name in {"grants", "rules"} else rows for name, rows in values.items()}
    return Luggage.unpack(base64.b64encode(zlib.compress(json.dumps(whole).encode())).decode(), entity)


def test_grants_rules_and_jobs_come_out_of_luggage() -> None:
    found = unpack(grants=[GRANT], rules=[RULE], jobs=[JOB])
    assert (len(found.grants), len(found.rules), len(found.jobs)) == (1, 1, 1)


@pytest.mark.parametrize("value", [["info"], {"info": 1}, 5, True, None, "\ud800", "in\0fo"])
@pytest.mark.parametrize(
    "kind, row, name",
    [
        *(("grants", GRANT, name) for name in ("token", "granted_by", "granted_at")),
        *(("rules", RULE, name) for name in ("subject", "right", "granted_by", "granted_at", "reason")),
        *(("jobs", JOB, name) for name in ("uid", "action", "zone", "creator", "due")),
    ],
)
def test_what_the_database_would_not_take_is_refused_as_luggage(kind: str, row: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(BadRequest, match="not what is remembered of a machine"):
        unpack(**{kind: [{**row, name: value}]})


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": [{**RULE, "is_group": "abc"}]},
        {"jobs": [{**JOB, "fields": {**TIMES, "hour": [1]}}]},
        {"jobs": [{**JOB, "fields": {**TIMES, "hour": "99"}}]},
        {"jobs": [{**JOB, "fields": {**TIMES, "second": "*"}}]},
        {"jobs": [{**JOB, "fields": {**TIMES, "jitter": "1"}}]},
        {"jobs": [{**JOB, "fields": {}}]},
        {"grants": [{**GRANT, "granted_at": "0001-01-01T00:00:00+14:00"}]},
        {"created_at": "9999-12-31T23:59:59-14:00"},
        {"avatar": "a\0.png"},
        {"tags": ["\ud800"]},
    ],
)
def test_luggage_that_would_fail_later_is_refused_at_once(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="not what is remembered of a machine"):
        unpack(**changes)
