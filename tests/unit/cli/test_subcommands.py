# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are rows of a table: whom they ask, how answers are shown, what they say when something is wrong."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import pytest
from click.shell_completion import ShellComplete
from hypothesis import given
from hypothesis import strategies as st

from archipel.cli.main import main
from archipel.cli.parameters import MEBIBYTES, Size, size_of
from archipel.cli.subcommands import cell, plain
from archipel.protocol import namespaces as ns
from tests.unit.cli.conftest import CommandLine, query, script_machines
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, command, error, no_right, vm_command

OTHER = "hyp2@example.org/host"
POOL = "<pool name='{}' uuid='u' type='dir' active='{}' persistent='1' autostart='0' capacity='2147483648' allocation='0' available='1536' path='/p'/>"
DRIVE = (
    "<disk name='data' path='/vm/data.qcow2' format='qcow2' virtualSize='10737418240' diskSize='1610612736' backingFile='/g/base.qcow2'/>"
)


UNMANAGED = (
    ("True", "web", MACHINE_FULL),
    ("False", "old", "00000000-0000-4000-8000-000000000002@example.org"),
    ("False", "twin", "00000000-0000-4000-8000-000000000003@example.org"),
    ("False", "twin", "00000000-0000-4000-8000-000000000004@example.org"),
)


def disk(kind: str, request: str) -> str:
    return command(kind, MACHINE_FULL, ns.VM_DISK, request)


def pools(hypervisor: str) -> str:
    return command("get", hypervisor, ns.HYPERVISOR_STORAGE, "<archipel action='pools'/>")


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


# -- one entity ---------------------------------------------------------------------------------------------------------


