# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.cli import start
from archipel.cli.examples import EXAMPLES, examples_of
from archipel.cli.exit_codes import ExitCode, as_json, exit_code, exit_code_of_all
from archipel.cli.main import main
from archipel.cli.output import printable
from archipel.client.errors import AmbiguousMachine, MachineNotFound, MalformedAddress, MalformedAnswer, NotOnline, WaitTimedOut
from archipel.client.failures import describe
from archipel.client.platform import CONFIGURATION, SHARED_NODES
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, LibvirtFailed, PermissionDenied, RemoteError
from archipel.xmpp.errors import Disconnected, LoginRefused, NoAnswer, ServerUnreachable, UntrustedServer
from tests.documentation import read_steps
from tests.unit.cli.conftest import CommandLine
from tests.unit.client.scripted_stream import HYPERVISOR, OWN, PUBSUB, error

CODES: list[tuple[Exception, ExitCode]] = [
    (PermissionDenied("no", "create"), ExitCode.PERMISSION),
    (RemoteError("no", 0, Condition.FORBIDDEN), ExitCode.PERMISSION),
    (CommandError("no"), ExitCode.FAILED),
    (LibvirtFailed("no", 42), ExitCode.FAILED),
    (WaitTimedOut("no"), ExitCode.FAILED),
    (MalformedAnswer("a@b/c", "info", "x"), ExitCode.FAILED),
    (NotOnline("no"), ExitCode.UNREACHABLE),
    (NoAnswer("no"), ExitCode.UNREACHABLE),
    (Disconnected("no"), ExitCode.UNREACHABLE),
    (ServerUnreachable("no"), ExitCode.UNREACHABLE),
    (MachineNotFound("no"), ExitCode.NOT_FOUND),
    (AmbiguousMachine("no"), ExitCode.NOT_FOUND),
    (LoginRefused("no"), ExitCode.LOGIN),
    (UntrustedServer("no"), ExitCode.LOGIN),
    (MalformedAddress("no"), ExitCode.USAGE),
]


@pytest.mark.parametrize("failure, code", CODES)
def test_each_error_has_its_exit_code(failure: Exception, code: ExitCode) -> None:
    assert exit_code(failure) is code
    assert as_json(failure)["exit_code"] == code


def test_several_errors_end_alike_or_as_a_failure() -> None:
    assert exit_code_of_all([]) is ExitCode.OK
    assert exit_code_of_all([NotOnline("a"), NoAnswer("b")]) is ExitCode.UNREACHABLE
    assert exit_code_of_all([NotOnline("a"), MachineNotFound("b")]) is ExitCode.FAILED


def test_a_missing_right_is_told_once() -> None:
    assert describe(PermissionDenied("refused", "create")) == "refused (missing right: create)"
    assert describe(PermissionDenied("bob lacks 'create'", "create")) == "bob lacks 'create'"


def test_an_error_without_words_still_has_a_name() -> None:
    assert describe(FileNotFoundError()) == "FileNotFoundError"


@given(st.text())
def test_nothing_printed_commands_the_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(character.isprintable() or character in "\n\t" for character in shown)


def test_help_lists_commands_and_exit_codes(stranger: CommandLine) -> None:
    output = stranger.run("--help").stdout
    for word in ("login", "ls", "show", "define", "start", "watch", "chat", "grant", "platform", "completion", "Exit codes:"):
        assert word in output


def test_an_unknown_command_is_wrong_usage(stranger: CommandLine) -> None:
    assert "No such command" in stranger.run("frobnicate", code=2).stderr


@pytest.mark.parametrize(
    "typed, wrong, program",
    [
        ("--nosuch", "No such option", "main"),
        ("list", "Did you mean 'ls'?", "main"),
        ("start", "Missing argument 'MACHINE...'", "main start"),
        ("drive create web", "Missing argument 'NAME'", "main drive create"),
        ("drive convert web a.raw zip", "'zip' is not one of", "main drive convert"),
        ("memory web 256", "is no size such as 500M, 10G or 1T", "main memory"),
        ("oom set web 1001", "1001 is not in the range", "main oom set"),
    ],
)
def test_wrong_usage_is_one_line_that_says_where_the_help_is(stranger: CommandLine, typed: str, wrong: str, program: str) -> None:
    result = stranger.run(*typed.split(), code=2)
    [line] = result.stderr.splitlines()
    assert wrong in line
    assert line.endswith(f" See: {program} --help")
    told = json.loads(stranger.run("--json", *typed.split(), code=2).stderr)
    assert (told["exit_code"], f"archipel: {told['error']}") == (2, line)


