# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder's default access list, as the kernel takes it and gives it back."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import access_list
from archipel.agent.access_list import is_supported, let_reach_all, reaches_all

LIST = "system.posix_acl_default"


class Kernel:
    """Lists of folders, kept here; ``refuses`` is what the file system says instead."""

    def __init__(self) -> None:
        self.lists: dict[object, bytes] = {}
        self.refuses = 0

    def getxattr(self, folder: object, name: str) -> bytes:
        assert name == LIST
        if self.refuses or folder not in self.lists:
            raise OSError(self.refuses or errno.ENODATA, "no list")
        return self.lists[folder]

    def setxattr(self, folder: object, _name: str, value: bytes) -> None:
        self.lists[folder] = value


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    monkeypatch.setattr(access_list.os, "getxattr", kernel.getxattr)
    monkeypatch.setattr(access_list.os, "setxattr", kernel.setxattr)
    return kernel


def test_the_list_is_what_setfacl_writes(kernel: Kernel) -> None:
    """Of ``setfacl -d -m u::rwx,g::rwx,o::-,u:990:rwx``."""
    assert is_supported(3)
    assert not reaches_all(3, 990)
    let_reach_all(3, 990)
    nobody = 0xFFFFFFFF
    entries = ((1, 7, nobody), (2, 7, 990), (4, 7, nobody), (16, 7, nobody), (32, 0, nobody))
    assert kernel.lists[3] == struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    assert reaches_all(3, 990)
    assert not reaches_all(3, 991)


@given(st.lists(st.integers(1, 60000), unique=True, min_size=2))
def test_who_was_let_in_before_stays(users: list[int]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        kernel = Kernel()
        monkeypatch.setattr(access_list.os, "getxattr", kernel.getxattr)
        monkeypatch.setattr(access_list.os, "setxattr", kernel.setxattr)
        for user in users:
            let_reach_all(3, user)
        assert all(reaches_all(3, user) for user in users)
        whom = [entry[2] for entry in struct.iter_unpack("<HHI", kernel.lists[3][4:]) if entry[0] == 2]
        assert whom == sorted(users), "the kernel takes entries in their order only"


def test_a_list_that_masks_what_it_allows_is_none(kernel: Kernel) -> None:
    let_reach_all(3, 990)
    kernel.lists[3] = kernel.lists[3].replace(struct.pack("<HHI", 16, 7, 0xFFFFFFFF), struct.pack("<HHI", 16, 5, 0xFFFFFFFF))
    assert not reaches_all(3, 990)
    let_reach_all(3, 990)
    assert reaches_all(3, 990)


def test_a_file_system_without_lists_is_told_from_a_folder_without_one(kernel: Kernel) -> None:
    kernel.refuses = errno.ENOTSUP
    assert not is_supported(3)
    assert not reaches_all(3, 990)
    kernel.refuses = errno.EIO
    with pytest.raises(OSError, match="no list"):
        is_supported(3)


def test_the_kernel_takes_it_where_the_file_system_keeps_lists(tmp_path: Path) -> None:
    if not is_supported(tmp_path):
        with pytest.raises(OSError, match="not supported"):
            let_reach_all(tmp_path, os.geteuid())
        return
    let_reach_all(tmp_path, os.geteuid())
    assert reaches_all(tmp_path, os.geteuid())
