# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What images name in their headers, as qemu-img writes it and as somebody hostile may; and who stands on whom."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archipel.agent.virt.image_header import ImageHeader, find_standing, list_files, read_header

EXTERNAL_DATA = 1 << 2


def image(path: Path, *options: str, image_format: str = "qcow2") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", image_format, *options, path, "1M"], check=True, capture_output=True)
    return path


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_the_backing_file_is_what_qemu_img_wrote(tmp_path: Path, compat: str) -> None:
    assert read_header(image(tmp_path / "a", "-o", f"compat={compat}")) == ImageHeader(2 if compat == "0.10" else 3)
    header = read_header(image(tmp_path / "b", "-o", f"compat={compat}", "-b", "../gold é.qcow2", "-F", "qcow2"))
    assert header is not None
    assert header.names == ("../gold é.qcow2",)


def test_the_forerunner_of_qcow2_is_read_too(tmp_path: Path) -> None:
    assert read_header(image(tmp_path / "a", "-b", "/base", "-F", "raw", image_format="qcow")) == ImageHeader(1, "/base")


def test_data_elsewhere_are_noticed(tmp_path: Path) -> None:
    header = read_header(image(tmp_path / "a", "-o", f"data_file={tmp_path}/data,data_file_raw=on"))
    assert header == ImageHeader(3, None, str(tmp_path / "data"))


def test_data_elsewhere_without_a_name_are_noticed_too(tmp_path: Path) -> None:
    file = image(tmp_path / "a")
    with file.open("r+b") as opened:
        opened.seek(72)
        opened.write(struct.pack(">Q", EXTERNAL_DATA))
    header = read_header(file)
    assert header is not None
    assert header.data_file == ""


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"QFI\xfb" + bytes(60), b"\0" * 512, b"KDMV" + bytes(508)])
def test_what_is_no_such_image_has_no_header(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert read_header(tmp_path / "a") is None


def test_a_pipe_does_not_hold_anybody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    assert read_header(tmp_path / "a") is None
    assert list(list_files([tmp_path])) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(rest=st.binary(max_size=400), version=st.integers(0, 2**32 - 1), place=st.integers(0, 2**64 - 1), length=st.integers(0, 2**32 - 1))
def test_hostile_headers_are_read_or_not_and_never_fail(tmp_path: Path, rest: bytes, version: int, place: int, length: int) -> None:
    file = tmp_path / "hostile"
    file.write_bytes(b"QFI\xfb" + struct.pack(">IQI", version, place, length) + rest)
    header = read_header(file)
    assert header is None or all(len(name) <= 4096 for name in header.names)
    assert find_standing(tmp_path / "other", [file]) == []


def test_whoever_stands_on_a_file_is_found_however_it_is_named(tmp_path: Path) -> None:
    base, folder = image(tmp_path / "base"), tmp_path / "machine"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    named = {
        "absolute": str(base),
        "relative": "../base",
        "protocol": f"file:{base}",
        "json": f'json:{{"driver":"qcow2","file":{{"driver":"file","filename":"{base}"}}}}',
        "through a link": f"{tmp_path}/link/../base",
    }
    images = [image(folder / name, "-b", told, "-F", "qcow2") for name, told in named.items()]
    images.append(image(folder / "chained", "-b", "relative", "-F", "qcow2"))
    images.append(image(folder / "data", "-o", f"data_file={base}"))
    strangers = [image(folder / "free"), image(folder / "elsewhere", "-b", "nowhere", "-F", "raw"), base]
    assert set(find_standing(base, [*images, *strangers])) == set(images)
    assert set(list_files([tmp_path])) == {*images, *strangers}


def test_images_that_stand_on_each_other_are_no_endless_way(tmp_path: Path) -> None:
    loop = [image(tmp_path / "a", "-b", "b", "-F", "qcow2"), image(tmp_path / "b", "-b", "a", "-F", "qcow2")]
    assert find_standing(image(tmp_path / "c"), loop) == []


def test_nobody_stands_on_what_is_not_there(tmp_path: Path) -> None:
    assert find_standing(tmp_path / "gone", [image(tmp_path / "a", "-b", "gone", "-F", "raw")]) == []
