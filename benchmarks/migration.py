# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long a guest stands still when it moves: between two hosts on this machine, with the guest of the end-to-end tests.

The guest writes to its disk all the time and is asked every ten milliseconds whether it is there (ICMP). It takes root, and QEMU without
KVM where there is none: then the guest, which is emulated, shares the processors with everything else.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final

from testbed.certificates import make_authority
from tests.e2e.moving_guest import Scene, open_scene, pinging
from tests.wire.platform import Machine

ROOT: Final = Path(__file__).resolve().parents[1]
LIMIT: Final = 500  # milliseconds, as it is unless the configuration says otherwise


async def measure_migration(rounds: int) -> dict[str, Any]:
    """Move a guest that runs so often, on storage that both hosts see; return times in the order of the moves."""
    with tempfile.TemporaryDirectory(prefix="archipel-moves-") as folder:
        authority = make_authority(Path(folder) / "authority")
        async with open_scene(ROOT, authority, Path(folder) / "scene", downtime=LIMIT) as scene:
            machine = await scene.make_machine("mover", shared=True)
            await scene.start_writing(scene.pair.first, machine)
            moves = [await _move(scene, machine, number) for number in range(rounds)]
    whole, silent, stood_still = (list(column) for column in zip(*moves, strict=True))
    return {
        "migration_limit_ms": LIMIT,
        "migration_s": whole,
        "migration_longest_silence_s": silent,
        "migration_downtime_ms": stood_still,
    }


async def _move(scene: Scene, machine: Machine, number: int) -> tuple[float, float, int]:
    """Return how long a move took, the longest time without an answer of the guest, and libvirt's downtime."""
    source, target = scene.pair.both[:: 1 if number % 2 == 0 else -1]
    async with pinging(scene.hosts[0]) as pings:
        since = time.monotonic()
        await scene.begin(machine, source, target)
        await scene.arrived(machine, source, target)
        whole = time.monotonic() - since
        stood_still = await scene.downtime(target, machine)
        await scene.count(target, machine)  # it writes on
    return round(whole, 2), round(pings.longest, 3), stood_still
