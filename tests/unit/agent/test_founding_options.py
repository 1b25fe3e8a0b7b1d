# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each of the founders' options does what it says: with another value something else is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archipel.agent.services import Services
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.option_effects import EFFECTS, Effect, House


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """A folder on a disk: pictures and images are read from no other."""
    return tmp_path


def in_folder(seen: Any, folder: Path) -> Any:
    """What must be seen, with the folder in it."""
    if isinstance(seen, str):
        return seen.replace("{folder}", str(folder))
    return [in_folder(one, folder) for one in seen] if isinstance(seen, list) else seen


@pytest.mark.parametrize("effect", [pytest.param(effect, id="-".join(key)) for key, effect in EFFECTS.items()])
async def test_another_value_is_seen(effect: Effect, services: Services, xmpp: FakeXmpp, agent_folder: Path) -> None:
    seen = []
    for changed in (False, True):
        folder = agent_folder / ("after" if changed else "before")
        folder.mkdir()
        house = House(effect.configuration(folder, changed=changed), folder, services, xmpp)
        try:
            seen.append((await effect.see(house), in_folder(effect.seen, folder)))
        finally:
            await house.close()
    (before, wanted_before), (after, wanted) = seen
    assert after == wanted
    assert before != wanted_before, "nothing else is seen than with the other value"
