# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.capabilities import oomkiller
from archipel.agent.chat import reply
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.oom_setting import FILE, read_setting, write_setting
from archipel.agent.virt import oom_adjustment, qemu_process
from archipel.agent.virt.lifecycle import DomainEvent, DomainState, LifecycleEvent
from archipel.agent.virt.qemu_process import ProcessNotFound, QemuProcess
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.oom import FIRST, LEAST, MOST, NEVER, from_kernel, to_kernel
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import OTHER_UUID, OWNER, UUID, VM, FakeHost

OOM = "archipel:vm:oom"
PID = 4711
STARTED = DomainEvent.decode(UUID, "web", LifecycleEvent.STARTED, 0)


class Kernel:
    """The machine's process and libvirt's note of it, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.notes, self.proc = folder / "libvirt", folder / "proc"
        self.process = self.proc / str(PID)
        self.process.mkdir(parents=True)
        self.notes.mkdir()
        self.note(f"{PID}\n")
        self.run(UUID)

    def note(self, text: str) -> None:
        (self.notes / "web.pid").write_text(text)

    def run(self, uuid: str) -> None:
        arguments = ["/usr/bin/qemu-system-x86_64", "-name", "guest=web,debug-threads=on", "-uuid", uuid, "-S", ""]
        (self.process / "cmdline").write_text("\0".join(arguments))
        (self.process / "oom_score").write_text("666\n")
        (self.process / "oom_score_adj").write_text("0\n")

    @property
    def adjust(self) -> str:
        return (self.process / "oom_score_adj").read_text().strip()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path / "host")
    monkeypatch.setattr(qemu_process, "PID_FOLDER", kernel.notes)
    monkeypatch.setattr(qemu_process, "PROC", kernel.proc)
    monkeypatch.setattr(oom_adjustment, "SOCKET", tmp_path / "oom.sock")  # this host's own may be there
    return kernel


@pytest.fixture
def running(machine: VirtualMachine, host: FakeHost) -> VirtualMachine:
    """A machine that runs under QEMU."""
    machine.services = dataclasses.replace(machine.services, driver="QEMU")
    host.domain(UUID).state_now = DomainState.RUNNING
    return machine


async def set_to(machine: VirtualMachine, value: object, scale: str = "kernel") -> None:
    await ask(machine, OOM, f"<archipel action='setadjust' {scale}='{value}'/>")


async def read(machine: VirtualMachine) -> dict[str, str]:
    return (await ask(machine, OOM, "<archipel action='getadjust'/>"))[0].attrib


# -- a machine that runs ------------------------------------------------------------------------------------------------


async def test_what_is_asked_counts_at_once_and_is_read_from_the_process(running: VirtualMachine, kernel: Kernel, xmpp: FakeXmpp) -> None:
    await go_online(running)
    await set_to(running, -17, "adjust")
    assert kernel.adjust == "-1000"
    assert (running.folder / FILE).read_text() == "-17"
    assert await read(running) == {"adjust": "-17", "score": "666", "kernel": "-1000"}
    (kernel.process / "oom_score_adj").write_text("250\n")  # somebody else did it
    assert await read(running) == {"adjust": "4", "score": "666", "kernel": "250"}
    assert xmpp.pushes(VM)[-2:] == [("virtualmachine:oom", "adjusted"), ("oom", "adjusted")]


@pytest.mark.parametrize("note", ["", "not a number", f"{PID + 1}\n", None])
async def test_a_process_that_is_not_there_is_an_error(running: VirtualMachine, kernel: Kernel, note: str | None) -> None:
    kernel.note(note or "")
    if note is None:
        (kernel.notes / "web.pid").unlink()
    with pytest.raises(CommandError, match="the process of web is not found") as caught:
        await read(running)
    assert caught.value.condition == Condition.ITEM_NOT_FOUND


async def test_another_process_with_its_number_is_left_alone(running: VirtualMachine, kernel: Kernel) -> None:
    kernel.run(OTHER_UUID)
    with pytest.raises(CommandError, match="is not the one of"):
        await set_to(running, 300)
    assert kernel.adjust == "0"


async def test_what_the_kernel_refuses_is_kept_and_said_not_to_be_in_force(
    running: VirtualMachine, kernel: Kernel, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_process: QemuProcess, _wanted: int) -> None:
        raise PermissionError(13, "Permission denied")

    await go_online(running)
    monkeypatch.setattr(QemuProcess, "oom_score_adj", property(lambda _process: 0, refuse))
    with pytest.raises(
        CommandError, match=r"kept for the next start of web, and not in force: .*Permission denied.*archipel-oom\.socket"
    ) as caught:
        await set_to(running, -1000)
    assert caught.value.condition == Condition.NOT_ALLOWED
    assert (running.folder / FILE).read_text() == "-17"
    assert xmpp.pushes(VM)[-1] == ("oom", "adjusted")


async def test_what_cannot_be_kept_is_not_done(running: VirtualMachine, kernel: Kernel) -> None:
    running.folder.parent.mkdir(parents=True)
    running.folder.write_text("no folder")
    with pytest.raises(CommandError, match="cannot be"):
        await set_to(running, 300)
    assert kernel.adjust == "0"


async def test_a_driver_without_processes_says_so(machine: VirtualMachine, host: FakeHost, kernel: Kernel) -> None:
    host.domain(UUID).state_now = DomainState.RUNNING
    for action in ("getadjust", "setadjust' kernel='5"):
        with pytest.raises(CommandError, match="no process of its own") as caught:
            await ask(machine, OOM, f"<archipel action='{action}'/>")
        assert caught.value.condition == Condition.FEATURE_NOT_IMPLEMENTED
    assert kernel.adjust == "0"
    assert not (machine.folder / FILE).exists()


# -- a machine that is off ----------------------------------------------------------------------------------------------


async def test_what_is_kept_is_told_and_counts_at_the_start(machine: VirtualMachine, host: FakeHost, kernel: Kernel) -> None:
    machine.services = dataclasses.replace(machine.services, driver="QEMU")
    assert await read(machine) == {"adjust": "0", "score": "0", "kernel": "0"}
    await set_to(machine, 500)
    assert kernel.adjust == "0"
    assert await read(machine) == {"adjust": "8", "score": "0", "kernel": "500"}
    host.domain(UUID).state_now = DomainState.RUNNING
    await oomkiller.adjust_after_start(machine, STARTED)
    assert kernel.adjust == "500"


async def test_other_events_change_nothing(running: VirtualMachine, kernel: Kernel) -> None:
    write_setting(running.folder, 500)
    await oomkiller.adjust_after_start(running, DomainEvent.decode(UUID, "web", LifecycleEvent.RESUMED, 0))
    assert kernel.adjust == "0"


async def test_a_start_of_the_agent_makes_up_for_starts_of_machines(
    hypervisor: Hypervisor, running: VirtualMachine, kernel: Kernel
) -> None:
    write_setting(running.folder, LEAST)
    await oomkiller.adjust_all(hypervisor)
    assert kernel.adjust == "-1000"


async def test_trouble_at_a_start_is_logged(running: VirtualMachine, kernel: Kernel, caplog: pytest.LogCaptureFixture) -> None:
    write_setting(running.folder, 500)
    kernel.note("")
    await oomkiller.adjust_after_start(running, STARTED)
    assert "is not adjusted" in caplog.text


async def test_a_machine_without_a_definition_can_be_prepared(machine: VirtualMachine, host: FakeHost) -> None:
    host.domain(UUID).stored = None
    await set_to(machine, 7)
    assert (await read(machine))["kernel"] == "7"


# -- scales and files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "adjust, kernel", [(-17, -1000), (-16, -941), (-8, -470), (-1, -58), (0, 0), (1, 58), (8, 470), (14, 823), (15, 1000)]
)
def test_a_value_of_the_older_scale_is_what_the_kernel_makes_of_it(adjust: int, kernel: int) -> None:
    assert to_kernel(adjust) == kernel


@pytest.mark.parametrize("adjust", range(NEVER, FIRST + 1))
def test_what_a_founding_client_sets_is_told_it_again(adjust: int) -> None:
    assert from_kernel(to_kernel(adjust)) == adjust


@given(st.integers(LEAST, MOST))
def test_the_nearest_value_of_the_older_scale_is_told_and_never_of_nothing_else(score_adj: int) -> None:
    told = from_kernel(score_adj)
    assert NEVER <= told <= FIRST
    assert (told == NEVER) == (score_adj == LEAST)
    assert abs(told - score_adj * 17 / 1000) <= 0.5 or told in {NEVER + 1, FIRST}


@given(st.integers(LEAST, MOST - 1), st.integers(1, 50))
def test_more_on_one_scale_is_not_less_on_the_other(score_adj: int, more: int) -> None:
    assert from_kernel(score_adj) <= from_kernel(min(score_adj + more, MOST))


@pytest.mark.parametrize("attributes", ["", "adjust='-17' kernel='-1000'", "adjust='0' kernel='0'"])
async def test_one_scale_is_taken_and_no_more(machine: VirtualMachine, attributes: str) -> None:
    with pytest.raises(CommandError, match=r"either adjust .* or kernel") as caught:
        await ask(machine, OOM, f"<archipel action='setadjust' {attributes}/>")
    assert caught.value.condition == Condition.BAD_REQUEST
    assert not (machine.folder / FILE).exists()


@pytest.mark.parametrize(
    "phrase, kept", [("oom adjust -17", LEAST), ("oom adjust 3", 176), ("oom setadjust 15", MOST), ("oom kernel -17", -17)]
)
async def test_both_scales_are_said_in_a_chat(machine: VirtualMachine, host: FakeHost, phrase: str, kept: int) -> None:
    assert await reply(machine, phrase, OWNER) == "Done."
    assert read_setting(machine.folder) == kept
    assert await reply(machine, "oom", OWNER) == f"oom_score_adj is {kept}, on the older scale {from_kernel(kept)}."


@pytest.mark.parametrize("value", [LEAST, -999, -18, -17, -16, 0, 1, MOST, None])
def test_what_is_kept_is_read_again(tmp_path: Path, value: int | None) -> None:
    write_setting(tmp_path / "vm", 3)
    write_setting(tmp_path / "vm", value)
    assert read_setting(tmp_path / "vm") == value
    assert [path.name for path in (tmp_path / "vm").iterdir()] == ([] if value is None else [FILE])


@pytest.mark.parametrize(
    "text, value", [("", None), ("-17\n", LEAST), ("0", 0), ("5000", None), ("None", None), ("1e3", None), ("\u0661", None)]
)
def test_a_file_of_the_founding_agent_is_understood(tmp_path: Path, text: str, value: int | None) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_setting(tmp_path) == value


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("12")
    (tmp_path / FILE).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        read_setting(tmp_path)
    write_setting(tmp_path, 5)
    assert (tmp_path / "secret").read_text() == "12"
    assert read_setting(tmp_path) == 5


def test_a_process_is_held_even_when_its_number_goes_to_another(kernel: Kernel) -> None:
    with QemuProcess.open(UUID.upper(), "web") as process:
        kernel.process.rename(kernel.proc / "gone")
        kernel.process.mkdir()
        kernel.run(OTHER_UUID)
        process.oom_score_adj = 400
    assert kernel.adjust == "0"
    with pytest.raises(ProcessNotFound), QemuProcess.open(UUID, "web"):
        pass