def test_an_answer_is_a_table_or_for_scripts_a_list(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(disk("get", "<archipel action='get'/>"), query(ns.VM_DISK, DRIVE))
    assert rows(archipel.run("drive", "list", "web").stdout)[1] == ["data.qcow2", "qcow2", "10", "GiB", "1.5", "GiB", "base.qcow2"]
    [found] = archipel.json("drive", "list", "web")
    assert (found["path"], found["virtual_size"]) == ("/vm/data.qcow2", 10737418240)


def test_a_command_says_what_it_did(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    request = "<archipel name='data' size='10240' unit='M' format='qcow2' preallocation='' golden='base.qcow2' action='create'/>"
    archipel.wire.answer(disk("set", request), query(ns.VM_DISK))
    arguments = ("drive", "create", "web", "data", "10G", "--golden", "base.qcow2")
    assert archipel.run(*arguments).stdout == "web: drive data.qcow2 made\n"
    said = archipel.json(*arguments)
    assert (said["on"], said["done"], said["name"], said["size"]) == (MACHINE, "create", "data", 10240)


def test_a_job_of_some_weekdays_is_not_shown_as_a_daily_one(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    jobs = "".join(f"<job action='create' uid='u' date='*-*-* @ 8 : 00 : 00'{day}/>" for day in ("", " weekday='mon-fri'"))
    archipel.wire.answer(command("get", MACHINE_FULL, ns.SCHEDULER, "<archipel action='jobs'/>"), query(ns.SCHEDULER, jobs))
    shown = archipel.run("schedule", "list", "web").stdout.splitlines()
    assert ["on mon-fri" in line for line in shown] == [False, False, True]


def test_a_missing_right_ends_the_command(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(disk("get", "<archipel action='get'/>"), no_right("drives_get"))
    result = archipel.run("--json", "drive", "list", "web", code=3)
    assert json.loads(result.stderr)["right"] == "drives_get"
    assert result.stdout == ""


def test_work_that_goes_on_is_not_called_done(archipel: CommandLine) -> None:
    request = command("get", HYPERVISOR_FULL, ns.HYPERVISOR_PARKING, "<archipel page='0' filter='' action='list'/>")
    parked = "<virtualmachine uuid='u1' parker='bob@example.org' date='2026-11-21 08:00:00.1' name='old'/>"
    archipel.wire.answer(request, query(ns.HYPERVISOR_PARKING, parked))
    unparking = "<archipel named='' action='unpark'><item identifier='u1' start='yes'/></archipel>"
    archipel.wire.answer(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_PARKING, unparking), query(ns.HYPERVISOR_PARKING))
    assert archipel.run("unpark", "old", "--start").stdout == f"old: comes back to {HYPERVISOR}\n"
    assert "no machine 'new' is parked" in archipel.run("unpark", "new", code=5).stderr
    assert "too long for an answer" in archipel.run("parked", "show", "old", code=1).stderr


def test_domains_that_are_not_managed_go_by_name_too(archipel: CommandLine) -> None:
    items = [f"<item managed='{managed}' name='{name}'>{jid}</item>" for managed, name, jid in UNMANAGED]
    script_machines(archipel.wire, *items)
    request = "<archipel action='manage'><item jid='00000000-0000-4000-8000-000000000002@example.org'/></archipel>"
    archipel.wire.answer(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, request), query(ns.HYPERVISOR_CONTROL))
    assert archipel.run("manage", "old").stdout == f"{HYPERVISOR}: manages old\n"
    assert "no domain that is not managed 'web'" in archipel.run("manage", "web", code=5).stderr
    assert "name one by its UUID" in archipel.run("manage", "twin", code=5).stderr


# -- all hypervisors ----------------------------------------------------------------------------------------------------


@pytest.fixture
def two(archipel: CommandLine) -> CommandLine:
    """A profile with two hypervisors."""
    archipel.run("-H", HYPERVISOR_FULL, "-H", OTHER, "login", "alice@example.org", "--password-file", "-", input="secret-word\n")
    return archipel


def test_what_several_hypervisors_have_is_one_table_that_says_where(two: CommandLine) -> None:
    two.wire.answer(pools(HYPERVISOR), query(ns.HYPERVISOR_STORAGE, POOL.format("images", 1)))
    two.wire.answer(pools(HYPERVISOR_FULL), query(ns.HYPERVISOR_STORAGE, POOL.format("images", 1)))
    two.wire.answer(pools(OTHER), query(ns.HYPERVISOR_STORAGE, POOL.format("old", 0)))
    two.wire.answers_to = lambda text: _show_both(two, text)
    found = rows(two.run("pool", "list").stdout)
    assert found[1] == [HYPERVISOR, "images", "dir", "yes", "2", "GiB", "1.5", "KiB", "/p"]
    assert found[2] == ["hyp2@example.org", "old", "dir", "/p"], "of a pool that is stopped no size is known"
    assert [pool["hypervisor"] for pool in two.json("pool", "list")] == [HYPERVISOR, "hyp2@example.org"]


def test_one_hypervisor_that_fails_does_not_hide_the_others(two: CommandLine) -> None:
    two.wire.answer(pools(HYPERVISOR_FULL), query(ns.HYPERVISOR_STORAGE, POOL.format("images", 1)))
    two.wire.answer(pools(OTHER), error("internal-server-error"))
    two.wire.answers_to = lambda text: _show_both(two, text)
    result = two.run("pool", "list", code=1)
    assert rows(result.stdout)[1][0] == "images"
    assert "hyp2@example.org" in result.stderr


def test_a_change_wants_to_know_on_which_hypervisor(two: CommandLine) -> None:
    assert "say on which hypervisor" in two.run("pool", "start", "images", code=5).stderr


def _show_both(archipel: CommandLine, text: str) -> None:
    for full in (HYPERVISOR_FULL, OTHER):
        if 'type="probe"' in text and f'"{full.partition("/")[0]}"' in text:
            archipel.wire.deliver_soon(f"<presence from='{full}'/>")


# -- files --------------------------------------------------------------------------------------------------------------


def test_a_picture_goes_into_a_file_or_to_standard_output(archipel: CommandLine, tmp_path: Path) -> None:
    script_machines(archipel.wire)
    content = f"<screenshot mime='image/png' width='640' height='480'>{base64.b64encode(b'PNG').decode()}</screenshot>"
    archipel.wire.answer(vm_command("get", "<archipel size='full' action='screenshot'/>"), query(ns.VM_CONTROL, content))
    file = tmp_path / "web.png"
    assert archipel.run("screenshot", "web", str(file)).stdout == f"web ({MACHINE}): 640 x 480 in {file}\n"
    assert file.read_bytes() == b"PNG"
    assert archipel.run("screenshot", "web", "-").stdout_bytes == b"PNG"
    assert archipel.json("screenshot", "web", str(file))["height"] == 480
    assert "no/such/folder" in archipel.run("screenshot", "web", str(tmp_path / "no/such/folder/web.png"), code=1).stderr


def test_a_definition_that_is_no_xml_is_wrong_usage(archipel: CommandLine) -> None:
    assert "no well-formed XML" in archipel.run("network", "define", "-", input="<network", code=2).stderr


def test_what_a_program_in_a_guest_writes_is_written_and_its_code_is_the_commands(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    request = "<archipel path='cat' timeout='20' action='exec'><input>aGk=</input></archipel>"
    out, err = (base64.b64encode(text).decode() for text in (b"out\xff", b"err"))
    outputs = f"<output stream='stdout' truncated='1'>{out}</output><output stream='stderr'>{err}</output>"
    archipel.wire.answer(
        command("set", MACHINE_FULL, ns.VM_GUEST, request), query(ns.VM_GUEST, f"<exec pid='7' exited='1' exitcode='7'>{outputs}</exec>")
    )
    result = archipel.run("guest", "exec", "--stdin", "web", "cat", input="hi", code=7)
    assert result.stdout_bytes == b"out\xff"
    assert result.stderr == "errarchipel: the program wrote more: only the beginning was kept\n"
    found = archipel.json("guest", "exec", "--stdin", "web", "cat", input="hi", code=7)
    assert (found["stdout"], found["exitcode"]) == ("out\N{REPLACEMENT CHARACTER}", 7)


def test_a_program_that_a_signal_ended_is_a_failure(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    request = "<archipel path='loop' timeout='20' action='exec'><input/></archipel>"
    archipel.wire.answer(command("set", MACHINE_FULL, ns.VM_GUEST, request), query(ns.VM_GUEST, "<exec pid='7' exited='1' signal='9'/>"))
    assert "ended by signal 9" in archipel.run("guest", "exec", "web", "loop", code=1).stderr


# -- health -------------------------------------------------------------------------------------------------------------


def test_a_machine_without_figures_says_so(archipel: CommandLine) -> None:
    script_machines(archipel.wire)
    archipel.wire.answer(command("get", MACHINE_FULL, ns.VM_HEALTH, "<archipel action='info'/>"), query(ns.VM_HEALTH))
    assert "there are no figures" in archipel.run("health", "web").stdout
    assert archipel.json("health", "web")["health"] is None


# -- sizes, values, completion ------------------------------------------------------------------------------------------


@given(st.integers(1, 10**11), st.sampled_from(sorted(MEBIBYTES)), st.sampled_from(["", "B", "iB", "ib"]))
def test_a_size_is_read_as_it_is_written(number: int, unit: str, ending: str) -> None:
    assert Size().convert(f"{number}{unit}{ending}", None, None) == number * MEBIBYTES[unit]


@pytest.mark.parametrize("text", ["", "10", "0G", "1.5G", "-1M", "10 G", "1K", "\u0661G", "9" * 20 + "M"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no size such as 500M"):
        Size().convert(text, None, None)


@given(st.integers(0, 2**63))
def test_every_size_is_told_in_a_few_characters(value: int) -> None:
    number, unit = size_of(value).split()
    assert float(number) < 10_000
    assert unit in {"B", "KiB", "MiB", "GiB", "TiB", "PiB"}


def test_values_are_told_as_people_and_as_scripts_want_them() -> None:
    @dataclass
    class Item:
        yes: bool
        none: None
        xml: ET.Element
        more: tuple[int, ...]

    item = Item(True, None, ET.fromstring("<a xmlns='urn:x'><b/></a>"), (1, 2))
    assert [cell(item, name) for name in ("yes", "none", "more")] == ["yes", "", "(1, 2)"]
    assert plain(item) == {"yes": True, "none": None, "xml": '<a xmlns="urn:x">\n  <b />\n</a>', "more": [1, 2]}


@pytest.mark.parametrize(
    "typed, offered",
    [
        (["drive"], {"create", "convert"}),
        (["snapshot", "take", "web", "--"], {"--memory", "--no-memory", "--external"}),
        (["drive", "convert", "web", "data.qcow2"], {"qcow2", "raw"}),
        (["admins"], {"add", "remove", "list"}),
    ],
)
def test_shells_complete_the_commands(typed: list[str], offered: set[str]) -> None:
    *before, last = [*typed, ""] if not typed[-1].startswith("-") else typed
    completion = ShellComplete(main, {}, "archipel", "_ARCHIPEL_COMPLETE")
    assert offered <= {found.value for found in completion.get_completions(before, last)}


def test_nothing_is_shown_of_what_is_waited_for_where_nobody_looks(archipel: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archipel.cli.invocation.TELL_AFTER", 0.0)
    script_machines(archipel.wire)
    archipel.wire.answer(disk("get", "<archipel action='get'/>"), query(ns.VM_DISK, DRIVE))
    result = archipel.run("drive", "list", "web")
    assert (result.stderr, "waiting" in result.stdout) == ("", False)
