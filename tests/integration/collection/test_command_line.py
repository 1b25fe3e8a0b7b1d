# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/cli.md, typed into a terminal from the top to the bottom: each command does what the page says, and shows what it shows."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import libvirt
import pytest

from tests.documentation import Step, read_steps
from tests.integration.collection.platform import Platform, password_of
from tests.integration.collection.terminal import END, INTERRUPT, Terminal

UUID = "78d1ff65-3f8a-4dd9-a218-d7b044569db3"
WEB = f"""<domain type='test'>
  <name>web</name><uuid>{UUID}</uuid><memory unit='MiB'>512</memory><vcpu>1</vcpu><os><type>hvm</type></os>
</domain>"""
INTERRUPTED = 130
ASK_FOR_CODE = "echo $?"
# What somebody does with virsh before the page shows the line.
MEANWHILE: Mapping[str, Callable[[libvirt.virDomain], object]] = {
    "web  is Running": libvirt.virDomain.create,
    '"status": "Paused"': libvirt.virDomain.suspend,
}
# Colours; the time of the day, and how busy the host is just now, are others whenever it runs.
VARYING = (
    (r"(?s)\x1b\[\?25l.*?\x1b\[\?25h(?:\r|\x1b\[\d*[AK])*", ""),  # what tells on a slow host that something takes its time
    (r"\x1b\[[\d;]*m", ""),
    (r"^\d\d:\d\d:\d\d  ", "HH:MM:SS  "),
    (r"\b\d+ %", "N %"),
    (r"\d{4}-\d\d-\d\d [\d:]{8} UTC", "THEN"),
    (r" +$", ""),
)


class Sitting:
    """Somebody at a shell who has a home folder of his own, the password of his account in mind, and a file to define."""

    def __init__(self, home: Path, platform: Platform) -> None:
        self._home = home
        self._platform = platform
        server = platform.ejabberd
        # The page's reader has DNS records and a certificate that everybody trusts.
        self._connection = f" --host {server.host} --port {server.port} --ca-file {server.ca_file}"
        self._environment = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "COLUMNS": "200",
        }
        (home / "web.xml").write_text(WEB)
        (home / "student.password").write_text(password_of("student"))

    def run(self, step: Step) -> tuple[int, str]:
        """Type the command and what it asks for, wait for what the page shows meanwhile; return exit code and screen at its end."""
        line = step.command + (self._connection if "login" in step.command.split() else "")
        with Terminal(line, self._environment, self._home) as terminal:
            for shown in step.shown:
                self._meet(terminal, shown)
            return terminal.wait_end(), self.normalise(terminal.screen)

    def _meet(self, terminal: Terminal, shown: str) -> None:
        """Do what the person does at this line of the page, or wait for what comes by itself."""
        if shown == "^C":
            terminal.type(INTERRUPT)
        elif shown == "> ^D":
            terminal.wait_for("> ")
            terminal.type(END)
        elif shown.startswith("> "):
            terminal.wait_for("> ")
            terminal.type(f"{shown.removeprefix('> ')}\n")
        elif asked := re.fullmatch(r"Password of (\w+)@\S+:", shown):
            terminal.wait_for(f"{shown} ")  # the blank comes when nothing is echoed any more
            terminal.type(f"{password_of(asked[1])}\n")
        elif seen := re.fullmatch(r'(?:[\d:]{8}  )(.*)|(\{"entity".*)', shown):
            self._happen(shown)
            terminal.wait_for(seen[1] or seen[2])

    def _happen(self, shown: str) -> None:
        for act in (act for part, act in MEANWHILE.items() if part in shown):
            connection = libvirt.open(self._platform.uri)
            act(connection.lookupByName("web"))
            connection.close()

    def normalise(self, text: str) -> str:
        """Return the text without what differs from one sitting to the next."""
        text = text.replace(str(self._home), "~")
        for pattern, word in VARYING:
            text = re.sub(pattern, word, text, flags=re.MULTILINE)
        return text.strip()


def expected_code(step: Step, following: Step) -> int:
    """Return the exit code that the page asks for after the step; success where it does not."""
    if step.shown[-1:] == ("^C",):
        return INTERRUPTED
    return int(following.shown[0]) if following.command == ASK_FOR_CODE else 0


@pytest.mark.timeout(600)  # fifty commands, each a login
def test_the_page_of_the_command_line_is_true(platform: Platform, tmp_path: Path, root: Path) -> None:
    sitting = Sitting(tmp_path, platform)
    steps = read_steps(root / "docs" / "cli.md")
    for step, following in itertools.pairwise([*steps, Step("", ())]):
        if step.command == ASK_FOR_CODE:
            continue
        code, screen = sitting.run(step)
        assert code == expected_code(step, following), f"$ {step.command}\n{screen}"
        if step.shown and step.shown[-1] != "^C":  # a watch may show more, and was looked at while it ran
            assert screen == sitting.normalise("\n".join(step.shown).replace("^D", "")), f"$ {step.command}"
        assert not any(password_of(name) in screen for name in ("admin", "student")), f"$ {step.command}"
