# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of screens fit in an answer, whatever the guest draws."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from archipel.agent.pictures import MOST_BYTES, PictureUnreadable, draw_screen


def ppm(width: int, height: int, pixels: bytes | None = None) -> bytes:
    return b"P6\n%d %d\n255\n" % (width, height) + (bytes(3 * width * height) if pixels is None else pixels)


def noise(width: int, height: int) -> bytes:
    return ppm(width, height, random.Random(1).randbytes(3 * width * height))


def read(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png), formats=["PNG"])


@pytest.mark.parametrize(
    "size,fitted", [((1280, 800), (216, 135)), ((800, 1280), (101, 162)), ((640, 480), (216, 162)), ((100, 50), (100, 50))]
)
def test_a_thumbnail_fits_where_founding_clients_show_it(size: tuple[int, int], fitted: tuple[int, int]) -> None:
    picture = draw_screen(ppm(*size), thumbnail=True)
    assert (picture.width, picture.height) == fitted == read(picture.png).size


def test_a_screen_keeps_its_size_and_colours_where_that_fits() -> None:
    picture = draw_screen(ppm(2, 1, b"\xff\x00\x00\x12\x34\x56"), thumbnail=False)
    assert (picture.width, picture.height) == (2, 1)
    assert [read(picture.png).getpixel((x, 0)) for x in range(2)] == [(255, 0, 0), (0x12, 0x34, 0x56)]


def test_what_does_not_fit_loses_colours_before_it_shrinks() -> None:
    picture = draw_screen(noise(320, 240), thumbnail=False)
    assert (picture.width, picture.height, read(picture.png).mode) == (320, 240, "P")


def test_even_noise_fits() -> None:
    picture = draw_screen(noise(1280, 800), thumbnail=False)
    assert len(picture.png) <= MOST_BYTES
    assert read(picture.png).size == (picture.width, picture.height)
    assert picture.width > 216


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P6",
        b"P6\n10 10\n255\n",
        b"GIF89a" + bytes(100),
        png_header(10, 10),
        png_header(60_000, 60_000),
        png_header(9000, 9000),
        ppm(5000, 5000, b"x"),
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(PictureUnreadable):
        draw_screen(data, thumbnail=False)


@given(st.binary(max_size=200), st.sampled_from([b"", b"P6\n2 2\n255\n", b"P5 1 1 255 ", png_header(3, 3)]))
def test_hostile_bytes_are_a_picture_or_refused(data: bytes, header: bytes) -> None:
    try:
        picture = draw_screen(header + data, thumbnail=True)
    except PictureUnreadable:
        return
    assert read(picture.png).size == (picture.width, picture.height)