def test_who_names_no_command_gets_the_help(stranger: CommandLine) -> None:
    for arguments in ((), ("drive",)):
        assert "Commands:" in stranger.run(*arguments, code=2).output


def commands(group: click.Group, words: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, found in group.commands.items():
        if isinstance(found, click.Group):
            yield from commands(found, f"{words} {name}".strip())
        else:
            yield f"{words} {name}".strip(), found


def test_each_command_s_help_has_an_example_that_a_page_types(root: Path, stranger: CommandLine) -> None:
    """What the pages type is done by tests."""
    typed = {step.command for page in (root / "docs").glob("cli*.md") for step in read_steps(page)}
    assert set(EXAMPLES.strip().splitlines()) - typed == set()
    assert [words for words, _ in commands(main) if not examples_of(words)] == []
    shown = stranger.run("drive", "create", "--help").stdout
    assert "  archipel drive create web data 10M\n" in shown


def test_who_leaves_while_a_password_is_asked_is_gone_quietly(stranger: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> str:
        raise click.Abort  # what click makes of Ctrl-C

    monkeypatch.setattr("click.prompt", interrupt)
    assert "Traceback" not in stranger.run("login", OWN, code=130).output


def test_where_nobody_can_type_a_password_it_is_said_what_to_do(stranger: CommandLine) -> None:
    assert "--password-file" in stranger.run("login", OWN, input="", code=6).stderr


def test_who_leaves_while_the_command_is_loaded_is_gone_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("archipel.cli.main.main", interrupt)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 130


def test_where_only_the_agent_was_installed_the_command_says_what_is_missing() -> None:
    code = "import sys; sys.modules['click'] = None; from archipel.cli.start import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == ExitCode.FAILED
    assert ended.stderr == "archipel: the Python module 'click' is missing: install the distribution with [cli], as docs/cli.md says\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_completion(stranger: CommandLine, shell: str) -> None:
    script = stranger.run("completion", shell).stdout
    assert "_ARCHIPEL_COMPLETE" in script
    assert f"{shell}_complete" in script


# -- platform init ------------------------------------------------------------------------------------------------------


def form(fields: dict[str, str]) -> str:
    hidden = f"<field var='FORM_TYPE' type='hidden'><value>{ns.PUBSUB_NODE_CONFIG}</value></field>"
    rest = "".join(f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items())
    return f"<x xmlns='{ns.DATA_FORMS}' type='submit'>{hidden}{rest}</x>"


def script_nodes(archipel: CommandLine, answer: str) -> None:
    for node in SHARED_NODES:
        creation = f"<create node='{node}'/><configure>{form(CONFIGURATION)}</configure>"
        archipel.wire.answer(f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'>{creation}</pubsub></iq>", answer)
        ask = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB_OWNER}'>"
        publisher = f"<affiliation jid='{HYPERVISOR}' affiliation='publisher'/>"
        owner = f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><affiliations>{publisher}</affiliations></pubsub>"
        archipel.wire.answer(f"{ask}<affiliations node='{node}'/></pubsub></iq>", owner)
        present = f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><configure node='{node}'>{form(CONFIGURATION)}</configure></pubsub>"
        archipel.wire.answer(f"{ask}<configure node='{node}'/></pubsub></iq>", present)


def test_the_platforms_nodes_are_made(archipel: CommandLine) -> None:
    script_nodes(archipel, "")
    lines = archipel.run("platform", "init", "--hypervisor", HYPERVISOR).stdout.splitlines()
    assert lines == [f"{node}: made" for node in SHARED_NODES]


def test_a_platform_that_is_as_it_should_be_stays_so(archipel: CommandLine) -> None:
    script_nodes(archipel, error("conflict"))
    assert archipel.json("platform", "init", "--hypervisor", HYPERVISOR)["changed"] is False


def test_who_may_not_set_the_platform_up_is_told(archipel: CommandLine) -> None:
    script_nodes(archipel, error("forbidden"))
    assert "use an administrator's account" in archipel.run("platform", "init", "--hypervisor", HYPERVISOR, code=3).stderr


def test_the_platform_needs_a_hypervisor(archipel: CommandLine) -> None:
    assert "Missing option '--hypervisor'" in archipel.run("platform", "init", code=2).stderr
