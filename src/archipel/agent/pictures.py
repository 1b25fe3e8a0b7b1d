# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures, made as small as an answer must be; all of this blocks."""

from __future__ import annotations

import io
import math
from typing import Final, NamedTuple

from PIL import Image

THUMBNAIL: Final = (216, 162)
"""Pixels that a thumbnail fits in, as founding clients show it."""
MOST_BYTES: Final = 150_000
"""Of a PNG: in base64 it must fit in a stanza, and the server ends a session that sends one of more than 256 KiB."""
MOST_PIXELS: Final = 20_000_000
"""Of a picture that is read at all; a screen of 5120 x 2880 has 15 million."""

_SCREEN_FORMATS: Final = ("PPM", "PNG")
_COLOURS: Final = 256
_SHRINK: Final = 0.9


class PictureUnreadable(ValueError):
    """What should be a picture is none, or too large."""


class Picture(NamedTuple):
    """A PNG, and its size in pixels."""

    png: bytes
    width: int
    height: int


def draw_screen(data: bytes, *, thumbnail: bool) -> Picture:
    """Return the picture of a screen as a PNG: a thumbnail, or in its own size with as many colours, then pixels, as fit.

    Raises :class:`PictureUnreadable`.
    """
    image = _read(data)
    if thumbnail:
        image.thumbnail(THUMBNAIL)
    picture = _write(image)
    if len(picture.png) > MOST_BYTES:
        picture = _write(_with_palette(image))
    while len(picture.png) > MOST_BYTES:
        factor = min(math.sqrt(MOST_BYTES / len(picture.png)), 1) * _SHRINK
        size = (max(int(picture.width * factor), 1), max(int(picture.height * factor), 1))
        picture = _write(_with_palette(image.resize(size)))
    return picture


def _read(data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=_SCREEN_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise PictureUnreadable(f"the screen has {image.width} x {image.height} pixels; at most {MOST_PIXELS} are read")
            return image.convert("RGB")
    except PictureUnreadable:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:  # what Pillow's readers raise
        raise PictureUnreadable("what the hypervisor drew cannot be read as a picture") from error


def _with_palette(image: Image.Image) -> Image.Image:
    return image.quantize(_COLOURS)


def _write(image: Image.Image) -> Picture:
    file = io.BytesIO()
    image.save(file, "PNG")
    return Picture(file.getvalue(), image.width, image.height)
