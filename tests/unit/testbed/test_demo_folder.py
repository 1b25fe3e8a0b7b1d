# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's folder: never somebody else's, one at a time at work in it, gone without a trace."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from testbed.demo import folder as folders
from testbed.demo.accounts import hypervisor_accounts
from testbed.demo.folder import DemoError, DemoFolder
from testbed.demo.serving import FurtherHypervisor


@pytest.fixture(autouse=True)
def without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own folders need no other rights."""
    monkeypatch.setattr(folders, "as_root", list)


@pytest.fixture
def demo(tmp_path: Path) -> DemoFolder:
    return DemoFolder(tmp_path / "demo")


@pytest.mark.parametrize("path", ["relative", "/with blank", "/" + "x" * 60])
def test_a_folder_that_could_not_work_is_refused_before_anything_is_made(monkeypatch, path: str):
    monkeypatch.setenv(folders.VARIABLE, path)
    with pytest.raises(DemoError, match=f"{folders.VARIABLE}: .* must begin with /, hold no blanks"):
        DemoFolder.choose()


def test_without_a_choice_it_is_the_machines_one_demo(monkeypatch):
    monkeypatch.delenv(folders.VARIABLE, raising=False)
    assert DemoFolder.choose().path == Path("/var/lib/archipel-demo")


def test_what_is_not_a_demo_is_neither_used_nor_removed(demo: DemoFolder):
    demo.path.mkdir()
    (demo.path / "thesis.txt").write_text("years")
    for work in (demo.make, demo.remove):
        with pytest.raises(DemoError, match="is not the demo's"):
            work()
    assert (demo.path / "thesis.txt").read_text() == "years"


def test_another_users_demo_is_left_to_that_user(demo: DemoFolder, monkeypatch):
    demo.make()
    monkeypatch.setattr(folders.os, "geteuid", lambda: 12345)
    with pytest.raises(DemoError, match=r"belongs to .*: work as this user"):
        demo.make()


def test_everything_in_it_goes_and_then_it_goes_itself(demo: DemoFolder):
    demo.make()
    demo.accounts.mkdir()
    (demo.accounts / "admin").write_text("secret")
    demo.clear()
    assert [part.name for part in demo.path.iterdir()] == [demo.mark.name]
    demo.remove()
    assert not demo.path.exists()
    assert demo.exists is False


def test_who_waited_for_a_folder_that_was_removed_meanwhile_has_it_made_anew(demo: DemoFolder):
    demo.make()
    order: list[str] = []

    def work_later() -> None:
        with demo.locked():
            order.append("second")

    with demo.locked():
        second = threading.Thread(target=work_later)
        second.start()
        second.join(0.2)
        order.append("first")
        demo.remove()
    second.join(10)
    assert order == ["first", "second"]
    assert demo.mark.exists()


def test_further_hypervisors_are_found_by_the_numbers_of_their_folders(demo: DemoFolder):
    assert FurtherHypervisor.all_of(demo) == []
    for name in ("10", "2", "agent", "goldens"):
        (demo.host / name).mkdir(parents=True)
    assert [further.account for further in FurtherHypervisor.all_of(demo)] == ["hypervisor2", "hypervisor10"]
    assert hypervisor_accounts(3) == ("hypervisor", "hypervisor2", "hypervisor3")
