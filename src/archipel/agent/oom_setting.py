# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine's process is given at each start, in a file of the machine's folder, where the founding agent kept it, too.

The founding agent gave the kernel what stood there as it was, on the kernel's scale, and meant by -17 never: so it is read here.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Final

from archipel.protocol.oom import LEAST, MOST

log = logging.getLogger(__name__)

FILE: Final = "oomkiller_flag"
_NEVER: Final = "-17"
_NOT_NEVER: Final = "-0017"  # the kernel's own -17
_NUMBER: Final = re.compile(r"-?[0-9]{1,4}")


def read_setting(folder: Path) -> int | None:
    """Return the value that is kept, on the kernel's scale; ``None`` if none is. Raises :class:`OSError`.

    An empty file is one that the founding agent failed to write.
    """
    try:
        with os.fdopen(os.open(folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            text = file.read(100).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or not LEAST <= int(text) <= MOST:
        log.warning("%s holds %r, which is no value from %d to %d: it is left out of account", folder / FILE, text[:20], LEAST, MOST)
        return None
    return LEAST if text == _NEVER else int(text)


def write_setting(folder: Path, score_adj: int | None) -> None:
    """Keep a value of the kernel's scale, or none; all or nothing. Raises :class:`OSError`.

    Never is written as the founding agent knew it.
    """
    if score_adj is None:
        (folder / FILE).unlink(missing_ok=True)
        return
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = folder / f".{FILE}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        file.write(_spell(score_adj))
    fresh.replace(folder / FILE)


def _spell(score_adj: int) -> str:
    return _NEVER if score_adj == LEAST else _NOT_NEVER if str(score_adj) == _NEVER else str(score_adj)
